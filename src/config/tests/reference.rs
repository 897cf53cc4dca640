//! `config/reference.md` is made from the registry, so that it says what the program does.

use std::fmt::Write;
use std::path::Path;

use super::super::registry::{Effect, LEGACY, Setting, settings};
use super::super::value::ValueKind;

const HEAD: &str = "\
# Every setting of `hooks.toml`

This file is made from the definitions that read the settings. For a working example see
[`hooks.toml`](hooks.toml); for layers and spellings see the README.

Durations are `\"2s\"`, `\"500ms\"`, `\"1m 30s\"`; a bare number is seconds. Sizes are `\"64MB\"`, `\"64MiB\"`, `\"8kB\"`; a bare
number is bytes. `NAME` is a hook's name, `CLASS` is `critical`, `high`, `normal` or `low`, `KIND` is a kind or group of
events. Every setting but those of a hook that exists nowhere can be given as a variable: `HOOKPOOL_`, then the key in
capitals with `__` for each dot.
";

fn row(setting: &Setting) -> String {
    let note = match setting.effect {
        Effect::Acts => "",
        Effect::Nothing => " *Checked, and without effect on this system.*",
        Effect::Unsupported => " *Not supported by this build.*",
    };
    let note = match setting.kind {
        ValueKind::Choice { later: [_, ..], names } => {
            &*format!(" *Only {} in this version; the others are errors.*", names.join(", "))
        }
        _ => note,
    };
    let default = setting.default.map(|default| format!("`{default}`")).unwrap_or_default();
    let cell = |text: &str| text.replace('|', "\\|");
    format!(
        "| `{}` | {} | {} | {}{note} |",
        setting.path,
        cell(&setting.kind.allowed()),
        cell(&default),
        cell(setting.doc)
    )
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut table = "";
    for setting in settings() {
        let (of, _) = setting.path.split_once('.').unwrap_or(("", setting.path));
        if of != table || text.len() == HEAD.len() {
            let title = match of {
                "" => "The top".to_owned(),
                "hook" => "`[hook.NAME]`".to_owned(),
                "class" => "`[class.CLASS]`".to_owned(),
                table => format!("`[{table}]`"),
            };
            let _ = write!(
                text,
                "\n## {title}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n"
            );
            table = of;
        }
        let _ = writeln!(text, "{}", row(setting));
    }
    text.push_str("\n## Older variables\n\n| variable | setting |\n| --- | --- |\n");
    for legacy in LEGACY {
        let _ = writeln!(text, "| `{}` | `{}` |", legacy.variable, legacy.key);
    }
    text
}

#[test]
#[cfg_attr(not(feature = "http"), ignore = "the reference is that of the program, which has every feature")]
fn the_reference_is_that_of_the_definitions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = reference();
    if std::fs::read_to_string(root.join("config/reference.md")).unwrap_or_default() != made {
        let new = root.join("target/reference.md");
        std::fs::write(&new, made).unwrap();
        panic!("config/reference.md is not up to date; the new one is in {}", new.display());
    }
}
