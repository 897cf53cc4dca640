//! A snapshot in the OpenMetrics text format.
//!
//! Everything that is counted for each job has the labels `hook`, `class` and `kind`, so a sum over any of them is the
//! reader's. Every reason and outcome is there for each such triple, zeros included. How it is written is the matter of
//! `families.rs`.

use std::fmt;

use hookpool::{BreakerState, Counts, HookSnapshot, OutcomeKind, Part, Refusal, Skip, Snapshot, WaitCause};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::{Registry, Unit};

use super::families::{Families, Labels, SIZES};

/// The media type of what [`render`] returns.
#[cfg(feature = "metrics-http")]
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The snapshot as text, up to `# EOF`.
pub(super) fn render(snapshot: Snapshot) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition(snapshot)));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("a string takes everything");
    out
}

#[derive(Debug)]
struct Exposition(Snapshot);

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.jobs(&mut families)?;
        self.times(&mut families)?;
        self.hooks(&mut families)?;
        self.lanes(&mut families)?;
        self.pool(&mut families)
    }
}

impl Exposition {
    /// What is counted for each job.
    fn jobs(&self, families: &mut Families<'_>) -> fmt::Result {
        families.counters(
            "hookpool_jobs_submitted",
            "Events for each hook that wanted them: admitted, refused or skipped",
            self.of_parts(Counts::submitted),
        )?;
        families.counters(
            "hookpool_jobs_admitted",
            "Jobs that got a place in the queue",
            self.of_parts(Counts::admitted),
        )?;
        let refused =
            self.by_name("reason", || Refusal::ALL.iter().map(|why| (why.name(), *why)), Counts::refused);
        families.counters(
            "hookpool_jobs_refused",
            "Jobs for which there was no place, by reason",
            refused,
        )?;
        // What no hook wanted is no hook's.
        let reasons = || Skip::ALL.iter().filter(|why| **why != Skip::NoMatch).map(|why| (why.name(), *why));
        let skipped = self.by_name("reason", reasons, Counts::skipped);
        families.counters(
            "hookpool_jobs_skipped",
            "Events that a hook wanted and did not get, by reason",
            skipped,
        )?;
        let outcomes = self.by_name(
            "outcome",
            || OutcomeKind::ALL.iter().map(|kind| (kind.name(), *kind)),
            Counts::outcome,
        );
        families.counters("hookpool_outcomes", "Admitted jobs that have ended, by how", outcomes)?;
        families.counters(
            "hookpool_retries",
            "Attempts beyond the first of a job",
            self.of_parts(Counts::retries),
        )?;
        families.gauges("hookpool_jobs_queued", "Jobs that wait", None, self.of_parts(Counts::queued))?;
        families.gauges(
            "hookpool_jobs_running",
            "Jobs whose handler runs",
            None,
            self.of_parts(Counts::running),
        )?;
        let unmatched = self
            .0
            .kinds
            .iter()
            .map(|(kind, counts)| (vec![("kind", kind.name())], counts.skipped(Skip::NoMatch)));
        families.counters("hookpool_events_unmatched", "Events that no hook wanted", unmatched)
    }

    fn times(&self, families: &mut Families<'_>) -> fmt::Result {
        families.times(
            "hookpool_wait",
            "Time from admission to the first start",
            self.parts().map(|(labels, part)| (labels, part.counts.wait_micros())),
        )?;
        let waited = self.by_name(
            "cause",
            || WaitCause::ALL.iter().map(|cause| (cause.name(), *cause)),
            |counts, cause| counts.waited_for().of(cause).as_secs_f64(),
        );
        families.counters_in(
            "hookpool_waited",
            "What the jobs that have ended waited for, all waits together, by cause",
            Some(&Unit::Seconds),
            waited,
        )?;
        families.times(
            "hookpool_run",
            "Time from start to end of a handler, for each job and attempt",
            self.parts().map(|(labels, part)| (labels, part.counts.run_micros())),
        )
    }

    /// What is known of each hook, all classes and kinds together.
    fn hooks(&self, families: &mut Families<'_>) -> fmt::Result {
        let batches = self.of_hooks(|hook| Some(hook.runs.batch_sizes()));
        families.histograms(
            "hookpool_batch_jobs",
            "Jobs that went to a handler at once",
            None,
            SIZES,
            1.0,
            batches,
        )?;
        let spawns = self.of_hooks(|hook| Some(hook.runs.spawn_micros()));
        families.times(
            "hookpool_spawn",
            "Time to start a process of a handler, until its program runs",
            spawns,
        )?;
        families.counters(
            "hookpool_processes_started",
            "Processes of handlers that were started",
            self.of_hooks(|hook| Some(hook.runs.processes())),
        )?;
        families.counters_in(
            "hookpool_processes_cpu",
            "Processor time of processes of handlers that have ended",
            Some(&Unit::Seconds),
            self.of_hooks(|hook| Some(hook.runs.cpu_time().as_secs_f64())),
        )?;
        families.gauges(
            "hookpool_processes_peak_memory",
            "Largest resident memory that was seen of one process of a handler",
            Some(&Unit::Bytes),
            self.of_hooks(|hook| hook.runs.peak_memory()),
        )?;
        let states = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
        let breakers = self.0.hooks.iter().filter_map(|hook| Some((hook, hook.breaker?)));
        let states = breakers.flat_map(|(hook, breaker)| {
            states.map(|state| {
                (
                    vec![("hook", hook.name.as_str()), ("state", state.name())],
                    u64::from(breaker.state == state),
                )
            })
        });
        families.gauges(
            "hookpool_breaker_state",
            "1 for the state of the hook's circuit breaker",
            None,
            states,
        )?;
        families.counters(
            "hookpool_breaker_opened",
            "How often the hook's circuit breaker opened",
            self.of_hooks(|hook| hook.breaker.map(|breaker| breaker.opened)),
        )?;
        let paused = self.of_hooks(|hook| Some(u64::from(hook.paused)));
        families.gauges("hookpool_hook_paused", "1 while no job of the hook may start", None, paused)
    }

    fn lanes(&self, families: &mut Families<'_>) -> fmt::Result {
        let lanes = || self.0.pool.lanes.iter().map(|(class, lane)| (vec![("class", class.name())], lane));
        let of_lanes = |value: fn(&hookpool::LaneGauges) -> u64| {
            lanes().map(move |(labels, lane)| (labels, value(lane)))
        };
        families.gauges(
            "hookpool_lane_jobs",
            "Jobs that wait in the class",
            None,
            of_lanes(|lane| lane.waiting.into()),
        )?;
        let oldest = lanes().map(|(labels, lane)| (labels, lane.oldest.unwrap_or_default().as_secs_f64()));
        families.gauges(
            "hookpool_lane_oldest",
            "How long the oldest job of the class waits that has not been started; 0 without one",
            Some(&Unit::Seconds),
            oldest,
        )?;
        families.gauges(
            "hookpool_seats_busy",
            "Seats that the class has taken",
            None,
            of_lanes(|lane| lane.busy.into()),
        )?;
        families.gauges(
            "hookpool_class_paused",
            "1 while no job of the class may start",
            None,
            of_lanes(|lane| lane.paused.into()),
        )
    }

    fn pool(&self, families: &mut Families<'_>) -> fmt::Result {
        let pool = &self.0.pool;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (name, help, unit, value) in [
            ("hookpool_workers", "Seats for every class", None, pool.workers.into()),
            ("hookpool_standby_seats", "Seats for important classes alone", None, pool.standby.into()),
            ("hookpool_threads", "Threads of workers", None, count(pool.threads)),
            (
                "hookpool_threads_asleep",
                "Threads of workers that have nothing to do",
                None,
                count(pool.asleep),
            ),
            ("hookpool_queue_capacity", "Jobs that may wait", None, pool.capacity.into()),
            ("hookpool_events", "Events that wait or run, in all", Some(&Unit::Bytes), pool.bytes),
            (
                "hookpool_events_limit",
                "The limit of hookpool_events_bytes",
                Some(&Unit::Bytes),
                pool.max_bytes,
            ),
        ] {
            families.gauges(name, help, unit, [(Vec::new(), value)])?;
        }
        families.counters(
            "hookpool_reloads",
            "Changes of the configuration in operation",
            [(Vec::new(), self.0.reloads)],
        )
    }

    fn parts(&self) -> impl Iterator<Item = (Labels<'_>, &Part)> {
        self.0.hooks.iter().flat_map(|hook| {
            hook.parts.iter().map(|part| {
                let (class, kind) = (part.class.name(), part.kind.name());
                (vec![("hook", hook.name.as_str()), ("class", class), ("kind", kind)], part)
            })
        })
    }

    fn of_parts(&self, value: fn(&Counts) -> u64) -> impl Iterator<Item = (Labels<'_>, u64)> {
        self.parts().map(move |(labels, part)| (labels, value(&part.counts)))
    }

    /// A further label with several values for each part.
    fn by_name<K, V, I: Iterator<Item = (&'static str, K)>>(
        &self,
        label: &'static str,
        all: impl Fn() -> I + Copy,
        value: fn(&Counts, K) -> V,
    ) -> impl Iterator<Item = (Labels<'_>, V)> {
        self.parts().flat_map(move |(labels, part)| {
            all().map(move |(name, key)| {
                let mut labels = labels.clone();
                labels.push((label, name));
                (labels, value(&part.counts, key))
            })
        })
    }

    fn of_hooks<'a, V>(
        &'a self,
        value: impl Fn(&'a HookSnapshot) -> Option<V>,
    ) -> impl Iterator<Item = (Labels<'a>, V)> {
        self.0.hooks.iter().filter_map(move |hook| Some((vec![("hook", hook.name.as_str())], value(hook)?)))
    }
}
