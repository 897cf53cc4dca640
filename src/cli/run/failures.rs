//! What the report says of failures: the first of each hook and kind, with the end of its output.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use hookpool::Outcome;

use crate::cli::report::FailureNote;

/// Notes outcomes as they come; called by the workers.
#[derive(Debug)]
pub(super) struct Failures {
    show_output: bool,
    notes: Mutex<BTreeMap<(String, usize), FailureNote>>,
}

impl Failures {
    /// `show_output`: print what handlers wrote, to standard error.
    pub(super) fn new(show_output: bool) -> Self {
        Self { show_output, notes: Mutex::default() }
    }

    pub(super) fn note(&self, outcome: &Outcome) {
        if self.show_output {
            show(outcome);
        }
        if !outcome.kind.is_failure() {
            return;
        }
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.entry((outcome.hook.to_string(), outcome.kind.index())) {
            Entry::Occupied(note) => note.into_mut().count += 1,
            Entry::Vacant(first) => {
                first.insert(FailureNote {
                    hook: outcome.hook.to_string(),
                    kind: outcome.kind,
                    count: 1,
                    reason: outcome.reason.clone(),
                    output_tail: output_of(outcome),
                });
            }
        }
    }

    /// The notes, by hook.
    pub(super) fn take(&self) -> Vec<FailureNote> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *notes).into_values().collect()
    }
}

/// What says most about a failure: standard error, else standard output.
fn output_of(outcome: &Outcome) -> String {
    let Some(process) = &outcome.process else { return String::new() };
    let stderr = process.stderr.text();
    if stderr.trim().is_empty() { process.stdout.text().into_owned() } else { stderr.into_owned() }
}

/// One block for each outcome, written at once so that workers do not mix theirs.
fn show(outcome: &Outcome) {
    use std::fmt::Write as _;
    let mut text =
        format!("{} {} (job {}): {}\n", outcome.hook, outcome.event.name(), outcome.job, outcome.kind);
    if let Some(process) = &outcome.process {
        for (stream, captured) in [("stdout", &process.stdout), ("stderr", &process.stderr)] {
            for line in captured.text().lines() {
                let _ = writeln!(text, "  {stream}: {}", crate::cli::report::printable(line));
            }
        }
    }
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
