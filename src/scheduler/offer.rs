//! Admission by the core itself, from its own counts: for shells that keep everything on one thread or behind one lock,
//! the simulation and the reference shell of the tests.
//!
//! The pool admits before a job reaches the core, by the same rule on a word of its own. Both must decide alike.

use super::{Arrival, Core, JobKey};
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal};
use crate::time::Time;

impl<T> Core<T> {
    /// Admits the job by the rule, displacing another if that is the policy and makes room.
    ///
    /// For shells that let the core keep the count; the lock-free way in keeps it itself, and calls [`Core::arrive`].
    pub(crate) fn offer(&mut self, arrival: Arrival<T>, now: Time) -> Result<JobKey, Refused<T>> {
        self.tick(now);
        if self.closing {
            return Err(Refused { why: Refusal::Closed, arrival });
        }
        match self.params.rule.check(&self.waiting, arrival.class) {
            Ok(()) => Ok(self.arrive(arrival, now)),
            Err(Refusal::Full) if self.params.displace && self.displace_for(arrival.class, now).is_some() => {
                Ok(self.arrive(arrival, now))
            }
            Err(why) => Err(Refused { why, arrival }),
        }
    }

    /// The oldest job of the least important class above its guarantee gives up its place to a job of `class`. Answers
    /// with the victim's class.
    pub(crate) fn displace_for(&mut self, class: PriorityClass, now: Time) -> Option<PriorityClass> {
        self.tick(now);
        let waiting = self.waiting;
        let rule = self.params.rule;
        let victim = rule.victims(&waiting, class).find_map(|victim| self.lanes[victim].first())?;
        Some(self.resolve(victim, OutcomeKind::Displaced, now))
    }

    /// Waiting jobs of each class, delayed ones included.
    pub(crate) fn waiting(&self) -> &PerClass<u32> {
        &self.waiting
    }
}

/// A job that was not admitted, given back.
#[derive(Debug)]
pub(crate) struct Refused<T> {
    pub(crate) why: Refusal,
    pub(crate) arrival: Arrival<T>,
}
