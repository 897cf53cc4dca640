//! The bundled demo: a recording of three agents, a configuration, and handlers, all inside the program.

use std::path::Path;

use hookpool::config::ConfigLoader;

use crate::cli::error::{CliError, complain};

/// Events as three agents sent them: interleaved sessions, with delegations.
pub(super) const RECORDING: &[u8] = include_bytes!("../../../config/demo/recording.jsonl");

const HOOKS: &str = include_str!("../../../config/demo/hooks.toml");

/// The demo's configuration. Hooks whose interpreter is missing on this machine are switched off, with a word.
pub(super) fn config() -> Result<ConfigLoader, CliError> {
    let dir = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let mut loader = ConfigLoader::bundled(HOOKS, Path::new(&dir));
    for hook in &loader.clone().load()?.config.hooks {
        if let Some(missing) = hook.missing_program() {
            complain(&format!("hookpool: the demo's hook `{}` is skipped: {missing}", hook.name));
            loader = loader.overrides(format!("hook.{}.enabled", hook.name), "false");
        }
    }
    Ok(loader)
}
