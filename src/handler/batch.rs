//! Handlers in the mode `lines`: one process for each batch, which gets all events as lines and then end of file.
//!
//! Answers count as they come: an event that is answered has its outcome while the others are worked on. What the end of
//! the process means for the rest:
//!
//! - Nobody was answered: its exit status counts for all, as for a handler that knows nothing of answers.
//! - Somebody was: the others have failed.
//! - It was stopped at its deadline, or cancelled: the others timed out, or were cancelled. An answer after the deadline
//!   comes too late.
//!
//! A broken answer fails the oldest event that has none. With `on_batch_failure = "split"` events that failed without
//! having been answered are given to a process of their own, once; those that timed out are not, so that a batch takes a
//! bounded time.
//!
//! The process is one and the jobs are many: its output is with the first job that ends with it, and `HOOKPOOL_JOB`
//! names the first of the batch.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::nested_too_deep;
use super::lines::answers::{Item, Line, Reader};
use super::lines::splice::{Head, push_line};
use super::{CommandHandler, Surroundings, Task};
use crate::hook::{CommandSpec, OnBatchFailure};
use crate::metrics::HookCounters;
use crate::outcome::{Answer, Ending, OutcomeKind};
use crate::process::{End, JOB_VARIABLE, POOL_VARIABLE};
use crate::telemetry::{self, Limiter};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct LinesHandler {
    command: CommandHandler,
    complaints: Limiter,
}

impl LinesHandler {
    pub(super) fn prepare(
        spec: &CommandSpec,
        surroundings: &Surroundings,
        counters: &Arc<HookCounters>,
    ) -> Self {
        let command = CommandHandler::prepare(spec, surroundings, counters);
        Self { command, complaints: Limiter::default() }
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.command.fault()
    }

    pub(super) fn run(&self, tasks: &[Task<'_>], done: &mut dyn FnMut(usize, Ending)) {
        run_or_split(tasks, done, &|members, done| self.run_batch(tasks, members, done));
    }

    /// Runs one process with the tasks of these positions. `done` is also told whether the handler said it itself.
    fn run_batch(
        &self,
        tasks: &[Task<'_>],
        members: VecDeque<usize>,
        done: &mut dyn FnMut(usize, Ending, bool),
    ) {
        let mut batch = Batch::new(tasks, members, done);
        let Some(first) = batch.first() else { return };
        if let Some(ending) = nested_too_deep(self.command.surroundings.depth) {
            return batch.end_rest(ending);
        }
        let timeout = first.hook.timeout_for(batch.open.len());
        let limits = self.command.limits(&first, timeout);
        let stdin = batch.lines(timeout);
        let mut reader = Reader::default();
        let complain = |what: &str| {
            telemetry::misspoke(first.hook, what, &self.complaints, self.command.surroundings.clock.now());
        };
        let run = self.command.surroundings.runner.run_seen(
            &self.command.prepared,
            &stdin,
            self.variables(&first, timeout),
            &limits,
            first.stop,
            &mut |piece| {
                if batch.begun.elapsed() < timeout {
                    let _ = reader.push(piece, |item| {
                        batch.take(item, complain);
                        ControlFlow::Continue(())
                    });
                }
            },
        );
        if run.stopped.is_none()
            && let Some(item) = reader.finish()
        {
            batch.take(item, complain);
        }
        self.command.count(&run);
        let escapees_killed = self.command.sweep(first.job, &run);
        let ended_by_itself = run.stopped.is_none() && !matches!(run.end, End::NotStarted(_));
        let end = run.end.to_string();
        let mut ending = Ending::of_run(&limits, self.command.prepared.limits(), run, escapees_killed);
        if ended_by_itself && batch.answered > 0 {
            // Its status is not what counts here.
            ending.says_no = false;
            ending.kind = OutcomeKind::Failed;
            ending.reason = format!("its handler ended without an answer to it ({end})");
        }
        batch.end_rest(ending.hinted(first.hook, &self.command.prepared));
    }

    fn variables(&self, first: &Task<'_>, timeout: Duration) -> [(&'static str, OsString); 5] {
        let surroundings = &self.command.surroundings;
        [
            ("HOOKPOOL_HOOK", first.hook.name.as_str().into()),
            (JOB_VARIABLE, first.job.to_string().into()),
            ("HOOKPOOL_DEADLINE_MS", timeout.as_millis().to_string().into()),
            ("HOOKPOOL_DEPTH", surroundings.depth.to_string().into()),
            (POOL_VARIABLE, (*surroundings.pool).into()),
        ]
    }
}

/// Told how a task ended, and whether its handler said it itself.
type Done<'d> = &'d mut dyn FnMut(usize, Ending, bool);

/// Runs all tasks as one batch, and then, if the hook says so, those that failed with it once more, each by itself.
pub(super) fn run_or_split(
    tasks: &[Task<'_>],
    done: &mut dyn FnMut(usize, Ending),
    run_batch: &dyn Fn(VecDeque<usize>, Done<'_>),
) {
    let splits = tasks.len() > 1
        && tasks.first().and_then(|task| task.hook.batch.as_ref()).map(|batch| batch.on_failure)
            == Some(OnBatchFailure::Split);
    let mut again = Vec::new();
    run_batch((0..tasks.len()).collect(), &mut |index, ending, was_answered| {
        if splits && !was_answered && ending.kind == OutcomeKind::Failed {
            again.push(index);
        } else {
            done(index, ending);
        }
    });
    again.sort_unstable();
    for index in again {
        run_batch(VecDeque::from([index]), &mut |index, ending, _| done(index, ending));
    }
}

/// What a process wrote that was given these tasks, in pieces, until it ended.
#[cfg(any(test, fuzzing))]
pub(super) fn hear(tasks: &[Task<'_>], pieces: &[&[u8]], done: &mut dyn FnMut(usize, Ending)) {
    let done = &mut |index, ending, _| done(index, ending);
    let mut batch = Batch::new(tasks, (0..tasks.len()).collect(), done);
    let mut reader = Reader::default();
    for piece in pieces {
        let _ = reader.push(piece, |item| {
            batch.take(item, |_| ());
            ControlFlow::Continue(())
        });
    }
    if let Some(item) = reader.finish() {
        batch.take(item, |_| ());
    }
}

/// The events of one process, or of one request, that have no outcome yet.
pub(super) struct Batch<'a, 'd> {
    tasks: &'a [Task<'a>],
    /// Positions, the oldest first.
    pub(super) open: VecDeque<usize>,
    pub(super) answered: usize,
    pub(super) begun: Instant,
    done: &'d mut dyn FnMut(usize, Ending, bool),
}

impl<'a, 'd> Batch<'a, 'd> {
    /// Members that nobody wants any more have their outcome at once.
    pub(super) fn new(
        tasks: &'a [Task<'a>],
        mut members: VecDeque<usize>,
        done: &'d mut dyn FnMut(usize, Ending, bool),
    ) -> Self {
        members.retain(|&index| {
            let is_wanted = tasks.get(index).is_some_and(|task| !task.is_cancelled());
            if !is_wanted {
                done(index, Ending::not_wanted(), false);
            }
            is_wanted
        });
        Self { tasks, open: members, answered: 0, begun: Instant::now(), done }
    }

    pub(super) fn first(&self) -> Option<Task<'a>> {
        self.open.front().and_then(|&index| self.tasks.get(index)).copied()
    }

    pub(super) fn lines(&self, timeout: Duration) -> Vec<u8> {
        let mut lines = Vec::new();
        for task in self.open.iter().filter_map(|&index| self.tasks.get(index)) {
            let (id, deadline_ms) = (task.id(), timeout.as_millis());
            let head = Head { id: &id, hook: &task.hook.name, attempt: task.attempt, deadline_ms };
            push_line(&mut lines, head, task.event);
        }
        lines
    }

    pub(super) fn take(&mut self, item: Item<'_>, complain: impl Fn(&str)) {
        match item {
            // The runner keeps all that it reads.
            Item::Noise(_) => {}
            Item::Answer(answer) => self.answer(answer, complain),
            Item::Broken(why) => match self.open.pop_front() {
                Some(index) => {
                    let ending = Ending::broken(&why, self.begun.elapsed());
                    (self.done)(index, ending, false);
                }
                None => complain("wrote a broken answer when nothing was left to be answered"),
            },
        }
    }

    fn answer(&mut self, answer: Line, complain: impl Fn(&str)) {
        let task_of = |index: &usize| self.tasks.get(*index);
        let found = self.open.iter().position(|index| task_of(index).is_some_and(|task| task.is(&answer.id)));
        match found.and_then(|at| self.open.remove(at)) {
            Some(index) => {
                self.answered += 1;
                (self.done)(index, Ending::answered(answer, self.begun.elapsed()), true);
            }
            None if self.tasks.iter().any(|task| task.is(&answer.id)) => {
                complain(&format!("answered event {} again, or too late", answer.id));
            }
            None => complain("answered an event that it has not got"),
        }
    }

    /// Gives the rest its outcome; the first of them has the output.
    pub(super) fn end_rest(self, mut ending: Ending) {
        for index in self.open {
            let Ending { kind, run, says_no, .. } = ending;
            let hint = ending.hint.clone();
            let next =
                Ending { run, says_no, hint, repeats: true, ..Ending::new(kind, ending.reason.clone()) };
            (self.done)(index, std::mem::replace(&mut ending, next), false);
        }
    }
}

impl Task<'_> {
    /// What its answer has to repeat: another one for each attempt, so that a late answer is no answer to the next.
    pub(super) fn id(&self) -> String {
        match self.attempt {
            1 => self.job.to_string(),
            attempt => format!("{}.{attempt}", self.job),
        }
    }

    pub(super) fn is(&self, id: &str) -> bool {
        // Without making text of it: this is asked for every answer.
        let (job, attempt) = id.split_once('.').unwrap_or((id, "1"));
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with(['0', '+']));
        number(job) == Some(self.job.0)
            && number(attempt) == Some(self.attempt.into())
            && id.contains('.') == (self.attempt > 1)
    }
}

impl Ending {
    pub(super) fn not_wanted() -> Self {
        Self::new(OutcomeKind::Cancelled, "it was stopped before its handler was started")
    }

    pub(super) fn broken(why: &str, run: Duration) -> Self {
        let reason = format!("its handler wrote a broken answer: {why}");
        Self { run: Some(run), ..Self::new(OutcomeKind::Failed, reason) }
    }

    pub(super) fn answered(line: Line, run: Duration) -> Self {
        let message = line.message.unwrap_or_default();
        let mut answer = if line.ok { Answer::ok().with_message(message) } else { Answer::failed(message) };
        if let Some(verdict) = line.verdict {
            answer = answer.with_verdict(verdict);
        }
        Self { run: Some(run), ..Self::from(answer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::hook::Hook;
    use crate::outcome::JobId;
    use crate::process::Cancel;

    #[test]
    fn an_id_is_one_attempt_of_one_job() {
        let config = crate::Config::from_toml("[hook.a]\non = ['*']\nrun = 'x'\n").unwrap();
        let hook: &Hook = &config.hooks[0];
        let event = Event::from_json(r#"{"event":"x"}"#).unwrap();
        let cancel = Cancel::new();
        let task = |attempt| Task {
            hook,
            event: &event,
            job: JobId(17),
            class: crate::PriorityClass::Normal,
            attempt,
            cancel: None,
            stop: &cancel,
        };
        assert_eq!((task(1).id(), task(2).id()), ("17".to_owned(), "17.2".to_owned()));
        for (id, attempts) in
            [("17", &[1][..]), ("17.2", &[2]), ("17.1", &[]), ("017", &[]), ("+17", &[]), ("x", &[])]
        {
            for attempt in [1, 2, 3] {
                assert_eq!(task(attempt).is(id), attempts.contains(&attempt), "{id} and attempt {attempt}");
            }
        }
    }
}
