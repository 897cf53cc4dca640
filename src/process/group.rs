//! Signals to a handler's process group.
//!
//! The group's number is its leader's. It belongs to the handler for as long as the leader is not reaped, so a group is
//! only signalled before that. Members cannot slip away by forking: the kernel lets no fork pass a pending signal.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process_group};

/// The process group of a child that has not been reaped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group(Pid);

impl Group {
    pub(super) fn of(child: &Child) -> Self {
        let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Self(number.expect("a process number is a positive i32"))
    }

    /// The leader's number, which is the group's.
    pub(super) fn leader(self) -> Pid {
        self.0
    }

    /// Asks the group to end. CONT lets a stopped member hear it.
    pub(super) fn ask(self) {
        let _ = kill_process_group(self.0, Signal::TERM);
        let _ = kill_process_group(self.0, Signal::CONT);
    }

    /// Kills the group.
    pub(super) fn kill(self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

#[cfg(target_os = "linux")]
mod sweep {
    use std::time::Duration;

    use rustix::process::{getpriority_pgrp, getpriority_process, setpriority_process};

    use super::super::pipes::pause;
    use super::super::usage::{Stat, processes};
    use super::Group;

    /// The weakest priority there is.
    const WEAKEST: i32 = 19;
    /// Waits between the sweeps: a killed process needs a moment to die.
    const PAUSES: [Duration; 3] =
        [Duration::from_millis(1), Duration::from_millis(4), Duration::from_millis(16)];

    impl Group {
        /// Kills what is left beside the leader, which is dead and not reaped. True when something was alive.
        pub(in super::super) fn sweep(self) -> bool {
            let alive = self.has_others() && self.has_living();
            // One call, sent anyway: it also reaches what the looks above cannot see.
            self.kill();
            if alive {
                for time in PAUSES {
                    if !self.has_living() {
                        break;
                    }
                    pause(time);
                    self.kill();
                }
            }
            alive
        }

        /// Whether the group has members beside its dead leader, dead ones included.
        ///
        /// The kernel answers no such question, but it tells the strongest priority within a group. With the dead
        /// leader made the weakest, anything stronger is somebody else. That takes 1 µs; looking through the process
        /// table takes milliseconds, and is done only where this trick cannot tell.
        fn has_others(self) -> bool {
            let leader = Some(self.leader());
            let told = match getpriority_process(leader) {
                Ok(own) if own < WEAKEST => setpriority_process(leader, WEAKEST)
                    .and_then(|()| getpriority_pgrp(leader))
                    .map(|strongest| strongest < WEAKEST)
                    .ok(),
                _ => None,
            };
            told.unwrap_or_else(|| self.has_living())
        }

        /// Whether any member is alive, from the process table.
        fn has_living(self) -> bool {
            let group = self.leader().as_raw_pid();
            processes().filter_map(Stat::read).any(|stat| stat.group == group && !stat.dead)
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Group {
    /// Kills what is left beside the leader, which is dead and not reaped. Whether anything was is not known here.
    pub(super) fn sweep(self) -> bool {
        self.kill();
        false
    }
}
