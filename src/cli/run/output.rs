//! `--show-output`: what the handlers wrote, on standard error.

use std::fmt::Write as _;
use std::io::Write as _;

use hookpool::{Outcome, Redactor};

use crate::cli::report::printable;

/// Longest line that is shown, in characters.
const WIDTH: usize = 400;

/// Shows one block for each outcome, written at once so that workers do not mix theirs.
pub(super) fn show(outcome: &Outcome, redactor: Option<&Redactor>) {
    let name = outcome.event.name();
    let event = printable(&redactor.map_or(name.into(), |redactor| redactor.text(name)), WIDTH);
    let mut text = format!("{} {event} (job {}): {}\n", outcome.hook, outcome.job, outcome.kind);
    if let Some(process) = &outcome.process {
        for (stream, captured) in [("stdout", &process.stdout), ("stderr", &process.stderr)] {
            for line in captured.text().lines() {
                let _ = writeln!(text, "  {stream}: {}", printable(line, WIDTH));
            }
        }
    }
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
