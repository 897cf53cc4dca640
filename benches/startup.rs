//! What the program costs before its first submit: `hookpool run` of one event that no hook wants, beside `/bin/true`.
//!
//!     cargo bench --bench startup
//!
//! The whole process is timed, its end and its report included, so the figure is above what is asked for.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its table, and panics when it cannot measure"
)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 40;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("hooks.toml");
    std::fs::write(&config, "[hook.a]\non = ['stop']\nrun = 'true'\n").unwrap();
    let (mut program, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        nothing.push(time(&mut Command::new("/bin/true")));
        let mut run = Command::new(env!("CARGO_BIN_EXE_hookpool"));
        program.push(time(run.arg("run").arg("--config").arg(&config).arg("-")));
    }
    let (program, nothing) = (median(program), median(nothing));
    println!("start, one event, no hook for it, report, end: medians of {ROUNDS} alternating rounds");
    println!("hookpool run  {program:>12?}");
    println!("/bin/true     {nothing:>12?}");
    println!("difference    {:>12?}", program.saturating_sub(nothing));
}

fn time(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // `true` may be gone already.
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Bash\"}\n");
    assert!(child.wait().unwrap().success());
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
