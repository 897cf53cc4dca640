//! The examples run, and show what they say.

#![expect(clippy::unwrap_used, reason = "a test panics when it cannot look")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the examples, which are up to date: cargo builds them here, where this test was built.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--offline", "--examples", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if !cfg!(feature = "cli") {
            cargo.arg("--no-default-features");
        }
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the examples cannot be built");
        profile.join("examples")
    })
}

fn output_of(example: &str) -> String {
    let output = Command::new(built().join(example)).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{example}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{example} complains");
    text(&output.stdout)
}

#[test]
fn embed_asks_a_guard_and_waits_for_nothing_else() {
    let output = output_of("embed");
    let steps: Vec<_> = output.lines().take(4).collect();
    assert_eq!(
        steps,
        ["Read notes.md: done", "Bash ls: done", "Bash rm -rf /: denied", "Task explorer: done"],
        "{output}"
    );
    let count = |line: &str| output.lines().filter(|other| *other == line).count();
    assert_eq!(count("guard PreToolUse: succeeded"), 4, "{output}");
    assert_eq!((count("audit PreToolUse: succeeded"), count("audit PostToolUse: succeeded")), (4, 3));
    assert_eq!(output.lines().filter(|line| line.starts_with("delegations ")).count(), 2, "{output}");
    assert!(output.ends_with("13 submitted, balanced: true\n"), "{output}");
}

#[test]
fn rust_handlers_stand_beside_commands() {
    assert_eq!(
        output_of("rust_handler"),
        "Read: policy PreToolUse: succeeded\n\
         Bash: policy PreToolUse: failed: no shell in this project\n\
         tools: {\"Edit\": 1, \"Read\": 2}\n\
         policy: 2 jobs\ntools: 3 jobs\nshell: 1 jobs\nbalanced: true\n"
    );
}

#[test]
fn a_delegation_of_a_higher_class_goes_first() {
    assert_eq!(
        output_of("delegation_first"),
        "normal: the delegation is number 21 of 21\n  high: the delegation is number 2 of 21\n"
    );
}

#[test]
fn tuning_shows_the_waits_of_each_size() {
    let output = output_of("tuning");
    let number = |text: &str| text.parse::<f64>().unwrap();
    let rows: Vec<Vec<_>> = output.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    let sizes: Vec<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(sizes, ["1", "2", "4", "8", "16"], "{output}");
    // One worker needs 64 times 5 ms by the clock, sixteen need four times.
    assert!(number(rows[0][1]) > number(rows[4][1]), "{output}");
}
