//! The last failures of one hook, kept for whoever asks why.
//!
//! Invariant: at most `keep` outcomes, and at most `max_bytes` of their events and output; the newest one is kept even if
//! it alone is larger, so that there is always one to look at. It is written only when a job has failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::FailureSettings;
use crate::outcome::Outcome;

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    limits: FailureSettings,
    outcomes: VecDeque<Arc<Outcome>>,
    bytes: u64,
}

impl Recent {
    /// Goes by these limits from now on.
    pub(super) fn limit(&self, limits: FailureSettings) {
        let mut kept = self.lock();
        kept.limits = limits;
        kept.trim();
    }

    /// Keeps the outcome, if it is a failure of the handler.
    pub(super) fn note(&self, outcome: &Arc<Outcome>) {
        if outcome.kind.is_failure() {
            let mut kept = self.lock();
            kept.bytes += outcome.bytes();
            kept.outcomes.push_back(Arc::clone(outcome));
            kept.trim();
        }
    }

    /// What is kept, the newest first.
    pub(super) fn all(&self) -> Vec<Arc<Outcome>> {
        self.lock().outcomes.iter().rev().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn trim(&mut self) {
        let FailureSettings { keep, max_bytes } = self.limits;
        while (self.outcomes.len() > keep as usize || (self.bytes > max_bytes && self.outcomes.len() > 1))
            && let Some(oldest) = self.outcomes.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }
}
