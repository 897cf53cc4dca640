//! Where log lines go: to standard error, as text or JSON, as much as was asked for.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::uptime;

use super::args::{LogArgs, LogFormat};
use super::progress::Progress;

/// How much is logged, while it runs.
pub(super) struct Level(Box<dyn Fn(bool) + Send>);

impl Level {
    /// The configuration asks for every step of every job, or no more.
    pub(super) fn set_debug(&self, debug: bool) {
        self.0(debug);
    }
}

fn filter(args: &LogArgs, debug: bool) -> EnvFilter {
    let level = match (args.verbose, debug) {
        (0, false) => "warn",
        (1, false) => "info",
        (0..=2, _) => "debug",
        _ => "trace",
    };
    EnvFilter::new(format!("warn,hookpool={level}"))
}

/// Starts logging. `debug`: the configuration asks for every step of every job.
pub(super) fn start(args: &LogArgs, debug: bool, progress: &Arc<Progress>) -> Level {
    let color = io::stderr().is_terminal()
        && anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(args, debug))
        .with_writer(Lines(Arc::clone(progress)))
        .with_target(false)
        // A line that cannot be written is lost. To complain about it where it could not be written would panic, on
        // whichever thread had something to say.
        .log_internal_errors(false)
        .with_ansi(color);
    let own = args.clone();
    // A filter that cannot be changed is as it was.
    match args.log_format {
        LogFormat::Text => {
            let lines = lines.with_timer(uptime()).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Level(Box::new(move |debug| drop(handle.reload(filter(&own, debug)))))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Level(Box::new(move |debug| drop(handle.reload(filter(&own, debug)))))
        }
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
