//! The generated schema, asked by a validator: it accepts what the program accepts, and rejects what it can.

use std::path::{Path, PathBuf};

use boon::{Compiler, Draft, Schemas};
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::super::registry::{Effect, keys_of, settings};
use super::super::value::ValueKind;
use super::example::with_everything_set;
use crate::config::{ConfigLoader, schema};

struct Validator(Schemas, boon::SchemaIndex);

impl Validator {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler.add_resource("hooks.schema.json", serde_json::from_str(&schema()).unwrap()).unwrap();
        let index = compiler.compile("hooks.schema.json", &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn verdict(&self, document: &Json) -> Result<(), String> {
        self.0.validate(document, self.1).map_err(|error| format!("{error:#}"))
    }

    fn of_toml(&self, text: &str) -> Result<(), String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        self.verdict(&serde_json::to_value(table).unwrap())
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn good_files_are_accepted_by_both() {
    let validator = Validator::new();
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let everything = ConfigLoader::new().file(path("config/demo/hooks.toml")).load().unwrap().to_toml(true);
    for text in [
        read("config/hooks.toml"),
        read("config/demo/hooks.toml"),
        read("tests/fixtures/config/product.toml"),
        with_everything_set(),
        everything,
        "[hook.of_another_file_]\ntimeout = '5s'\n".to_owned(),
    ] {
        validator.of_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let alone = !text.contains("of_another_file_");
        assert_eq!(ConfigLoader::new().text("hooks.toml", &text).load().is_ok(), alone, "{text}");
    }
}

/// What a schema can say of the files of `tests/fixtures/check`. It can say nothing of a file that is no TOML, of
/// what two settings must have in common, and of what is in the way on one machine.
const REJECTED: [&str; 10] = [
    "address_of_no_service",
    "bad_choice",
    "bad_duration",
    "bad_hook_name",
    "bad_size",
    "out_of_range",
    "unknown_key",
    "unknown_key_of_a_hook",
    "unknown_key_that_stands_elsewhere",
    "wrong_type",
];

#[test]
fn wrong_files_are_rejected_by_both() {
    let validator = Validator::new();
    let mut rejected = Vec::new();
    for entry in std::fs::read_dir(path("tests/fixtures/check")).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        if file.extension().is_none_or(|end| end != "toml") || toml::from_str::<toml::Table>(&text).is_err() {
            continue;
        }
        if validator.of_toml(&text).is_err() {
            assert!(ConfigLoader::new().text("hooks.toml", &text).load().is_err(), "{}", file.display());
            rejected.push(file.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    rejected.sort_unstable();
    assert_eq!(rejected, REJECTED);
}

/// Values of every sort, as TOML writes them.
const VALUES: &[&str] = &[
    "true",
    "false",
    "0",
    "1",
    "-1",
    "4",
    "64",
    "65",
    "256",
    "257",
    "320",
    "321",
    "1024",
    "1025",
    "10000",
    "10001",
    "32767",
    "32768",
    "1000000",
    "1000001",
    "2592000",
    "2592001",
    "1099511627776",
    "1099511627777",
    "0.0",
    "0.5",
    "-0.5",
    "1.5",
    "1e300",
    "\"\"",
    "\" \"",
    "\"x\"",
    "\"off\"",
    "\"auto\"",
    "\"5\"",
    "\"0\"",
    "\" 5 \"",
    "\"1_000\"",
    "\"1__0\"",
    "\"2s\"",
    "\"0s\"",
    "\"-2s\"",
    "\"1m 30s\"",
    "\"1m30s\"",
    "\"2 s\"",
    "\"2s 3\"",
    "\"1.5h\"",
    "\".5s\"",
    "\"2S\"",
    "\"5µs\"",
    "\"2 days\"",
    "\"64MB\"",
    "\"64 mib\"",
    "\"0B\"",
    "\"7b\"",
    "\"64M\"",
    "\"2TB\"",
    "\"64 megs\"",
    "\"high\"",
    "\"hihg\"",
    "\"session\"",
    "\"hook\"",
    "\"field:a.b\"",
    "\"field:\"",
    "\"drop_new\"",
    "\"strict\"",
    "\"single\"",
    "\"kill\"",
    "\"split\"",
    "[]",
    "[\"\"]",
    "[\"a\", \"\"]",
    "[\"failed\"]",
    "[\"failed\", \"x\"]",
    "[1]",
    "[true]",
    "\"a\\u0000b\"",
    "[\"a\\u0000b\"]",
];

/// What the program rejects and no schema can: a range that is written as text, a fraction that is whole.
fn is_beyond_a_schema(kind: ValueKind, value: &str) -> bool {
    match kind {
        ValueKind::Workers { .. } => matches!(value, "\"0\"" | "\"1_000\""),
        ValueKind::Integer { .. } | ValueKind::Size { .. } => value == "0.0",
        _ => false,
    }
}

#[test]
fn a_value_is_accepted_by_both_or_by_none() {
    let validator = Validator::new();
    let (mut accepted, mut disputed) = (0, Vec::new());
    for setting in settings() {
        for value in VALUES {
            let table: toml::Table = toml::from_str(&format!("v = {value}")).unwrap();
            let document = keys_of(setting, "audit", "own")
                .remove(0)
                .iter()
                .rev()
                .fold(serde_json::to_value(&table["v"]).unwrap(), |inner, part| json!({ part: inner }));
            let read = setting.kind.read(&DeValue::parse(value).unwrap());
            let is_right = read.is_ok() && setting.effect != Effect::Unsupported;
            let verdict = validator.verdict(&document);
            let agrees = verdict.is_ok() == is_right;
            let excused = verdict.is_ok() && is_beyond_a_schema(setting.kind, value);
            if !agrees && !excused {
                disputed.push(format!("{} = {value}: {read:?}, {verdict:?}", setting.path));
            }
            accepted += u32::from(is_right);
        }
    }
    assert!(disputed.is_empty(), "{}", disputed.join("\n"));
    assert!(accepted > 500, "{accepted}");
}

#[test]
fn defaults_and_explanations_are_in_it() {
    let schema: Json = serde_json::from_str(&schema()).unwrap();
    let of = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
    assert_eq!(of("/$schema"), "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(of("/properties/queue/properties/max_wait/default"), "30s");
    assert_eq!(of("/properties/queue/properties/capacity/description"), "Jobs that may wait.");
    assert_eq!(of("/properties/priority/properties/delegation/default"), "high");
    assert_eq!(of("/properties/pool/additionalProperties"), false);
    let text = schema.to_string();
    for setting in settings() {
        let doc = json!(setting.doc).to_string();
        assert!(text.contains(doc.trim_matches('"')), "{}", setting.path);
    }
}
