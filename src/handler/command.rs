//! Handlers that are programs: one process for each event, which gets the event's exact bytes on standard input.
//!
//! What hookpool knows beside the event is in the environment, never in the event. The runner in `process` does the
//! work; this module says what to start, what its end means, and when it is worth to look for processes that left the
//! handler's group: after a run that was stopped or left something behind, and when this process has adopted any.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Task;
use super::resident::Residents;
use crate::class::PerClass;
use crate::config::inherited_environment;
use crate::hook::{CommandSpec, Hook, Leftovers, ResourceLimits};
use crate::metrics::HookCounters;
use crate::outcome::{Ending, JobId, OutcomeKind, ProcessReport};
use crate::process::{
    End, JOB_VARIABLE, Limits, POOL_VARIABLE, Prepared, Run, Runner, StartError, StopReason, Sweeper, kept,
};
use crate::time::Clock;

/// What all commands of a pool have in common.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) runner: Runner,
    /// The environment that handlers inherit.
    pub(crate) environment: Arc<[(OsString, OsString)]>,
    /// Marks the handlers of this pool.
    pub(crate) pool: Arc<str>,
    /// Kills what left the handlers' groups, if that was asked for.
    pub(crate) sweeper: Option<Sweeper>,
    /// How many hookpools are above the handlers, this one included.
    pub(crate) depth: u32,
    /// The processes that stay.
    pub(crate) residents: Arc<Residents>,
    pub(crate) clock: Clock,
}

/// Without the environment, which may hold secrets.
impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// Hooks that start agents that fire hooks: how often that may be nested.
pub(crate) const MAX_DEPTH: u32 = 8;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct CommandHandler {
    pub(super) prepared: Prepared,
    pub(super) surroundings: Surroundings,
    pub(super) keeps_leftovers: bool,
    pub(super) counters: Arc<HookCounters>,
    /// How its processes are ranked, by the class of what they run for.
    pub(super) nice: PerClass<u8>,
}

impl CommandHandler {
    pub(crate) fn prepare(
        spec: &CommandSpec,
        surroundings: &Surroundings,
        counters: &Arc<HookCounters>,
    ) -> Self {
        let prepared = Prepared::new(spec, &surroundings.environment);
        let mut surroundings = surroundings.clone();
        let keeps_leftovers = spec.leftovers == Leftovers::Keep;
        if keeps_leftovers {
            // A daemon that is started on purpose must not carry the marker that the end of the pool, or the next
            // hookpool, sweeps by.
            surroundings.pool = kept(&surroundings.pool).into();
            surroundings.sweeper = surroundings.sweeper.map(|sweeper| sweeper.for_pool(&surroundings.pool));
        }
        let counters = Arc::clone(counters);
        Self { prepared, surroundings, keeps_leftovers, counters, nice: spec.nice }
    }

    pub(crate) fn fault(&self) -> Option<String> {
        self.prepared.problem().map(ToString::to_string)
    }

    pub(crate) fn run(&self, task: &Task<'_>) -> Ending {
        if let Some(ending) = nested_too_deep(self.surroundings.depth) {
            return ending;
        }
        let hook = task.hook;
        let limits = self.limits(task, hook.timeout);
        let variables = self.variables(task);
        let run =
            self.surroundings.runner.run(&self.prepared, task.event.payload(), variables, &limits, task.stop);
        self.count(&run);
        let escapees_killed = self.sweep(task.job, &run);
        Ending::of_run(&limits, self.prepared.limits(), run, escapees_killed).hinted(hook, &self.prepared)
    }

    /// What a run for this task may take.
    pub(super) fn limits(&self, task: &Task<'_>, timeout: Duration) -> Limits {
        let Hook { grace, max_output, .. } = *task.hook;
        Limits { timeout, grace, max_output, nice: self.nice[task.class] }
    }

    /// Counts a run in the hook's metrics.
    pub(super) fn count(&self, run: &Run) {
        if let Some(took) = run.spawn_time {
            self.counters.process_started(took);
            self.counters.process_ended(run.cpu_time, run.peak_memory);
        }
    }

    /// Kills what left the group of a handler that has ended. Gives back how many there were.
    pub(super) fn sweep(&self, job: JobId, run: &Run) -> usize {
        let Some(sweeper) = &self.surroundings.sweeper else { return 0 };
        if matches!(run.end, End::NotStarted(_)) {
            return 0;
        }
        if self.keeps_leftovers && run.succeeded() {
            sweeper.reap_adopted();
            return 0;
        }
        let job = job.to_string();
        let left_something = run.stopped.is_some() || run.pipe_held || run.leftovers_killed;
        if left_something || sweeper.has_adopted(&job) { sweeper.sweep_job(&job).killed } else { 0 }
    }

    fn variables(&self, task: &Task<'_>) -> [(&'static str, OsString); 9] {
        let text = |text: &str| OsStr::new(&*without_nul(text)).to_owned();
        [
            ("HOOKPOOL_HOOK", text(task.hook.name.as_str())),
            ("HOOKPOOL_KIND", text(task.event.kind().name())),
            ("HOOKPOOL_EVENT", text(task.event.name())),
            ("HOOKPOOL_SESSION", text(task.event.session().unwrap_or_default())),
            (JOB_VARIABLE, text(&task.job.to_string())),
            ("HOOKPOOL_ATTEMPT", text(&task.attempt.to_string())),
            ("HOOKPOOL_DEADLINE_MS", text(&task.hook.timeout.as_millis().to_string())),
            ("HOOKPOOL_DEPTH", text(&self.surroundings.depth.to_string())),
            (POOL_VARIABLE, text(&self.surroundings.pool)),
        ]
    }
}

impl Hook {
    /// Why its program would not be found on this machine now, with the environment of this process. `None`: it would.
    #[must_use]
    pub fn missing_program(&self) -> Option<String> {
        let spec = self.handler.command()?;
        let (environment, _) = inherited_environment();
        Prepared::new(spec, &environment).problem().map(ToString::to_string)
    }
}

/// The ending of whatever would run, if hooks are nested too deep.
pub(super) fn nested_too_deep(depth: u32) -> Option<Ending> {
    (depth > MAX_DEPTH).then(|| {
        Ending::not_started(format!(
            "hooks are nested {depth} deep, at most {MAX_DEPTH} are allowed: does a handler start an agent that fires \
             this hook again?"
        ))
    })
}

/// Said of a handler that wrote more than `limits.output` allows.
pub(super) fn wrote_too_much(bounds: &ResourceLimits) -> String {
    format!("it wrote more than the {} bytes of its `limits.output`", bounds.output.unwrap_or(0))
}

/// An environment cannot hold a NUL character; an event can.
pub(super) fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

impl Ending {
    pub(super) fn not_started(reason: String) -> Self {
        Self::new(OutcomeKind::NotStarted, reason)
    }

    /// What the end of a process means: status 0 is success, everything else is not.
    pub(super) fn of_run(limits: &Limits, bounds: &ResourceLimits, run: Run, escapees_killed: usize) -> Self {
        if let End::NotStarted(error) = run.end {
            return match error {
                StartError::Cancelled => {
                    Self::new(OutcomeKind::Cancelled, "it was stopped before its handler was started")
                }
                error => Self::not_started(error.to_string()),
            };
        }
        let floods =
            bounds.output.is_some_and(|most| run.stdout.total().saturating_add(run.stderr.total()) > most);
        let (kind, reason) = match &run.stopped {
            Some(stopped) => {
                let (kind, why) = match stopped.why {
                    StopReason::Deadline => {
                        let timeout = limits.timeout;
                        (OutcomeKind::TimedOut, format!("it ran longer than its timeout of {timeout:?}"))
                    }
                    StopReason::Output => (OutcomeKind::Failed, wrote_too_much(bounds)),
                    StopReason::Cancelled => {
                        (OutcomeKind::Cancelled, "it was cancelled while it ran".to_owned())
                    }
                };
                let how = match stopped.kill_after {
                    Some(_) => "and ignored TERM, so it got KILL",
                    None => "and got TERM",
                };
                (kind, format!("{why} {how}"))
            }
            None => match &run.end {
                // Whether it was seen in time must not decide.
                _ if floods => (OutcomeKind::Failed, wrote_too_much(bounds)),
                End::Exited(0) => (OutcomeKind::Succeeded, String::new()),
                end => (OutcomeKind::Failed, end.to_string()),
            },
        };
        let run_time = run.run_time;
        let says_no = run.stopped.is_none() && run.end == End::Exited(2);
        let process = ProcessReport {
            end: run.end,
            stopped: run.stopped,
            cpu_time: run.cpu_time,
            peak_memory: run.peak_memory,
            stdout: run.stdout,
            stderr: run.stderr,
            stdin_left: run.stdin_left,
            pipe_held: run.pipe_held,
            leftovers_killed: run.leftovers_killed,
            escapees_killed,
        };
        Self { run: Some(run_time), process: Some(Box::new(process)), says_no, ..Self::new(kind, reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::{CommandLine, InheritEnv};
    use crate::process::Cancel;

    #[test]
    fn who_wrote_too_much_has_failed_whether_it_was_stopped_or_had_ended() {
        let spec = CommandSpec {
            line: CommandLine::Shell("echo 1234; echo 5678 >&2".to_owned()),
            cwd: "/".into(),
            env: std::collections::BTreeMap::default(),
            inherit: InheritEnv::All,
            leftovers: Leftovers::Kill,
            limits: ResourceLimits::default(),
            nice: PerClass::default(),
        };
        let minute = Duration::from_mins(1);
        let limits = Limits { timeout: minute, grace: minute, max_output: 1, nice: 0 };
        for (output, kind) in [(10, OutcomeKind::Succeeded), (9, OutcomeKind::Failed)] {
            let prepared = Prepared::new(&spec, &[]);
            let run = Runner::default().run(&prepared, b"", [("A", "b")], &limits, &Cancel::new());
            assert!(run.succeeded());
            let bounds = ResourceLimits { output: Some(output), ..ResourceLimits::default() };
            assert_eq!(Ending::of_run(&limits, &bounds, run, 0).kind, kind, "{output}");
        }
    }
}
