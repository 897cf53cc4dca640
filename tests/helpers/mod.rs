//! What the tests of the process runner share: how to run a rude handler, and what is left of it.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and a test may panic")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hookpool::process::{Cancel, Limits, Prepared, Run, Runner, WaiterKind};
use hookpool::{CommandLine, CommandSpec, InheritEnv, Leftovers, PerClass, ResourceLimits};

/// Far more than any handler here needs, so that no test depends on the machine's speed.
pub(crate) const AMPLE: Duration = Duration::from_mins(1);
/// A time limit for handlers that never end by themselves.
pub(crate) const SHORT: Duration = Duration::from_millis(700);

pub(crate) const LIMITS: Limits = Limits { timeout: AMPLE, grace: AMPLE, max_output: 64 * 1024, nice: 0 };

/// Both waiters, after seeing to what the portable one needs.
pub(crate) fn waiters() -> [WaiterKind; 2] {
    catch_sigchld();
    [WaiterKind::Pidfd, WaiterKind::Portable]
}

/// Makes `SIGCHLD` caught instead of ignored, as the program does at its start.
pub(crate) fn catch_sigchld() {
    let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGCHLD, flag).unwrap();
}

pub(crate) fn rude(args: &[&str]) -> CommandSpec {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/rude.sh");
    let args: Vec<_> = std::iter::once(script).chain(args.iter().copied()).collect();
    exec("/bin/sh", &args)
}

pub(crate) fn exec(program: &str, args: &[&str]) -> CommandSpec {
    CommandSpec {
        line: CommandLine::Exec { program: program.into(), args: args.iter().map(OsString::from).collect() },
        cwd: "/".into(),
        env: [("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())].into(),
        inherit: InheritEnv::All,
        leftovers: Leftovers::Kill,
        limits: ResourceLimits::default(),
        nice: PerClass::default(),
    }
}

pub(crate) fn prepared(spec: &CommandSpec) -> Prepared {
    Prepared::new(spec, &[])
}

/// Runs a rude handler with the given input and limits.
pub(crate) fn run(waiter: WaiterKind, args: &[&str], stdin: &[u8], limits: Limits) -> Run {
    run_spec(waiter, &rude(args), stdin, limits)
}

pub(crate) fn run_spec(waiter: WaiterKind, spec: &CommandSpec, stdin: &[u8], limits: Limits) -> Run {
    Runner::new(waiter).run(&prepared(spec), stdin, NO_ENV, &limits, &Cancel::new())
}

pub(crate) const NO_ENV: [(&str, &str); 0] = [];

/// A file for a handler to write a process number to.
pub(crate) struct NumberFile(tempfile::TempDir);

impl NumberFile {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("number")
    }

    /// The number, once it is complete.
    pub(crate) fn number(&self) -> i32 {
        until("a handler's child has written its number", || {
            fs::read_to_string(self.path()).ok()?.strip_suffix('\n')?.parse().ok()
        })
    }
}

/// Looks again and again until there is something.
pub(crate) fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < AMPLE, "never came true: {what}");
        std::thread::yield_now();
    }
}

/// A process's state letter. `None`: it is gone.
pub(crate) fn state(number: i32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

/// True when a process runs no more, reaped or not.
pub(crate) fn dead(number: i32) -> bool {
    matches!(state(number), None | Some('Z' | 'X'))
}

/// Numbers of this process's children.
pub(crate) fn own_children() -> Vec<i32> {
    let own = std::process::id().to_string();
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|number| {
            let text = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            text.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&own))
        })
        .collect()
}

/// How many entries a folder has.
pub(crate) fn count(folder: impl AsRef<Path>) -> usize {
    fs::read_dir(folder).unwrap().count()
}
