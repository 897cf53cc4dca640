//! The counters of one hook, in a cell for each class and kind of event.
//!
//! Each happening is counted once, in one cell: an admission by the submitter, an outcome by whoever resolves the job.
//! Everything else (what was submitted, what waits, the sums by hook, class and kind) follows from these. A cell is made
//! when something is counted in it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::runs::RunCounts;
use super::shard::{Counter, Mine, Sharded};
use super::snapshot::{Counts, Part};
use super::times::{Notes, Sort, StripedTimes, Times};
use crate::class::{PerClass, PriorityClass};
use crate::kind::EventKind;
use crate::outcome::{OutcomeKind, Refusal, Skip, WaitCause, WaitSplit};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct HookCounters {
    cells: PerClass<[OnceLock<Box<Cell>>; EventKind::COUNT]>,
    runs: Mutex<RunCounts>,
    /// Durations and sizes are recorded.
    measures: bool,
}

#[derive(Debug, Default)]
struct Cell {
    counts: Sharded<CellCounters>,
    times: StripedTimes,
}

#[derive(Debug, Default)]
struct CellCounters {
    admitted: Counter,
    started: Counter,
    /// Starts whose attempt has ended.
    ended: Counter,
    refused: [Counter; Refusal::COUNT],
    skipped: [Counter; Skip::COUNT],
    outcomes: [Counter; OutcomeKind::COUNT],
    retries: Counter,
    /// Nanoseconds by cause.
    waited_for: [Counter; WaitCause::COUNT],
    /// Durations that the thread has not put into a histogram yet.
    notes: Notes,
}

impl HookCounters {
    /// `measures`: durations and sizes are recorded; else only counted.
    pub(crate) fn new(measures: bool) -> Self {
        Self { cells: PerClass::default(), runs: Mutex::default(), measures }
    }

    pub(crate) fn admitted(&self, class: PriorityClass, kind: EventKind) {
        self.mine(class, kind).count(|cell| &cell.admitted);
    }

    pub(crate) fn refused(&self, class: PriorityClass, kind: EventKind, why: Refusal) {
        self.mine(class, kind).count_at(|cell| &cell.refused, why.index());
    }

    pub(crate) fn skipped(&self, class: PriorityClass, kind: EventKind, why: Skip) {
        self.mine(class, kind).count_at(|cell| &cell.skipped, why.index());
    }

    /// The job was picked, after it had waited that long.
    pub(crate) fn started(&self, class: PriorityClass, kind: EventKind, wait: Duration) {
        let cell = self.cell(class, kind);
        let mine = cell.counts.mine();
        mine.count(|cell| &cell.started);
        self.time(cell, &mine, Sort::Wait, wait);
    }

    /// The job was picked again, for its next attempt.
    pub(crate) fn restarted(&self, class: PriorityClass, kind: EventKind) {
        self.mine(class, kind).count(|cell| &cell.started);
    }

    /// An attempt has ended after `run`, and the job waits for the next one.
    pub(crate) fn retried(&self, class: PriorityClass, kind: EventKind, run: Option<Duration>) {
        let cell = self.cell(class, kind);
        let mine = cell.counts.mine();
        if let Some(run) = run {
            self.time(cell, &mine, Sort::Run, run);
        }
        mine.count(|cell| &cell.ended);
        mine.count(|cell| &cell.retries);
    }

    /// The job has its outcome. `run`: how long its handler ran, if it did. `waited`: for its first start, or its end.
    pub(crate) fn resolved(
        &self,
        class: PriorityClass,
        kind: EventKind,
        was_started: bool,
        (outcome, run): (OutcomeKind, Option<Duration>),
        waited: &WaitSplit,
    ) {
        let cell = self.cell(class, kind);
        let mine = cell.counts.mine();
        if let Some(run) = run {
            self.time(cell, &mine, Sort::Run, run);
        }
        if was_started {
            mine.count(|cell| &cell.ended);
        }
        mine.count_at(|cell| &cell.outcomes, outcome.index());
        for cause in WaitCause::ALL.iter().filter(|cause| waited.nanos(**cause) > 0) {
            mine.add_at(|cell| &cell.waited_for, cause.index(), waited.nanos(*cause));
        }
    }

    /// So many jobs go to a handler that takes many.
    pub(crate) fn dispatched(&self, jobs: usize) {
        if self.measures {
            self.runs().batched(jobs);
        }
    }

    /// A process of the hook's handler runs; to start it took that long.
    pub(crate) fn process_started(&self, took: Duration) {
        let measures = self.measures;
        self.runs().process_started(measures.then_some(took));
    }

    /// A process of the hook's handler has ended. What is unknown of it is `None`.
    pub(crate) fn process_ended(&self, cpu_time: Option<Duration>, peak_memory: Option<u64>) {
        self.runs().process_ended(cpu_time, peak_memory);
    }

    /// A copy of what is known of its handler's runs.
    pub(crate) fn run_counts(&self) -> RunCounts {
        self.runs().clone()
    }

    /// A copy of all cells. Exact when nobody is writing.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (class, row) in self.cells.iter() {
            for (kind, cell) in EventKind::ALL.iter().zip(row) {
                if let Some(cell) = cell.get() {
                    parts.push(Part { class, kind: *kind, counts: cell.copy() });
                }
            }
        }
        parts
    }

    fn mine(&self, class: PriorityClass, kind: EventKind) -> Mine<'_, CellCounters> {
        self.cell(class, kind).counts.mine()
    }

    fn cell(&self, class: PriorityClass, kind: EventKind) -> &Cell {
        let cell = self.cells[class].get(kind.index()).expect("a row has a cell for each kind");
        cell.get_or_init(Box::default)
    }

    fn time(&self, cell: &Cell, mine: &Mine<'_, CellCounters>, sort: Sort, took: Duration) {
        if self.measures {
            cell.times.record(mine, |cell| &cell.notes, sort, took);
        }
    }

    fn runs(&self) -> MutexGuard<'_, RunCounts> {
        lock(&self.runs)
    }
}

impl Cell {
    fn copy(&self) -> Counts {
        let from = &self.counts;
        // Outcomes before ends, ends before starts, starts before admissions: a job that passes in between then looks as
        // if it waited, never as if it had ended twice.
        let outcomes = from.sums(|cell| &cell.outcomes);
        let ended = from.sum(|cell| &cell.ended);
        let started = from.sum(|cell| &cell.started);
        let admitted = from.sum(|cell| &cell.admitted);
        let resolved: u64 = outcomes.iter().sum();
        let running = started.saturating_sub(ended);
        let Times { wait, run } = self.times.sum(from, |cell| &cell.notes);
        Counts {
            admitted,
            refused: from.sums(|cell| &cell.refused),
            skipped: from.sums(|cell| &cell.skipped),
            outcomes,
            retries: from.sum(|cell| &cell.retries),
            waited_for: WaitSplit::from(from.sums(|cell| &cell.waited_for)),
            queued: admitted.saturating_sub(resolved + running),
            running,
            wait,
            run,
        }
    }
}

/// Events that no hook wanted.
#[derive(Debug, Default)]
pub(crate) struct UnmatchedCounters(Sharded<[Counter; EventKind::COUNT]>);

impl UnmatchedCounters {
    pub(crate) fn count(&self, kind: EventKind) {
        self.0.mine().count_at(|kinds| kinds, kind.index());
    }

    /// How many there were of each kind that there were any of.
    pub(crate) fn by_kind(&self) -> Vec<(EventKind, u64)> {
        let counts = EventKind::ALL.iter().copied().zip(self.0.sums(|kinds| kinds));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;
    use EventKind::{PostTool, PreTool};
    use PriorityClass::{High, Low};

    fn total(counters: &HookCounters) -> Counts {
        counters.parts().iter().fold(Counts::default(), |mut sum, part| {
            sum += &part.counts;
            sum
        })
    }

    #[test]
    fn each_happening_is_in_the_cell_of_its_class_and_kind() {
        let counters = HookCounters::new(true);
        counters.admitted(High, PreTool);
        counters.started(High, PreTool, Duration::from_millis(2));
        counters.resolved(
            High,
            PreTool,
            true,
            (OutcomeKind::Failed, Some(Duration::from_millis(3))),
            &WaitSplit::default(),
        );
        counters.admitted(Low, PostTool);
        counters.refused(Low, PreTool, Refusal::Full);
        let parts = counters.parts();
        let shown = parts.iter().map(|part| (part.class, part.kind, part.counts.submitted()));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [(High, PreTool, 1), (Low, PreTool, 1), (Low, PostTool, 1)],
            "and there are no others"
        );
        assert_eq!(parts[0].counts.outcome(OutcomeKind::Failed), 1);
        assert_eq!(parts[0].counts.run().unwrap().max, Duration::from_millis(3));
        assert_eq!(parts[1].counts.refused(Refusal::Full), 1);
        assert_eq!((parts[2].counts.queued(), parts[2].counts.wait()), (1, None));
    }

    #[test]
    fn without_measures_everything_is_counted_and_nothing_timed() {
        let counters = HookCounters::new(false);
        counters.admitted(High, PreTool);
        counters.started(High, PreTool, Duration::from_millis(2));
        counters.retried(High, PreTool, Some(Duration::from_millis(3)));
        counters.dispatched(7);
        counters.process_started(Duration::from_millis(1));
        counters.process_ended(Some(Duration::from_millis(4)), Some(5));
        let (counts, runs) = (total(&counters), counters.run_counts());
        assert_eq!((counts.admitted(), counts.retries(), counts.queued()), (1, 1, 1));
        assert_eq!((counts.wait(), counts.run()), (None, None));
        assert_eq!((runs.batch_sizes().samples(), runs.spawn_times()), (0, None));
        assert_eq!((runs.processes(), runs.cpu_time()), (1, Duration::from_millis(4)));
    }

    /// Jobs pass from a submitting thread to one that runs them, as through a lane; meanwhile no copy shows more ends
    /// than starts, or more of both than admissions.
    #[test]
    fn a_copy_shows_no_effect_without_its_cause() {
        /// Copies that differ from the one before, so that jobs pass while it is made. Where that takes too long, fewer
        /// have to do.
        const ENOUGH: u64 = 20_000;
        const AT_MOST: Duration = Duration::from_secs(2);
        // Times would be behind a lock that keeps jobs from passing.
        let counters = HookCounters::new(false);
        let (lane, taken) = std::sync::mpsc::sync_channel::<()>(64);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Acquire) {
                    counters.admitted(High, PreTool);
                    lane.send(()).unwrap();
                }
                drop(lane);
            });
            scope.spawn(|| {
                for () in taken {
                    counters.started(High, PreTool, Duration::ZERO);
                    counters.resolved(
                        High,
                        PreTool,
                        true,
                        (OutcomeKind::Succeeded, None),
                        &WaitSplit::default(),
                    );
                }
            });
            let until = Instant::now() + AT_MOST;
            let (mut moved, mut last, mut is_wrong) = (0, 0, None);
            while is_wrong.is_none() && moved < ENOUGH && Instant::now() < until {
                let counts = total(&counters);
                let seen = counts.resolved() + counts.running() + counts.queued();
                is_wrong = (seen != counts.admitted()).then_some((seen, counts.admitted()));
                moved += u64::from(counts.resolved() != last);
                last = counts.resolved();
            }
            is_over.store(true, Ordering::Release);
            assert_eq!(is_wrong, None, "a part of the sum was cut off below zero");
        });
        let counts = total(&counters);
        assert_eq!((counts.resolved(), counts.queued(), counts.running()), (counts.admitted(), 0, 0));
    }

    #[test]
    fn unmatched_events_are_counted_by_kind() {
        let unmatched = UnmatchedCounters::default();
        unmatched.count(PostTool);
        unmatched.count(PreTool);
        unmatched.count(PostTool);
        assert_eq!(unmatched.by_kind(), [(PreTool, 1), (PostTool, 2)]);
    }
}
