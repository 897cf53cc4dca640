//! What is seen of outcomes while a run goes on: notes of failures for the report, and the handlers' output if it was
//! asked for.
//!
//! Called by the workers, so it is shared. A worker holds it for a moment only, and standard error is written to
//! outside of the lock.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use hookpool::Outcome;

use crate::cli::report::{FailureNote, Failures, printable};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Watch {
    show_output: bool,
    failures: Mutex<Failures>,
}

impl Watch {
    /// `show_output`: print what handlers wrote, to standard error.
    pub(super) fn new(show_output: bool) -> Self {
        Self { show_output, failures: Mutex::default() }
    }

    pub(super) fn note(&self, outcome: &Outcome) {
        if self.show_output {
            show(outcome);
        }
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).record(outcome);
    }

    /// The notes, in the order of the first failures.
    pub(super) fn take(&self) -> Vec<FailureNote> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *failures).into_notes()
    }
}

/// One block for each outcome, written at once so that workers do not mix theirs.
fn show(outcome: &Outcome) {
    use std::fmt::Write as _;
    let mut text = format!(
        "{} {} (job {}): {}\n",
        outcome.hook,
        printable(outcome.event.name()),
        outcome.job,
        outcome.kind
    );
    if let Some(process) = &outcome.process {
        for (stream, captured) in [("stdout", &process.stdout), ("stderr", &process.stderr)] {
            for line in captured.text().lines() {
                let _ = writeln!(text, "  {stream}: {}", printable(line));
            }
        }
    }
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
