//! What comes next: jobs that streams draw, or those of a recording.
//!
//! What a job would do is drawn when it comes, from a generator of its stream's own: so two configurations under one
//! load and seed get the very same jobs, and differ in nothing but what they make of them. A recorded job does what it
//! did; one of which no run is known does what another job of its hook did, chosen by chance.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::draw::{Random, whole};
use super::load::{Arrivals, StreamLoad};
use crate::class::{PerClass, PriorityClass};
use crate::config::Config;
use crate::hook::HookName;
use crate::outcome::Skip;
use crate::recording::{Fate, Recording, RunEnd};
use crate::scheduler::HookSlot;
use crate::time::nanos;

/// A stream that knows whose jobs it has.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) load: StreamLoad,
    /// Its hook's position in the configuration. `None`: it has a hook of its own.
    pub(super) hook: Option<usize>,
    /// `None`: a recording says it, job by job.
    pub(super) class: Option<PriorityClass>,
    max_wait: PerClass<Option<Duration>>,
    skip: Option<Skip>,
}

impl Stream {
    /// The name of its hook in reports.
    pub(super) fn name(&self) -> HookName {
        let class = self.class.unwrap_or(PriorityClass::Normal);
        HookName::new(&format!("class_{class}")).expect("names of classes are words of small letters")
    }

    /// `replay`: only a `max_wait` that is configured counts.
    pub(super) fn new(
        load: StreamLoad,
        hook: Option<usize>,
        class: Option<PriorityClass>,
        config: &Config,
        replay: bool,
    ) -> Self {
        let own = hook.and_then(|at| config.hooks.get(at));
        let max_wait = PerClass::from_fn(|class| {
            let max_wait = match own {
                Some(hook) => config.max_wait(hook, class),
                None => config.classes[class].max_wait.unwrap_or(config.queue.max_wait),
            };
            max_wait.limit.filter(|_| max_wait.explicit || !replay)
        });
        let skip = if config.performance_mode {
            Some(Skip::PerformanceMode)
        } else {
            own.is_some_and(|hook| !hook.enabled).then_some(Skip::HookDisabled)
        };
        Self { load, hook, class, max_wait, skip }
    }
}

/// The class of a hook that was made for the streams of one.
pub(super) fn class_of(hook: &str) -> Option<PriorityClass> {
    PriorityClass::from_name(hook.strip_prefix("class_")?)
}

/// What is kept of a job.
#[derive(Debug)]
pub(super) struct Job {
    /// What its handler needs, in nanoseconds: for each attempt as much.
    run: u64,
    /// What decides about the failure of each attempt; of a recorded job, whose runs it has.
    luck: u64,
    /// Its place among the submissions.
    pub(super) number: u64,
    /// Attempts that have ended.
    pub(super) attempts: u32,
    /// How the last of them ended.
    pub(super) last: RunEnd,
    pub(super) bytes: u32,
    pub(super) stream: u32,
}

/// A job with what the scheduler asks of it.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) slot: HookSlot,
    pub(super) class: PriorityClass,
    pub(super) session: Option<u64>,
    pub(super) batch: Option<u64>,
    pub(super) max_wait: Option<Duration>,
    pub(super) skip: Option<Skip>,
    /// Its submitter waits for room.
    pub(super) waits: bool,
    pub(super) job: Job,
}

/// A stream in motion.
#[derive(Debug)]
struct Source {
    stream: Stream,
    slot: HookSlot,
    /// One for each purpose: when, whose, how long, how it ends.
    moments: Random,
    sessions: Random,
    spans: Random,
    ends: Random,
}

/// A recording in motion.
#[derive(Debug)]
struct Replay {
    recording: Arc<Recording>,
    /// The next job that comes.
    next: usize,
    /// The stream of each hook.
    streams: HashMap<HookName, u32>,
    /// The jobs of each stream whose runs are known.
    known: Vec<Vec<u32>>,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Feed {
    sources: Vec<Source>,
    /// The next arrivals: when, by which stream, by which of its ways.
    due: BinaryHeap<Reverse<(u64, u32, u32)>>,
    replay: Option<Replay>,
    drawn: u64,
}

impl Feed {
    /// `slots`: the hooks of the streams, as the core numbers them.
    pub(super) fn new(
        streams: Vec<(Stream, HookSlot)>,
        recording: Option<Arc<Recording>>,
        seed: u64,
    ) -> Self {
        let replay = recording.map(|recording| Replay::new(recording, &streams));
        let sources = streams.into_iter().enumerate().map(|(at, (stream, slot))| {
            let random = |purpose| Random::new(seed, at as u64 * 4 + purpose);
            let [moments, sessions, spans, ends] = [0, 1, 2, 3].map(random);
            Source { stream, slot, moments, sessions, spans, ends }
        });
        let mut feed = Self { sources: sources.collect(), due: BinaryHeap::new(), replay, drawn: 0 };
        for at in 0..feed.sources.len() {
            let ways = feed.sources.get(at).map_or(0, |source| source.stream.load.arrivals.len());
            for way in 0..ways {
                feed.schedule(at, way, 0);
            }
        }
        feed
    }

    /// When something comes next; `u64::MAX`: never.
    pub(super) fn next_at(&self) -> u64 {
        let drawn = self.due.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        self.replay.as_ref().map_or(drawn, Replay::next_at)
    }

    /// What comes now: of which stream, and how many at once.
    pub(super) fn next(&mut self, now: u64) -> Option<(usize, u32)> {
        if let Some(replay) = &self.replay {
            return Some((replay.next_stream()?, 1));
        }
        let Reverse((_, at, way)) = self.due.pop()?;
        let (at, way) = (at as usize, way as usize);
        self.schedule(at, way, now);
        let size = match self.sources.get(at)?.stream.load.arrivals.get(way)? {
            Arrivals::Burst { size, .. } => *size,
            Arrivals::Poisson { .. } | Arrivals::Every(_) => 1,
        };
        Some((at, size))
    }

    /// The next job of a stream, which [`Feed::next`] has named.
    pub(super) fn draw(&mut self, at: usize) -> Option<Coming> {
        let source = self.sources.get_mut(at)?;
        let (number, stream) = (self.drawn, small(at));
        self.drawn += 1;
        if let Some(replay) = &mut self.replay {
            return replay.draw(source, stream, number);
        }
        let load = &source.stream.load;
        let class = source.stream.class.unwrap_or(PriorityClass::Normal);
        Some(Coming {
            slot: source.slot,
            class,
            session: (load.sessions > 0).then(|| u64::from(source.sessions.below(load.sessions))),
            batch: None,
            max_wait: source.stream.max_wait[class],
            skip: source.stream.skip,
            waits: false,
            job: Job {
                run: load.run_time.draw(&mut source.spans),
                luck: source.ends.next(),
                number,
                attempts: 0,
                last: RunEnd::Succeeded,
                bytes: load.bytes,
                stream,
            },
        })
    }

    /// How the attempt of a job that comes now would end if nobody stopped it, and after how many nanoseconds.
    pub(super) fn attempt(&self, job: &Job) -> (u64, RunEnd) {
        if let Some(replay) = &self.replay
            && let Some(runs) = replay.runs(job)
        {
            // Who is tried more often than it was does again what it did last.
            let nth = runs.len().saturating_sub(1).min(job.attempts as usize);
            return runs.get(nth).map_or((0, RunEnd::Succeeded), |run| (nanos(run.time), run.end));
        }
        let failures =
            self.sources.get(job.stream as usize).map_or(0.0, |source| source.stream.load.failures);
        let fails = failures > 0.0 && Random::new(job.luck, job.attempts.into()).unit() <= failures;
        (job.run, if fails { RunEnd::Failed } else { RunEnd::Succeeded })
    }

    /// What each further event adds to the run of a batch. `None`: the recording knows how long each event took.
    pub(super) fn per_event(&self, job: &Job) -> Option<Duration> {
        let source = self.sources.get(job.stream as usize).filter(|_| self.replay.is_none());
        source.map(|source| source.stream.load.per_event)
    }

    pub(super) fn slot_of(&self, job: &Job) -> Option<HookSlot> {
        self.sources.get(job.stream as usize).map(|source| source.slot)
    }

    /// Sets the next arrival of one way of a stream.
    fn schedule(&mut self, at: usize, way: usize, now: u64) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let Some(arrivals) = source.stream.load.arrivals.get(way) else { return };
        let gap = match arrivals {
            Arrivals::Poisson { gap } => whole(gap * source.moments.exponential()),
            Arrivals::Every(every) | Arrivals::Burst { every, .. } => nanos(*every),
        };
        self.due.push(Reverse((now.saturating_add(gap), small(at), small(way))));
    }
}

impl Replay {
    /// Stands for the runs of a job when those of none of its hook are known: they are drawn.
    const UNKNOWN: u64 = u64::MAX;

    fn new(recording: Arc<Recording>, streams: &[(Stream, HookSlot)]) -> Self {
        let named = streams
            .iter()
            .enumerate()
            .filter_map(|(at, (stream, _))| Some((HookName::new(stream.load.hook()?).ok()?, small(at))));
        let streams: HashMap<HookName, u32> = named.collect();
        let mut known = vec![Vec::new(); streams.len()];
        for (at, job) in recording.jobs.iter().enumerate().filter(|(_, job)| !job.runs.is_empty()) {
            let stream = streams.get(&job.hook).and_then(|at| known.get_mut(*at as usize));
            if let Some(known) = stream {
                known.push(small(at));
            }
        }
        Self { recording, next: 0, streams, known }
    }

    fn next_at(&self) -> u64 {
        self.recording.jobs.get(self.next).map_or(u64::MAX, |job| nanos(job.at))
    }

    fn next_stream(&self) -> Option<usize> {
        let job = self.recording.jobs.get(self.next)?;
        self.streams.get(&job.hook).map(|at| *at as usize)
    }

    fn draw(&mut self, source: &mut Source, stream: u32, number: u64) -> Option<Coming> {
        let at = self.next;
        self.next += 1;
        let job = self.recording.jobs.get(at)?;
        let known = self.known.get(stream as usize).map_or(&[][..], |known| known);
        let luck = if job.runs.is_empty() {
            let choice = (!known.is_empty()).then(|| source.ends.below(small(known.len())) as usize);
            choice.and_then(|nth| known.get(nth)).map_or(Self::UNKNOWN, |at| (*at).into())
        } else {
            at as u64
        };
        let run = if luck == Self::UNKNOWN { source.stream.load.run_time.draw(&mut source.spans) } else { 0 };
        let class = source.stream.class.unwrap_or(job.class);
        // What was switched off by its kind is so still: a recording does not know the kinds of its events.
        let by_kind = (job.fate == Fate::Skipped(Skip::KindDisabled)).then_some(Skip::KindDisabled);
        Some(Coming {
            slot: source.slot,
            class,
            session: job.session,
            batch: job.batch,
            max_wait: source.stream.max_wait[class],
            skip: source.stream.skip.or(by_kind),
            waits: job.waits,
            job: Job { run, luck, number, attempts: 0, last: RunEnd::Succeeded, bytes: job.bytes, stream },
        })
    }

    fn runs(&self, job: &Job) -> Option<&[crate::recording::RecordedRun]> {
        let at = usize::try_from(job.luck).ok().filter(|_| job.luck != Self::UNKNOWN)?;
        self.recording.jobs.get(at).map(|job| &*job.runs)
    }
}

pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
