//! Where log lines go: to standard error, as text or JSON, as much as was asked for.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::uptime;

use super::args::{LogArgs, LogFormat};
use super::progress::Progress;

/// Starts logging. `debug`: the configuration asks for every step of every job.
pub(super) fn start(args: &LogArgs, debug: bool, progress: &Arc<Progress>) {
    let level = match (args.verbose, debug) {
        (0, false) => "warn",
        (1, false) => "info",
        (0..=2, _) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::new(format!("warn,hookpool={level}"));
    let color = io::stderr().is_terminal()
        && anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines(Arc::clone(progress)))
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

/// Standard error, with the progress line out of the way.
struct Lines(Arc<Progress>);

impl MakeWriter<'_> for Lines {
    type Writer = io::Stderr;

    fn make_writer(&self) -> io::Stderr {
        self.0.clear();
        io::stderr()
    }
}
