//! Where log lines go: to standard error, as text or JSON, as much as was asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::uptime;

use super::args::{LogArgs, LogFormat};

/// Starts logging. `debug`: the configuration asks for every step of every job.
pub(super) fn start(args: &LogArgs, debug: bool) {
    let level = match (args.verbose, debug) {
        (0, false) => "warn",
        (1, false) => "info",
        (0..=2, _) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::new(format!("warn,hookpool={level}"));
    let color = std::io::stderr().is_terminal()
        && anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // A line that cannot be written is lost. To complain about it where it could not be written would panic, on
        // whichever thread had something to say.
        .log_internal_errors(false)
        .with_ansi(color);
    match args.log_format {
        LogFormat::Text => lines.with_timer(uptime()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
