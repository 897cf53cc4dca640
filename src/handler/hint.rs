//! What would help a handler that failed, where its end proves it: exit statuses, signals, errors of the start.
//!
//! What a handler wrote is never looked at, so nothing is guessed.

use crate::hook::{HandlerSpec, Hook};
use crate::outcome::{Ending, OutcomeKind, ProcessReport};
use crate::process::{End, Prepared};

impl Ending {
    /// With a hint, if there is one for the end of a process that was started from this.
    pub(super) fn hinted(mut self, hook: &Hook, prepared: &Prepared) -> Self {
        self.hint = self.hint.take().or_else(|| match self.kind {
            OutcomeKind::TimedOut => Some(more_time(hook)),
            OutcomeKind::Failed => self.process.as_ref().and_then(|process| {
                of_limits(hook, process, prepared).or_else(|| of_end(&process.end, prepared))
            }),
            _ => None,
        });
        self
    }
}

/// For a handler that ran longer than it may.
pub(crate) fn more_time(hook: &Hook) -> String {
    let longer = format!("raise `hook.{}.timeout`", hook.name);
    match hook.handler {
        HandlerSpec::Command(_) => {
            format!(
                "{longer}; if its start takes most of that, `mode = \"resident\"` starts it once for many events"
            )
        }
        _ => longer,
    }
}

/// For a resident process that ended well, and left an event without an answer.
pub(super) const NOT_RESIDENT: &str = "a resident handler answers one line for each line that it reads, until its input ends; a program that takes one \
     event and ends is for `mode = \"single\"`";

/// Which of the hook's own limits it was. That of memory shows in nothing but what a program makes of it: so this is said
/// of a program that gave up in one of the usual ways, or was seen with much of what it may have, and only as a maybe.
fn of_limits(hook: &Hook, process: &ProcessReport, prepared: &Prepared) -> Option<String> {
    let (limits, name) = (prepared.limits(), &hook.name);
    let signal = signal(&process.end, prepared);
    if let Some(cpu) = limits.cpu {
        let is_over = process.cpu_time.is_some_and(|time| time.as_secs() >= cpu);
        if signal == Some(24) || (signal == Some(9) && process.stopped.is_none() && is_over) {
            return Some(format!(
                "it used up its processor time: raise `hook.{name}.limits.cpu`, which is {cpu} s"
            ));
        }
    }
    let memory = limits.memory.filter(|_| process.stopped.is_none() && process.end != End::Exited(0))?;
    let had_much = process.peak_memory.is_some_and(|peak| peak >= memory / 2);
    (had_much || matches!(signal, Some(5 | 6 | 7 | 11)))
        .then(|| format!("it may have had no memory left: `hook.{name}.limits.memory` allows {memory} bytes"))
}

/// The signal that ended it, or what a shell ran for it.
fn signal(end: &End, prepared: &Prepared) -> Option<i32> {
    match end {
        End::Exited(status) => prepared.signal_of_child(*status),
        End::Signalled(signal) => Some(*signal),
        _ => None,
    }
}

fn of_end(end: &End, prepared: &Prepared) -> Option<String> {
    let signal = match (signal(end, prepared), end) {
        (Some(signal), _) => signal,
        (None, End::Exited(status)) => return prepared.explain(*status),
        (None, _) => return None,
    };
    let hint = match signal {
        9 => {
            "KILL did not come from hookpool: mostly the system sends it when memory runs out; give the handler less to \
             do, or the machine or container more memory"
        }
        13 => "it wrote to a pipe that nobody read any more: the program behind its pipe had ended",
        24 => "it used up its processor time (`ulimit -t`)",
        25 => "it wrote a file beyond the largest size allowed (`ulimit -f`)",
        _ => return None,
    };
    Some(hint.to_owned())
}
