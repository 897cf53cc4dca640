//! Who waits for which child.
//!
//! A program that adopts orphans has two kinds of children: handlers, each reaped by the run that started it, and
//! adopted processes, reaped by the sweeper. This register tells them apart.
//!
//! There is one register for the process: whoever reaps for one pool must not reap the handlers of another.
//!
//! Invariant: between the moment a handler exists and the moment its run has reaped it, the sweeper sees its number
//! here. So starting and entering it is one step as far as [`Children::while_none_starts`] can tell.

use std::collections::HashSet;
use std::process::Child;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

use super::spawn::Spawned;
use super::start_error::StartError;

#[derive(Debug, Default)]
pub(super) struct Children {
    /// Read by who starts, written by who must not see a half-entered start.
    starting: RwLock<()>,
    waited_for: Mutex<HashSet<u32>>,
    /// Killed, but hanging in the kernel when their run gave up.
    hanging: Mutex<Vec<Child>>,
}

impl Children {
    /// The register of this process.
    pub(super) fn of_process() -> Arc<Self> {
        static REGISTER: LazyLock<Arc<Children>> = LazyLock::new(Arc::default);
        Arc::clone(&REGISTER)
    }

    /// Starts a child and enters it.
    pub(super) fn spawn(
        &self,
        start: impl FnOnce() -> Result<Spawned, StartError>,
    ) -> Result<Spawned, StartError> {
        let _starting = self.starting.read().unwrap_or_else(PoisonError::into_inner);
        let spawned = start()?;
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).insert(spawned.child.id());
        Ok(spawned)
    }

    /// Strikes out a child that has been reaped.
    pub(super) fn reaped(&self, number: u32) {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Keeps a child that would not die, to reap it when it does.
    pub(super) fn keep_hanging(&self, child: Child) {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    }

    /// Reaps those that died after all.
    pub(super) fn reap_hanging(&self) {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).retain_mut(|child| {
            let alive = matches!(child.try_wait(), Ok(None));
            if !alive {
                self.reaped(child.id());
            }
            alive
        });
    }

    /// Does something with the numbers of all children that runs wait for, while no other can come to be.
    #[cfg(target_os = "linux")]
    pub(super) fn while_none_starts<T>(&self, work: impl FnOnce(&HashSet<u32>) -> T) -> T {
        let _none = self.starting.write().unwrap_or_else(PoisonError::into_inner);
        let waited_for = self.waited_for.lock().unwrap_or_else(PoisonError::into_inner);
        work(&waited_for)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use crate::hook::{CommandLine, CommandSpec, InheritEnv, Leftovers};
    use crate::process::{Cancel, Limits, Prepared, Runner, Stage, WaiterKind, stop_all};

    fn shell(line: &str) -> Prepared {
        let spec = CommandSpec {
            line: CommandLine::Shell(line.into()),
            cwd: "/".into(),
            env: [].into(),
            inherit: InheritEnv::All,
            leftovers: Leftovers::Kill,
            limits: crate::ResourceLimits::default(),
            nice: crate::PerClass::default(),
        };
        Prepared::new(&spec, &[])
    }

    const NO_ENV: [(&str, &str); 0] = [];

    #[test]
    fn the_register_forgets_who_was_reaped_however_it_was_started_and_ended() {
        let runner = Runner::new(WaiterKind::Pidfd);
        let is_entered =
            |number: u32| runner.children().while_none_starts(|waited_for| waited_for.contains(&number));

        let limits =
            Limits { timeout: Duration::from_mins(1), grace: Duration::ZERO, max_output: 100, nice: 0 };
        let run = runner.run(&shell("echo $$"), b"", NO_ENV, &limits, &Cancel::new());
        assert!(!is_entered(run.stdout.text().trim().parse().unwrap()));

        let start = || runner.start(&shell("cat"), NO_ENV, 0).unwrap();
        let number = |live: &crate::process::Live| live.number().unsigned_abs();
        let stopped = start();
        let stopped_number = number(&stopped);
        assert!(is_entered(stopped_number));
        stop_all(vec![(stopped, Duration::from_mins(1))], Stage::Close, &Cancel::new(), &mut |_, _| {});
        assert!(!is_entered(stopped_number));

        let dropped = start();
        let dropped_number = number(&dropped);
        drop(dropped);
        while is_entered(dropped_number) {
            // As each start does.
            runner.children().reap_hanging();
            std::thread::yield_now();
        }
    }
}
