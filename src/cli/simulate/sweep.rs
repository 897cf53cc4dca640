//! A sweep: every combination of some values of `workers`, `standby` and `capacity`, side by side on all processors.
//!
//! Invariant: what is found does not depend on how many processors there are. Each combination is a configuration of
//! its own, loaded with its values as options, so whatever follows from them (seats, ceilings) does, and is checked.

use std::str::FromStr;
use std::time::Duration;

use hookpool::config::ConfigLoader;
use hookpool::{Config, Load, PriorityClass, Simulation, SimulationReport};
use rayon::prelude::*;

use crate::cli::args::SimulateArgs;
use crate::cli::error::CliError;

/// Most combinations of one sweep.
const MOST: usize = 10_000;

/// `KEY=VALUES`: a setting and the values that it takes.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Axis {
    key: &'static str,
    values: Vec<u32>,
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HOW: &str = "write it as workers=1..8, standby=0,1 or capacity=100,1000";
        let (name, list) = text.split_once('=').ok_or(HOW)?;
        let key = match name {
            "workers" => "pool.workers",
            "standby" => "pool.standby",
            "capacity" => "queue.capacity",
            _ => return Err(format!("`{name}` cannot be swept; {HOW}")),
        };
        let number = |text: &str| {
            text.trim().parse::<u32>().map_err(|_| format!("`{text}` is no whole number; {HOW}"))
        };
        let mut values = Vec::new();
        for part in list.split(',') {
            match part.split_once("..") {
                Some((from, to)) => {
                    let (from, to) = (number(from)?, number(to)?);
                    if from > to || to - from >= 10_000 {
                        return Err(format!("`{part}` is no range of at most {MOST} values"));
                    }
                    values.extend(from..=to);
                }
                None => values.push(number(part)?),
            }
        }
        values.sort_unstable();
        values.dedup();
        Ok(Self { key, values })
    }
}

/// `[CLASS=]TIME`: the time in which 99 of 100 jobs have to start.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Target {
    /// `None`: of every class.
    pub(super) class: Option<PriorityClass>,
    pub(super) wait: Duration,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (class, time) = match text.split_once('=') {
            None => (None, text),
            Some((name, time)) => {
                let class = PriorityClass::from_name(name);
                (
                    Some(
                        class
                            .ok_or_else(|| format!("`{name}` is no class: critical, high, normal or low"))?,
                    ),
                    time,
                )
            }
        };
        Ok(Self { class, wait: hookpool::config::parse_duration(time)? })
    }
}

/// What a sweep has found.
#[derive(Debug)]
pub(super) struct Swept {
    pub(super) runs: Vec<Run>,
    pub(super) target: Option<Target>,
}

/// One combination.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) workers: u16,
    pub(super) standby: u16,
    pub(super) capacity: u32,
    pub(super) found: SimulationReport,
    /// The target is met.
    pub(super) is_enough: bool,
}

impl Swept {
    /// The first combination that is enough, of those with the fewest seats, then workers, then places.
    pub(super) fn answer(&self) -> Option<&Run> {
        let enough = self.runs.iter().filter(|run| run.is_enough);
        enough.min_by_key(|run| (run.workers + run.standby, run.workers, run.capacity))
    }
}

pub(super) fn run(args: &SimulateArgs, loader: &ConfigLoader, load: &Load) -> Result<Swept, CliError> {
    let mut configs = Vec::new();
    let count = args.sweep.iter().fold(1_usize, |count, axis| count.saturating_mul(axis.values.len()));
    if count > MOST {
        return Err(CliError::Usage(format!("{count} combinations to sweep; at most {MOST} are tried")));
    }
    for combination in combinations(&args.sweep) {
        let mut loader = loader.clone();
        for (key, value) in combination {
            loader = loader.overrides(key, value.to_string());
        }
        configs.push(loader.load()?.config);
    }
    let one = |config: &Config| -> Result<Run, CliError> {
        let mut simulation = Simulation::new(config, load)?.seed(args.seed);
        if let Some(jobs) = args.jobs {
            simulation = simulation.jobs(jobs);
        }
        if let Some(target) = args.target_p99 {
            simulation = simulation.target(target.wait);
        }
        let found = simulation.run();
        let is_enough = args.target_p99.is_some_and(|target| match target.class {
            Some(class) => found.is_in_time(&[class]),
            None => found.is_in_time(&PriorityClass::ALL),
        });
        let (workers, standby) = (config.pool.workers, config.pool.standby);
        Ok(Run { workers, standby, capacity: config.queue.capacity, found, is_enough })
    };
    let runs = configs.par_iter().map(one).collect::<Result<Vec<Run>, CliError>>()?;
    Ok(Swept { runs, target: args.target_p99 })
}

/// Every combination; the last axis changes fastest. A key that is named twice has the values of its last axis.
fn combinations(axes: &[Axis]) -> Vec<Vec<(&'static str, u32)>> {
    let mut all = vec![Vec::new()];
    for axis in axes {
        let with =
            |value: &u32, before: &Vec<_>| before.iter().copied().chain([(axis.key, *value)]).collect();
        all =
            all.iter().flat_map(|before| axis.values.iter().map(move |value| with(value, before))).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_lists_and_ranges() {
        let axis = |text: &str| text.parse::<Axis>().map(|axis| (axis.key, axis.values));
        assert_eq!(axis("workers=1..3,8"), Ok(("pool.workers", vec![1, 2, 3, 8])));
        assert_eq!(axis("standby=1, 0"), Ok(("pool.standby", vec![0, 1])));
        for wrong in
            ["", "workers", "workers=", "workers=a", "workers=3..1", "seats=1", "workers=0..4000000000"]
        {
            assert!(axis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_combination_comes_once() {
        let axes = ["workers=1,2", "capacity=5,6"].map(|text| text.parse().unwrap());
        let (w, c) = ("pool.workers", "queue.capacity");
        let expected = [[(w, 1), (c, 5)], [(w, 1), (c, 6)], [(w, 2), (c, 5)], [(w, 2), (c, 6)]];
        assert_eq!(combinations(&axes), expected);
    }
}
