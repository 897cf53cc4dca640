//! Every setting there is: its key, kind of value, default, one sentence about it, and whether it acts yet.
//!
//! The checks of files and variables, the built-in defaults, and whatever is generated for readers follow from this
//! one list, so a key that is not here does not exist. Keys are patterns: `NAME` stands for a hook, `CLASS` for a
//! priority class, `KIND` for a kind or group of events, `ANY` for a name that is the user's own.

mod hook;
mod legacy;
mod pool;

use std::sync::LazyLock;

pub(super) use self::legacy::LEGACY;
use super::value::ValueKind;
use crate::class::PriorityClass;
use crate::kind::KindSet;

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key's pattern, dotted.
    pub(crate) path: &'static str,
    pub(crate) kind: ValueKind,
    /// The built-in value as TOML; none when the value of another setting, or nothing, takes its place.
    pub(crate) default: Option<&'static str>,
    /// One sentence for the reader of the generated example and schema.
    pub(crate) doc: &'static str,
    pub(crate) effect: Effect,
}

/// Whether a setting acts in this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Acts,
    /// It is checked and changes nothing: a warning.
    Nothing,
    /// This build lacks the feature that has it, and to run without it would be wrong: an error.
    Unsupported,
}

impl Setting {
    const fn new(path: &'static str, kind: ValueKind, default: &'static str, doc: &'static str) -> Self {
        Self { path, kind, default: Some(default), doc, effect: Effect::Acts }
    }

    /// A setting without default of its own.
    const fn open(path: &'static str, kind: ValueKind, doc: &'static str) -> Self {
        Self { path, kind, default: None, doc, effect: Effect::Acts }
    }

    /// A setting without default that other systems have no means for.
    const fn of_linux(path: &'static str, kind: ValueKind, doc: &'static str) -> Self {
        let effect = if cfg!(target_os = "linux") { Effect::Acts } else { Effect::Nothing };
        Self { path, kind, default: None, doc, effect }
    }
}

/// Every setting, in the order of documentation.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    pool::SETTINGS.iter().chain(hook::SETTINGS)
}

/// What a key is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// The setting, when the key can have a value.
    pub(super) setting: Option<&'static Setting>,
    /// True when it can be a table of further keys.
    pub(super) is_table: bool,
}

/// What the key is; nothing of both when it is unknown. The root is a table.
pub(super) fn find(key: &[String]) -> Found {
    /// Every key of a file is looked up, so the patterns are taken apart once.
    static ROOT: LazyLock<Node> = LazyLock::new(|| {
        let mut root = Node::default();
        settings().for_each(|setting| root.add(setting));
        root
    });
    let mut found = Found::default();
    ROOT.find(key, &mut found);
    found
}

/// The patterns that have their first parts in common.
#[derive(Default)]
struct Node {
    setting: Option<&'static Setting>,
    /// By the next part, in the order of the list.
    below: Vec<(&'static str, Node)>,
}

impl Node {
    fn add(&mut self, setting: &'static Setting) {
        let mut node = self;
        for part in setting.path.split('.') {
            let place = node.below.iter().position(|(known, _)| *known == part);
            let place = place.unwrap_or_else(|| {
                node.below.push((part, Self::default()));
                node.below.len() - 1
            });
            node = &mut node.below.get_mut(place).expect("it was found, or added, there").1;
        }
        node.setting = Some(setting);
    }

    fn find(&self, key: &[String], found: &mut Found) {
        let Some((name, rest)) = key.split_first() else {
            found.is_table |= !self.below.is_empty();
            // The first pattern wins: a fixed name stands before the pattern that also fits it.
            found.setting = found.setting.or(self.setting);
            return;
        };
        for (_, node) in self.below.iter().filter(|(part, _)| part_fits(part, name)) {
            node.find(rest, found);
        }
    }
}

/// The names that can follow the key; none where the names are the user's own.
pub(super) fn names_below(key: &[String]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for setting in settings() {
        let mut pattern = setting.path.split('.');
        if key.iter().all(|name| pattern.next().is_some_and(|part| part_fits(part, name))) {
            pattern.next().into_iter().for_each(|part| names.extend(names_of(part)));
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The dotted keys outside `hook.NAME`, with the names of classes and kinds filled in.
pub(super) fn plain_keys() -> Vec<String> {
    settings().filter(|setting| !setting.path.starts_with("hook.")).flat_map(expanded).collect()
}

/// The patterns of all keys that end in this name.
pub(super) fn keys_named(name: &str) -> impl Iterator<Item = &'static str> {
    settings().map(|setting| setting.path).filter(move |path| path.rsplit('.').next() == Some(name))
}

/// The built-in defaults: dotted key and setting.
pub(super) fn defaults() -> impl Iterator<Item = (String, &'static Setting)> {
    settings()
        .filter(|setting| setting.default.is_some())
        .flat_map(|setting| expanded(setting).into_iter().map(move |key| (key, setting)))
}

/// The keys that the setting's pattern stands for, with this hook and this name of the user's own filled in.
pub(super) fn keys_of(setting: &Setting, hook: &str, own: &str) -> Vec<Vec<String>> {
    let mut keys = vec![Vec::new()];
    for part in setting.path.split('.') {
        let names = match part {
            "NAME" => vec![hook],
            "ANY" => vec![own],
            part => names_of(part),
        };
        let with = |key: &Vec<String>, name: &str| [key.as_slice(), &[name.to_owned()]].concat();
        keys = keys.iter().flat_map(|key| names.iter().map(move |name| with(key, name))).collect();
    }
    keys
}

/// The dotted keys of a setting outside the hooks.
fn expanded(setting: &Setting) -> Vec<String> {
    if setting.path.starts_with("hook.") {
        return Vec::new();
    }
    keys_of(setting, "", "").iter().map(|key| key.join(".")).collect()
}

/// The names that a part of a pattern stands for; none where they are the user's own.
pub(super) fn names_of(part: &'static str) -> Vec<&'static str> {
    match part {
        "NAME" | "ANY" => Vec::new(),
        "CLASS" => PriorityClass::ALL.map(PriorityClass::name).to_vec(),
        "KIND" => KindSet::names().map(|(name, _)| name).collect(),
        fixed => vec![fixed],
    }
}

fn part_fits(part: &str, name: &str) -> bool {
    match part {
        "NAME" | "ANY" => true,
        "CLASS" => PriorityClass::from_name(name).is_some(),
        "KIND" => KindSet::from_name(name).is_some(),
        fixed => fixed == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Vec<String> {
        path.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn patterns_find_their_settings() {
        assert_eq!(find(&key("pool.workers")).setting.map(|s| s.path), Some("pool.workers"));
        assert_eq!(find(&key("hook.audit.timeout")).setting.map(|s| s.path), Some("hook.NAME.timeout"));
        assert_eq!(find(&key("class.low.seats")).setting.map(|s| s.path), Some("class.CLASS.seats"));
        assert_eq!(find(&key("priority.delegation")).setting.and_then(|s| s.default), Some("\"high\""));
        let bypass = find(&key("scheduler.bypass"));
        assert!(bypass.setting.is_some() && bypass.is_table);
        let unknown = find(&key("class.urgent"));
        assert!(unknown.setting.is_none() && !unknown.is_table);
        assert!(find(&[]).is_table);
    }

    #[test]
    fn every_setting_is_documented_and_every_default_is_allowed() {
        for setting in settings() {
            assert!(setting.doc.ends_with('.'), "{}", setting.path);
            if let Some(default) = setting.default {
                let value = toml::de::DeValue::parse(default).unwrap();
                assert!(setting.kind.read(&value).is_ok(), "{}", setting.path);
            }
        }
        for legacy in LEGACY {
            assert!(find(&key(legacy.key)).setting.is_some(), "{}", legacy.variable);
        }
    }

    #[test]
    fn no_key_is_registered_twice() {
        let mut paths: Vec<_> = settings().map(|setting| setting.path).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }
}
