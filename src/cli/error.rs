//! What ends the program early: each error has an exit code, and says what would be right.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use hookpool::BuildError;
use hookpool::config::ConfigError;
use hookpool::text::escape;

/// Exit code of a wrong command line, clap's own.
pub(super) const USAGE: u8 = 2;

/// Exit code of a configuration that cannot be used.
pub(super) const CONFIGURATION: u8 = 3;

/// Exit code when hooks failed and `--strict` was given.
pub(super) const HOOKS_FAILED: u8 = 1;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("cannot read {}: {source}", escape(&path.to_string_lossy()))]
    Input { path: PathBuf, source: io::Error },
    #[error("cannot write the recording {}: {source}", escape(&path.to_string_lossy()))]
    Record { path: PathBuf, source: io::Error },
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot write the metrics to {}: {source}", path.display())]
    Metrics { path: PathBuf, source: io::Error },
    #[cfg(feature = "metrics-http")]
    #[error("cannot listen on {address} for --metrics-listen: {source}; port 0 takes any free one")]
    Listen { address: std::net::SocketAddr, source: io::Error },
    /// Whoever read standard output has had enough. Nothing is wrong.
    #[error("standard output was closed")]
    ClosedPipe,
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    /// The handler that `bench` brings along.
    #[error("cannot run the handler `{0}`: {1}; it is looked for in PATH")]
    Handler(&'static str, io::Error),
    /// Options that make no sense together.
    #[error("{0}")]
    Usage(String),
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl CliError {
    /// The exit code, as `--help` documents it.
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => USAGE,
            Self::Config(_) => CONFIGURATION,
            Self::Input { .. } => 5,
            Self::ClosedPipe => 0,
            #[cfg(feature = "metrics-http")]
            Self::Listen { .. } => 70,
            Self::Metrics { .. }
            | Self::Record { .. }
            | Self::Output(_)
            | Self::Handler(..)
            | Self::Build(_)
            | Self::Signals(_)
            | Self::Internal(_) => 70,
        })
    }

    /// The text for a person.
    pub(super) fn render(&self) -> String {
        match self {
            // Problems are rendered with their own place and severity.
            Self::Config(error) => error.to_string(),
            other => format!("hookpool: {other}"),
        }
    }

    /// An error of writing to standard output.
    pub(super) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::Output(error) }
    }
}

/// Says it on standard error. One that is closed, full or broken is no reason to end differently.
pub(super) fn complain(words: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{words}");
}
