//! What `/proc` says of a process: its family, its processor time, its memory.
//!
//! The one call that reports both of a reaped child (`wait4`) is out of reach without unsafe code. A dead child that is
//! not yet reaped still tells its processor time; its memory is gone by then, so the peak is looked at while it runs.
//! Everything here may be missing, and reads as unknown then.

use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use rustix::process::Pid;

/// The kernel reports times to programs in hundredths of a second on every processor that Rust supports.
const TICK: Duration = Duration::from_millis(10);

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub(super) number: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Dead and waiting to be reaped, or on the way there.
    pub(super) dead: bool,
    ticks: u32,
    /// How many threads it has, a dead main one included.
    pub(super) threads: u32,
    /// When it was started, in the kernel's ticks since it booted. 0: unknown.
    pub(super) start: u64,
}

impl Stat {
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
        // User and system time, then those of the children it waited for: fields 14 to 17.
        let ticks = fields.by_ref().skip(8).take(4).filter_map(|field| field.parse::<u32>().ok()).sum();
        // Fields 20 and 22.
        let threads = fields.nth(2).and_then(|field| field.parse().ok()).unwrap_or(0);
        let start = fields.nth(1).and_then(|field| field.parse().ok()).unwrap_or(0);
        Some(Self { number, parent, group, dead: matches!(state, "Z" | "X" | "x"), ticks, threads, start })
    }
}

/// The numbers of all processes.
pub(super) fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Processor time of a process that ran for so long, and of the children that it waited for.
///
/// In whole hundredths of a second, except for a process of one thread without children, which is told exactly.
pub(super) fn cpu_time(leader: Pid, run_time: Duration) -> Option<Duration> {
    let number = leader.as_raw_pid();
    let exact = read_line(&format!("/proc/{number}/schedstat"));
    let exact = exact.and_then(|text| text.split(' ').next()?.parse().ok()).map(Duration::from_nanos);
    // A short run has rarely seen a tick: one look less for the many short runs.
    if run_time < TICK && exact.is_some() {
        return exact;
    }
    let counted = TICK * Stat::read(number)?.ticks;
    Some(counted.max(exact.unwrap_or_default()))
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
        assert_eq!((stat.number, stat.parent, stat.group, stat.dead, stat.ticks), (7, 3, 5, true, 73));
        assert_eq!((stat.threads, stat.start), (1, 987));
        assert!(Stat::parse(7, "7 (cut").is_none() && Stat::parse(7, "").is_none());
    }

    #[test]
    fn this_process_is_among_all_and_has_used_memory() {
        let own = rustix::process::getpid();
        assert!(processes().any(|number| number == own.as_raw_pid()));
        assert!(!Stat::read(own.as_raw_pid()).unwrap().dead);
        assert!(peak_memory(own).unwrap() > 100_000);
        assert!(cpu_time(own, TICK).is_some());
    }
}
