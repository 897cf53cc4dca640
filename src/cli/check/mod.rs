//! The command `check`: everything that is wrong with the configuration, or has no effect, for people and for editors.
//!
//! The library finds the problems; here they are shown. What is found is the result, so it goes to standard output.

mod json;
mod text;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use hookpool::config::ConfigLoader;

use super::args::{CheckArgs, ReportFormat};
use super::error::{CONFIGURATION, CliError, complain};
use super::report::Palette;

/// Runs the command, and answers with the exit code.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let checked = ConfigLoader::standard(args.file.as_deref()).check();
    let text = match args.report {
        ReportFormat::Text => text::render(&checked, &Palette::COLOURED),
        ReportFormat::Json => json::render(&checked, std::io::stdout().is_terminal()),
    };
    if args.report == ReportFormat::Json && checked.files.is_empty() {
        complain(&format!("hookpool: {}", text::no_file(&checked)));
    }
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)?;
    Ok(if checked.errors() > 0 { ExitCode::from(CONFIGURATION) } else { ExitCode::SUCCESS })
}
