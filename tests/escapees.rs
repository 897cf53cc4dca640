//! Processes that leave their group, and who reaps whom. In a file of its own: adopting orphans concerns the whole
//! process, so all tests here share one runner.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod helpers;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use helpers::{LIMITS, NumberFile, SHORT, dead, exec, prepared, rude, state, until};
use hookpool::process::{Cancel, JOB_VARIABLE, Limits, POOL_VARIABLE, Run, Runner, Sweeper, sweep_strays};

static RUNNER: LazyLock<Runner> = LazyLock::new(Runner::default);

/// Runs a rude handler as a job of a pool, and gives back the number of the process that it left.
fn run_job(pool: &str, job: &str, behaviour: &str) -> (Run, i32) {
    let file = NumberFile::new();
    let spec = prepared(&rude(&[behaviour, file.path().to_str().unwrap()]));
    let limits =
        Limits { timeout: if behaviour.ends_with("sleeps") { SHORT } else { LIMITS.timeout }, ..LIMITS };
    let env = [(POOL_VARIABLE, pool), (JOB_VARIABLE, job)];
    let run = RUNNER.run(&spec, b"", env, &limits, &Cancel::new());
    (run, file.number())
}

#[test]
fn the_escapee_of_a_stopped_job_is_killed_and_reaped_and_that_of_another_job_is_not() {
    let sweeper = Sweeper::adopt(&RUNNER, "jobs").unwrap();
    let (other, spared) = run_job("jobs", "12", "leaves_session");
    let (run, escapee) = run_job("jobs", "1", "leaves_session_and_sleeps");
    assert!(run.stopped.is_some() && run.pipe_held && other.succeeded());
    assert!(!dead(escapee) && !dead(spared), "both are out of reach of a group signal");
    let swept = sweeper.sweep_job("1");
    assert_eq!((swept.killed, swept.remaining), (1, false));
    until("it is reaped", || state(escapee).is_none().then_some(()));
    assert!(!dead(spared), "the marker of job 12 is not that of job 1");

    assert_eq!(sweeper.sweep_job("none").killed, 0);
    assert_eq!(sweeper.sweep_all().killed, 1);
    assert!(dead(spared));
}

#[test]
fn a_pool_is_swept_without_touching_other_pools_or_unmarked_children() {
    let sweeper = Sweeper::adopt(&RUNNER, "mine").unwrap();
    let (_, mine) = run_job("mine", "1", "leaves_session");
    let (_, theirs) = run_job("theirs", "1", "leaves_session");
    let unmarked = Sleeper::new(&[]);
    // Close to the marker is not the marker.
    let similar = Sleeper::new(&[(POOL_VARIABLE, "mine2"), ("X_HOOKPOOL_POOL_ID", "mine")]);
    assert_eq!(sweeper.sweep_all().killed, 1);
    assert!(dead(mine) && !dead(theirs) && !dead(unmarked.number()) && !dead(similar.number()));
    assert_eq!(Sweeper::adopt(&RUNNER, "theirs").unwrap().sweep_all().killed, 1);
}

#[test]
fn the_strays_of_a_dead_pool_are_found_by_their_marker_alone() {
    let stray = Sleeper::new(&[(POOL_VARIABLE, "dead"), (JOB_VARIABLE, "5")]);
    let living = Sleeper::new(&[(POOL_VARIABLE, "living")]);
    let swept = sweep_strays("dead");
    assert_eq!((swept.killed, swept.remaining), (1, false));
    assert!(dead(stray.number()) && !dead(living.number()));
    assert_eq!(sweep_strays("dead").killed, 0);
}

#[test]
fn sweeping_never_takes_a_child_that_a_run_waits_for() {
    let sweeper = Sweeper::adopt(&RUNNER, "busy").unwrap();
    let spec = prepared(&exec("/bin/true", &[]));
    let going = AtomicUsize::new(2);
    let runs = || {
        for job in 0..300 {
            let env = [(POOL_VARIABLE, "busy".to_owned()), (JOB_VARIABLE, job.to_string())];
            let run = RUNNER.run(&spec, b"", env, &LIMITS, &Cancel::new());
            assert!(run.succeeded(), "{run:?}");
        }
        going.fetch_sub(1, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(runs), scope.spawn(runs)];
        while workers.iter().any(|worker| !worker.is_finished()) {
            assert_eq!(sweeper.sweep_job("no such job").killed, 0);
            sweeper.reap();
        }
    });
    assert_eq!(going.into_inner(), 0);
}

/// A process of another session that the runner knows nothing of. It is put away at the end.
struct Sleeper(Child);

impl Sleeper {
    fn new(env: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sleep");
        Self(command.arg("60").envs(env.iter().copied()).process_group(0).spawn().unwrap())
    }

    fn number(&self) -> i32 {
        self.0.id().try_into().unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // Swept by another test's sweeper, it is not ours to signal any more.
        if !dead(self.number()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
