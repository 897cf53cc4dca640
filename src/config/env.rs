//! Variables and options as layers: one layer for each, so that every value keeps the name of what set it.
//!
//! This is the only place that reads the process's environment; everything else gets it as a table. `HOOKPOOL_`
//! variables are all checked, since a name that nobody knows is a setting that silently does nothing; those that
//! handlers get are never settings. Other prefixes are left alone but for the known older names.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use toml::de::DeValue;

use super::layer::{Key, Layer, Place, Walk, hint_for_unknown};
use super::nearest::nearest;
use super::problem::{Origin, Problems, Severity, quoted, shown, told};
use super::registry::{self, LEGACY};
use super::source::Spot;
use super::value::Bare;

/// An environment: variables by name.
pub(super) type Environment = BTreeMap<OsString, OsString>;

const PREFIX: &str = "HOOKPOOL_";

/// What handlers get: no settings, and nothing that concerns the handlers of another hookpool.
const OF_HANDLERS: &[&str] = &[
    "HOOKPOOL_HOOK",
    "HOOKPOOL_KIND",
    "HOOKPOOL_EVENT",
    "HOOKPOOL_SESSION",
    "HOOKPOOL_JOB",
    "HOOKPOOL_INSTANCE",
    "HOOKPOOL_ATTEMPT",
    "HOOKPOOL_DEADLINE_MS",
    "HOOKPOOL_DEPTH",
    "HOOKPOOL_POOL_ID",
];

/// The environment of this process.
#[expect(clippy::disallowed_methods, reason = "this is the configuration loader")]
pub(super) fn process_environment() -> Environment {
    std::env::vars_os().collect()
}

/// What handlers inherit: the environment of this process, and how many hookpools are above it. If this process is
/// itself below a handler, what that one was told stays behind.
///
/// A depth that is no number counts as none, and one that is too large as the largest: it is the guard against endless
/// nesting, not a setting.
pub(crate) fn inherited_environment() -> (Vec<(OsString, OsString)>, u32) {
    for_handlers(process_environment())
}

fn for_handlers(mut environment: Environment) -> (Vec<(OsString, OsString)>, u32) {
    let depth = environment.get(OsStr::new("HOOKPOOL_DEPTH")).and_then(|depth| depth.to_str());
    let depth = depth.filter(|depth| !depth.is_empty() && depth.bytes().all(|digit| digit.is_ascii_digit()));
    let depth = depth.map_or(0, |depth| depth.parse().unwrap_or(u32::MAX));
    environment.retain(|name, _| !OF_HANDLERS.iter().any(|reserved| name == reserved));
    (environment.into_iter().collect(), depth)
}

/// The session that this process belongs to, if somebody has said so. Not `HOOKPOOL_SESSION`: that is the session of
/// the event which a handler above this process was started for.
#[expect(clippy::disallowed_methods, reason = "this is the configuration loader")]
pub(crate) fn inherited_session() -> Option<String> {
    std::env::var_os("CLAUDE_MPM_SESSION_ID").and_then(|id| id.into_string().ok())
}

/// The hooks that can be overridden.
pub(super) struct KnownHooks {
    /// Those that a file defines, sorted.
    pub(super) names: Vec<String>,
    /// False when a file could not be read: then a name that is missing here may stand there.
    pub(super) is_complete: bool,
}

impl KnownHooks {
    /// The key concerns no hook, or one of these.
    pub(super) fn has_hook_of(&self, key: &str) -> bool {
        Key::dotted(key).hook().is_none_or(|hook| self.names.iter().any(|known| known == hook))
    }
}

/// The layers of the older variables.
pub(super) fn legacy_layers(environment: &Environment, problems: &mut Problems) -> Vec<Layer> {
    let mut layers = Vec::new();
    for legacy in LEGACY {
        let Some(value) = environment.get(OsStr::new(legacy.variable)) else { continue };
        if let Some(text) = utf8(legacy.variable, value, problems) {
            let spot = Spot::variable(legacy.variable, text);
            let key = Key::dotted(legacy.key);
            let mut layer = Layer::new(legacy.variable.to_owned());
            assign(&mut layer, &key, text, legacy.bare, spot, problems);
            layers.push(layer);
        }
    }
    layers
}

/// The layer of the `HOOKPOOL_` variables. Where two set the same, the one whose name sorts later wins.
pub(super) fn layer(environment: &Environment, hooks: &KnownHooks, problems: &mut Problems) -> Layer {
    // One layer for all: each layer costs the merge as much as everything below it.
    let mut layer = Layer::new("variables".to_owned());
    for (name, value) in environment {
        let lossy = name.to_string_lossy();
        let Some(rest) = lossy.strip_prefix(PREFIX) else { continue };
        if OF_HANDLERS.contains(&lossy.as_ref()) {
            continue;
        }
        let Some(text) = utf8(&lossy, value, problems) else { continue };
        let spot = Spot::variable(&lossy, text);
        match key_of(rest, hooks) {
            Ok(key) => assign(&mut layer, &key, text, Bare::Seconds, spot, problems),
            Err(_) if problems.is_full() => {}
            Err(Unknown::Hook(hook)) if hooks.is_complete => {
                unknown_hook(&hook, hooks, spot.origin(), problems);
            }
            Err(Unknown::Hook(_)) => {}
            Err(Unknown::Variable) => {
                let hint = hint_for_variable(rest, hooks);
                let message = format!("unknown variable `{}`", shown(&lossy));
                problems.push(spot.origin(), "", Severity::Error, message, hint);
            }
        }
    }
    layer
}

/// The layer of one option that the program was given.
pub(super) fn override_layer(
    name: &str,
    text: &str,
    hooks: &KnownHooks,
    problems: &mut Problems,
) -> Option<Layer> {
    let spot = Spot::Override(Arc::new((name.to_owned(), text.to_owned())));
    let key = Key::dotted(name);
    let found = registry::find(&key.0);
    if let Some(hook) = key.hook()
        && !hooks.names.iter().any(|known| known == hook)
    {
        if hooks.is_complete {
            unknown_hook(hook, hooks, spot.origin(), problems);
        }
        return None;
    }
    // A table of hooks could bring new ones.
    if (found.setting.is_none() && !found.is_table) || key.0 == ["hook"] {
        let message = format!("unknown key `{key}`");
        problems.push(spot.origin(), &key, Severity::Error, message, hint_for_unknown(&key));
        return None;
    }
    let mut layer = Layer::new(name.to_owned());
    assign(&mut layer, &key, text, Bare::Seconds, spot, problems);
    Some(layer)
}

fn unknown_hook(hook: &str, hooks: &KnownHooks, origin: Origin, problems: &mut Problems) {
    let near = nearest(hook, hooks.names.iter().map(String::as_str));
    let hint = near.map(|name| format!("did you mean the hook `{name}`?")).or_else(|| {
        let few = !hooks.names.is_empty() && hooks.names.len() <= 8;
        few.then(|| format!("hooks that files define: {}", hooks.names.join(", ")))
    });
    let message =
        format!("no file defines a hook `{}`, and only hooks of files can be overridden", shown(hook));
    problems.push(origin, format!("hook.{}", shown(hook)), Severity::Error, message, hint);
}

/// Reads the text for the key, which the registry knows, into the layer.
fn assign(layer: &mut Layer, key: &Key, text: &str, bare: Bare, spot: Spot, problems: &mut Problems) {
    let found = registry::find(&key.0);
    let mut walk = Walk::new(layer, problems, Place::Fixed(spot.clone()));
    let looks_like_a_table = text.trim_start().starts_with('{');
    match found.setting {
        Some(setting) if !(found.is_table && looks_like_a_table) => {
            match setting.kind.read_text(text, bare) {
                Ok(value) => {
                    if walk.takes_effect(key, setting, &spot, &spot) {
                        layer.set(key, value, spot);
                    }
                }
                Err(fault) => walk.fault(key, setting, fault, &spot),
            }
        }
        _ => match DeValue::parse(text.trim()) {
            Ok(value) if matches!(value.get_ref(), DeValue::Table(_)) => walk.entry(key, 0, &value),
            _ => {
                let found = told(&key.to_string(), &quoted(text));
                let message = format!("`{key}` must be a table written as in TOML, not {found}");
                let hint = Some("a table is written { key = value }".to_owned());
                problems.push(spot.origin(), key, Severity::Error, message, hint);
            }
        },
    }
}

enum Unknown {
    Variable,
    Hook(String),
}

/// The key that a variable sets, from its name behind the prefix.
fn key_of(rest: &str, hooks: &KnownHooks) -> Result<Key, Unknown> {
    let parts: Vec<&str> = rest.split("__").collect();
    let Some((&first, _)) = parts.split_first() else { return Err(Unknown::Variable) };
    if first.eq_ignore_ascii_case("hook") && parts.len() > 1 {
        return hook_key_of(rest.get("hook__".len()..).unwrap_or(""), hooks);
    }
    let key = Key(parts.iter().map(|part| part.to_ascii_lowercase()).collect());
    let found = registry::find(&key.0);
    let is_known = found.setting.is_some() || found.is_table;
    if is_known && parts.iter().all(|part| !part.is_empty()) { Ok(key) } else { Err(Unknown::Variable) }
}

/// The key within a hook. The hook's name is found among the known ones, since it may end in an underscore.
fn hook_key_of(rest: &str, hooks: &KnownHooks) -> Result<Key, Unknown> {
    let lower = rest.to_ascii_lowercase();
    let is_known = |name: &str| hooks.names.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
    if is_known(&lower) {
        return Err(Unknown::Variable);
    }
    // From behind, since the longest name is meant.
    let ends = (0..lower.len()).rev().filter(|at| lower.is_char_boundary(*at));
    let split = ends
        .filter_map(|at| {
            let (name, rest) = lower.split_at(at);
            Some((name, rest.strip_prefix("__")?))
        })
        .find(|(name, _)| is_known(name));
    let Some((hook, field)) = split else {
        let name = lower.split("__").next().unwrap_or("");
        return Err(Unknown::Hook(name.to_owned()));
    };
    let mut key = Key::new(&["hook", hook]);
    // The user's own names, such as those of variables in `env`, keep their case and their underscores.
    let raw = rest.get(rest.len() - field.len()..).unwrap_or("");
    match (field.split_once("__"), raw.split_once("__")) {
        (Some((table @ ("env" | "headers"), _)), Some((_, own))) if !own.is_empty() => {
            key.0.extend([table.to_owned(), own.to_owned()]);
        }
        _ => key.0.extend(field.split("__").map(str::to_owned)),
    }
    let found = registry::find(&key.0);
    let is_known = found.setting.is_some() || found.is_table;
    if is_known && !key.last().is_empty() { Ok(key) } else { Err(Unknown::Variable) }
}

/// The nearest variable that exists.
fn hint_for_variable(rest: &str, hooks: &KnownHooks) -> Option<String> {
    let own = Key::new(&["hook", "NAME"]);
    let hook_fields = registry::names_below(&own.0);
    let lower = rest.to_ascii_lowercase();
    let of_hooks = hooks
        .names
        .iter()
        // Only the hook that is meant: a file may define many.
        .filter(|name| lower.strip_prefix("hook__").is_some_and(|rest| rest.starts_with(name.as_str())))
        .flat_map(|name| hook_fields.iter().map(move |field| format!("hook__{name}__{field}")));
    let names: Vec<String> =
        registry::plain_keys().iter().map(|key| key.replace('.', "__")).chain(of_hooks).collect();
    let near = nearest(rest, names.iter().map(String::as_str))?;
    Some(format!("did you mean `{PREFIX}{}`?", near.to_ascii_uppercase()))
}

fn utf8<'a>(name: &str, value: &'a OsStr, problems: &mut Problems) -> Option<&'a str> {
    let text = value.to_str();
    if text.is_none() {
        let origin =
            Origin::Variable { name: shown(name), value: shown(&told(name, &value.to_string_lossy())) };
        problems.error(origin, "", format!("the value of `{}` must be UTF-8 text", shown(name)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_hookpool_told_its_handler_is_not_handed_on() {
        let depth_of = |depth: &str| {
            let variables = OF_HANDLERS.iter().map(|name| (OsString::from(name), OsString::from(depth)));
            let own = [("HOME".into(), "/h".into()), ("HOOKPOOL_POOL__WORKERS".into(), "2".into())];
            let (left, depth) = for_handlers(variables.chain(own.clone()).collect());
            assert_eq!(left, own, "settings and everything else stay");
            depth
        };
        assert_eq!(depth_of("3"), 3);
        assert_eq!((depth_of(""), depth_of("-1"), depth_of("many")), (0, 0, 0));
        assert_eq!(depth_of("99999999999999999999"), u32::MAX);
        assert!(OF_HANDLERS.contains(&"HOOKPOOL_JOB") && OF_HANDLERS.contains(&"HOOKPOOL_POOL_ID"));
    }
}
