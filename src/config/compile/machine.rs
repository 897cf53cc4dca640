//! What the configuration names and this machine does not have: programs and folders. Warnings of `check`.
//!
//! A program is looked up as it will be for a run, without starting it. Many hooks may name the same one, so what was
//! found is remembered.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::super::env::Environment;
use super::super::layer::Key;
use super::super::merge::Merged;
use super::super::problem::{Problems, Severity, shown};
use super::super::settings::Config;
use crate::hook::{CommandLine, CommandSpec, HandlerSpec, HttpSpec};
use crate::process::{StartError, resolve, search_path};

/// Warns of every program and folder that is not there.
pub(super) fn tell(config: &Config, merged: &Merged<'_>, environment: &Environment, problems: &mut Problems) {
    let mut machine = Machine { inherited: environment.get(OsStr::new("PATH")), known: HashMap::new() };
    for hook in config.hooks.iter().filter(|hook| hook.enabled) {
        let mut warn = |key: Key, message: String, hint: Option<String>| {
            // What is filled in may be a secret.
            let clean = |text: String| hook.redactor.text(&text).into_owned();
            let (message, hint) = (clean(message), hint.map(clean));
            problems.push(merged.spot(&key).origin(), key, Severity::Warning, message, hint);
        };
        let key = |name: &str| Key::new(&["hook", hook.name.as_str(), name]);
        if let HandlerSpec::Http(HttpSpec { ca: Some(file), .. }) = &hook.handler
            && !file.is_file()
        {
            let key = key("tls").child("ca");
            let message = format!("`{key}`: there is no file `{}`", path(file));
            warn(key, message, None);
        }
        let Some(spec) = hook.handler.command() else { continue };
        if merged.has(&key("cwd")) && !spec.cwd.is_dir() {
            let message = format!("`{}`: there is no folder `{}`", key("cwd"), path(&spec.cwd));
            warn(key("cwd"), message, None);
        } else if let Some((message, hint)) = machine.missing(spec) {
            let run = key("run");
            let place =
                if matches!(spec.line, CommandLine::Exec { .. }) { run.child("0") } else { run.clone() };
            warn(place, format!("`{run}`: {message}"), Some(hint));
        }
    }
}

/// What is wrong, and what to do about it.
type Complaint = (String, String);

struct Machine<'a> {
    /// The `PATH` of hookpool itself.
    inherited: Option<&'a OsString>,
    /// What was found in a `PATH`, by that and the program.
    known: HashMap<(OsString, OsString), Option<StartError>>,
}

impl Machine<'_> {
    fn missing(&mut self, spec: &CommandSpec) -> Option<Complaint> {
        let program = match &spec.line {
            CommandLine::Shell(_) => OsStr::new("/bin/sh"),
            CommandLine::Exec { program, .. } => program,
        };
        let search = search_path(spec, self.inherited.map(OsString::as_os_str));
        let look = || resolve(program, &search, &spec.cwd).err();
        // The hook's own folder counts for a relative name, and for a search in relative places.
        let text = program.as_encoded_bytes();
        let is_elsewhere = text.starts_with(b"/") || !text.contains(&b'/');
        let is_absolute = search.as_encoded_bytes().split(|byte| *byte == b':').all(|e| e.starts_with(b"/"));
        let error = if is_elsewhere && is_absolute {
            self.known.entry((program.to_owned(), search.clone())).or_insert_with(look).clone()
        } else {
            look()
        };
        error.map(|error| complaint(&error, program, &spec.cwd))
    }
}

fn complaint(error: &StartError, program: &OsStr, cwd: &Path) -> Complaint {
    let name = shown(&program.to_string_lossy());
    match error {
        StartError::Missing { searched: Some(_), .. } => {
            let is_beside = cwd.join(program).is_file();
            let hint = if is_beside {
                format!("`{name}` stands in the hook's folder: write \"./{name}\"")
            } else {
                "install it, or give its full path".to_owned()
            };
            (format!("no program `{name}` in PATH"), hint)
        }
        StartError::Missing { .. } => {
            let file = cwd.join(program);
            (format!("there is no file `{}`", path(&file)), "create it, or correct its path".to_owned())
        }
        StartError::NotExecutable { program } => (
            format!("`{}` is not an executable file", path(program)),
            "make it one with `chmod +x`, or name its interpreter first".to_owned(),
        ),
        other => (shown(&other.to_string()), "correct it".to_owned()),
    }
}

/// A path without its `./` in the middle.
fn path(path: &Path) -> String {
    shown(&path.components().collect::<PathBuf>().to_string_lossy())
}
