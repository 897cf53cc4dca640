//! Who gets how much of a busy pool: bounded bypass and weights, over long runs in virtual time.

use std::time::Duration;

use super::script::{Setup, per_class};
use crate::class::PerClass;
use crate::class::PriorityClass::{self, Critical, High, Low, Normal};
use crate::scheduler::{Arrival, Core, Dispatch, HookSlot, RunKey};
use crate::time::Time;

const MS: u64 = 1_000_000;
/// Enough picks for each rule to come round many times.
const MANY: usize = if cfg!(miri) { 500 } else { 10_000 };

/// A pool in which some classes always have something to run.
struct Busy {
    core: Core<()>,
    now: u64,
    /// Run time in milliseconds of a job of each class; 0: the class has nothing.
    lasts: PerClass<u64>,
    running: Vec<(u64, u64, RunKey)>,
    /// Seat time that completed runs of each class have used.
    used: PerClass<u64>,
}

impl Busy {
    fn new(setup: &Setup, lasts: [u64; 4]) -> Self {
        let mut core = Core::new(setup.core);
        for hook in &setup.hooks {
            core.add_hook(hook.params());
        }
        Self { core, now: 0, lasts: per_class(lasts), running: Vec::new(), used: PerClass::default() }
    }

    /// The class of the next pick, with seats full before and after.
    fn next(&mut self) -> PriorityClass {
        loop {
            for class in PriorityClass::ALL {
                while self.lasts[class] > 0 && self.core.waiting()[class] < 2 {
                    self.core.offer(self.arrival(class), Time(self.now)).unwrap();
                }
            }
            if let Some(Dispatch { run, class, .. }) = self.core.pick(Time(self.now)) {
                self.running.push((self.now + self.lasts[class].max(1) * MS, self.now, run));
                self.used[class] += self.lasts[class];
                return class;
            }
            let first = (0..self.running.len()).min_by_key(|index| self.running[*index].0).unwrap();
            let (end, since, run) = self.running.swap_remove(first);
            self.now = end;
            self.core.complete(run, Duration::from_nanos(end - since), Vec::new(), Time(end));
        }
    }

    fn arrival(&self, class: PriorityClass) -> Arrival<()> {
        Arrival {
            hook: HookSlot(0),
            class,
            session: None,
            batching: None,
            bytes: 1,
            admitted: Time(self.now),
            max_wait: None,
            body: (),
        }
    }

    fn picks(&mut self, number: usize) -> Vec<PriorityClass> {
        (0..number).map(|_| self.next()).collect()
    }

    /// Per mille of the seat time that each class used in so many picks.
    fn shares(&mut self, picks: usize) -> [u64; 4] {
        self.used = PerClass::default();
        self.picks(picks);
        let all: u64 = self.used.values().sum();
        PriorityClass::ALL.map(|class| self.used[class] * 1000 / all)
    }
}

fn strict(bounds: [u32; 4]) -> Setup {
    let mut setup = Setup::plain(1);
    setup.core.pick.bypass = Some(per_class(bounds));
    setup
}

fn by_weight(workers: u32, weights: [u32; 4]) -> Setup {
    let mut setup = Setup::plain(workers);
    setup.core.pick.weighted = true;
    setup.core.pick.weights = per_class(weights);
    setup.core.pick.bypass = Some(per_class([16, 16, 16, 64]));
    setup
}

/// The longest row of picks in which the class was not served.
fn longest_wait(picks: &[PriorityClass], class: PriorityClass) -> usize {
    picks.split(|picked| *picked == class).map(<[_]>::len).max().unwrap()
}

fn assert_near(shares: [u64; 4], expected: [u64; 4]) {
    let near = shares.iter().zip(expected).all(|(share, expected)| share.abs_diff(expected) <= 30);
    assert!(near, "{shares:?} of 1000, not {expected:?}");
}

#[test]
fn two_small_bounds_do_not_starve_a_third() {
    let picks = Busy::new(&strict([16, 1, 1, 16]), [0, 1, 1, 1]).picks(MANY);
    assert!(longest_wait(&picks, Low) <= 20, "{}", longest_wait(&picks, Low));
    let picks = Busy::new(&strict([16, 1, 1, 16]), [1; 4]).picks(MANY);
    assert!(longest_wait(&picks, Low) <= 20, "{}", longest_wait(&picks, Low));
    assert!(longest_wait(&picks, Critical) <= 4, "nor the first");
}

/// Why only being passed over by a more important class counts.
#[test]
fn a_naive_rule_would_starve_the_third() {
    let bounds = [1, 1, 16];
    let mut passed_over = [0; 3];
    let mut served = [0; 3];
    for _ in 0..MANY {
        let next = (0..3).find(|class| passed_over[*class] >= bounds[*class]).unwrap_or(0);
        for (class, count) in passed_over.iter_mut().enumerate() {
            *count = if class == next { 0 } else { *count + 1 };
        }
        served[next] += 1;
    }
    assert_eq!(served[2], 0, "{served:?}");
}

#[test]
fn with_the_built_in_bounds_each_class_is_served_once_in_its_bound_and_four() {
    let picks = Busy::new(&strict([16, 16, 16, 64]), [1; 4]).picks(MANY);
    for (class, bound) in [(High, 16), (Normal, 16), (Low, 64)] {
        let wait = longest_wait(&picks, class);
        assert!((bound..=bound + 3).contains(&wait), "{class} waited for {wait} picks");
    }
}

#[test]
fn a_bound_of_zero_counts_as_one() {
    let picks = Busy::new(&strict([0, 0, 0, 16]), [0, 1, 1, 1]).picks(1000);
    assert!(longest_wait(&picks, Low) <= 20);
}

#[test]
fn a_class_that_is_now_and_then_unable_to_run_is_not_forgotten() {
    let mut setup = strict([16; 4]);
    setup.core.seats.workers = 2;
    setup.hooks[0].max_concurrency = Some(1);
    let picks = Busy::new(&setup, [0, 1, 0, 1]).picks(1000);
    assert_eq!(longest_wait(&picks, Low), 16, "while a high job runs, the low one is parked");
}

#[test]
fn without_bypass_the_less_important_never_run() {
    let mut setup = strict([1; 4]);
    setup.core.pick.bypass = None;
    assert_eq!(longest_wait(&Busy::new(&setup, [0, 1, 0, 1]).picks(1000), Low), 1000);
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of picks")]
fn weights_share_seat_time_whatever_a_job_lasts() {
    for workers in [1, 4] {
        let setup = by_weight(workers, [1, 4, 2, 1]);
        assert_near(Busy::new(&setup, [0, 10, 10, 10]).shares(20_000), [0, 571, 286, 143]);
        assert_near(Busy::new(&setup, [0, 2, 20, 200]).shares(60_000), [0, 571, 286, 143]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of picks")]
fn what_critical_jobs_take_does_not_change_how_the_others_share() {
    let mut setup = by_weight(2, [1, 4, 2, 1]);
    setup.core.seats.per_class = per_class([1, 9, 9, 9]);
    setup.core.pick.bypass = None;
    let [critical, high, normal, low] = Busy::new(&setup, [50, 10, 10, 10]).shares(60_000);
    assert!((470..=530).contains(&critical), "one seat of two: {critical}");
    assert_near([0, high * 2, normal * 2, low * 2], [0, 571, 286, 143]);
}

#[test]
fn a_class_that_was_idle_does_not_return_with_a_burst() {
    let mut busy = Busy::new(&by_weight(1, [1; 4]), [0, 0, 10, 0]);
    busy.picks(MANY);
    busy.lasts[Low] = 10;
    // A hundred milliseconds of credit are ten jobs; the first runs are charged when they end.
    let first = busy.picks(30);
    let low = first.iter().filter(|class| **class == Low).count();
    assert!((12..=22).contains(&low), "{low} of the first 30");
    assert_near(busy.shares(1000), [0, 0, 500, 500]);
}

/// Or the return of what it was charged too much by the old weights would be taken off what it has used by the new ones.
#[test]
fn what_was_charged_in_advance_by_other_weights_is_forgotten_with_them() {
    let mut busy = Busy::new(&by_weight(1, [1; 4]), [0, 20, 10, 0]);
    busy.picks(100);
    busy.lasts[High] = 10;
    while busy.next() != High {}
    let mut params = *busy.core.params();
    params.pick.weights = per_class([2; 4]);
    busy.core.set_params(params, Time(busy.now));
    assert_eq!(busy.next(), Normal, "the high class has had its run, and the normal one none");
}

/// A pool that the low class can rarely enter, just when the high class is due too.
#[test]
fn a_class_whose_seat_is_rarely_free_does_not_wait_behind_the_same_other_again_and_again() {
    let mut setup = strict([16, 2, 16, 1]);
    setup.core.seats.workers = 2;
    setup.core.seats.per_class = per_class([2, 1, 1, 1]);
    let mut core = Core::new(setup.core);
    let hook = core.add_hook(setup.hooks[0].params());
    let busy = Busy::new(&setup, [1, 1, 0, 1]);
    for class in [Critical, High, Low] {
        let body = ();
        for _ in 0..200 {
            core.offer(Arrival { hook, body, ..busy.arrival(class) }, Time(0)).unwrap();
        }
    }
    let mut passed_over = 0;
    for _ in 0..20 {
        // The low class is shut out until the high class is due, and let in just then.
        core.pause_class(Low, Time(0));
        for _ in 0..3 {
            let run = core.pick(Time(0)).unwrap().run;
            core.complete(run, Duration::ZERO, Vec::new(), Time(0));
            if core.picker.is_due(High) {
                break;
            }
        }
        core.resume_class(Low, Time(0));
        let Dispatch { run, class, .. } = core.pick(Time(0)).unwrap();
        core.complete(run, Duration::ZERO, Vec::new(), Time(0));
        passed_over = if class == Low { 0 } else { passed_over + 1 };
        assert!(passed_over <= 4, "the low class is passed over");
    }
}

#[test]
fn seats_that_are_free_at_once_are_shared_before_anything_ends() {
    let mut busy = Busy::new(&by_weight(1, [1; 4]), [0, 10, 10, 0]);
    busy.picks(100);
    let (_, since, run) = busy.running.pop().unwrap();
    busy.core.complete(run, Duration::from_nanos(busy.now - since), Vec::new(), Time(busy.now));
    busy.core.params.seats.workers = 8;
    let picks = busy.picks(8);
    let high = picks.iter().filter(|class| **class == High).count();
    assert!((3..=5).contains(&high), "{picks:?}");
}
