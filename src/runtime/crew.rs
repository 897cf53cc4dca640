//! The members of a batch, as far as somebody may cancel them one by one.
//!
//! A member that is cancelled does not stop the others, and the handler runs on for them. When nobody is left who wants
//! anything of it, it is stopped. Invariant: it is stopped only while a cancelled member has no outcome: a handler
//! that has answered all may end in peace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process::Cancel;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Crew {
    /// Stops the handler.
    stop: Cancel,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    members: Vec<Interest>,
    wanted: usize,
    unwanted: usize,
    /// There will be no more members.
    is_complete: bool,
}

/// One member of a crew.
#[derive(Debug)]
pub(super) struct Member {
    /// Says that it is not wanted any more.
    pub(super) cancel: Cancel,
    crew: Arc<Crew>,
    number: usize,
}

impl Member {
    /// It is not wanted any more.
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
        self.crew.turn(self.number, Interest::Unwanted);
    }

    /// It has its outcome, or will have it at once.
    pub(super) fn gone(&self) {
        self.crew.turn(self.number, Interest::Gone);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Wanted,
    Unwanted,
    /// It has its outcome.
    Gone,
}

impl Crew {
    pub(super) fn new(stop: Cancel) -> Self {
        Self { stop, state: Mutex::default() }
    }

    /// One more member.
    pub(super) fn add(self: &Arc<Self>) -> Arc<Member> {
        let mut state = self.lock();
        state.wanted += 1;
        state.members.push(Interest::Wanted);
        let number = state.members.len() - 1;
        Arc::new(Member { cancel: Cancel::new(), crew: Arc::clone(self), number })
    }

    /// There will be no more members.
    pub(super) fn complete(&self) {
        let mut state = self.lock();
        state.is_complete = true;
        self.look(&state);
    }

    fn turn(&self, member: usize, into: Interest) {
        let mut state = self.lock();
        let Some(was) = state.members.get_mut(member).map(|was| std::mem::replace(was, into)) else { return };
        match was {
            Interest::Wanted => state.wanted -= 1,
            Interest::Unwanted => state.unwanted -= 1,
            Interest::Gone => {
                // A cancellation that came too late.
                state.members.get_mut(member).into_iter().for_each(|member| *member = Interest::Gone);
                return;
            }
        }
        state.unwanted += usize::from(into == Interest::Unwanted);
        self.look(&state);
    }

    fn look(&self, state: &State) {
        if state.is_complete && state.wanted == 0 && state.unwanted > 0 {
            self.stop.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stopped_when_the_last_who_has_no_outcome_is_cancelled() {
        let crew = |steps: &str| {
            let stop = Cancel::new();
            let crew = Arc::new(Crew::new(stop.clone()));
            let mut members = Vec::new();
            for step in steps.split(' ') {
                let member = || step[1..].parse::<usize>().unwrap();
                match &step[..1] {
                    "+" => members.push(crew.add()),
                    "=" => crew.complete(),
                    "x" => members[member()].cancel(),
                    _ => members[member()].gone(),
                }
            }
            stop.is_cancelled()
        };
        for (steps, is_stopped) in [
            ("+0 +1 = x0", false),
            ("+0 +1 = x0 x1", true),
            ("+0 +1 = x0 x0", false),
            ("+0 +1 = -0 x1", true),
            ("+0 +1 = x0 -1", true),
            ("+0 +1 = -0 -1", false),
            ("+0 +1 = x0 -0 -1", false),
            ("+0 +1 = -0 -1 x0 x1", false),
            ("+0 x0 +1 =", false),
            ("+0 x0 +1 x1 =", true),
            ("+0 x0 +1 x1", false),
        ] {
            assert_eq!(crew(steps), is_stopped, "{steps}");
        }
    }
}
