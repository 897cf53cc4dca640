//! What is told about failures: the first one of each hook and kind, and how many there were.
//!
//! Invariant: memory is bounded by the number of hooks, whatever fails how often. Later failures are only counted;
//! the outcomes themselves are not kept.

use std::collections::HashMap;

use hookpool::{HookName, Outcome, OutcomeKind};

/// The first failure of one hook and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailureNote {
    /// The hook.
    pub(crate) hook: String,
    /// How it failed.
    pub(crate) kind: OutcomeKind,
    /// How many jobs of the hook failed like this.
    pub(crate) count: u64,
    /// Why the first one failed, in words.
    pub(crate) reason: String,
    /// What would help the first one, where that is certain.
    pub(crate) hint: Option<String>,
    /// The end of what the first one wrote: standard error, or standard output when that is empty. Not yet safe to
    /// print.
    pub(crate) output_tail: String,
}

/// Collects the notes of a run, outcome by outcome.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    notes: Vec<FailureNote>,
    places: HashMap<(HookName, OutcomeKind), usize>,
}

impl Failures {
    /// Takes note of the outcome, if it is the handler's own failure.
    pub(crate) fn record(&mut self, outcome: &Outcome) {
        if !outcome.kind.is_failure() {
            return;
        }
        let place = *self.places.entry((outcome.hook.clone(), outcome.kind)).or_insert(self.notes.len());
        match self.notes.get_mut(place) {
            Some(note) => note.count += 1,
            None => self.notes.push(FailureNote::of(outcome)),
        }
    }

    /// The notes, in the order of the first failures.
    pub(crate) fn into_notes(self) -> Vec<FailureNote> {
        self.notes
    }
}

impl FailureNote {
    /// Most characters that are kept of a handler's output.
    const TAIL_CHARS: usize = 2000;

    fn of(outcome: &Outcome) -> Self {
        let output = outcome.process.as_ref().map(|process| {
            let stderr = process.stderr.text();
            if stderr.trim().is_empty() { process.stdout.text() } else { stderr }
        });
        let output = output.as_deref().unwrap_or_default().trim_end();
        let cut = output.char_indices().rev().nth(Self::TAIL_CHARS - 1).map_or(0, |(at, _)| at);
        Self {
            hook: outcome.hook.to_string(),
            kind: outcome.kind,
            count: 1,
            reason: outcome.reason.clone(),
            hint: outcome.hint.clone(),
            output_tail: output.get(cut..).unwrap_or_default().to_owned(),
        }
    }
}
