//! What can be typed on the command line.

#[cfg(feature = "metrics-http")]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::input::Rate;
#[cfg(feature = "metrics-http")]
use super::metrics::loopback;
use super::simulate::{Axis, Target};

/// Runs hooks off the critical path: events in, handlers run by a small pool, the important ones first, every event
/// accounted for.
#[derive(Debug, Parser)]
#[command(name = "hookpool", version, about, long_about = None)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, also when hooks failed; 1 hooks failed and --strict; 2 usage; 3 configuration;
5 input could not be read; 70 internal: the ledger does not balance, or output (a recording, too) cannot be written;
129, 130, 131, 143 stopped by HUP, INT, QUIT or TERM, after a drain";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Run(RunArgs),
    Bench(BenchArgs),
    Check(CheckArgs),
    Simulate(SimulateArgs),
    Config(ConfigArgs),
}

/// Which log lines are written.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Log lines, on standard error")]
pub(super) struct LogArgs {
    /// Say more: -v configuration files and failures of handlers, -vv every step of every job, -vvv everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,

    /// Write log lines as text or as JSON objects
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT", global = true)]
    pub(super) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// Replay events from files or a stream through the configured hooks
///
/// Without FILE the bundled demo runs: its own recording, configuration and handlers, and nothing else.
///
/// Input is JSON Lines or whole JSON documents, one object an event. At full speed (the default) a full queue is waited
/// for and jobs wait as long as it takes, unless `max_wait` is configured; with --rate or --realtime the input counts as
/// live, and what finds the queue full is dropped or displaces something less important. INT and TERM drain: what was
/// admitted runs on until the drain timeout; a second signal stops it at once (HUP and QUIT do the same).
///
/// On a stream (standard input, a named pipe, --rate or --realtime) the configuration is live: it is read again on HUP,
/// and when one of its files changes. What has changed is told on standard error; one that is invalid is told of and
/// changes nothing.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXIT_CODES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct RunArgs {
    /// Files of events; - is standard input
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// Read this configuration instead of the project's hooks.toml or config/hooks.toml; needs a FILE of events
    #[arg(short, long, value_name = "FILE", requires = "files")]
    pub(super) config: Option<PathBuf>,

    /// Print the report as text for people or as one JSON object
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(super) report: ReportFormat,

    /// Submit at this rate, such as 100/s, 5/m or 0.5/s
    #[arg(long, value_name = "RATE", conflicts_with = "realtime")]
    pub(super) rate: Option<Rate>,

    /// Keep the pace of the events' own timestamps
    #[arg(long)]
    pub(super) realtime: bool,

    /// What to do when the queue is full [default: wait at full speed, drop with --rate or --realtime]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) when_full: Option<WhenFull>,

    /// Name of the events that neither name themselves nor have a known shape
    #[arg(long, value_name = "NAME")]
    pub(super) event: Option<String>,

    /// How long to run on after INT or TERM, such as 2s or 500ms [default: shutdown.drain, 2s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) drain_timeout: Option<Duration>,

    /// Record when each job came, how long it ran and how it ended, as a load for `hookpool simulate`; nothing of what
    /// events hold
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(super) record: Option<PathBuf>,

    /// Show which hooks each event would run, and run none
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Print what the handlers wrote, to standard error
    #[arg(long)]
    pub(super) show_output: bool,

    /// At the end, write metrics to this file, as OpenMetrics text; a file that is there is replaced as a whole
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(super) metrics: Option<PathBuf>,

    /// While it runs, answer GET /metrics at this address of this machine, such as 127.0.0.1:9464
    #[cfg(feature = "metrics-http")]
    #[arg(long, value_name = "ADDRESS", value_parser = loopback, conflicts_with = "dry_run")]
    pub(super) metrics_listen: Option<SocketAddr>,

    /// Exit with 1 when a hook failed, timed out, panicked or was not started
    #[arg(long)]
    pub(super) strict: bool,
}

/// Check the configuration: everything that is wrong with it, or does nothing, at its place
///
/// Files and variables are read as `run` reads them, and nothing is run. Errors keep a configuration from being used;
/// warnings do not: something has no effect, or is missing on this machine. Exits with 3 when there is an error.
#[derive(Debug, ClapArgs)]
pub(super) struct CheckArgs {
    /// Check this file in place of the project's hooks.toml or config/hooks.toml
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    /// Print the problems as text for people or as one JSON list
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(super) report: ReportFormat,
}

/// Print the effective configuration, as a hooks.toml that means the same
///
/// Every layer is merged, and defaults are filled in. Values with ${env:NAME} are printed as they are written. With
/// --example or --schema nothing is read.
#[derive(Debug, ClapArgs)]
pub(super) struct ConfigArgs {
    /// Read this file in place of the project's hooks.toml or config/hooks.toml
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    /// The same as FILE
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    pub(super) config: Option<PathBuf>,

    /// Say behind each value which file and line, or which variable, set it
    #[arg(long)]
    pub(super) origins: bool,

    /// Print a hooks.toml to begin with: every setting with its explanation and default, all of it commented out
    #[arg(long, conflicts_with_all = ["file", "config", "origins"])]
    pub(super) example: bool,

    /// Print the JSON Schema (draft 2020-12) of hooks.toml, for editors
    #[arg(long, conflicts_with_all = ["file", "config", "origins", "example"])]
    pub(super) schema: bool,
}

/// Measure what hooks cost their caller on this machine, with and without the pool
///
/// The same events go to the same handler, `cat`: started and waited for by the caller, as before there was a queue, and
/// through the pool, in performance mode, and with a full queue. No configuration is read, and no hook of yours runs.
#[derive(Debug, ClapArgs)]
pub(super) struct BenchArgs {
    /// How many events each way gets, 1 to 30000
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=30_000))]
    pub(super) events: u32,

    /// Print the report as text for people or as one JSON object
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(super) report: ReportFormat,
}

/// Try a configuration in virtual time: waits, refusals, utilisation, and how many workers are enough
///
/// The scheduler is the real one; no handler runs, and an hour takes a moment. SPEC describes the load: for each hook of
/// the configuration, or for each class, when jobs arrive, how long they run and how often they fail. A recording of
/// `hookpool run --record` is a SPEC, too. Without SPEC every hook gets as many jobs, at random moments, that keep the
/// workers busy for 80 % of the time.
///
/// Not modelled: what handlers do to each other on the machine's processors (give `overhead`, and run times as they are
/// under load), the start of resident handlers and, but for recordings, the grace of a handler that is stopped. One seed
/// is one run, to the byte.
#[derive(Debug, ClapArgs)]
#[command(after_help = SPEC_EXAMPLE)]
pub(super) struct SimulateArgs {
    /// The load: a TOML file, or a recording
    #[arg(value_name = "SPEC")]
    pub(super) spec: Option<PathBuf>,

    /// Read this configuration instead of the project's hooks.toml or config/hooks.toml
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Start chance from this number; the same number gives the same report
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,

    /// Submit so many jobs, whatever SPEC says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) jobs: Option<u64>,

    /// Try each of these values, such as workers=1..8, standby=0,1 or capacity=100,1000; every combination of several
    #[arg(long, value_name = "KEY=VALUES")]
    pub(super) sweep: Vec<Axis>,

    /// With --sweep: what is enough, as the time in which 99 of 100 jobs of every class, or of one, start: 200ms, high=50ms
    #[arg(long, value_name = "[CLASS=]TIME", requires = "sweep")]
    pub(super) target_p99: Option<Target>,

    /// Print the report as text for people or as one JSON object
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(super) report: ReportFormat,
}

const SPEC_EXAMPLE: &str = "\
SPEC, all but `arrivals` with its default or optional:
  jobs = 100_000                                # or duration = \"1h\": when arrivals end
  overhead = \"0s\"                               # seat time between the end of a run and the next start
  [hook.audit]                                  # or [class.low], for a hook that is not configured
  arrivals = { poisson = \"20/s\" }               # or { every = \"50ms\" }, { burst = 30, every = \"2s\" }, a list
  run_time = { median = \"20ms\", p99 = \"200ms\" } # or \"20ms\", { exponential = \"20ms\" },
                                                # { from = \"10ms\", to = \"30ms\" }
  per_event = \"0s\"                              # what each further event of a batch adds to its run
  sessions = 8                                  # 0: jobs without a session
  failures = 0                                  # share, of 1
  bytes = 1000                                  # size of an event
  class = \"normal\"                              # of the events, for a hook without `priority`";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum WhenFull {
    /// Wait for room
    Wait,
    /// Refuse the event, or displace something less important, as the configuration says
    Drop,
}

fn duration(text: &str) -> Result<Duration, String> {
    hookpool::config::parse_duration(text)
}
