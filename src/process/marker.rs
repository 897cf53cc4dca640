//! The markers that handlers carry in their environment, and what a marker says of the pool behind it.
//!
//! A pool's marker names the process of its hookpool, so that nothing has to be stored for a later hookpool to know
//! whether that one lives: the process's number, the moment of its start, and the namespaces in which these two mean
//! something. A random part keeps the pools of one process apart.
//!
//! Invariant: a process is only called dead if its number is free, or belongs to a process that was started at another
//! moment, or to one that is dead and not reaped. What cannot be seen counts as living.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The variable that names the pool. Its value is unique among pools, also those of other processes.
pub const POOL_VARIABLE: &str = "HOOKPOOL_POOL_ID";
/// The variable that names the job within its pool.
pub const JOB_VARIABLE: &str = "HOOKPOOL_JOB";
/// The variable that names a process that stays, within its pool. It is no job's.
pub const INSTANCE_VARIABLE: &str = "HOOKPOOL_INSTANCE";

/// Stands before the pool's marker in handlers of hooks that keep their leftovers: only their own job's sweep knows it.
const KEPT: &str = "keep:";

/// A new marker for a pool of this process.
pub fn new_pool_marker() -> String {
    let random = RandomState::new().build_hasher().finish();
    #[cfg(target_os = "linux")]
    let origin = Origin::of_this_process();
    #[cfg(not(target_os = "linux"))]
    let origin = std::process::id();
    format!("{origin}.{random:016x}")
}

/// The marker that handlers of hooks with `leftovers = "keep"` carry instead. What they start is swept only when their
/// own run was stopped or has failed; sweeps of the pool and of dead pools take it for a stranger.
pub fn kept(pool: &str) -> String {
    format!("{KEPT}{pool}")
}

#[cfg(target_os = "linux")]
pub(super) use linux::Origin;

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use rustix::io::Errno;
    use rustix::process::{Pid, getpid, test_kill_process};

    use super::super::usage::Stat;

    /// The process behind a marker.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct Origin {
        number: i32,
        /// Ticks since the kernel booted. 0: unknown, so nothing can be said of the process.
        start: u64,
        /// Those of process numbers and of time. 0: unknown.
        namespaces: [u64; 2],
    }

    impl Origin {
        pub(super) fn of_this_process() -> Self {
            let number = getpid().as_raw_pid();
            let start = Stat::read(number).map_or(0, |stat| stat.start);
            Self { number, start, namespaces: own_namespaces() }
        }

        /// Reads a pool's marker. `None`: it is none.
        pub(in super::super) fn read(marker: &str) -> Option<Self> {
            let (origin, random) = marker.rsplit_once('.')?;
            let mut fields = origin.splitn(4, '.');
            let read = Self {
                number: fields.next()?.parse().ok()?,
                start: fields.next()?.parse().ok()?,
                namespaces: [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?],
            };
            let random = u64::from_str_radix(random, 16).ok()?;
            // Nothing but what we write ourselves, sign by sign.
            (format!("{read}.{random:016x}") == marker).then_some(read)
        }

        /// Whether the process is known to be dead.
        pub(in super::super) fn is_dead(self) -> bool {
            let positive = Some(self.number).filter(|number| *number > 0);
            let Some(number) = positive.and_then(Pid::from_raw) else { return false };
            if self.start == 0 || self.namespaces[0] == 0 || self.namespaces != own_namespaces() {
                return false;
            }
            if test_kill_process(number) == Err(Errno::SRCH) {
                return true;
            }
            Stat::read(self.number).is_some_and(|stat| {
                // The main thread may be dead while others go on.
                let ended = stat.dead && stat.threads <= 1;
                ended || (stat.start != 0 && stat.start != self.start)
            })
        }

        /// Whether its main thread is dead and others are not: on its way to death, mostly.
        pub(in super::super) fn is_half_dead(self) -> bool {
            !self.is_dead()
                && Stat::read(self.number).is_some_and(|stat| stat.dead && stat.start == self.start)
        }
    }

    impl fmt::Display for Origin {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let [processes, time] = self.namespaces;
            write!(f, "{}.{}.{processes}.{time}", self.number, self.start)
        }
    }

    /// A kernel without time namespaces has one time.
    fn own_namespaces() -> [u64; 2] {
        ["pid", "time"].map(|kind| fs::metadata(format!("/proc/self/ns/{kind}")).map_or(0, |meta| meta.ino()))
    }

    #[cfg(test)]
    mod tests {
        use super::super::{kept, new_pool_marker};
        use super::*;

        #[test]
        fn a_marker_leads_back_to_its_living_process() {
            let marker = new_pool_marker();
            let origin = Origin::read(&marker).unwrap();
            assert_eq!(origin, Origin::of_this_process());
            assert!(origin.start > 0 && origin.namespaces[0] > 0 && !origin.is_dead());
            assert_ne!(marker, new_pool_marker(), "two pools of one process are told apart");
        }

        /// Its main thread ends, and another goes on until it is killed.
        #[test]
        fn a_process_without_its_main_thread_is_half_dead_and_dead_when_the_others_are() {
            let code = "import ctypes, threading, time\n\
                        threading.Thread(target=time.sleep, args=(600,)).start()\n\
                        ctypes.CDLL(None).pthread_exit(None)";
            let mut child = std::process::Command::new("python3").args(["-c", code]).spawn().unwrap();
            let number = child.id().try_into().unwrap();
            let start = Stat::read(number).unwrap().start;
            let origin = Origin { number, start, ..Origin::of_this_process() };
            let until = |is_true: &dyn Fn() -> bool| {
                let begun = std::time::Instant::now();
                while !is_true() {
                    assert!(begun.elapsed().as_secs() < 60);
                    std::thread::yield_now();
                }
            };
            until(&|| origin.is_half_dead());
            assert!(!origin.is_dead());
            child.kill().unwrap();
            until(&|| origin.is_dead() && !origin.is_half_dead());
            child.wait().unwrap();
        }

        #[test]
        fn only_what_is_written_as_we_write_it_is_a_marker() {
            let marker = new_pool_marker();
            for other in [
                kept(&marker),
                format!("{marker} "),
                format!("0{marker}"),
                format!("+{marker}"),
                format!("{marker}0"),
                marker.to_ascii_uppercase() + ".A",
                marker.replacen('.', "..", 1),
                "1.2.3.4.5".to_owned(),
                "mine".to_owned(),
                String::new(),
            ] {
                assert_eq!(Origin::read(&other), None, "{other}");
            }
        }

        #[test]
        fn a_process_is_dead_when_its_number_is_free_or_anothers_and_only_where_that_can_be_seen() {
            let own = Origin::of_this_process();
            assert!(Origin { start: own.start + 1, ..own }.is_dead(), "the number was given away again");
            assert!(!Origin { start: 0, ..own }.is_dead(), "unknown start");
            let free = Origin { number: i32::MAX, ..own };
            assert!(free.is_dead());
            for namespaces in [[own.namespaces[0] + 1, own.namespaces[1]], [own.namespaces[0], 1], [0, 0]] {
                assert!(!Origin { namespaces, ..free }.is_dead(), "{namespaces:?} is not ours");
            }
            for number in [0, -1] {
                assert!(!Origin { number, ..own }.is_dead());
            }
        }
    }
}
