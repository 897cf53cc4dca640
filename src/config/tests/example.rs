//! The generated example: it changes nothing as it stands, and all that it shows can be said.

use super::super::registry::{Effect, settings};
use super::super::value::ValueKind;
use super::texts;
use crate::config::{Config, ConfigLoader, QueueSettings, example};

/// The example with the mark taken off every setting.
pub(super) fn with_everything_set() -> String {
    let lines = example();
    let lines = lines.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn without_hooks(config: &Config) -> String {
    format!("{:#?}", Config { hooks: Vec::new(), files: Vec::new(), ..config.clone() })
}

#[test]
fn as_it_stands_it_changes_nothing() {
    let loader = ConfigLoader::new();
    let checked = loader.clone().text("hooks.toml", example()).check();
    assert_eq!(texts(&checked.problems), [""; 0]);
    let commented = loader.clone().text("hooks.toml", example()).load().unwrap().config;
    assert!(commented.hooks.is_empty());
    assert_eq!(without_hooks(&commented), without_hooks(&loader.load().unwrap().config));
}

#[test]
fn every_line_of_it_can_be_said_at_once() {
    let loaded = ConfigLoader::new().text("hooks.toml", with_everything_set()).load();
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}\n{}", with_everything_set()));
    assert_eq!(loaded.config.hooks.len(), 1);
    // The defaults that it shows are those that hold; but a `max_wait` that is set is obeyed by a replay, too.
    let bare = ConfigLoader::new().load().unwrap().config;
    assert_eq!(loaded.config.queue.max_wait.limit, bare.queue.max_wait.limit);
    let queue = QueueSettings { max_wait: bare.queue.max_wait, ..loaded.config.queue };
    let same = Config {
        queue,
        classes: bare.classes,
        priority: bare.priority,
        redactor: bare.redactor.clone(),
        dead_letters: None,
        ..loaded.config
    };
    assert_eq!(without_hooks(&same), without_hooks(&bare));
}

#[test]
fn every_line_of_it_can_be_said_alone() {
    let text = example();
    let (all, hook) = text.split_once("\n# [hook.example]\n").unwrap();
    let lines: Vec<&str> = all.lines().collect();
    let mut count = 0;
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("# ")) {
        let mut lines = lines.clone();
        lines[place] = line.trim_start_matches("# ");
        let loaded = ConfigLoader::new().text("hooks.toml", lines.join("\n")).load();
        assert!(loaded.is_ok(), "{line}: {loaded:?}");
        count += 1;
    }
    for line in hook.lines().filter_map(|line| line.strip_prefix("# ")) {
        let needed = ["on =", "run ="].iter().any(|needed| line.starts_with(needed));
        let line = if needed { "" } else { line };
        let text = format!("[hook.example]\non = ['stop']\nrun = 'true'\n{line}\n");
        let loaded = ConfigLoader::new().text("hooks.toml", text).load();
        assert!(loaded.is_ok(), "{line}: {loaded:?}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn every_setting_occurs_in_it() {
    let table: toml::Table = toml::from_str(&with_everything_set()).unwrap();
    let has = |path: &str| {
        let mut here = vec![toml::Value::Table(table.clone())];
        for part in path.split('.') {
            let is_any = matches!(part, "NAME" | "ANY" | "CLASS" | "KIND");
            let entries = here.iter().filter_map(toml::Value::as_table).flatten();
            here =
                entries.filter(|(name, _)| is_any || *name == part).map(|(_, value)| value.clone()).collect();
        }
        !here.is_empty()
    };
    let text = example();
    for setting in settings() {
        assert!(text.contains(setting.doc), "{}", setting.path);
        let stands_for_another = matches!(setting.kind, ValueKind::Off) || setting.path == "hook.NAME.url";
        let is_told = stands_for_another || setting.effect == Effect::Unsupported;
        assert!(is_told || has(setting.path), "{} does not occur", setting.path);
    }
    assert!(!has("pool.wrokers") && !has("hook.NAME.timout"));
}
