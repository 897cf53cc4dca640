//! One layer of the configuration: the values that one file, variable or option sets, and where each of them stands.
//!
//! A layer holds normalised values of known keys and nothing else: whatever is wrong became a problem on the way
//! in. This module walks a TOML table against the registry; who calls it says where the table comes from.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::problem::{Problems, Severity, quoted, shown, told};
use super::registry::{self, Effect, Setting};
use super::source::{SourceText, Spot};
use super::value::{Fault, described};
use crate::hook::HookName;

/// The parts of a key; the root has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) Vec<String>);

impl Key {
    pub(super) fn new(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// Splits a dotted key that has no quoted parts.
    pub(super) fn dotted(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }

    pub(super) fn child(&self, part: &str) -> Self {
        Self(self.0.iter().cloned().chain([part.to_owned()]).collect())
    }

    fn parent(&self) -> &[String] {
        self.0.split_last().map_or(&[], |(_, parent)| parent)
    }

    /// The key and the tables around it, the innermost first, the root last.
    pub(super) fn outwards(&self) -> impl Iterator<Item = &[String]> {
        (0..=self.0.len()).rev().filter_map(|length| self.0.get(..length))
    }

    pub(super) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The name of the hook that it belongs to.
    pub(super) fn hook(&self) -> Option<&str> {
        match self.0.as_slice() {
            [table, hook, ..] if table == "hook" => Some(hook),
            _ => None,
        }
    }
}

/// So that a part of a key can be looked up without a copy: the derived comparisons are those of the parts.
impl Borrow<[String]> for Key {
    fn borrow(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            let is_bare =
                !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            let part = if is_bare { shown(part) } else { quoted(part) };
            write!(f, "{dot}{part}")?;
        }
        Ok(())
    }
}

/// What one origin sets.
#[derive(Debug)]
pub(super) struct Layer {
    /// The file's or variable's name.
    pub(super) label: String,
    /// The values, as nested tables.
    pub(super) values: Map<String, Json>,
    /// Where each value, table and list item stands.
    pub(super) spots: HashMap<Key, Spot>,
    /// The hooks that it mentions, in order.
    pub(super) hooks: Vec<String>,
    /// The keys whose values were refused: nothing should be said of their absence.
    pub(super) refused: BTreeSet<Key>,
}

impl Layer {
    pub(super) fn new(label: String) -> Self {
        Self { label, values: Map::new(), spots: HashMap::new(), hooks: Vec::new(), refused: BTreeSet::new() }
    }

    /// Where the key, or the innermost table around it that this layer mentions, stands.
    pub(super) fn spot(&self, key: &Key) -> Option<&Spot> {
        key.outwards().find_map(|key| self.spots.get(key))
    }

    /// Sets a value and says of a setting without effect that it has none.
    pub(super) fn set(&mut self, key: &Key, value: Json, spot: Spot) {
        let mut table = &mut self.values;
        for part in key.parent() {
            let entry = table.entry(part.clone()).or_insert_with(|| Map::new().into());
            // A file has no key twice. Of variables the later one wins: a table over a value, and the other way round.
            if !entry.is_object() {
                *entry = Map::new().into();
            }
            match entry {
                Json::Object(inner) => table = inner,
                _ => return,
            }
        }
        table.insert(key.last().to_owned(), value);
        self.spots.insert(key.clone(), spot);
    }
}

/// Reads a table against the registry.
pub(super) struct Walk<'a> {
    pub(super) layer: &'a mut Layer,
    pub(super) problems: &'a mut Problems,
    pub(super) place: Place<'a>,
    warned: BTreeSet<Key>,
}

/// How a walk turns an offset into a place.
pub(super) enum Place<'a> {
    /// The text is a file.
    File(&'a Arc<SourceText>),
    /// The text is a variable or an option: it is all one place.
    Fixed(Spot),
}

impl<'a> Walk<'a> {
    pub(super) fn new(layer: &'a mut Layer, problems: &'a mut Problems, place: Place<'a>) -> Self {
        Self { layer, problems, place, warned: BTreeSet::new() }
    }

    fn spot(&self, offset: usize) -> Spot {
        match &self.place {
            Place::File(source) => Spot::File(Arc::clone(source), offset),
            Place::Fixed(spot) => spot.clone(),
        }
    }

    fn error(&mut self, offset: usize, key: &Key, message: String, hint: Option<String>) {
        let origin = self.spot(offset).origin();
        self.problems.push(origin, key, Severity::Error, message, hint);
    }

    /// Reads every entry, in the order of the text.
    pub(super) fn table(&mut self, key: &Key, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            if self.problems.is_full() {
                return;
            }
            self.entry(&key.child(name.get_ref()), name.span().start, value);
        }
    }

    /// Reads one value whose key stands at `at`.
    pub(super) fn entry(&mut self, key: &Key, at: usize, value: &Spanned<DeValue<'_>>) {
        let found = registry::find(&key.0);
        if let [table, hook] = key.0.as_slice()
            && table == "hook"
            && HookName::new(hook).is_err()
        {
            self.layer.refused.insert(key.clone());
            // What is cut or escaped for the message is no hook name either.
            let message = HookName::new(&shown(hook)).err().unwrap_or_default();
            return self.error(at, key, message, None);
        }
        match (value.get_ref(), found.setting) {
            (DeValue::Table(table), _) if found.is_table => {
                let spot = self.spot(at);
                self.layer.spots.insert(key.clone(), spot);
                if key.hook().is_some() && key.0.len() == 2 {
                    self.layer.hooks.push(key.last().to_owned());
                }
                self.table(key, table);
            }
            (_, Some(setting)) => self.value(key, at, setting, value),
            (other, None) if found.is_table => {
                self.layer.refused.insert(key.clone());
                let found = match described(other) {
                    text if matches!(other, DeValue::String(_)) => told(&key.to_string(), &text),
                    plain => plain,
                };
                let message = format!("`{key}` must be a table, not {found}");
                let hint = (key.0 == ["hook"]).then(|| "a hook is written [hook.NAME]".to_owned());
                self.error(value.span().start, key, message, hint);
            }
            (_, None) => {
                let hint = hint_for_unknown(key);
                self.error(at, key, format!("unknown key `{key}`"), hint);
            }
        }
    }

    fn value(&mut self, key: &Key, at: usize, setting: &Setting, value: &Spanned<DeValue<'_>>) {
        match setting.kind.read(value) {
            Ok(json) => {
                if let DeValue::Array(items) = value.get_ref() {
                    for (index, item) in items.iter().enumerate() {
                        let spot = self.spot(item.span().start);
                        self.layer.spots.insert(key.child(&index.to_string()), spot);
                    }
                }
                let spot = self.spot(value.span().start);
                if self.takes_effect(key, setting, &spot, &self.spot(at)) {
                    self.layer.set(key, json, spot);
                }
            }
            Err(fault) => {
                let at = match &fault {
                    Fault::Wrong { at: Some(at), .. } => *at,
                    _ => value.span().start,
                };
                self.fault(key, setting, fault, &self.spot(at));
            }
        }
    }

    /// Says so when the setting does nothing on this system; false when that is an error.
    pub(super) fn takes_effect(&mut self, key: &Key, setting: &Setting, value: &Spot, name: &Spot) -> bool {
        match setting.effect {
            Effect::Acts => true,
            Effect::Unsupported => {
                self.fault(key, setting, Fault::NotSupported { value: None }, value);
                false
            }
            Effect::Nothing => {
                // One word for `retry`, however many of its keys are set.
                let depth = if key.hook().is_some() { 3 } else { key.0.len() };
                let group = Key(key.0.iter().take(depth).cloned().collect());
                if self.warned.insert(group.clone()) {
                    let spot = self.layer.spots.get(&group).unwrap_or(name);
                    let (origin, message) =
                        (spot.origin(), format!("`{group}` has no effect on this system"));
                    self.problems.push(origin, &group, Severity::Warning, message, None);
                }
                true
            }
        }
    }

    /// Reports a value that was refused.
    pub(super) fn fault(&mut self, key: &Key, setting: &Setting, fault: Fault, spot: &Spot) {
        self.layer.refused.insert(key.clone());
        match fault {
            Fault::Wrong { found, hint, .. } => {
                let found = told(&key.to_string(), &found);
                let message = format!("`{key}` must be {}, not {found}", setting.kind.allowed());
                self.problems.push(spot.origin(), key, Severity::Error, message, hint);
            }
            Fault::NotSupported { value } => {
                if let Some(hook) = key.hook() {
                    self.problems.unsupported_hook(format!("hook.{hook}."));
                }
                let hint = value.is_none().then(|| "hookpool with the feature `http` has it".to_owned());
                let value = value.map_or_else(String::new, |value| format!(" = {}", quoted(&value)));
                let message = format!("`{key}{value}` is not supported by this build");
                self.problems.push(spot.origin(), key, Severity::Error, message, hint);
            }
        }
    }
}

/// Where an unknown key may have been meant to go.
pub(super) fn hint_for_unknown(key: &Key) -> Option<String> {
    let names = registry::names_below(key.parent());
    if let Some(name) = nearest(key.last(), names.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let elsewhere: Vec<_> = registry::keys_named(key.last()).map(|path| format!("`{path}`")).collect();
    if !elsewhere.is_empty() {
        return Some(format!("the key exists as {}", elsewhere.join(", ")));
    }
    (!names.is_empty() && names.len() <= 8).then(|| format!("known here: {}", names.join(", ")))
}
