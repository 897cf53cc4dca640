//! What would help a handler that failed, where its end proves it: exit statuses, signals, errors of the start.
//!
//! What a handler wrote is never looked at, so nothing is guessed.

use crate::hook::{HandlerSpec, Hook};
use crate::outcome::{Ending, OutcomeKind};
use crate::process::{End, Prepared};

impl Ending {
    /// With a hint, if there is one for the end of a process that was started from this.
    pub(super) fn hinted(mut self, hook: &Hook, prepared: &Prepared) -> Self {
        self.hint = self.hint.take().or_else(|| match self.kind {
            OutcomeKind::TimedOut => Some(more_time(hook)),
            OutcomeKind::Failed => self.process.as_ref().and_then(|process| of_end(&process.end, prepared)),
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

fn of_end(end: &End, prepared: &Prepared) -> Option<String> {
    let signal = match end {
        End::Exited(status) => match prepared.signal_of_child(*status) {
            Some(signal) => signal,
            None => return prepared.explain(*status),
        },
        End::Signalled(signal) => *signal,
        _ => return None,
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
