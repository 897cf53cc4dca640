//! What the runs of one hook's handler have cost: how many jobs each had, and what its processes took.

use std::time::Duration;

use super::timing::{Distribution, Durations, Timing};

/// What is known of the runs of a hook's handler, all classes and kinds together.
#[derive(Clone, Debug, Default)]
pub struct RunCounts {
    batches: Distribution,
    spawn: Durations,
    processes: u64,
    cpu: Duration,
    peak_memory: Option<u64>,
}

impl RunCounts {
    pub(super) fn batched(&mut self, jobs: usize) {
        self.batches.record(jobs as u64);
    }

    pub(super) fn process_started(&mut self, took: Option<Duration>) {
        self.processes += 1;
        if let Some(took) = took {
            self.spawn.record(took);
        }
    }

    pub(super) fn process_ended(&mut self, cpu_time: Option<Duration>, peak_memory: Option<u64>) {
        self.cpu = self.cpu.saturating_add(cpu_time.unwrap_or_default());
        self.peak_memory = self.peak_memory.max(peak_memory);
    }

    /// How many jobs went to the handler at once, of a handler that takes many.
    #[must_use]
    pub fn batch_sizes(&self) -> &Distribution {
        &self.batches
    }

    /// Processes of the handler that were started.
    #[must_use]
    pub fn processes(&self) -> u64 {
        self.processes
    }

    /// How long it took to start them, from the call until the program ran. `None`: none was started.
    #[must_use]
    pub fn spawn_times(&self) -> Option<Timing> {
        self.spawn.timing()
    }

    /// [`RunCounts::spawn_times`] in detail, in microseconds.
    #[must_use]
    pub fn spawn_micros(&self) -> &Distribution {
        self.spawn.micros()
    }

    /// Processor time, in user and system mode, of the processes that have ended, and of the children that they waited
    /// for.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.cpu
    }

    /// The largest resident memory of one of its processes, in bytes, as far as it was seen: a process is looked at
    /// 20 ms after its start, at each doubling of that, and before it is stopped; one that stays, before it is told to
    /// end. `None`: none was seen.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        self.peak_memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_summed_and_the_largest_memory_kept() {
        let mut runs = RunCounts::default();
        runs.process_ended(Some(Duration::from_millis(3)), None);
        runs.process_ended(None, Some(7));
        runs.process_ended(Some(Duration::from_millis(4)), Some(5));
        assert_eq!((runs.cpu_time(), runs.peak_memory()), (Duration::from_millis(7), Some(7)));
        assert_eq!((runs.processes(), runs.spawn_times()), (0, None));
    }
}
