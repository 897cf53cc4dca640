//! The events of one dispatch on their way through a process: given in order, answered in any.
//!
//! Invariant: an event leaves `open` with its outcome, and only then. Those that the process has been given are the first
//! of `open`; of these, those whose line is still in our hands are the last.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::super::Task;
use super::super::command::wrote_too_much;
use super::super::hint::NOT_RESIDENT;
use super::super::lines::answers::{Item, Line};
use super::super::lines::splice::{Head, push_line};
use super::instance::{Instance, Keepers};
use super::shelf::Shelf;
use crate::hook::Hook;
use crate::outcome::{Ending, OutcomeKind};
use crate::process::{Cancel, CancelLevel, End, Ended, Live, Stage, StopReason, Stopped, Written};

/// Lines are made until so much is waiting to be written.
const AHEAD: usize = 64 * 1024;
/// How long the end of a process may come after that of its output.
const EXIT: Duration = Duration::from_millis(100);

pub(super) struct Flight<'a, 'd> {
    tasks: &'a [Task<'a>],
    /// Positions of those without an outcome, the oldest first.
    open: VecDeque<usize>,
    /// How many of `open` the process has been given.
    given: usize,
    /// How many of these had been written before the last lines were made.
    written: usize,
    /// Since when the oldest has been the oldest.
    since: Instant,
    done: &'d mut dyn FnMut(usize, Ending),
}

/// Why a process and the events have parted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parted {
    /// All are answered.
    Done,
    /// It is of no more use, and has read nothing of the oldest that is open.
    Unread,
    Ended,
    ClosedInput,
    ClosedOutput,
    TimedOut,
    Cancelled,
    WroteTooMuch,
    Broken(String),
}

impl Parted {
    /// It was the process that ended it.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Unread | Self::Ended | Self::ClosedInput | Self::ClosedOutput)
    }
}

impl<'a, 'd> Flight<'a, 'd> {
    pub(super) fn new(tasks: &'a [Task<'a>], done: &'d mut dyn FnMut(usize, Ending)) -> Self {
        let open = (0..tasks.len()).collect();
        Self { tasks, open, given: 0, written: 0, since: Instant::now(), done }
    }

    /// What stops the next flight; `None` when no event is left. Events that nobody wants any more have their outcome.
    pub(super) fn next(&mut self) -> Option<&'a Cancel> {
        let Self { tasks, open, done, .. } = self;
        if tasks.len() > 1 {
            open.retain(|&index| {
                let is_wanted = tasks.get(index).is_some_and(|task| !task.is_cancelled());
                if !is_wanted {
                    done(index, Ending::not_wanted());
                }
                is_wanted
            });
        }
        self.first().map(|task| task.stop)
    }

    /// Gives all that are open the same outcome.
    pub(super) fn end_rest(&mut self, ending: impl Fn() -> Ending) {
        for (at, index) in std::mem::take(&mut self.open).into_iter().enumerate() {
            (self.done)(index, Ending { repeats: at > 0, ..ending() });
        }
    }

    /// Reads what a process has written at rest, before it is given anything. False: it has ended, or wrote a broken
    /// answer. A line that it has only begun ends here: what it says next is said to the next event.
    fn is_fit(&mut self, instance: &mut Instance, stop: &Cancel, complain: &dyn Fn(&str)) -> bool {
        let Instance { live, said, answered, .. } = instance;
        let (mut broken, wrote) = (None, Cell::new(false));
        let now = self.since;
        let mut see = |written: Written<'_>| {
            wrote.set(true);
            let _ =
                said.take(written, |keepers, item| self.take(item, keepers, answered, &mut broken, complain));
        };
        let turn = live.turn(stop, CancelLevel::Stop, Some(now), &mut see);
        if wrote.get() {
            live.read_rest(&mut see);
        }
        if !turn.over
            && broken.is_none()
            && let Some(item) = said.finish()
        {
            let _ = self.take(item, &mut said.keepers(), answered, &mut broken, complain);
        }
        !turn.over && !turn.refused && broken.is_none() && !instance.said.is_too_much()
    }

    /// Leads the events through a process.
    pub(super) fn fly(&mut self, instance: &mut Instance, complain: &dyn Fn(&str)) -> Parted {
        let Some(Task { hook, stop, .. }) = self.first() else { return Parted::Done };
        (self.given, self.written, self.since) = (0, 0, Instant::now());
        if instance.rested && !self.is_fit(instance, stop, complain) {
            return Parted::Unread;
        }
        let had_read = instance.live.has_read();
        let mut takes_more = true;
        loop {
            let Instance { live, said, answered, rested, .. } = instance;
            let ended = |live: &Live| {
                if *rested && live.has_read() <= had_read { Parted::Unread } else { Parted::Ended }
            };
            if takes_more {
                self.give(live);
            }
            let mut broken = None;
            let until = self.since.checked_add(hook.timeout);
            let mut see = |written: Written<'_>| {
                let _ = said
                    .take(written, |keepers, item| self.take(item, keepers, answered, &mut broken, complain));
            };
            let turn = live.turn(stop, CancelLevel::Stop, until, &mut see);
            if turn.over || turn.refused {
                live.read_rest(&mut see);
            }
            if turn.over
                && broken.is_none()
                && let Some(item) = said.finish()
            {
                let _ = self.take(item, &mut said.keepers(), answered, &mut broken, complain);
            }
            if let Some(parted) = broken {
                return parted;
            }
            if turn.over {
                return match (self.open.is_empty(), live.wait_exit(EXIT)) {
                    (true, _) => Parted::Unread,
                    (false, true) => ended(live),
                    (false, false) => Parted::ClosedOutput,
                };
            }
            if self.open.is_empty() {
                return Parted::Done;
            }
            if turn.refused {
                if live.sent() > 0 {
                    return if live.wait_exit(EXIT) { ended(live) } else { Parted::ClosedInput };
                }
                // What it has read it may still answer.
                live.take_back();
                self.given = self.written;
                takes_more = false;
            }
            if !takes_more && self.given == 0 {
                return Parted::Unread;
            }
            if turn.cancelled {
                return Parted::Cancelled;
            }
            if instance.said.is_too_much() {
                return Parted::WroteTooMuch;
            }
            if self.since.elapsed() >= hook.timeout {
                return Parted::TimedOut;
            }
        }
    }

    /// The process has failed the oldest event: ends it, and gives that event its outcome. The others stay open, but for
    /// those that it still answers.
    pub(super) fn suffer(
        &mut self,
        parted: Parted,
        instance: Instance,
        owner: &Shelf,
        complain: &dyn Fn(&str),
    ) {
        let Some(task) = self.first() else { return owner.end(instance, Stage::Ask) };
        let (hook, ran) = (task.hook, self.since.elapsed());
        let victims: Vec<_> = match parted {
            Parted::Cancelled => self.open.drain(..).collect(),
            _ => self.open.pop_front().into_iter().collect(),
        };
        let given = self.given;
        self.given = given.saturating_sub(victims.len());
        let from = if parted == Parted::Ended { Stage::Close } else { Stage::Ask };
        let (ended, mut report) =
            instance.end(&owner.command, hook.grace, from, task.stop, |keepers, item| {
                let _ = self.take(item, keepers, &mut 0, &mut None, complain);
            });
        let why = match parted {
            Parted::TimedOut => Some(StopReason::Deadline),
            Parted::Cancelled => Some(StopReason::Cancelled),
            Parted::WroteTooMuch => Some(StopReason::Output),
            _ => None,
        };
        if let Some(why) = why {
            let kill_after = (ended.stage == Stage::Kill).then(|| self.since.elapsed());
            report.stopped = Some(Stopped { why, term_after: ran, kill_after });
        }
        let mut report = Some(report);
        for (at, index) in victims.into_iter().enumerate() {
            let ending = match (at < given, &parted) {
                (false, Parted::Cancelled) => Ending::not_wanted(),
                _ => Ending { run: Some(ran), ..parted.ending(hook, owner, &ended) },
            };
            let ending = Ending { process: report.take(), ..ending }.hinted(hook, &owner.command.prepared);
            (self.done)(index, ending);
        }
    }

    fn first(&self) -> Option<Task<'a>> {
        self.open.front().and_then(|&index| self.tasks.get(index)).copied()
    }

    /// Makes the lines of the next events, when those before them are written.
    fn give(&mut self, live: &mut Live) {
        if self.given == self.open.len() || live.has_unsent() {
            return;
        }
        self.written = self.given;
        let next = self.open.iter().skip(self.given).filter_map(|&index| self.tasks.get(index));
        let mut given = 0;
        live.give(|lines| {
            for task in next {
                let (id, deadline_ms) = (task.id(), task.hook.timeout.as_millis());
                let head = Head { id: &id, hook: &task.hook.name, attempt: task.attempt, deadline_ms };
                push_line(lines, head, task.event);
                given += 1;
                if lines.len() >= AHEAD {
                    break;
                }
            }
        });
        self.given += given;
    }

    /// Takes what the process said of an event.
    fn take(
        &mut self,
        item: Item<'_>,
        keepers: &mut Keepers<'_>,
        answered: &mut u32,
        broken: &mut Option<Parted>,
        complain: &dyn Fn(&str),
    ) -> ControlFlow<()> {
        match item {
            Item::Noise(_) => {}
            Item::Answer(answer) => {
                if self.answer(answer, keepers, complain) {
                    *answered = answered.saturating_add(1);
                }
            }
            Item::Broken(why) if self.given == 0 => {
                complain(&format!("wrote a broken answer to nothing: {why}"));
                broken.get_or_insert(Parted::Unread);
            }
            Item::Broken(why) => {
                broken.get_or_insert(Parted::Broken(why));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// True when it is the answer to an event that the process has.
    fn answer(&mut self, answer: Line, keepers: &mut Keepers<'_>, complain: &dyn Fn(&str)) -> bool {
        let task = |index: &usize| self.tasks.get(*index);
        let given = self.open.iter().take(self.given);
        let found = given.clone().position(|index| task(index).is_some_and(|task| task.is(&answer.id)));
        let Some((at, index)) = found.and_then(|at| Some((at, self.open.remove(at)?))) else {
            if self.tasks.iter().any(|task| task.is(&answer.id)) {
                complain(&format!("answered event {} again, or too late", answer.id));
            } else {
                complain("answered an event that it has not got, or not any more");
            }
            return false;
        };
        self.given -= 1;
        self.written -= usize::from(at < self.written);
        let now = Instant::now();
        let mut ending = Ending::answered(answer, now.duration_since(self.since));
        ending.process = keepers.report();
        if at == 0 {
            self.since = now;
        }
        (self.done)(index, ending);
        true
    }
}

/// What a process wrote that was given these tasks, in pieces, until it ended or broke the protocol.
#[cfg(any(test, fuzzing))]
pub(in super::super) fn hear(tasks: &[Task<'_>], pieces: &[&[u8]], done: &mut dyn FnMut(usize, Ending)) {
    let mut flight = Flight { given: tasks.len(), written: tasks.len(), ..Flight::new(tasks, done) };
    let (mut said, mut answered, mut broken) = (super::instance::Said::new(0, u64::MAX), 0, None);
    let mut take = |said: &mut Keepers<'_>, item: Item<'_>, broken: &mut Option<Parted>| {
        flight.take(item, said, &mut answered, broken, &|_| ())
    };
    for piece in pieces {
        if broken.is_none() {
            let _ = said.take(Written::Stdout(piece), |keepers, item| take(keepers, item, &mut broken));
        }
    }
    if broken.is_none()
        && let Some(item) = said.finish()
    {
        let _ = take(&mut said.keepers(), item, &mut broken);
    }
}

impl Parted {
    /// What it means for the event that suffers.
    fn ending(&self, hook: &Hook, owner: &Shelf, ended: &Ended) -> Ending {
        let Ended { end, stage, .. } = ended;
        let how = if *stage == Stage::Kill { "and ignored TERM, so it got KILL" } else { "and got TERM" };
        match self {
            Self::TimedOut => Ending::new(
                OutcomeKind::TimedOut,
                format!("it ran longer than its timeout of {:?} {how}", hook.timeout),
            ),
            Self::WroteTooMuch => {
                Self::failed(&format!("{} {how}", wrote_too_much(owner.command.prepared.limits())))
            }
            Self::Cancelled => {
                Ending::new(OutcomeKind::Cancelled, format!("it was cancelled while it ran {how}"))
            }
            Self::Broken(why) => Ending::broken(why, Duration::ZERO),
            Self::ClosedOutput => Self::failed("its process closed its output without an answer to it"),
            Self::ClosedInput | Self::Unread => {
                Self::failed("its process closed its input and did not read it")
            }
            Self::Done | Self::Ended => Ending {
                hint: (*end == End::Exited(0)).then(|| NOT_RESIDENT.to_owned()),
                ..Self::failed(&format!("its process ended without an answer to it ({end})"))
            },
        }
    }

    fn failed(reason: &str) -> Ending {
        Ending::new(OutcomeKind::Failed, reason)
    }
}
