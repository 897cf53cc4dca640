//! The command `bench`: what hooks cost the program that triggers them, run by itself and through the pool.
//!
//! | file | owns |
//! |---|---|
//! | `measure.rs` | running the same events in each of the modes |
//! | `report.rs` | the table and the object |

mod measure;
mod report;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{BenchArgs, LogArgs, ReportFormat};
use super::error::CliError;
use super::logging;
use super::progress::Progress;
use super::report::Palette;

/// Runs the command, and answers with the exit code.
pub(super) fn run(args: &BenchArgs, log: &LogArgs) -> Result<ExitCode, CliError> {
    // The warnings of a full queue are what is measured here, not news; who wants them asks for log lines.
    if log.verbose > 0 {
        let _ = logging::start(log, false, &Arc::new(Progress::hidden()));
    }
    let measured = measure::all(args.events)?;
    let text = match args.report {
        ReportFormat::Json => report::json(&measured, std::io::stdout().is_terminal()),
        ReportFormat::Text => report::text(&measured, &Palette::COLOURED),
    };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)?;
    if measured.modes.iter().any(|mode| mode.ledger.as_ref().is_some_and(|ledger| !ledger.is_balanced())) {
        return Err(CliError::Internal("the ledger does not balance".to_owned()));
    }
    Ok(ExitCode::SUCCESS)
}
