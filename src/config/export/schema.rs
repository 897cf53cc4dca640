//! The JSON Schema of a `hooks.toml`, for editors: names, types, ranges and spellings, with explanations and defaults.
//!
//! Invariant: it accepts every value that the program accepts. It is made for one file, which may override a single
//! field of a hook of another file; so it asks for no key, and what two settings must have in common is not in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::registry::{Effect, Setting, names_of, settings};
use super::super::value::ValueKind;
use super::super::value::quantity::{MAX_BYTES, MAX_NANOS, TIME_UNITS};
use crate::class::PriorityClass;

/// [`HookName`](crate::hook::HookName), as an expression.
const HOOK_NAME: &str = "^[a-z][a-z0-9]*(?:_[a-z0-9]+)*_?$";

/// A decimal number.
const NUMBER: &str = "[0-9]+(?:_[0-9]+)*(?:\\.[0-9]+)?";

/// Text without NUL.
const NO_NUL: &str = "^[^\\u0000]*$";

/// The JSON Schema (draft 2020-12) of a configuration file, for editors that complete and check as one types.
///
/// It is made from the definitions that read the settings, and accepts every file that they accept. What only the whole
/// configuration can tell (a hook without `run`, a pattern that is none, a limit above another) is left to
/// [`ConfigLoader::check`](crate::config::ConfigLoader::check).
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(&hookpool::config::schema())?;
/// assert_eq!(schema["properties"]["pool"]["properties"]["standby"]["maximum"], 64);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn schema() -> String {
    let mut root = Node::default();
    for setting in settings() {
        root.add(&setting.path.split('.').collect::<Vec<_>>(), setting);
    }
    let mut schema = root.table();
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), "hooks.toml of hookpool".into());
    format!("{:#}\n", Json::Object(schema))
}

/// A key: a value, a table, or either.
#[derive(Default)]
struct Node {
    setting: Option<&'static Setting>,
    names: BTreeMap<&'static str, Node>,
    /// Below any name of a hook.
    hooks: Option<Box<Node>>,
    /// Below any name.
    any: Option<Box<Node>>,
}

impl Node {
    fn add(&mut self, path: &[&'static str], setting: &'static Setting) {
        match path {
            // A fixed name stands before the pattern that also fits it.
            [] => _ = self.setting.get_or_insert(setting),
            ["NAME", rest @ ..] => self.hooks.get_or_insert_default().add(rest, setting),
            ["ANY", rest @ ..] => self.any.get_or_insert_default().add(rest, setting),
            [part, rest @ ..] => {
                for name in names_of(part) {
                    self.names.entry(name).or_default().add(rest, setting);
                }
            }
        }
    }

    fn schema(&self) -> Json {
        let is_table = !self.names.is_empty() || self.hooks.is_some() || self.any.is_some();
        match self.setting {
            Some(setting) if is_table => {
                json!({ "description": setting.doc, "anyOf": [self.table(), of_kind(setting.kind)] })
            }
            Some(setting) => value(setting),
            None => self.table().into(),
        }
    }

    fn table(&self) -> Map<String, Json> {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        if !self.names.is_empty() {
            let names = self.names.iter().map(|(name, node)| ((*name).to_owned(), node.schema()));
            schema.insert("properties".to_owned(), names.collect::<Map<_, _>>().into());
        }
        if let Some(hook) = &self.hooks {
            schema.insert("patternProperties".to_owned(), json!({ HOOK_NAME: hook.schema() }));
        }
        let other = self.any.as_ref().map_or(Json::Bool(false), |any| any.schema());
        schema.insert("additionalProperties".to_owned(), other);
        schema
    }
}

/// The schema of a setting's value.
fn value(setting: &Setting) -> Json {
    let note = match setting.effect {
        Effect::Acts => "",
        Effect::Nothing => " Checked, and without effect on this system.",
        Effect::Unsupported => " Not supported by this build.",
    };
    let mut schema = match setting.effect {
        Effect::Unsupported => json!({ "not": {} }),
        Effect::Acts | Effect::Nothing => of_kind(setting.kind),
    };
    if let Json::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), format!("{}{note}", setting.doc).into());
        if let Some(default) = setting.default.and_then(parsed) {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}

/// A default, as it is written in TOML, as JSON.
fn parsed(default: &str) -> Option<Json> {
    let table: toml::Table = toml::from_str(&format!("value = {default}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

fn of_kind(kind: ValueKind) -> Json {
    match kind {
        ValueKind::Boolean => json!({ "type": "boolean" }),
        ValueKind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        ValueKind::Workers { max } => json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": max },
            { "type": "string", "pattern": "^(?:auto|[0-9]+(?:_[0-9]+)*)$" },
        ] }),
        ValueKind::Ratio => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        ValueKind::Duration { zero, off } => duration(zero, off),
        ValueKind::Size { min } => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": MAX_BYTES },
            text_with_number(&format!("{NUMBER}\\s*(?:[KkMmGg]?[Bb]|[KkMmGg][Ii][Bb])?"), min == 0),
        ] }),
        ValueKind::Choice { names, .. } => json!({ "enum": names }),
        ValueKind::Choices(names) => json!({ "type": "array", "items": { "enum": names } }),
        ValueKind::Class => json!({ "enum": PriorityClass::ALL.map(PriorityClass::name) }),
        ValueKind::Off => json!({ "const": "off" }),
        ValueKind::Text { empty } => {
            json!({ "type": "string", "minLength": u8::from(!empty), "pattern": NO_NUL })
        }
        ValueKind::TextList => json!({ "anyOf": [
            { "type": "string", "minLength": 1, "pattern": NO_NUL },
            { "type": "array", "minItems": 1, "items": { "type": "string", "pattern": NO_NUL } },
        ] }),
        ValueKind::Command => json!({ "anyOf": [
            { "type": "string", "pattern": NO_NUL, "allOf": [{ "pattern": "\\S" }] },
            {
                "type": "array",
                "minItems": 1,
                "prefixItems": [{ "type": "string", "minLength": 1, "pattern": NO_NUL }],
                "items": { "type": "string", "pattern": NO_NUL },
            },
        ] }),
        ValueKind::BooleanOrList => json!({ "anyOf": [
            { "type": "boolean" },
            { "type": "array", "items": { "type": "string", "pattern": NO_NUL } },
        ] }),
        ValueKind::BatchKey => json!({ "type": "string", "pattern": "^(?:hook|session|field:.+)$" }),
        ValueKind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
    }
}

fn duration(zero: bool, off: bool) -> Json {
    let units: Vec<_> = TIME_UNITS.iter().map(|(unit, _)| *unit).collect();
    let part = format!("{NUMBER}\\s*(?:{})", units.join("|"));
    let text = text_with_number(&format!("(?:{NUMBER}|{part}(?:\\s*{part})*)"), zero);
    let least = if zero { "minimum" } else { "exclusiveMinimum" };
    let mut ways = vec![json!({ "type": "number", least: 0, "maximum": MAX_NANOS / 1_000_000_000 }), text];
    ways.extend(off.then(|| json!({ "const": "off" })));
    json!({ "anyOf": ways })
}

/// Text of this form, with a digit above 0 in it unless `zero` is allowed.
fn text_with_number(form: &str, zero: bool) -> Json {
    let mut schema = json!({ "type": "string", "pattern": format!("^\\s*{form}\\s*$") });
    if let (false, Json::Object(schema)) = (zero, &mut schema) {
        schema.insert("allOf".to_owned(), json!([{ "pattern": "[1-9]" }]));
    }
    schema
}
