//! The command `simulate`: a configuration under a load, in virtual time.
//!
//! | file | owns |
//! |---|---|
//! | `sweep.rs` | the combinations of a sweep, what is enough, and running them side by side |
//! | `report.rs` | the tables and the objects |

mod report;
mod sweep;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use hookpool::config::ConfigLoader;
use hookpool::{Load, Simulation};

use super::args::{ReportFormat, SimulateArgs};
use super::error::{CliError, complain};
use super::report::Palette;

pub(super) use self::sweep::{Axis, Target};

/// Hooks for who has none yet: a gate, a tracker, an audit.
const BUILT_IN: &str = "\
[hook.gate]\non = ['pre_tool']\nrun = 'true'\npriority = 'critical'\n\
[hook.tracker]\non = ['delegation']\nrun = 'true'\npriority = 'high'\n\
[hook.audit]\non = ['post_tool']\nrun = 'true'\npriority = 'low'\n";

/// Runs the command, and answers with the exit code.
pub(super) fn run(args: &SimulateArgs) -> Result<ExitCode, CliError> {
    let mut loader = ConfigLoader::standard(args.config.as_deref());
    let mut configured = loader.clone().load()?;
    for warning in &configured.warnings {
        complain(&warning.to_string());
    }
    if args.spec.is_none() && !configured.config.hooks.iter().any(|hook| hook.enabled) {
        complain(
            "hookpool: no hooks are configured, so three made-up ones are simulated: gate, tracker and audit",
        );
        loader = ConfigLoader::bundled(BUILT_IN, "/");
        configured = loader.clone().load()?;
    }
    let load = match &args.spec {
        Some(path) => Load::read(path)?,
        None => Load::typical(&configured.config),
    };
    for doubt in doubts(&load) {
        complain(&format!("hookpool: {doubt}"));
    }
    let is_indented = std::io::stdout().is_terminal();
    let (text, is_balanced) = if args.sweep.is_empty() {
        let mut simulation = Simulation::new(&configured.config, &load)?.seed(args.seed);
        if let Some(jobs) = args.jobs {
            simulation = simulation.jobs(jobs);
        }
        let found = simulation.run();
        let is_balanced = found.ledger.is_balanced();
        let text = match args.report {
            ReportFormat::Text => report::text(found, &configured.config, &Palette::COLOURED),
            ReportFormat::Json => report::json(found, is_indented),
        };
        (text, is_balanced)
    } else {
        let swept = sweep::run(args, &loader, &load)?;
        let text = match args.report {
            ReportFormat::Text => report::sweep_text(&swept, &Palette::COLOURED),
            ReportFormat::Json => report::sweep_json(&swept, is_indented),
        };
        (text, swept.runs.iter().all(|run| run.found.ledger.is_balanced()))
    };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)?;
    if is_balanced {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(CliError::Internal("the ledger does not balance".to_owned()))
    }
}

/// What a recording cannot tell.
fn doubts(load: &Load) -> Vec<String> {
    let Some(recording) = load.recording() else { return Vec::new() };
    let mut doubts = Vec::new();
    if !recording.is_whole {
        doubts.push(
            "the recording was cut off: the run was killed, or its file could not be written".to_owned(),
        );
    }
    if recording.lost > 0 {
        doubts.push(format!(
            "{} lines of the recording are missing: they came too fast for its file",
            recording.lost
        ));
    }
    if recording.jobs.iter().any(|job| job.waits) {
        doubts.push(
            "the recorded run waited for room, so its jobs came as fast as the recorded pool could take them"
                .to_owned(),
        );
    }
    doubts
}
