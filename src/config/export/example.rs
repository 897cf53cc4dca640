//! A `hooks.toml` with every setting, all of it commented out: it means what no file means, and shows what could be said.
//!
//! Lines that begin with `## ` are prose, lines that begin with `# ` are settings: with that mark taken off all of them,
//! the file is still one that can be loaded. A setting that cannot stand beside the others is told in prose.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::super::registry::{Effect, Setting, keys_of, settings};
use super::super::value::{ValueKind, written};
use crate::class::PriorityClass;

const HEAD: &str = "\
## Every setting of hooks.toml. As it stands, this file changes nothing.
##
## A line that begins with two marks explains the setting below it. A line that begins with one is a setting: take the
## mark off, and change its value. A setting that has a default stands here with it; any other has an example.
";

/// The name of the one hook.
const HOOK: &str = "example";

/// A hook has this or `run`.
const URL: &str = "hook.NAME.url";

/// A `hooks.toml` with every setting and its explanation, all of it commented out: a file to begin with.
///
/// It is made from the definitions that read the settings. As it stands it means what an empty file means.
///
/// ```
/// use hookpool::config::{self, ConfigLoader};
/// let text = config::example();
/// assert!(text.contains("\n[pool]\n") && text.contains("\n# workers = 4\n"));
/// assert!(ConfigLoader::new().text("hooks.toml", text).load()?.config.hooks.is_empty());
/// # Ok::<(), hookpool::config::ConfigError>(())
/// ```
#[must_use]
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    let mut tables: Vec<(String, Vec<Entry>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for setting in settings() {
        for key in keys_of(setting, HOOK, sample_name(setting.path)) {
            // A fixed name stands before the pattern that also fits it.
            if !seen.insert(key.clone()) {
                continue;
            }
            let depth = if matches!(key.first().map(String::as_str), Some("hook" | "class")) { 2 } else { 1 };
            let (table, own) = key.split_at(depth.min(key.len().saturating_sub(1)));
            let (table, own) = (dotted(table), dotted(own));
            let entry = Entry { setting, key: own };
            match tables.iter_mut().find(|(name, _)| *name == table) {
                Some((_, entries)) => entries.push(entry),
                None => tables.push((table, vec![entry])),
            }
        }
    }
    let mut explained = BTreeSet::new();
    for (table, entries) in &tables {
        if table.starts_with("hook.") {
            let _ = write!(text, "\n## One table for each hook, under a name of its own.\n# [{table}]\n");
        } else if !table.is_empty() {
            let _ = write!(text, "\n[{table}]\n");
        }
        for entry in entries {
            entry.write(&mut text, explained.insert(entry.setting.path));
        }
    }
    text
}

/// A setting in its table.
struct Entry {
    setting: &'static Setting,
    /// Within the table.
    key: String,
}

impl Entry {
    fn write(&self, text: &mut String, explain: bool) {
        let Self { setting, key } = self;
        let is_told = is_told(setting);
        if explain {
            let note = match setting.effect {
                Effect::Acts => "",
                Effect::Nothing => " Checked, and without effect on this system.",
                Effect::Unsupported => " Not supported by this build.",
            };
            let default = if setting.default.is_some() || is_told { "" } else { "; not set by default" };
            let name = if is_told { format!("{key}: ") } else { String::new() };
            let _ = write!(text, "\n## {name}{}{note}\n", setting.doc);
            let _ = writeln!(text, "## Value: {}{default}.", setting.kind.allowed());
            if setting.path == URL {
                let _ = writeln!(text, "## In place of `run`: {key} = \"https://hooks.example.com/audit\"");
            }
        }
        if !is_told {
            let value = setting.default.map_or_else(|| sample(setting), str::to_owned);
            let _ = writeln!(text, "# {key} = {value}");
        }
    }
}

/// True if it cannot stand beside the others: it is told in prose alone.
fn is_told(setting: &Setting) -> bool {
    let stands_for_another = matches!(setting.kind, ValueKind::Off) || setting.path == URL;
    stands_for_another || setting.effect == Effect::Unsupported
}

/// Key parts with dots between them, quoted where they must be.
fn dotted(parts: &[String]) -> String {
    parts.iter().map(|part| written::key(part)).collect::<Vec<_>>().join(".")
}

/// A name where the names are the user's own.
fn sample_name(path: &str) -> &'static str {
    match path {
        "hook.NAME.where.ANY" => "tool_input.subagent_type",
        "hook.NAME.headers.ANY" => "X-Team",
        _ => "LOG_LEVEL",
    }
}

/// A value for a setting without default: what it comes to when nothing is said, or a plausible one.
fn sample(setting: &Setting) -> String {
    let value = match setting.path {
        "class.CLASS.ceiling" | "hook.NAME.max_events" => "1000",
        "class.CLASS.seats" => "5",
        "dead_letters.file" => "\"dead.jsonl\"",
        "redact.patterns" => "[\"badge-(?<secret>[0-9]+)\"]",
        "hook.NAME.on" => "[\"pre_tool\", \"post_tool\"]",
        "hook.NAME.match.tool" => "\"Bash|Edit\"",
        "hook.NAME.where.ANY" => "\"explorer\"",
        "hook.NAME.run" => "\"cat > /dev/null\"",
        "hook.NAME.headers.ANY" => "\"tools\"",
        "hook.NAME.enabled" => "true",
        "hook.NAME.grace" => "\"500ms\"",
        "class.CLASS.max_wait" | "hook.NAME.max_wait" | "hook.NAME.breaker.cooldown" => "\"30s\"",
        "hook.NAME.max_output" => "\"64kB\"",
        "hook.NAME.cwd" => "\"${config_dir}\"",
        "hook.NAME.env.ANY" => "\"info\"",
        "hook.NAME.batch.size" => "10",
        "hook.NAME.batch.linger" => "\"100ms\"",
        "hook.NAME.batch.timeout_per_item" => "\"200ms\"",
        "hook.NAME.batch.timeout_max" => "\"1m\"",
        "hook.NAME.max_age" => "\"1h\"",
        "hook.NAME.retry.attempts" => "3",
        "hook.NAME.retry.backoff" => "\"1s\"",
        "hook.NAME.breaker.max_cooldown" => "\"5m\"",
        "hook.NAME.limits.memory" => "\"512MB\"",
        "hook.NAME.limits.cpu" => "\"10s\"",
        "hook.NAME.limits.files" => "256",
        _ => return of_kind(setting.kind),
    };
    value.to_owned()
}

/// A value of the kind.
fn of_kind(kind: ValueKind) -> String {
    let list = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| written::text(name)).collect();
        format!("[{}]", names.join(", "))
    };
    match kind {
        ValueKind::Boolean | ValueKind::BooleanOrList => "false".to_owned(),
        ValueKind::Integer { min, max } => max.min(min.max(4)).to_string(),
        ValueKind::Workers { .. } => "4".to_owned(),
        ValueKind::Ratio => "0.5".to_owned(),
        ValueKind::Duration { .. } => written::text("2s"),
        ValueKind::Size { min } => written::text(&written::size(min.max(1_000_000))),
        ValueKind::Choice { names, .. } => written::text(names.first().copied().unwrap_or_default()),
        ValueKind::Choices(names) => list(names),
        ValueKind::Class => written::text(PriorityClass::Normal.name()),
        ValueKind::Off => written::text("off"),
        ValueKind::Text { .. } | ValueKind::Command | ValueKind::Scalar => written::text("text"),
        ValueKind::TextList => list(&["one", "two"]),
        ValueKind::BatchKey => written::text("hook"),
    }
}
