//! What only the program has: its command line, its input, its words to people.
//!
//! | file | owns |
//! |---|---|
//! | `args.rs` | what can be typed |
//! | `error.rs` | what ends the program early, and its exit codes |
//! | `logging.rs` | where log lines go |
//! | `signals.rs` | Ctrl-C and TERM |
//! | `input/` | bytes to documents, and their pace |
//! | `run/` | the command `run` |
//! | `check/` | the command `check` |
//! | `config.rs` | the command `config` |
//! | `bench/` | the command `bench` |
//! | `simulate/` | the command `simulate` |
//! | `metrics/` | what metrics of a run look like, and who gets them |
//! | `report/`, `progress.rs` | what is shown of a run |
//!
//! Standard output carries results only; everything else goes to standard error. It uses the library as anybody
//! could: through its public names.

mod args;
mod bench;
mod check;
mod config;
mod error;
mod input;
mod logging;
mod metrics;
mod progress;
mod reload;
mod report;
mod run;
mod signals;
mod simulate;
#[cfg_attr(not(target_os = "linux"), path = "no_watch.rs")]
mod watch;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};
use self::error::CliError;

/// Parses the command line, does what it says, and answers with the exit code.
pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Help and version go to standard output with 0, everything else to standard error with 2. A closed pipe is
        // no reason to complain.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(error::USAGE));
        }
    };
    let done = match args.command {
        Command::Run(run) => run::run(&run, &args.log),
        Command::Check(check) => check::run(&check),
        Command::Simulate(simulate) => simulate::run(&simulate),
        Command::Config(config) => config::run(&config),
        Command::Bench(bench) => bench::run(&bench, &args.log),
    };
    match done {
        Ok(code) => code,
        Err(CliError::ClosedPipe) => ExitCode::SUCCESS,
        Err(error) => {
            error::complain(&error.render());
            error.code()
        }
    }
}
