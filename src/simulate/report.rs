//! What a simulation has found.

use std::time::Duration;

use crate::class::PerClass;
use crate::metrics::Ledger;

/// The facts of one simulated run. All times are virtual.
///
/// ```
/// use hookpool::{Config, Load, PriorityClass, Simulation};
/// let load = Load::from_toml("jobs = 100\n[class.high]\narrivals = { every = '1s' }\nrun_time = '500ms'\n")?;
/// let report = Simulation::new(&Config::default(), &load)?.run();
/// assert!(report.ledger.is_balanced());
/// assert_eq!(report.ledger.snapshot.classes[PriorityClass::High].wait().unwrap().max.as_millis(), 0);
/// assert_eq!(report.elapsed.as_secs_f64(), 100.5);
/// # Ok::<(), hookpool::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SimulationReport {
    /// What became of every job. The streams of a class are in it as the hook `class_NAME`.
    pub ledger: Ledger,
    /// The seed that the run comes again with.
    pub seed: u64,
    /// From the first moment to the end of the last run.
    pub elapsed: Duration,
    /// Seats: `workers` and `standby` together.
    pub seats: u32,
    /// Seat time that was used, overhead included, of all that there was: 0 to 1.
    pub utilisation: f64,
    /// Mean wait of the started jobs of each class.
    pub mean_wait: PerClass<Duration>,
    /// Started jobs of each class that waited at all.
    pub waited: PerClass<u64>,
    /// Waiting jobs that a submission finds: half of them find at most as many, 99 of 100, all.
    pub depth: Depth,
    /// Jobs of each class that were started within the [target](crate::Simulation::target); without one, all that were
    /// started.
    pub in_time: PerClass<u64>,
}

/// Waiting jobs that a submission finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// Half of the submissions find at most as many.
    pub p50: u64,
    /// 99 of 100 find at most as many.
    pub p99: u64,
    /// The most that any finds.
    pub max: u64,
}

impl SimulationReport {
    /// True when 99 of 100 jobs of each of these classes were started in time. Jobs that were refused, displaced or
    /// expired were not; jobs that were skipped do not count.
    ///
    /// ```
    /// use hookpool::{Config, Load, PriorityClass, Simulation};
    /// use std::time::Duration;
    /// let load = Load::from_toml("jobs = 100\n[class.low]\narrivals = { every = '1s' }\nrun_time = '1ms'\n")?;
    /// let report = Simulation::new(&Config::default(), &load)?.target(Duration::from_millis(5)).run();
    /// assert!(report.is_in_time(&PriorityClass::ALL));
    /// # Ok::<(), hookpool::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn is_in_time(&self, classes: &[crate::class::PriorityClass]) -> bool {
        classes.iter().all(|class| {
            let counts = &self.ledger.snapshot.classes[*class];
            let wanted: u64 = counts.admitted() + counts.all_refused();
            u128::from(self.in_time[*class]) * 100 >= u128::from(wanted) * 99
        })
    }
}
