//! The loading as a whole, through its public face.

mod example;
mod exports;
mod good;
mod layers;
mod older;
mod problems;
mod reference;
mod schema;
mod variables;

use std::ffi::OsString;

use super::{ConfigError, ConfigLoader, Loaded, Problem};

/// Loads one text without any other layer.
fn load(text: &str) -> Result<Loaded, ConfigError> {
    ConfigLoader::new().working_dir("/work dir").text("hooks.toml", text).load()
}

fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let loader = ConfigLoader::new().working_dir("/work dir").text("hooks.toml", text);
    loader.environment(environment(variables)).load()
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The problems as their users read them.
fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn problems_of(result: Result<Loaded, ConfigError>) -> Vec<Problem> {
    match result {
        Ok(loaded) => loaded.warnings,
        Err(error) => error.problems,
    }
}
