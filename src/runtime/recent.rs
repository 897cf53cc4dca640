//! The last failures of one hook, kept for whoever asks why.
//!
//! Invariant: at most `keep` outcomes, and at most `max_bytes` of their events and output; the newest one is kept even if
//! it alone is larger, so that there is always one to look at. It is written only when a job has failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::FailureSettings;
use crate::outcome::Outcome;

#[derive(Debug)]
pub(super) struct Recent {
    limits: FailureSettings,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    outcomes: VecDeque<Arc<Outcome>>,
    bytes: u64,
}

impl Recent {
    pub(super) fn new(limits: FailureSettings) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    /// Keeps the outcome, if it is a failure of the handler.
    pub(super) fn note(&self, outcome: &Arc<Outcome>) {
        if !outcome.kind.is_failure() || self.limits.keep == 0 {
            return;
        }
        let mut kept = self.lock();
        kept.bytes += size(outcome);
        kept.outcomes.push_back(Arc::clone(outcome));
        while kept.outcomes.len() > 1
            && (kept.outcomes.len() > self.limits.keep as usize || kept.bytes > self.limits.max_bytes)
            && let Some(oldest) = kept.outcomes.pop_front()
        {
            kept.bytes -= size(&oldest);
        }
    }

    /// What is kept, the newest first.
    pub(super) fn all(&self) -> Vec<Arc<Outcome>> {
        self.lock().outcomes.iter().rev().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are held for an outcome: what comes from outside, and a little for the rest.
fn size(outcome: &Outcome) -> u64 {
    let process = outcome.process.as_ref();
    let output = process.map_or(0, |process| {
        [&process.stdout, &process.stderr]
            .iter()
            .map(|stream| stream.head().len() + stream.tail().len())
            .sum()
    });
    let texts = outcome.attempts.iter().map(|attempt| attempt.reason.len() + 64).sum::<usize>();
    let said = outcome.message.as_ref().map_or(0, String::len)
        + outcome.verdict.as_ref().map_or(0, |verdict| verdict.as_str().len());
    (outcome.event.payload().len() + output + texts + said + outcome.reason.len() + 512) as u64
}
