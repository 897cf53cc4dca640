//! A simulated pool in virtual time: a million jobs of every sort through the real core, and the books balance at every
//! event. One seed, one run: a failure comes again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use super::script::per_class;
use crate::class::{PerClass, PriorityClass};
use crate::outcome::OutcomeKind;
use crate::scheduler::job::Picked;
use crate::scheduler::{
    AdmissionRule, Arrival, BatchParams, Batching, Core, CoreParams, HookParams, HookSlot, PickParams, Retry,
    RunKey, SeatParams,
};
use crate::time::Time;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

#[derive(Debug, Default, PartialEq, Eq)]
struct Books {
    offered: u64,
    refused: u64,
    admitted: u64,
    /// Jobs that hold a seat.
    running: u64,
    finished: u64,
    retried: u64,
    batched: u64,
    inherited: u64,
    displaced: u64,
    expired: u64,
    cancelled: u64,
    abandoned: u64,
}

#[derive(Debug)]
struct Job {
    attempts: u32,
    session: Option<u64>,
    number: u64,
}

struct Running {
    key: RunKey,
    hook: HookSlot,
    since: u64,
    jobs: Vec<Picked<Job>>,
}

struct Pool {
    core: Core<Job>,
    random: SplitMix,
    now: u64,
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    runs: HashMap<usize, Running>,
    started: usize,
    /// The chains that run, with the number of the last job that was started: order and no overlap.
    chains: HashMap<(u32, u64), u64>,
    busy_chains: HashMap<(u32, u64), usize>,
    books: Books,
}

const PLAIN: HookSlot = HookSlot(0);
const LINES: HookSlot = HookSlot(1);
const NARROW: HookSlot = HookSlot(2);
const FLAKY: HookSlot = HookSlot(3);
const HOOKS: u64 = 4;

impl Pool {
    fn new(seed: u64) -> Self {
        let mut core = Core::new(CoreParams {
            rule: AdmissionRule {
                capacity: 200,
                guarantee: per_class([10, 10, 10, 10]),
                ceiling: per_class([200, 200, 200, 120]),
            },
            displace: true,
            seats: SeatParams {
                workers: 4,
                standby: 1,
                standby_for: PriorityClass::High,
                per_class: per_class([9, 9, 9, 3]),
            },
            pick: PickParams {
                weighted: false,
                weights: per_class([1; 4]),
                bypass: Some(per_class([16, 16, 16, 64])),
            },
            pressure: 150,
        });
        core.add_hook(HookParams::default());
        core.add_hook(HookParams::default());
        core.add_hook(HookParams { max_concurrency: Some(2) });
        core.add_hook(HookParams::default());
        Self {
            core,
            random: SplitMix(seed),
            now: 0,
            ends: BinaryHeap::new(),
            runs: HashMap::new(),
            started: 0,
            chains: HashMap::new(),
            busy_chains: HashMap::new(),
            books: Books::default(),
        }
    }

    fn run(mut self, jobs: u64) -> Books {
        let mut next_arrival = 0;
        while self.books.offered < jobs || self.books.running > 0 || self.waiting() > 0 {
            if self.books.offered >= jobs {
                next_arrival = u64::MAX;
                self.core.close(Time(self.now));
                self.resume_all();
            }
            let end = self.ends.peek().map_or(u64::MAX, |Reverse((end, _))| *end);
            let deadline = self.core.next_deadline().map_or(u64::MAX, |time| time.0);
            self.now = next_arrival.min(end).min(deadline).max(self.now);
            assert_ne!(self.now, u64::MAX, "something waits and nothing will happen: {:?}", self.core);
            self.core.tick(Time(self.now));
            if end <= self.now {
                self.complete();
            }
            if next_arrival <= self.now {
                self.arrive();
                next_arrival = self.now + self.gap();
            }
            self.interfere();
            while self.pick() {}
            self.check();
        }
        assert!(
            self.core.next_deadline().is_none() && self.core.chains.is_empty() && self.core.open.is_empty()
        );
        self.books
    }

    /// Time to the next arrival: calm and crowded times take turns.
    fn gap(&mut self) -> u64 {
        let crowded = (self.now / (200 * MS)).is_multiple_of(3);
        self.random.below(if crowded { 500 * US } else { 1300 * US })
    }

    /// The second hook's jobs go in batches.
    fn batching(&mut self, hook: HookSlot) -> Option<Batching> {
        let key = self.random.below(2);
        let bounds = BatchParams { size: 8, bytes: 4000, linger: Duration::from_millis(3) };
        (hook == HookSlot(1)).then_some(Batching { definition: 0, key, bounds })
    }

    fn arrive(&mut self) {
        let hook = HookSlot(u32::try_from(self.random.below(HOOKS)).unwrap());
        let class = match self.random.below(20) {
            0 => PriorityClass::Critical,
            1..=4 => PriorityClass::High,
            5..=12 => PriorityClass::Normal,
            _ => PriorityClass::Low,
        };
        let session = (self.random.below(3) > 0).then(|| self.random.below(30));
        let arrival = Arrival {
            hook,
            class,
            session,
            batching: self.batching(hook),
            bytes: u32::try_from(self.random.below(1000)).unwrap(),
            admitted: Time(self.now),
            max_wait: (self.random.below(2) == 0).then(|| Duration::from_millis(40)),
            body: Job { attempts: 0, session, number: self.books.offered },
        };
        self.books.offered += 1;
        match self.core.offer(arrival, Time(self.now)) {
            Ok(key) => {
                self.books.admitted += 1;
                if self.random.below(50) == 0 {
                    assert!(self.core.cancel(key, Time(self.now)));
                }
            }
            Err(_) => self.books.refused += 1,
        }
    }

    fn pick(&mut self) -> bool {
        let Some(dispatch) = self.core.pick(Time(self.now)) else {
            assert!(!self.core.has_eligible());
            return false;
        };
        self.books.inherited += u64::from(dispatch.class != dispatch.first.class);
        let jobs: Vec<_> = std::iter::once(dispatch.first).chain(dispatch.rest).collect();
        self.books.batched += u64::from(jobs.len() > 1);
        self.books.running += jobs.len() as u64;
        self.started += 1;
        for job in &jobs {
            let Some(session) = job.body.session else { continue };
            let chain = (dispatch.hook.0, session);
            let run = *self.busy_chains.entry(chain).or_insert(self.started);
            assert_eq!(run, self.started, "a chain runs one at a time");
            let before = self.chains.insert(chain, job.body.number);
            assert!(job.body.attempts > 0 || before.is_none_or(|before| before < job.body.number), "order");
        }
        let lasts = 100 * US + self.random.below(4 * MS) + (self.random.below(50) / 49) * 20 * MS;
        self.ends.push(Reverse((self.now + lasts, self.started)));
        let run = Running { key: dispatch.run, hook: dispatch.hook, since: self.now, jobs };
        self.runs.insert(self.started, run);
        true
    }

    fn complete(&mut self) {
        let Reverse((_, run)) = self.ends.pop().unwrap();
        let Running { key, hook, since, jobs } = self.runs.remove(&run).unwrap();
        let mut retries = Vec::new();
        for mut job in jobs {
            self.books.running -= 1;
            if let Some(session) = job.body.session {
                self.busy_chains.remove(&(hook.0, session));
            }
            job.body.attempts += 1;
            if hook == FLAKY && job.body.attempts < 3 && self.random.below(4) == 0 {
                self.books.retried += 1;
                retries.push(Retry { job, at: Time(self.now + self.random.below(10 * MS)) });
            } else {
                self.books.finished += 1;
            }
        }
        self.core.complete(key, Duration::from_nanos(self.now - since), retries, Time(self.now));
    }

    /// Now and then somebody pauses something, and somebody resumes it.
    fn interfere(&mut self) {
        let now = Time(self.now);
        match self.random.below(4000) {
            0 => self.core.pause_hook(NARROW, now),
            1 => self.core.pause_hook(LINES, now),
            2 => self.core.pause_class(PriorityClass::Low, now),
            3 => self.core.pause_class(PriorityClass::High, now),
            4..=40 => self.resume_all(),
            _ => {}
        }
    }

    fn resume_all(&mut self) {
        let now = Time(self.now);
        for hook in [PLAIN, LINES, NARROW, FLAKY] {
            self.core.resume_hook(hook, now);
        }
        for class in PriorityClass::ALL {
            self.core.resume_class(class, now);
        }
    }

    fn waiting(&self) -> u64 {
        self.core.waiting().values().copied().map(u64::from).sum()
    }

    /// Conservation, in constant time.
    fn check(&mut self) {
        for end in self.core.take_resolved() {
            let ends = match end.outcome {
                OutcomeKind::Displaced => &mut self.books.displaced,
                OutcomeKind::Expired => &mut self.books.expired,
                OutcomeKind::Cancelled => &mut self.books.cancelled,
                OutcomeKind::Abandoned => &mut self.books.abandoned,
                other => panic!("no job that was not picked ends as {other}"),
            };
            *ends += 1;
        }
        let waiting = self.waiting();
        let Books { offered, refused, admitted, running, finished, .. } = self.books;
        let ended = self.books.displaced + self.books.expired + self.books.cancelled + self.books.abandoned;
        assert_eq!(offered, refused + admitted);
        assert_eq!(admitted, waiting + running + finished + ended);
        let seats: PerClass<u32> = self.core.running();
        assert_eq!(seats.values().sum::<u32>() as usize, self.runs.len());
        assert!(self.runs.len() <= 5 && seats[PriorityClass::Low] <= 3);
    }
}

/// A small generator of its own: the same numbers everywhere, for ever.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[test]
#[cfg_attr(miri, ignore = "a million jobs")]
fn the_books_of_a_million_jobs_balance_at_every_event() {
    let books = Pool::new(1).run(1_000_000);
    assert_eq!(books.offered, 1_000_000);
    let Books { refused, retried, batched, inherited, displaced, expired, cancelled, .. } = books;
    let rare = [refused, retried, batched, inherited, displaced, expired, cancelled].into_iter().min();
    assert!(rare >= Some(1000), "the load reaches every rule: {books:?}");
}

#[test]
#[cfg_attr(miri, ignore = "thousands of steps of one thread")]
fn the_same_seed_is_the_same_run() {
    const JOBS: u64 = 20_000;
    assert_eq!(Pool::new(7).run(JOBS), Pool::new(7).run(JOBS));
}

/// `tests/long.sh` runs it, with optimisation.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_million_jobs() {
    for seed in 0..10 {
        println!("{:?}", Pool::new(seed).run(10_000_000));
    }
}
