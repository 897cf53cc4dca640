//! What `/proc` says of a process: its family, and its memory.
//!
//! The processor time of a child comes with its reaping. Its peak memory comes with it, too, but counts what this
//! process held when it started the child; so the peak is looked at here, while the child runs. Everything here may be
//! missing, and reads as unknown then.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;

use rustix::process::Pid;

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) number: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Dead and waiting to be reaped, or on the way there.
    pub(super) dead: bool,
    /// How many threads it has, a dead main one included.
    pub(super) threads: u32,
    /// When it was started, in the kernel's ticks since it booted. 0: unknown.
    pub(super) start: u64,
    /// Its environment is where it was laid at its start. It is not yet within `exec`, and not any more on the way to
    /// its death; a thread of the kernel has none.
    pub(super) has_environment: bool,
    /// A thread of the kernel, which is no program.
    pub(super) is_kernel: bool,
}

impl Stat {
    /// The kernel's `PF_KTHREAD`.
    const KERNEL_THREAD: u32 = 0x0020_0000;

    pub(super) fn read(number: i32) -> Option<Self> {
        Self::parse(number, &read_line(&format!("/proc/{number}/stat"))?)
    }

    fn parse(number: i32, text: &str) -> Option<Self> {
        // The name is in parentheses and may contain anything, parentheses included.
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // Fields 9, 20, 22 and 51.
        let flags = fields.nth(3).and_then(|field| field.parse().ok()).unwrap_or(0);
        let threads = fields.nth(10).and_then(|field| field.parse().ok()).unwrap_or(0);
        let start = fields.nth(1).and_then(|field| field.parse().ok()).unwrap_or(0);
        let has_environment = fields.nth(28).is_some_and(|end| end != "0");
        let dead = matches!(state, "Z" | "X" | "x");
        let is_kernel = flags & Self::KERNEL_THREAD != 0;
        Some(Self { number, parent, group, dead, threads, start, has_environment, is_kernel })
    }
}

/// The numbers of all processes; threads of the kernel are left out where that is cheap.
pub(super) fn processes() -> impl Iterator<Item = i32> {
    // All of them are children of number 2, which is any process where there are namespaces.
    let is_kernel = Stat::read(2).is_some_and(|stat| stat.is_kernel);
    let kernel: HashSet<i32> = if is_kernel { children(2).into_iter().collect() } else { HashSet::new() };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(move |number| !kernel.contains(number))
}

/// The numbers of a process's children, as far as its first thread has started them. None: it is gone.
pub(super) fn children(number: i32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
    listed.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// A file of one short line. Three system calls, where `fs::read` takes five; this is part of every run.
fn read_line(path: &str) -> Option<String> {
    let mut line = [0; 1024];
    let count = File::open(path).ok()?.read(&mut line).ok()?;
    Some(String::from_utf8_lossy(line.get(..count)?).into_owned())
}

/// Peak resident memory in bytes of a living process so far.
pub(super) fn peak_memory(process: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", process.as_raw_pid())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_parentheses_and_blanks_in_its_name_is_read() {
        let stat = Stat::parse(7, "7 (a) b (c)) Z 3 5 5 0 -1 4 0 0 0 0 1 2 30 40 20 0 1 0 987 5").unwrap();
        assert_eq!((stat.number, stat.parent, stat.group, stat.dead), (7, 3, 5, true));
        assert_eq!((stat.threads, stat.start, stat.has_environment), (1, 987, false));
        assert!(!stat.is_kernel && Stat::parse(2, "2 (k) S 0 0 0 0 -1 2129984 0").unwrap().is_kernel);
        assert!(Stat::parse(7, "7 (cut").is_none() && Stat::parse(7, "").is_none());
    }

    #[test]
    fn this_process_is_among_all_and_has_used_memory() {
        let own = rustix::process::getpid();
        assert!(processes().any(|number| number == own.as_raw_pid()));
        let stat = Stat::read(own.as_raw_pid()).unwrap();
        assert!(!stat.dead && stat.has_environment);
        assert!(peak_memory(own).unwrap() > 100_000);
    }
}
