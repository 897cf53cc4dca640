//! Models of the hand-written protocols, admission, parking and combining, in every order in which few threads can meet.
//!
//!     RUSTFLAGS="--cfg loom" cargo test --lib --target-dir target/loom pool::tests::loom
//!
//! The code is the pool's own, on loom's atomics. What stands around it here is as weak as it may be in the pool: lanes
//! are a counter without any ordering of its own, so that only the protocol makes a push visible. A lost
//! wake-up is a model in which nobody can go on, which loom reports. There are no deadlines: loom has no clock.
//! Sequential consistency is that of fences alone: loom takes that of an access for acquire and release.

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::class::{ClassSet, PerClass, PriorityClass};
use crate::outcome::Refusal;
use crate::pool::admission::Admission;
use crate::pool::combining::{Combining, Paper};
use crate::pool::park::Parking;
use crate::scheduler::AdmissionRule;
use crate::time::Clock;
use PriorityClass::{Critical, High, Low, Normal};

fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn admission(capacity: u32, lane_max: u32) -> Arc<Admission> {
    let rule =
        AdmissionRule { capacity, guarantee: PerClass::default(), ceiling: PerClass::from_fn(|_| capacity) };
    Arc::new(Admission::with_lanes(rule, true, lane_max))
}

fn total(admission: &Admission) -> u32 {
    admission.waiting().values().sum()
}

/// Lanes of one, so that the second job of a class moves the counts, and giving them back returns them.
#[test]
fn places_are_given_exactly_though_the_counts_move() {
    for lane_max in [100, 1] {
        model(3, move || {
            let word = admission(2, lane_max);
            let inside = Arc::new(AtomicU32::new(0));
            let others = [(Low, 2), (Low, 1)].map(|(class, times)| {
                let (word, inside) = (Arc::clone(&word), Arc::clone(&inside));
                thread::spawn(move || {
                    let places = (0..times).filter(|_| word.admit(class).is_ok()).count();
                    for _ in 0..places {
                        assert!(inside.fetch_add(1, Ordering::AcqRel) < 2, "more than there is room for");
                    }
                    for _ in 0..places {
                        inside.fetch_sub(1, Ordering::AcqRel);
                        word.release(class);
                    }
                    places
                })
            });
            let [first, second] = others.map(|other| other.join().unwrap());
            // Nobody is refused while there is room: only the last one of three can be.
            assert!(first >= 1 && first + second >= 2, "{first} and {second}");
            assert_eq!(total(&word), 0);
        });
    }
}

#[test]
fn nothing_is_admitted_once_the_close_has_returned() {
    for lane_max in [100, 1] {
        model(3, move || {
            let word = admission(5, lane_max);
            word.admit(Low).unwrap();
            let other = Arc::clone(&word);
            let submitter = thread::spawn(move || {
                let admitted = (0..2).filter(|_| other.admit(Low).is_ok()).count();
                assert!(other.is_closed() || admitted == 2);
                admitted
            });
            word.close();
            let at_the_cut = total(&word);
            assert_eq!(word.admit(High), Err(Refusal::Closed));
            let admitted = u32::try_from(submitter.join().unwrap()).unwrap();
            assert_eq!((total(&word), at_the_cut), (1 + admitted, 1 + admitted));
        });
    }
}

/// The last place that is given back moves the counts back, into a word that somebody closes.
#[test]
fn counts_that_move_back_undo_no_close() {
    model(3, || {
        let word = admission(5, 1);
        for _ in 0..2 {
            word.admit(Low).unwrap();
        }
        let other = Arc::clone(&word);
        let leaver = thread::spawn(move || (0..2).for_each(|_| other.release(Low)));
        word.close();
        assert_eq!(word.admit(High), Err(Refusal::Closed));
        leaver.join().unwrap();
        assert_eq!((word.admit(High), total(&word)), (Err(Refusal::Closed), 0));
    });
}

/// Whatever moves, who counts sees a state that was: never less than what stays, never more than there was room for.
#[test]
fn counts_are_read_whole_though_they_move() {
    model(3, || {
        let word = admission(3, 1);
        word.admit(Low).unwrap();
        let other = Arc::clone(&word);
        let mover = thread::spawn(move || {
            other.admit(Low).unwrap();
            other.release(Low);
            other.release(Low);
            other.admit(High).unwrap();
        });
        let waiting = word.waiting();
        let seen = (waiting[Low], waiting[High]);
        assert!([(1, 0), (2, 0), (0, 0), (0, 1)].contains(&seen), "{seen:?} never was");
        mover.join().unwrap();
        assert_eq!((word.waiting()[Low], word.waiting()[High]), (0, 1));
    });
}

/// Who waited for the mutex and finds that the counts moved back looks at the word anew: they may have moved out again.
#[test]
fn counts_that_have_moved_again_are_left_to_the_mutex() {
    model(3, || {
        let word = admission(9, 1);
        (0..2).for_each(|_| word.readmit(Low));
        let other = Arc::clone(&word);
        let mover = thread::spawn(move || {
            (0..2).for_each(|_| other.release(Low));
            (0..2).for_each(|_| other.readmit(Low));
        });
        word.readmit(High);
        mover.join().unwrap();
        assert_eq!((word.waiting()[Low], word.waiting()[High]), (2, 1));
    });
}

#[test]
fn a_displacement_keeps_the_total_whatever_else_happens() {
    for lane_max in [100, 1] {
        model(3, move || {
            let word = admission(3, lane_max);
            for class in [Low, Low, Normal] {
                word.admit(class).unwrap();
            }
            let other = Arc::clone(&word);
            let displacer = thread::spawn(move || other.displace(Low, High).is_ok());
            let other = Arc::clone(&word);
            let arrival = thread::spawn(move || other.admit(Critical).is_ok());
            word.release(Normal);
            let (displaced, arrived) = (displacer.join().unwrap(), arrival.join().unwrap());
            let expected = |class| match class {
                Low => 2 - u32::from(displaced),
                High => u32::from(displaced),
                Critical => u32::from(arrived),
                Normal => 0,
            };
            assert_eq!(word.waiting(), PerClass::from_fn(expected));
        });
    }
}

/// The pool's workers and submitters, without jobs: one class, as many seats as workers.
struct Stage {
    parking: Parking,
    /// What was pushed and not taken in.
    lanes: AtomicU32,
    core: Mutex<Core>,
    /// Jobs that have begun.
    begun: (Mutex<u32>, Condvar),
    leaving: AtomicBool,
}

#[derive(Default)]
struct Core {
    /// What waits.
    jobs: u32,
    /// What the next job that ends sets free.
    behind: u32,
    paused: bool,
    /// No seat is free before the next job ends: one that others are behind takes all.
    shut: bool,
}

/// What a look has found.
struct Found {
    more: bool,
    opened: bool,
}

impl Stage {
    /// `together`: no job ends before so many have begun, but for one that others are behind.
    fn start(workers: usize, together: u32) -> (Arc<Self>, Vec<thread::JoinHandle<()>>) {
        let stage = Arc::new(Self {
            parking: Parking::new(workers, Clock::start()),
            lanes: AtomicU32::new(0),
            core: Mutex::default(),
            begun: (Mutex::new(0), Condvar::new()),
            leaving: AtomicBool::new(false),
        });
        let spawn = |worker| {
            let stage = Arc::clone(&stage);
            thread::spawn(move || stage.work(worker, together))
        };
        let threads = (0..workers).map(spawn).collect();
        (stage, threads)
    }

    fn push(&self) {
        self.lanes.fetch_add(1, Ordering::Relaxed);
        self.parking.notify_pushed(Normal, None);
    }

    /// Jobs that were behind others, as a completion or a cancellation sets them free.
    fn set_free(&self, jobs: u32) {
        self.core.lock().unwrap().jobs += jobs;
        self.parking.notify();
    }

    fn pause(&self, paused: bool) {
        let mut core = self.core.lock().unwrap();
        core.paused = paused;
        self.tell_open(&core);
        drop(core);
        self.parking.notify();
    }

    fn tell_open(&self, core: &Core) -> bool {
        let all = |is| ClassSet::from_fn(|_| is);
        self.parking.set_open(all(!core.paused && !core.shut), all(core.paused))
    }

    fn look(&self, completed: bool) -> Option<Found> {
        let mut core = self.core.lock().unwrap();
        if completed {
            core.jobs += std::mem::take(&mut core.behind);
            core.shut = false;
        }
        // A look, and not an exchange, which would find the newest whatever the protocol does.
        let came = self.lanes.load(Ordering::Relaxed);
        if came > 0 {
            core.jobs += came;
            self.lanes.fetch_sub(came, Ordering::Relaxed);
        }
        let found = !core.paused && !core.shut && core.jobs > 0;
        if found {
            core.jobs -= 1;
            core.shut = core.behind > 0;
        }
        let opened = self.tell_open(&core);
        found.then(|| Found { more: core.jobs > 0 && !core.shut, opened })
    }

    fn work(&self, worker: usize, together: u32) {
        self.parking.check_in(worker);
        self.parking.start_search();
        loop {
            let epoch = self.parking.epoch();
            if let Some(found) = self.look(false) {
                self.parking.stop_search(epoch, found.more);
                self.run(together);
                self.go_on(together);
                self.parking.start_search();
            } else if self.leaving.load(Ordering::Acquire) {
                return self.parking.stop_search(epoch, false);
            } else {
                self.parking.sleep(worker, epoch, None);
            }
        }
    }

    /// Runs what is found at once, without searching.
    fn go_on(&self, together: u32) {
        loop {
            let epoch = self.parking.epoch();
            let Some(Found { more, opened }) = self.look(true) else { return };
            self.parking.go_on(epoch, more, opened);
            self.run(together);
        }
    }

    fn run(&self, together: u32) {
        let behind = self.core.lock().unwrap().behind;
        *self.begun.0.lock().unwrap() += 1;
        self.begun.1.notify_all();
        if behind == 0 {
            self.await_begun(together);
        }
    }

    fn await_begun(&self, jobs: u32) {
        let (begun, changed) = &self.begun;
        let mut begun = begun.lock().unwrap();
        while *begun < jobs {
            begun = changed.wait(begun).unwrap();
        }
    }

    fn end(&self, jobs: u32, threads: Vec<thread::JoinHandle<()>>) {
        self.await_begun(jobs);
        self.leaving.store(true, Ordering::Release);
        self.parking.notify_all();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(self.parking.asleep(), 0);
    }
}

#[test]
fn no_push_is_slept_through() {
    model(3, || {
        let (stage, threads) = Stage::start(1, 0);
        stage.push();
        stage.push();
        stage.end(2, threads);
    });
}

/// Neither of two jobs ends before the other has begun: a push that is left to a searcher who goes off with the other
/// job must wake somebody else.
#[test]
fn two_pushes_get_two_workers() {
    model(2, || {
        let (stage, threads) = Stage::start(2, 2);
        stage.push();
        stage.push();
        stage.end(2, threads);
    });
}

#[test]
fn a_change_of_the_core_is_not_slept_through_and_gets_two_workers() {
    model(2, || {
        let (stage, threads) = Stage::start(2, 2);
        stage.set_free(2);
        stage.end(2, threads);
    });
}

#[test]
fn two_submitters_leave_nothing_to_nobody() {
    model(2, || {
        let (stage, threads) = Stage::start(1, 0);
        let other = Arc::clone(&stage);
        let submitter = thread::spawn(move || other.push());
        stage.push();
        submitter.join().unwrap();
        stage.end(2, threads);
    });
}

/// The worker that goes off with the push was the last to search, and the change came after its look.
#[test]
fn a_change_beside_a_push_is_left_to_nobody() {
    model(2, || {
        let (stage, threads) = Stage::start(2, 2);
        stage.push();
        stage.set_free(1);
        stage.end(2, threads);
    });
}

/// The other worker searches and has looked before: it must not fall asleep on what the first one leaves.
#[test]
fn what_the_end_of_a_job_sets_free_gets_two_workers() {
    model(2, || {
        let (stage, threads) = Stage::start(2, 3);
        stage.core.lock().unwrap().behind = 2;
        stage.push();
        stage.end(3, threads);
    });
}

/// The end of the first job opens the class, and its worker goes on with what was behind it. Who pushes meanwhile sees the
/// class closed, maybe, and wakes nobody.
#[test]
fn what_the_end_of_a_job_opens_gets_two_workers() {
    model(2, || {
        let (stage, threads) = Stage::start(2, 3);
        stage.core.lock().unwrap().behind = 1;
        stage.push();
        stage.push();
        stage.end(3, threads);
    });
}

/// Who pushes sees the class closed, maybe, and then wakes nobody: whoever opens it does.
#[test]
fn a_push_that_meets_a_resume_is_not_slept_through() {
    model(2, || {
        let (stage, threads) = Stage::start(1, 0);
        stage.pause(true);
        let other = Arc::clone(&stage);
        let resumer = thread::spawn(move || other.pause(false));
        stage.push();
        resumer.join().unwrap();
        stage.end(1, threads);
    });
}

/// Two that count under a lock, each by itself or served by the other: each gets the answer to its own request, once. They ask
/// without an attempt at the lock, since loom does not try the orders in which one fails.
#[test]
fn a_request_is_answered_once_by_whoever_has_the_lock() {
    model(3, || {
        let shared = Arc::new((Mutex::new(0_u32), Combining::<u32, (usize, u32)>::new(2)));
        let work = |worker: usize, shared: &(Mutex<u32>, Combining<u32, (usize, u32)>)| {
            let (count, requests) = shared;
            for turn in 0..2 {
                requests.ask(worker, turn);
                let answer = if requests.is_answered(worker) {
                    requests.take_answer(worker)
                } else {
                    let mut count = count.lock().unwrap();
                    let paper = requests.take_back(worker);
                    *count += u32::from(matches!(paper, Some(Paper::Request(_))));
                    requests.serve(|worker, turn| {
                        *count += 1;
                        (worker, turn)
                    });
                    paper.map(|paper| match paper {
                        Paper::Answer(answer) => answer,
                        Paper::Request(mine) => (worker, mine),
                    })
                };
                assert_eq!(answer, Some((worker, turn)));
            }
        };
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || work(0, &other));
        work(1, &shared);
        thread.join().unwrap();
        assert_eq!(*shared.0.lock().unwrap(), 4);
    });
}
