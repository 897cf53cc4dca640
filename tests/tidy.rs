//! Rules of the house that a compiler does not check: headers, lengths, who may know whom, and true documents.

#![expect(clippy::unwrap_used, reason = "a test panics when it cannot look")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of the library from the bottom to the top. A module knows those before it, never one behind it.
const LAYERS: &[&str] = &[
    "text",
    "class",
    "kind",
    "time",
    "pattern",
    "redact",
    "event",
    "matcher",
    "hook",
    "process",
    "http",
    "outcome",
    "breaker",
    "metrics",
    "config",
    "recording",
    "scheduler",
    "params",
    "simulate",
    "pool",
    "telemetry",
    "dead_letters",
    "handler",
    "runtime",
    "bench_door",
    "manager",
    "fuzzing",
];

/// Modules that know less than their place in `LAYERS` would allow.
const CLOSED: &[(&str, &[&str])] = &[
    ("scheduler", &["class", "outcome", "time"]),
    ("pool", &["class", "outcome", "time", "scheduler"]),
    ("process", &["hook", "redact"]),
    ("http", &["hook", "process"]),
    ("matcher", &["kind", "event", "pattern"]),
    ("redact", &["pattern"]),
];

/// Lines of a file of the library or the program, tests in it included.
const LONGEST: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

fn complain(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The module of the library that a file belongs to; `None` for the program and the crate's root.
fn module_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).ok()?;
    let first = inside.iter().next()?.to_str()?.trim_end_matches(".rs").to_owned();
    (!["lib", "main", "cli"].contains(&&*first)).then_some(first)
}

#[test]
fn every_file_says_what_it_owns() {
    let bare = sources("src")
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#![doc"));
    complain(bare.map(|(path, _)| format!("{} has no header", path.display())).collect());
}

#[test]
fn no_file_is_too_long_to_have_one_subject() {
    let long = sources("src").into_iter().filter(|(_, text)| text.lines().count() > LONGEST);
    complain(long.map(|(path, _)| format!("{} has more than {LONGEST} lines", path.display())).collect());
}

#[test]
fn modules_know_only_what_lies_below_them() {
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut complaints = Vec::new();
    for (path, text) in sources("src") {
        let Some(module) = module_of(&path) else { continue };
        let Some(own) = rank(&module) else {
            complaints.push(format!("{}: `{module}` is in no layer", path.display()));
            continue;
        };
        let is_test = path.iter().any(|part| part == "tests" || part == "tests.rs");
        // Unit tests at the end of a file may use whatever helps them.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (n, line) in code.enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(other) = rank(&used) else { continue };
                let allowed = CLOSED.iter().find(|(closed, _)| *closed == module);
                let knows = other <= own
                    && allowed.is_none_or(|(_, known)| used == module || known.contains(&&*used));
                if !knows && !is_test {
                    complaints.push(format!(
                        "{}:{}: `{module}` must not know `{used}`",
                        path.display(),
                        n + 1
                    ));
                }
            }
        }
    }
    complain(complaints);
}

#[test]
fn only_the_merge_knows_figment_and_only_the_registry_of_variables_reads_the_environment() {
    let mut complaints = Vec::new();
    for (path, text) in sources("src") {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        if text.contains("figment::")
            && !inside.starts_with("config/merge.rs")
            && !inside.starts_with("config/value")
        {
            complaints.push(format!("{} names figment", path.display()));
        }
        if text.contains("env::var") && inside != Path::new("config/env.rs") {
            complaints.push(format!("{} reads the environment", path.display()));
        }
    }
    complain(complaints);
}

#[test]
fn the_changelog_has_a_place_for_what_comes() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains("## [Unreleased]"));
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo run --release -- run", "cargo test"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
}

#[test]
fn the_architecture_names_every_module() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let missing = LAYERS.iter().filter(|layer| !text.contains(&format!("`{layer}")));
    complain(missing.map(|layer| format!("ARCHITECTURE.md does not name `{layer}`")).collect());
}

/// Dependencies, each with who needs it: the library, the program alone, or tests and benchmarks alone.
type Dependencies = BTreeSet<(&'static str, String)>;

const LIBRARY: &str = "the library";
const PROGRAM: &str = "the program alone";
const DEVELOPMENT: &str = "tests and benchmarks alone";

fn dependencies_of(manifest: &str) -> Dependencies {
    let manifest: toml::Table = manifest.parse().unwrap();
    let features = manifest.get("features").and_then(|features| features.get("cli"));
    let cli = features.and_then(toml::Value::as_array).expect("the program has a feature");
    let is_of_program = |name: &str| cli.iter().any(|item| item.as_str() == Some(&format!("dep:{name}")));
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, target)| target.as_table()).chain([&manifest]);
    let mut found = Dependencies::new();
    for table in tables {
        let names = |key| table.get(key).and_then(toml::Value::as_table).into_iter().flatten();
        for (name, _) in names("dependencies").chain(names("build-dependencies")) {
            found.insert((if is_of_program(name) { PROGRAM } else { LIBRARY }, name.clone()));
        }
        found.extend(names("dev-dependencies").map(|(name, _)| (DEVELOPMENT, name.clone())));
    }
    found
}

/// What the first column of the table of dependencies names. A row may say in front who alone needs what it names, and
/// add a remark to a name.
fn dependencies_explained_in(architecture: &str) -> Dependencies {
    let section = architecture.split("\n## Dependencies\n").nth(1).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows = rows.map_while(|line| line.strip_prefix("| ")?.split_once(" | ").map(|(names, _)| names));
    let mut found = Dependencies::new();
    for row in rows {
        let (alone, names) = row.split_once(" only: ").unwrap_or(("", row));
        let who = match alone {
            "" => LIBRARY,
            "program" => PROGRAM,
            _ => DEVELOPMENT,
        };
        let names = names.split([',', ';']).filter_map(|name| name.split_whitespace().next());
        found.extend(names.map(|name| (who, name.to_owned())));
    }
    found
}

#[test]
fn the_architecture_gives_a_reason_for_every_dependency_and_for_no_other() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let there = dependencies_of(&read("Cargo.toml"));
    let explained = dependencies_explained_in(&read("ARCHITECTURE.md"));
    let unexplained = there.difference(&explained);
    let unexplained = unexplained
        .map(|(who, name)| format!("`{name}`, which {who} needs, has no reason in ARCHITECTURE.md"));
    let absent = explained.difference(&there);
    let absent = absent.map(|(who, name)| {
        format!("ARCHITECTURE.md explains why {who} needs `{name}`; Cargo.toml knows nothing of that")
    });
    complain(unexplained.chain(absent).collect());
}

/// Crates that are ours to replace: who uses the library must not come to depend on them.
const HIDDEN: &[&str] =
    &["clap", "crossbeam_queue", "figment", "httparse", "rayon", "rustix", "rustls", "slab", "toml"];

/// What the text makes public, each up to its body or its end.
fn public_items(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let starts = code.match_indices("pub ").map(|(at, _)| &code[at..]);
    let is_item = |item: &&str| !item.starts_with("pub use") && !item.starts_with("pub mod");
    starts.filter(is_item).map(|item| &item[..item.find(['{', ';', '=']).unwrap_or(item.len())])
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The names that a file has from hidden crates: their own, and what it imports from them.
fn hidden_names(text: &str) -> Vec<&str> {
    let imports = text.split("use ").skip(1).filter_map(|import| import.split(';').next());
    let of_hidden =
        imports.filter(|import| words(import).next().is_some_and(|first| HIDDEN.contains(&first)));
    HIDDEN.iter().copied().chain(of_hidden.flat_map(words)).filter(|name| !name.is_empty()).collect()
}

#[test]
fn public_signatures_name_no_crate_that_is_ours_to_replace() {
    let found = hidden_names("use rayon::{ThreadPool as Threads, iter};\nuse std::fmt;");
    assert!(found.contains(&"Threads") && !found.contains(&"fmt"));
    assert!(
        public_items("pub fn a(\n  b: ThreadPool,\n) {").any(|item| words(item).any(|w| w == "ThreadPool"))
    );
    let mut complaints = Vec::new();
    for (path, text) in sources("src") {
        if module_of(&path).is_none() {
            continue;
        }
        let names = hidden_names(&text);
        for item in public_items(&text) {
            // Fields that follow are items of their own.
            let item = item.split(",\n    pub ").next().unwrap_or(item);
            let shown =
                words(item).find(|word| names.contains(word) && !["std", "fmt", "self"].contains(word));
            if let Some(name) = shown {
                let line = item.lines().next().unwrap_or_default();
                complaints.push(format!("{}: `{line}` shows `{name}`", path.display()));
            }
        }
    }
    complain(complaints);
}
