//! What `hookpool check` costs for a file of a thousand hooks, and what hooks and variables in number add to it.
//!
//!     cargo bench --bench check
//!
//! The whole process is timed. Each row differs from the one that it names in one thing, so the difference is the cost
//! of that; times per hook that grow with the number of hooks would be a fault.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Name, hooks, the pattern of each hook, and whether a variable overrides each one's timeout.
type Row = (&'static str, usize, fn(usize) -> String, bool);

const ROWS: &[Row] = &[
    ("no hook", 0, names, false),
    ("names alone", 1000, names, false),
    ("three patterns", 1000, few, false),
    ("a pattern each", 1000, distinct, false),
    ("names alone", 5000, names, false),
    ("names and variables", 5000, names, true),
];

fn main() {
    // Without `--bench` this is a trial run of the test command.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { 21 } else { 1 };
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> =
        (0..).map(|row: usize| folder.path().join(format!("{row}.toml"))).take(ROWS.len()).collect();
    for (file, (_, hooks, pattern, _)) in files.iter().zip(ROWS) {
        std::fs::write(file, toml(*hooks, *pattern)).unwrap();
    }
    let mut times = vec![Vec::new(); ROWS.len()];
    for _ in 0..rounds {
        for ((file, (_, hooks, _, variables)), times) in files.iter().zip(ROWS).zip(&mut times) {
            times.push(check(file, if *variables { *hooks } else { 0 }));
        }
    }
    println!("hookpool check, whole process: medians of {rounds} alternating rounds");
    for ((name, hooks, ..), times) in ROWS.iter().zip(times) {
        println!("{hooks:>6} hooks, {name:<22}{:>12}", format!("{:.1?}", median(times)));
    }
}

fn names(hook: usize) -> String {
    format!("Tool{hook}|Other{hook}")
}

fn few(hook: usize) -> String {
    ["mcp__.*", "(?i)bash", "(Read|Write).*"][hook % 3].to_owned()
}

fn distinct(hook: usize) -> String {
    format!("mcp__server{hook}__(read|write)_.*")
}

fn toml(hooks: usize, pattern: fn(usize) -> String) -> String {
    let mut text = "[pool]\nworkers = 4\n".to_owned();
    for hook in 0..hooks {
        let pattern = pattern(hook);
        writeln!(
            text,
            "[hook.h{hook}]\non = [\"pre_tool\", \"post_tool\"]\nmatch = {{ tool = '{pattern}' }}\n\
             where = {{ \"tool_input.path\" = \"src/{hook}.rs\" }}\nrun = [\"true\", \"{hook}\"]\ntimeout = \"3s\"\n"
        )
        .unwrap();
    }
    text
}

fn check(file: &Path, variables: usize) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookpool"));
    command.arg("check").arg(file).stdout(Stdio::null());
    command.envs((0..variables).map(|hook| (format!("HOOKPOOL_HOOK__H{hook}__TIMEOUT"), "5s")));
    let begun = Instant::now();
    assert!(command.status().unwrap().success());
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
