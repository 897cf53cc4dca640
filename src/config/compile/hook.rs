//! One hook: its selector, its command and its policy, from the merged values of its table.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::layer::Key;
use super::super::merge::Merged;
use super::super::problem::{Problems, Severity};
use super::super::raw::{RawCommand, RawDefaults, RawEnvClear, RawHook, RawLimits};
use super::super::settings::BatchingSettings;
use super::super::source::Spot;
use super::expand::{Reader, Scope, variables};
use super::mode::most_at_once;
use super::{Context, class_named, failing, max_wait};
use crate::class::PerClass;
use crate::hook::{
    CommandLine, CommandSpec, HandlerSpec, Hook, HookName, InheritEnv, Leftovers, Order, ResourceLimits,
};
use crate::kind::KindSet;
use crate::matcher::{Selector, SelectorPlace};
use crate::redact::Redactor;

/// What all hooks share.
pub(super) struct HookCompiler<'a> {
    pub(super) merged: &'a Merged<'a>,
    pub(super) context: &'a Context<'a>,
    pub(super) defaults: &'a RawDefaults,
    pub(super) batching: &'a BatchingSettings,
    pub(super) redactor: &'a Redactor,
    /// The ranks of the classes' handlers.
    pub(super) nice: PerClass<u8>,
}

impl HookCompiler<'_> {
    /// The hook; `None`, with its problems, when it cannot run.
    pub(super) fn hook(&self, name: &str, raw: &RawHook, problems: &mut Problems) -> Option<Hook> {
        let hook_name = HookName::new(name).ok()?;
        let selector = self.selector(name, raw, problems).or_else(|| self.stand_in());
        let handler = self.handler(name, raw, problems);
        let (handler, selector) = (handler?, selector?);
        let batch = self.batch_of(name, raw, &handler, problems);
        let nanos = |own: Option<u64>, default| Duration::from_nanos(own.unwrap_or(default));
        let priority = raw.priority.as_deref().map(class_named);
        let order = raw.order.as_ref().unwrap_or(&self.defaults.order);
        Some(Hook {
            name: hook_name,
            selector,
            enabled: raw.enabled.unwrap_or(true),
            priority,
            timeout: nanos(raw.timeout, self.defaults.timeout),
            grace: nanos(raw.grace, self.defaults.grace),
            order: if order == "none" { Order::None } else { Order::Session },
            max_concurrency: most_at_once(raw, &handler),
            handler,
            max_wait: raw.max_wait.as_ref().map(|own| max_wait(own, true)),
            max_output: usize::try_from(raw.max_output.unwrap_or(self.defaults.max_output))
                .unwrap_or(usize::MAX),
            redactor: self.redactor_of(raw),
            batch,
            retry: raw.retry.as_ref().map(failing::retry),
            breaker: raw.breaker.as_ref().map(failing::breaker),
        })
    }

    /// A redactor that also knows what the hook is given of the environment, and its variables with a secret's name.
    fn redactor_of(&self, raw: &RawHook) -> Redactor {
        let words = match &raw.run {
            Some(RawCommand::Shell(line)) => std::slice::from_ref(line),
            Some(RawCommand::Exec(words)) => words.as_slice(),
            None => &[],
        };
        let own = [&raw.cwd, &raw.url].into_iter().flatten();
        let texts = words.iter().chain(own).chain(raw.env.values()).chain(raw.headers.values());
        let value = |name: &str| self.context.environment.get(OsStr::new(name));
        // A folder of this machine is no secret, and stands in much that is worth reading.
        let is_place = |value: &&OsString| Path::new(value).is_absolute() && Path::new(value).exists();
        let given = texts.flat_map(|text| variables(text)).filter_map(value);
        let given = given.filter(|value| !is_place(value)).map(|value| value.as_encoded_bytes());
        let named =
            raw.env.iter().filter(|(name, value)| Redactor::is_secret_name(name) && !value.contains("${"));
        self.redactor.with_known(given.chain(named.map(|(_, value)| value.as_bytes())))
    }

    /// A selector in place of one that was refused, where the rest of the hook is to be looked at all the same: nothing
    /// of the configuration is used then. It wants everything, so nothing is said of what the hook would never see.
    fn stand_in(&self) -> Option<Selector> {
        self.context.checking.then(|| Selector::new(&["*".to_owned()], None, Vec::new()).ok())?
    }

    fn selector(&self, name: &str, raw: &RawHook, problems: &mut Problems) -> Option<Selector> {
        let Some(on) = &raw.on else {
            self.missing(name, "on", "which events it wants, such as on = [\"pre_tool\"]", problems);
            return None;
        };
        let fields = raw.fields.iter().map(|(path, value)| (path.clone(), value.clone())).collect();
        match Selector::new(on, raw.matches.tool.as_deref(), fields) {
            Ok(selector) => {
                for doubtful in selector.doubtful_names() {
                    let index = on.iter().position(|word| word == doubtful).unwrap_or_default();
                    let key = Key::new(&["hook", name, "on", &index.to_string()]);
                    let message =
                        format!("`{doubtful}` is no kind; it is taken for the raw name of an event");
                    let hint = Some(format!("kinds are {}", kinds()));
                    problems.push(self.merged.spot(&key).origin(), &key, Severity::Warning, message, hint);
                }
                Some(selector)
            }
            Err(error) => {
                for problem in error.problems() {
                    let key = match &problem.place {
                        SelectorPlace::On => Key::new(&["hook", name, "on"]),
                        SelectorPlace::OnElement(index) => {
                            Key::new(&["hook", name, "on", &index.to_string()])
                        }
                        SelectorPlace::Tool => Key::new(&["hook", name, "match", "tool"]),
                        SelectorPlace::Where => Key::new(&["hook", name, "where"]),
                        SelectorPlace::Field(path) => Key::new(&["hook", name, "where", path]),
                    };
                    let spot = self.merged.spot(&key);
                    let pattern = raw.matches.tool.as_deref().unwrap_or_default();
                    let origin = problem
                        .column
                        .and_then(|column| spot.inside(pattern, column))
                        .unwrap_or(spot)
                        .origin();
                    let hint = problem.suggestion.map(|kind| format!("did you mean `{kind}`?"));
                    let message = match (&problem.place, problem.column) {
                        (SelectorPlace::Tool, Some(column)) => {
                            format!("`{key}`: {} (column {column} of the pattern)", problem.message)
                        }
                        (SelectorPlace::Tool, None) => format!("`{key}`: {}", problem.message),
                        _ => problem.message.clone(),
                    };
                    problems.push(origin, &key, Severity::Error, message, hint);
                }
                None
            }
        }
    }

    fn handler(&self, name: &str, raw: &RawHook, problems: &mut Problems) -> Option<HandlerSpec> {
        if let Some(url) = &raw.url {
            return self.http(name, raw, url, problems);
        }
        self.has_no_service(name, raw, problems);
        if raw.run.is_none() && self.context.registered_handlers {
            self.has_no_mode(name, raw, problems);
            return Some(HandlerSpec::Registered);
        }
        let command = self.command(name, raw, problems)?;
        Some(self.in_mode(name, raw, command, problems))
    }

    fn command(&self, name: &str, raw: &RawHook, problems: &mut Problems) -> Option<CommandSpec> {
        let Some(run) = &raw.run else {
            let is_remote = self.merged.was_refused(&Key::new(&["hook", name, "url"]));
            if !is_remote {
                self.missing(
                    name,
                    "run",
                    "what runs, such as run = [\"./program\", \"argument\"], or have a `url`",
                    problems,
                );
            }
            return None;
        };
        let line = self.line(name, run, problems);
        let cwd = self.cwd(name, raw, problems);
        let env = self.env(name, raw, problems);
        let inherit = match &raw.env_clear {
            Some(RawEnvClear::All(true)) => InheritEnv::Only(Vec::new()),
            Some(RawEnvClear::Names(names)) => InheritEnv::Only(names.iter().map(OsString::from).collect()),
            Some(RawEnvClear::All(false)) | None => InheritEnv::All,
        };
        let leftovers = match raw.leftovers.as_deref() {
            Some("keep") => Leftovers::Keep,
            _ => Leftovers::Kill,
        };
        let limits = raw.limits.as_ref().map(limits).unwrap_or_default();
        let nice = self.nice;
        Some(CommandSpec { line: line?, cwd: cwd?, env: env?, inherit, leftovers, limits, nice })
    }

    fn line(&self, name: &str, run: &RawCommand, problems: &mut Problems) -> Option<CommandLine> {
        let key = Key::new(&["hook", name, "run"]);
        match run {
            RawCommand::Shell(text) => {
                let line = self.expand(name, &key, text, Reader::Shell, problems)?;
                if let Ok(line) = line.into_string() {
                    return Some(CommandLine::Shell(line));
                }
                let message = format!("`{key}` must be UTF-8 text when its names are filled in");
                let hint = Some("write it as a list, which may hold any bytes".to_owned());
                problems.push(self.merged.spot(&key).origin(), &key, Severity::Error, message, hint);
                None
            }
            RawCommand::Exec(parts) => {
                let mut words = Vec::new();
                let mut is_good = true;
                for (index, part) in parts.iter().enumerate() {
                    let key = Key::new(&["hook", name, "run", &index.to_string()]);
                    match self.expand(name, &key, part, Reader::Plain, problems) {
                        Some(word) => words.push(word),
                        None => is_good = false,
                    }
                }
                let mut words = words.into_iter();
                let program = words.next().filter(|_| is_good)?;
                if program.is_empty() {
                    let message =
                        format!("the program of `{key}` must not be empty when its names are filled in");
                    problems.error(self.merged.spot(&key).origin(), &key, message);
                    return None;
                }
                Some(CommandLine::Exec { program, args: words.collect() })
            }
        }
    }

    fn cwd(&self, name: &str, raw: &RawHook, problems: &mut Problems) -> Option<PathBuf> {
        let key = Key::new(&["hook", name, "cwd"]);
        let Some(cwd) = &raw.cwd else { return Some(self.dir(name, &Key::new(&["hook", name, "run"]))) };
        let cwd = self.expand(name, &key, cwd, Reader::Plain, problems)?;
        Some(self.dir(name, &key).join(cwd))
    }

    fn env(
        &self,
        name: &str,
        raw: &RawHook,
        problems: &mut Problems,
    ) -> Option<BTreeMap<OsString, OsString>> {
        let mut env = BTreeMap::new();
        let mut is_good = true;
        for (variable, value) in &raw.env {
            let key = Key::new(&["hook", name, "env", variable]);
            if variable.is_empty() || variable.contains(['=', '\0']) {
                let message = format!("`{key}` must have a name without `=` and NUL, not empty");
                problems.error(self.merged.spot(&key).origin(), &key, message);
                is_good = false;
            }
            match self.expand(name, &key, value, Reader::Plain, problems) {
                Some(value) => drop(env.insert(OsString::from(variable), value)),
                None => is_good = false,
            }
        }
        is_good.then_some(env)
    }

    pub(super) fn expand(
        &self,
        name: &str,
        key: &Key,
        text: &str,
        reader: Reader,
        problems: &mut Problems,
    ) -> Option<OsString> {
        self.expand_noting(name, key, text, reader, problems).map(|(expanded, _)| expanded)
    }

    /// The text with its names filled in, and what of it came from the environment.
    pub(super) fn expand_noting(
        &self,
        name: &str,
        key: &Key,
        text: &str,
        reader: Reader,
        problems: &mut Problems,
    ) -> Option<(OsString, Vec<OsString>)> {
        let config_dir = self.dir(name, key);
        let scope = Scope { environment: self.context.environment, config_dir: &config_dir };
        let result = scope.expand(text, reader).and_then(|expanded| {
            let has_nul = expanded.0.as_encoded_bytes().contains(&0);
            if has_nul { Err("what is filled in holds a NUL".into()) } else { Ok(expanded) }
        });
        match result {
            Ok(expanded) => Some(expanded),
            Err(reason) => {
                let hint =
                    "${config_dir} and ${env:NAME} are filled in; write $${ for a literal ${".to_owned();
                let message = format!("`{key}` cannot be filled in: {reason}");
                problems.push(self.merged.spot(key).origin(), key, Severity::Error, message, Some(hint));
                None
            }
        }
    }

    /// The folder of the file that gave the value, else of the first file that has the hook.
    pub(super) fn dir(&self, name: &str, key: &Key) -> PathBuf {
        let spot = self.merged.spot(key);
        spot.dir().map_or_else(|| self.dir_of(name), Path::to_owned)
    }

    /// The folder of the first file that has the hook.
    pub(super) fn dir_of(&self, name: &str) -> PathBuf {
        self.first(name).and_then(Spot::dir).unwrap_or(self.context.dir).to_owned()
    }

    fn first(&self, name: &str) -> Option<&Spot> {
        self.merged.first_spot(&Key::new(&["hook", name]))
    }

    /// Reports a key that every hook must have, unless the reason for its absence was told already.
    fn missing(&self, name: &str, field: &str, what: &str, problems: &mut Problems) {
        let key = Key::new(&["hook", name, field]);
        if !self.context.is_complete || self.merged.was_refused(&key) {
            return;
        }
        let origin = self.first(name).unwrap_or(&Spot::BuiltIn).origin();
        problems.error(origin, &key, format!("hook `{name}` has no `{field}`: it must say {what}"));
    }
}

/// The system counts processor time in whole seconds.
fn limits(raw: &RawLimits) -> ResourceLimits {
    const SECOND: u64 = 1_000_000_000;
    let RawLimits { memory, cpu, files, output } = *raw;
    ResourceLimits { memory, cpu: cpu.map(|nanos| nanos.div_ceil(SECOND)), files, output }
}

/// The names of all kinds and groups, in words.
fn kinds() -> String {
    KindSet::names().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}
