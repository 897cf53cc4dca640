//! Models of admission in every order in which few threads can meet.
//!
//!     RUSTFLAGS="--cfg loom" cargo test --lib --target-dir target/loom pool::tests::loom
//!
//! The code is the pool's own, on loom's atomics.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::class::{PerClass, PriorityClass};
use crate::outcome::Refusal;
use crate::pool::admission::Admission;
use crate::scheduler::AdmissionRule;
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
