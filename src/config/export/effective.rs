//! The effective configuration as `hooks.toml`: read back, in whatever folder, it means the same.
//!
//! Defaults are written too, so that everything that holds can be seen; but for the one default that means something
//! else when it is written. Keys that are not set anywhere and have no default are left out. What a hook's folder
//! decides is written out: `cwd` always, and `${config_dir}` as the folder that it stands for. `${env:NAME}` is never
//! filled in, and what a variable of hookpool says of a command or of its variables is written as one, so that no secret
//! is shown that does not stand in a file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::super::layer::Key;
use super::super::loaded::{EffectiveValue, Loaded};
use super::super::problem::{Origin, shown};
use super::super::registry::{self, Setting, settings};
use super::super::source::Spot;
use super::super::value::{ValueKind, written};
use crate::hook::Hook;

/// Widest line that the comments of its table are aligned to.
const WIDTH: usize = 60;

/// A built-in value that would mean more if it were written: a replay obeys it only if it was set.
const NOT_THE_SAME_WHEN_WRITTEN: &str = "queue.max_wait";

/// Settings in which names are filled in.
const FILLED: [&str; 4] = ["hook.NAME.run", "hook.NAME.url", "hook.NAME.env.ANY", "hook.NAME.headers.ANY"];

/// Those of them that are secrets where a variable sets them: its name is written in place of its value.
const SECRET: [&str; 3] = ["hook.NAME.url", "hook.NAME.headers.ANY", "hook.NAME.env.ANY"];

/// Hooks stand behind every other table.
const HOOKS: usize = 1000;

const CWD: &str = "hook.NAME.cwd";

/// The place of a line in its table, the line, and what set the value.
type Placed = (usize, String, String);

/// One value, and what set it.
struct Line {
    value: String,
    origin: String,
    /// It is a comment: to write it would change what it means.
    is_silent: bool,
}

impl Loaded {
    /// The effective configuration as TOML, which means the same when it is loaded; with `origins` each value is
    /// followed by a comment that names the file and line, or the variable, that set it.
    ///
    /// Every default is written. Values with `${env:NAME}` are written as they are and not filled in.
    ///
    /// ```
    /// use hookpool::config::ConfigLoader;
    /// let loaded = ConfigLoader::new().text("hooks.toml", "[pool]\nworkers = 2\n").load()?;
    /// let text = loaded.to_toml(true);
    /// assert!(text.contains("\n[pool]\nworkers = 2           # hooks.toml:2\n"), "{text}");
    /// assert_eq!(ConfigLoader::new().text("copy.toml", text).load()?.config.pool, loaded.config.pool);
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn to_toml(&self, origins: bool) -> String {
        let position = |path: &str| settings().position(|setting| setting.path == path).unwrap_or(0);
        let hooks: BTreeMap<&str, usize> =
            self.config.hooks.iter().enumerate().map(|(index, hook)| (hook.name.as_str(), index)).collect();
        // By place and name: the lines with their places, each with what set it.
        let mut tables: BTreeMap<(usize, String), Vec<Placed>> = BTreeMap::new();
        let mut add = |rank: usize, key: &Key, line: Line| {
            let first = key.0.first().map_or("", String::as_str);
            let depth = if matches!(first, "hook" | "class") { 2 } else { 1 };
            let (table, own) = key.0.split_at(depth.min(key.0.len().saturating_sub(1)));
            // Tables stand as in the registry, and hooks in the order of their declaration, which counts.
            let place = match table {
                [] => 0,
                [_, hook] if first == "hook" => HOOKS + hooks.get(hook.as_str()).copied().unwrap_or(0),
                _ => {
                    1 + settings().position(|other| other.path.split('.').next() == Some(first)).unwrap_or(0)
                }
            };
            let mark = if line.is_silent { "# " } else { "" };
            let text = format!("{mark}{} = {}", dotted(own), line.value);
            tables.entry((place, dotted(table))).or_default().push((rank, text, line.origin));
        };
        for value in self.effective.values.values() {
            let Some(setting) = registry::find(&value.key.0).setting else { continue };
            if setting.path != CWD {
                add(position(setting.path), &value.key, self.line(setting, value));
            }
        }
        for hook in &self.config.hooks {
            let key = Key::new(&["hook", hook.name.as_str(), "cwd"]);
            if let Some(line) = self.folder(hook, &key) {
                add(position(CWD), &key, line);
            }
        }
        let mut text = String::new();
        for ((_, table), mut lines) in tables {
            if !table.is_empty() {
                let _ = writeln!(text, "\n[{table}]");
            }
            lines.sort_by_key(|(rank, ..)| *rank);
            let widths = lines.iter().map(|(_, line, _)| line.chars().count());
            let width = widths.filter(|width| *width <= WIDTH).max().unwrap_or(0);
            for (_, line, origin) in lines {
                let _ = if origins {
                    writeln!(text, "{line:width$}  # {origin}")
                } else {
                    writeln!(text, "{line}")
                };
            }
        }
        text
    }

    fn line(&self, setting: &Setting, value: &EffectiveValue) -> Line {
        let of_hook = || self.effective.dirs.get(value.key.hook()?).map(PathBuf::as_path);
        let dir = value.spot.dir().or_else(of_hook);
        let has_names = FILLED.contains(&setting.path);
        let filled = dir.filter(|_| has_names).and_then(|dir| with_folder(&value.value, dir));
        let is_silent = setting.path == NOT_THE_SAME_WHEN_WRITTEN && matches!(value.spot, Spot::BuiltIn);
        // The built-in limit of one event follows the limit of all.
        let limit =
            (setting.path == "queue.max_event_bytes").then(|| self.config.queue.max_event_bytes.into());
        let told = match &value.spot {
            Spot::Variable(pair) if SECRET.contains(&setting.path) => Some(pair.0.clone()),
            _ => variable_of(value).filter(|_| has_names),
        };
        let told = told.map(|name| format!("${{env:{name}}}").into());
        let text = written::value(setting.kind, told.or(filled).or(limit).as_ref().unwrap_or(&value.value));
        Line { value: text, origin: origin(&value.spot), is_silent }
    }

    /// The working directory of a command; as it was written when it is no text, or no command's.
    fn folder(&self, hook: &Hook, key: &Key) -> Option<Line> {
        let set = self.effective.values.get(&key.to_string());
        let as_written = || set.map(|value| written::value(ValueKind::Text { empty: false }, &value.value));
        let cwd = hook.handler.command().and_then(|command| command.cwd.to_str());
        let found = cwd.map(|path| written::text(&self.unfilled(set, path).unwrap_or_else(|| escaped(path))));
        let origin = set.map_or_else(|| "the folder of its file".to_owned(), |value| origin(&value.spot));
        Some(Line { value: found.or_else(as_written)?, origin, is_silent: false })
    }

    /// A folder with variables in its name as it was written, but for the folder that it starts from. `None`: it has
    /// none, or stands below that folder without a word about it.
    fn unfilled(&self, set: Option<&EffectiveValue>, path: &str) -> Option<String> {
        let value = set?;
        let text = value.value.as_str().filter(|text| text.contains("${env:"))?;
        let dir =
            value.spot.dir().or_else(|| self.effective.dirs.get(value.key.hook()?).map(PathBuf::as_path))?;
        let filled = with_folder(&value.value, dir)?.as_str()?.to_owned();
        if filled.starts_with('/') || !Path::new(path).starts_with(dir) {
            Some(filled)
        } else if text.starts_with("${env:") {
            None
        } else {
            Some(format!("{}/{filled}", escaped(dir.to_str()?)))
        }
    }
}

/// Key parts with dots between them, quoted where they must be.
fn dotted(parts: &[String]) -> String {
    parts.iter().map(|part| written::key(part)).collect::<Vec<_>>().join(".")
}

/// What set the value, for a comment.
fn origin(spot: &Spot) -> String {
    match spot.origin() {
        Origin::BuiltIn => "built-in".to_owned(),
        Origin::File { path, position } => {
            let line = position.map_or_else(String::new, |position| format!(":{}", position.line));
            format!("{}{line}", shown(&path.display().to_string()))
        }
        Origin::Variable { name, .. } => name,
        Origin::Override { key, .. } => format!("option {key}"),
    }
}

/// The variable that is the value, where naming it means the same: what the environment holds is not shown.
fn variable_of(value: &EffectiveValue) -> Option<String> {
    match value.spot.origin() {
        Origin::Variable { name, .. } if value.value.as_str().is_some_and(|text| !text.contains("${")) => {
            Some(name)
        }
        _ => None,
    }
}

/// A literal text for a value in which names are filled in.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// The value with `${config_dir}` filled in, if that stands for text.
fn with_folder(value: &Json, dir: &Path) -> Option<Json> {
    const NAME: &str = "${config_dir}";
    // A `$` at the end of the folder's name could make a name of what follows.
    let dir = dir.to_str().filter(|dir| !dir.ends_with('$'))?;
    let fill = |text: &str| {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(NAME) {
            filled.push_str(before);
            filled.push_str(&if before.ends_with('$') { NAME.to_owned() } else { escaped(dir) });
            rest = after;
        }
        filled + rest
    };
    Some(match value {
        Json::String(text) => fill(text).into(),
        Json::Array(items) => {
            items.iter().map(|item| item.as_str().map_or(Json::Null, |text| fill(text).into())).collect()
        }
        _ => return None,
    })
}
