//! The command `config`: the effective configuration, on standard output, or what could stand in one. What is wrong
//! with it goes to standard error.

use std::io::Write;
use std::process::ExitCode;

use hookpool::config::{self, ConfigLoader};

use super::args::ConfigArgs;
use super::error::{CliError, complain};

/// Runs the command, and answers with the exit code.
pub(super) fn run(args: &ConfigArgs) -> Result<ExitCode, CliError> {
    let text = match args {
        ConfigArgs { example: true, .. } => config::example(),
        ConfigArgs { schema: true, .. } => config::schema(),
        _ => effective(args)?,
    };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::output)?;
    Ok(ExitCode::SUCCESS)
}

fn effective(args: &ConfigArgs) -> Result<String, CliError> {
    let file = args.file.as_deref().or(args.config.as_deref());
    let loaded = ConfigLoader::standard(file).load()?;
    for warning in &loaded.warnings {
        complain(&warning.to_string());
    }
    Ok(loaded.to_toml(args.origins))
}
