//! What is different between two configurations, key by key, for whoever changed one while it was in use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::layer::Key;
use super::loaded::EffectiveValue;
use super::problem::{Origin, shown};
use super::registry;
use super::settings::Config;
use super::source::Spot;
use super::value::written;

/// One difference between the configuration that was in force and the one that is.
///
/// As text it is one line, which leaves out what hooks are given in `env`, `url` and `headers`: that may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The dotted key: a setting, or `hook.NAME` for a hook that has come or gone.
    pub key: String,
    /// What it was, as TOML; a hook is an inline table. `None`: it had no value, or there was no such hook.
    pub from: Option<String>,
    /// What it is. `None`: it has no value, or there is no such hook any more.
    pub to: Option<String>,
    /// What set the new value.
    pub origin: Origin,
    /// For which jobs it is so.
    pub applies: Applies,
}

/// Which jobs a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applies {
    /// All that are not running yet, and the pool itself.
    Now,
    /// Those that are submitted from now on.
    NewJobs,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let parts: Vec<&str> = key.split('.').collect();
        match (parts.as_slice(), &self.from, &self.to) {
            (["hook", _], None, _) => write!(f, "{key}: new ({})", self.origin)?,
            (["hook", _], _, None) => return write!(f, "{key}: gone; its jobs that wait still run"),
            (["hook", _, "env" | "url" | "headers", ..], ..) => {
                write!(f, "{key}: changed ({})", self.origin)?;
            }
            (_, from, to) => {
                let text = |value: &Option<String>| value.as_deref().map_or_else(|| "not set".into(), shown);
                write!(f, "{key}: {} -> {} ({})", text(from), text(to), self.origin)?;
            }
        }
        match self.applies {
            Applies::Now => Ok(()),
            Applies::NewJobs => f.write_str(", for new jobs"),
        }
    }
}

impl Config {
    /// What makes it different from the one before it, in the order of keys.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<Change> {
        let (old, new) = (&before.sources.effective.values, &self.sources.effective.values);
        let is_there = |config: &Self, hook: &str| config.hooks.iter().any(|own| own.name.as_str() == hook);
        let mut changes = Vec::new();
        let mut hooks = BTreeSet::new();
        for text in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let (from, to) = (old.get(text), new.get(text));
            let Some(key) = to.or(from).map(|value| &value.key) else { continue };
            if let Some(hook) = key.hook()
                && is_there(before, hook) != is_there(self, hook)
            {
                if hooks.insert(hook.to_owned()) {
                    changes.push(of_hook(hook, old, new));
                }
                continue;
            }
            if from.map(|value| &value.value) != to.map(|value| &value.value) {
                changes.push(Change {
                    key: text.clone(),
                    from: from.map(text_of),
                    to: to.map(text_of),
                    origin: to.map_or(Origin::BuiltIn, |value| value.spot.origin()),
                    applies: applies(key),
                });
            }
        }
        changes
    }
}

type Values = BTreeMap<String, EffectiveValue>;

/// A hook that has come or gone.
fn of_hook(hook: &str, old: &Values, new: &Values) -> Change {
    let own = |values: &Values| -> Vec<EffectiveValue> {
        let own = |value: &&EffectiveValue| value.key.hook() == Some(hook);
        let mut own: Vec<_> = values.values().filter(own).cloned().collect();
        own.sort_by(|one, other| one.key.cmp(&other.key));
        own
    };
    let table = |values: Vec<EffectiveValue>| {
        let field = |value: &EffectiveValue| {
            let parts: Vec<_> = value.key.0.iter().skip(2).map(|part| written::key(part)).collect();
            format!("{} = {}", parts.join("."), text_of(value))
        };
        let fields: Vec<_> = values.iter().map(field).collect();
        (!fields.is_empty()).then(|| format!("{{ {} }}", fields.join(", ")))
    };
    let (old, new) = (own(old), own(new));
    let is_set = |value: &&EffectiveValue| !matches!(value.spot, Spot::BuiltIn);
    let origins = new.iter().filter(is_set).map(|value| value.spot.origin());
    // Where a reader finds the hook: its first line in a file.
    let place = |origin: &Origin| match origin {
        Origin::File { position: Some(at), .. } => (at.line, at.column),
        _ => (usize::MAX, 0),
    };
    Change {
        key: format!("hook.{hook}"),
        origin: origins.min_by_key(place).unwrap_or(Origin::BuiltIn),
        from: table(old),
        to: table(new),
        applies: Applies::NewJobs,
    }
}

fn text_of(value: &EffectiveValue) -> String {
    match registry::find(&value.key.0).setting {
        Some(setting) => written::value(setting.kind, &value.value),
        None => value.value.to_string(),
    }
}

/// A job is told most of what concerns it when it is submitted; the queue and the seats are everybody's.
fn applies(key: &Key) -> Applies {
    let parts: Vec<&str> = key.0.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["hook", _, "max_concurrency"] => Applies::Now,
        ["hook" | "defaults" | "batching" | "kinds" | "priority" | "performance_mode" | "redact", ..]
        | ["class", _, "max_wait" | "nice"]
        | ["queue", "max_wait" | "max_event_bytes"] => Applies::NewJobs,
        _ => Applies::Now,
    }
}
