//! One process of a resident handler, with what it has written since its last answer.

use std::ops::ControlFlow;

use super::super::CommandHandler;
use super::super::lines::answers::{Item, Reader};
use crate::hook::HookName;
use crate::outcome::ProcessReport;
use crate::process::{
    Cancel, Captured, End, Ended, INSTANCE_VARIABLE, Keeper, Live, POOL_VARIABLE, Stage, StartError, Written,
    stop_all,
};

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) live: Live,
    /// Its number in its pool.
    number: u64,
    /// Events that it has answered.
    pub(super) answered: u32,
    /// It comes from the shelf: it has been at rest, between two events or since it was started ahead.
    pub(super) rested: bool,
    pub(super) said: Said,
}

/// What a process has written and nobody has been told of.
#[derive(Debug)]
pub(super) struct Said {
    reader: Reader,
    max_output: usize,
    noise: Keeper,
    errors: Keeper,
    /// Bytes since its last answer, and how many these may be.
    written: u64,
    max_written: u64,
}

impl Said {
    pub(super) fn new(max_output: usize, max_written: u64) -> Self {
        let (noise, errors) = (Keeper::new(max_output), Keeper::new(max_output));
        Self { reader: Reader::default(), max_output, noise, errors, written: 0, max_written }
    }

    /// True when it has written more than it may since its last answer.
    pub(super) fn is_too_much(&self) -> bool {
        self.written > self.max_written
    }

    /// Takes what was written, and hands on answers and broken ones.
    pub(super) fn take(
        &mut self,
        written: Written<'_>,
        mut sink: impl FnMut(&mut Keepers<'_>, Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Self { reader, max_output, noise, errors, written: sum, .. } = self;
        let (Written::Stdout(piece) | Written::Stderr(piece)) = written;
        *sum = sum.saturating_add(piece.len() as u64);
        let mut keepers = Keepers { max_output: *max_output, noise, errors };
        match written {
            Written::Stderr(piece) => {
                keepers.errors.push(piece);
                ControlFlow::Continue(())
            }
            Written::Stdout(piece) => reader.push(piece, |item| match item {
                Item::Noise(piece) => {
                    keepers.noise.push(piece);
                    ControlFlow::Continue(())
                }
                item => {
                    *sum = 0;
                    sink(&mut keepers, item)
                }
            }),
        }
    }

    /// Its output has ended: what a last line without its end was.
    pub(super) fn finish(&mut self) -> Option<Item<'static>> {
        self.reader.finish()
    }

    pub(super) fn keepers(&mut self) -> Keepers<'_> {
        let Self { max_output, noise, errors, .. } = self;
        Keepers { max_output: *max_output, noise, errors }
    }
}

/// The output that goes with the next outcome.
pub(super) struct Keepers<'a> {
    max_output: usize,
    noise: &'a mut Keeper,
    errors: &'a mut Keeper,
}

impl Keepers<'_> {
    /// The report for an event whose process goes on. `None`: it wrote nothing but answers.
    pub(super) fn report(&mut self) -> Option<Box<ProcessReport>> {
        if self.noise.is_empty() && self.errors.is_empty() {
            return None;
        }
        Some(self.report_of(End::Running))
    }

    /// The report for the event that ended it.
    fn report_of(&mut self, end: End) -> Box<ProcessReport> {
        let max_output = self.max_output;
        let take =
            |keeper: &mut Keeper| -> Captured { std::mem::replace(keeper, Keeper::new(max_output)).finish() };
        Box::new(ProcessReport {
            end,
            stopped: None,
            cpu_time: None,
            peak_memory: None,
            stdout: take(self.noise),
            stderr: take(self.errors),
            stdin_left: 0,
            pipe_held: false,
            leftovers_killed: false,
            escapees_killed: 0,
        })
    }
}

impl Instance {
    pub(super) fn start(
        command: &CommandHandler,
        hook: &HookName,
        number: u64,
        max_output: usize,
        nice: u8,
    ) -> Result<Self, StartError> {
        let surroundings = &command.surroundings;
        let variables: [(&str, String); 4] = [
            ("HOOKPOOL_HOOK", hook.to_string()),
            (INSTANCE_VARIABLE, number.to_string()),
            ("HOOKPOOL_DEPTH", surroundings.depth.to_string()),
            (POOL_VARIABLE, surroundings.pool.to_string()),
        ];
        let live = surroundings.runner.start(&command.prepared, variables, nice)?;
        command.counters.process_started(live.spawn_time());
        let said = Said::new(max_output, command.prepared.limits().output.unwrap_or(u64::MAX));
        Ok(Self { live, number, answered: 0, rested: false, said })
    }

    /// Ends it from that stage on, and sees to what left its group. What it still writes goes to the sink.
    pub(super) fn end(
        self,
        command: &CommandHandler,
        grace: std::time::Duration,
        from: Stage,
        cancel: &Cancel,
        mut sink: impl FnMut(&mut Keepers<'_>, Item<'_>),
    ) -> (Ended, Box<ProcessReport>) {
        let Self { live, number, mut said, .. } = self;
        let mut see = |_: usize, written: Written<'_>| {
            let _ = said.take(written, |keepers, item| {
                sink(keepers, item);
                ControlFlow::Continue(())
            });
        };
        let ended = stop_all(vec![(live, grace)], from, cancel, &mut see).pop();
        let ended = ended.expect("as many end as were stopped");
        if let Some(item) = said.finish() {
            sink(&mut said.keepers(), item);
        }
        let mut report = said.keepers().report_of(ended.end.clone());
        report.cpu_time = ended.cpu_time;
        report.peak_memory = ended.peak_memory;
        report.pipe_held = ended.pipe_held;
        report.leftovers_killed = ended.leftovers_killed;
        report.escapees_killed = settle(command, number, &ended);
        (ended, report)
    }

    /// What ends many at once has to be told after it.
    pub(super) fn into_parts(self) -> (Live, u64) {
        (self.live, self.number)
    }
}

/// Counts a process that has ended, and kills what left its group. Gives back how many there were.
pub(super) fn settle(command: &CommandHandler, number: u64, ended: &Ended) -> usize {
    command.counters.process_ended(ended.cpu_time, ended.peak_memory);
    sweep(command, number, ended)
}

fn sweep(command: &CommandHandler, number: u64, ended: &Ended) -> usize {
    let Some(sweeper) = &command.surroundings.sweeper else { return 0 };
    let ended_well = ended.end == End::Exited(0) && ended.stage == Stage::Close;
    if command.keeps_leftovers && ended_well {
        sweeper.reap_adopted();
        return 0;
    }
    let number = number.to_string();
    let left_something = ended.stage != Stage::Close || ended.pipe_held || ended.leftovers_killed;
    if left_something || sweeper.has_adopted_of_instance(&number) {
        sweeper.sweep_instance(&number).killed
    } else {
        0
    }
}
