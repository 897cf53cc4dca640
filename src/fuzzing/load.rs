//! Loads of simulations: a description or a recording is refused with its place, or a pool can be simulated under it,
//! to an end and with a ledger that balances.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use super::config::in_its_place;
use crate::config::{Config, Problems};
use crate::hook::HookName;
use crate::recording::{self, Recording};
use crate::simulate::{Load, Simulation, SimulationReport};

/// Jobs of one simulation.
const JOBS: u64 = 200;

/// Most hooks of one simulation.
const HOOKS: usize = 12;

/// The bytes are a description.
pub fn simulation(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Load::from_toml(&text) {
        Ok(load) => {
            let table: toml::Table = toml::from_str(&text).unwrap_or_default();
            let hooks = table.get("hook").and_then(toml::Value::as_table).into_iter().flatten();
            simulated(&load, hooks.filter_map(|(name, _)| HookName::new(name).ok()), text.as_bytes());
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            error.problems.iter().for_each(|problem| in_its_place(problem, text.as_bytes()));
        }
    }
}

/// The bytes are a recording.
pub fn recording(bytes: &[u8]) {
    let mut problems = Problems::default();
    let found = recording::read(Path::new("r.jsonl"), bytes, &mut problems);
    let problems = problems.finish();
    let Some(recording) = found else {
        let error = problems.expect_err("it was refused");
        assert_eq!(error.problems.len(), 1, "the first thing that is wrong");
        return error.problems.iter().for_each(|problem| in_its_place(problem, bytes));
    };
    assert!(problems.is_ok_and(|warnings| warnings.is_empty()));
    assert!(recording.jobs.is_sorted_by_key(|job| job.at));
    let mut text = Vec::new();
    recording.write(&mut text).expect("memory takes it");
    let mut problems = Problems::default();
    let again = recording::read(Path::new("r.jsonl"), &*text, &mut problems);
    assert_eq!(again.as_ref(), Some(&recording), "{problems:?}");
    let hooks: BTreeSet<_> = recording.jobs.iter().map(|job| job.hook.clone()).collect();
    simulated(&Load::from(recording), hooks.into_iter(), bytes);
}

/// A pool whose hooks have these names, one of each mode in turn.
fn config(hooks: impl Iterator<Item = HookName>) -> Config {
    let modes = [
        "retry = { attempts = 3, on = ['failed', 'timed_out'] }\npriority = 'low'\n",
        "mode = 'lines'\nbatch = { size = 3, linger = '5ms', key = 'field:a' }\n",
        "mode = 'resident'\nwindow = 2\nbreaker = { failures = 2 }\n",
        "mode = 'lines'\nbatch = { size = 2, key = 'session' }\norder = 'none'\nmax_wait = '1s'\n",
    ];
    let mut text = "[queue]\ncapacity = 20\non_full = 'displace'\n".to_owned();
    for (name, mode) in hooks.take(HOOKS).zip(modes.iter().cycle()) {
        let _ = writeln!(text, "[hook.{name}]\non = ['*']\nrun = 'x'\n{mode}");
    }
    Config::from_toml(&text).expect("a valid configuration")
}

fn simulated(load: &Load, hooks: impl Iterator<Item = HookName>, file: &[u8]) {
    let config = config(hooks);
    let simulation = || Simulation::new(&config, load).map(|simulation| simulation.jobs(JOBS));
    match simulation() {
        Ok(simulated) => {
            let (report, recording) = simulated.run_recorded();
            assert!(report.ledger.is_balanced(), "{:?}", report.ledger);
            assert!(report.ledger.snapshot.total.submitted() <= JOBS);
            if !load.has_overhead() {
                same_again(&config, recording, &report);
            }
        }
        Err(error) => error.problems.iter().for_each(|problem| in_its_place(problem, file)),
    }
}

/// What was simulated and recorded happens again; a recording knows nothing of overhead.
fn same_again(config: &Config, recording: Recording, report: &SimulationReport) {
    let load = Load::from(recording);
    let again = Simulation::new(config, &load).expect("its hooks are there").run();
    assert_eq!((again.mean_wait, again.elapsed), (report.mean_wait, report.elapsed));
    // Hooks that are made for a class may come in another order. The sums follow from theirs, and how their histograms
    // are laid out from that order.
    let all = |report: &SimulationReport| {
        let hooks = &report.ledger.snapshot.hooks;
        let mut hooks: Vec<_> = hooks.iter().map(|hook| format!("{hook:?}")).collect();
        hooks.sort_unstable();
        hooks
    };
    assert_eq!(all(&again), all(report));
}
