//! The members of a batch, as far as somebody may cancel them one by one.
//!
//! A member that is cancelled does not stop the others, and the handler runs on for them. When nobody is left who wants
//! anything of it, it is stopped. Invariant: it is stopped only while a cancelled member has no outcome: a handler
//! that has answered all may end in peace.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
    members: Vec<Member>,
    wanted: usize,
    unwanted: usize,
    /// There will be no more members.
    is_complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Wanted,
    Unwanted,
    /// It has its outcome.
    Gone,
}

impl Crew {
    pub(super) fn new(stop: Cancel) -> Self {
        Self { stop, state: Mutex::default() }
    }

    /// One more member; gives back its number.
    pub(super) fn add(&self) -> usize {
        let mut state = self.lock();
        state.wanted += 1;
        state.members.push(Member::Wanted);
        state.members.len() - 1
    }

    /// There will be no more members.
    pub(super) fn complete(&self) {
        let mut state = self.lock();
        state.is_complete = true;
        self.look(&state);
    }

    /// The member has been cancelled.
    pub(super) fn cancelled(&self, member: usize) {
        self.turn(member, Member::Unwanted);
    }

    /// The member has its outcome, or will have it at once.
    pub(super) fn gone(&self, member: usize) {
        self.turn(member, Member::Gone);
    }

    fn turn(&self, member: usize, into: Member) {
        let mut state = self.lock();
        let Some(was) = state.members.get_mut(member).map(|was| std::mem::replace(was, into)) else { return };
        match was {
            Member::Wanted => state.wanted -= 1,
            Member::Unwanted => state.unwanted -= 1,
            Member::Gone => {
                // A cancellation that came too late.
                state.members.get_mut(member).into_iter().for_each(|member| *member = Member::Gone);
                return;
            }
        }
        state.unwanted += usize::from(into == Member::Unwanted);
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
            let crew = Crew::new(stop.clone());
            for step in steps.split(' ') {
                let member = || step[1..].parse().unwrap();
                match &step[..1] {
                    "+" => assert_eq!(crew.add(), member()),
                    "=" => crew.complete(),
                    "x" => crew.cancelled(member()),
                    _ => crew.gone(member()),
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
