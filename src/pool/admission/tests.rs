//! Bounds, closing, displacing, and the move of the counts out of the word and back.

use super::*;
use PriorityClass::{Critical, High, Low, Normal};

fn word(capacity: u32, guarantee: [u32; 4]) -> Admission {
    let rule = AdmissionRule {
        capacity,
        guarantee: PerClass::from_fn(|class| guarantee[class.index()]),
        ceiling: PerClass::from_fn(|_| capacity),
    };
    Admission::new(rule, false)
}

#[test]
fn a_queue_that_holds_more_than_it_may_refuses_until_that_has_gone() {
    let word = word(4, [0; 4]);
    (0..4).for_each(|_| assert!(word.admit(Low).is_ok()));
    let smaller = AdmissionRule { capacity: 2, ceiling: PerClass::from_fn(|_| 2), ..word.rule() };
    word.set_policy(smaller, false);
    for _ in 0..3 {
        assert_eq!(word.admit(High), Err(Refusal::Full));
        word.release(Low);
    }
    assert_eq!(word.admit(High), Ok(2));
    word.set_policy(AdmissionRule { capacity: 3, ..smaller }, false);
    assert_eq!(word.admit(High), Ok(3));
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of steps of one thread")]
fn the_largest_queue_fits_into_one_lane() {
    let word = word(32_767, [0; 4]);
    for n in 1..=32_767 {
        assert_eq!(word.admit(Low), Ok(n));
    }
    assert_eq!(word.admit(Low), Err(Refusal::Full));
    assert_eq!(word.admit(Critical), Err(Refusal::Full));
    assert_eq!(word.waiting()[Low], 32_767);
    assert_eq!(word.waiting()[Normal], 0);
}

/// Any bound beside the capacity is asked, be it one class's or everybody's.
#[test]
fn a_policy_with_one_bound_more_than_the_capacity_keeps_it() {
    let rule = |guarantee: [u32; 4], ceiling: [u32; 4]| AdmissionRule {
        capacity: 4,
        guarantee: PerClass::from_fn(|class| guarantee[class.index()]),
        ceiling: PerClass::from_fn(|class| ceiling[class.index()]),
    };
    let third_of = |rule, class| {
        let word = Admission::new(rule, false);
        (0..2).for_each(|_| assert!(word.admit(class).is_ok()));
        word.admit(class)
    };
    assert_eq!(third_of(rule([0; 4], [4, 4, 4, 2]), Low), Err(Refusal::ClassFull));
    assert_eq!(third_of(rule([0; 4], [2; 4]), Low), Err(Refusal::ClassFull));
    assert_eq!(third_of(rule([2, 0, 0, 0], [4; 4]), Low), Err(Refusal::Full));
    assert_eq!(third_of(rule([0; 4], [4; 4]), Low), Ok(3));
}

#[test]
fn it_is_well_filled_above_three_quarters() {
    for displace in [false, true] {
        let word = Admission::new(word(8, [0; 4]).rule(), displace);
        (0..6).for_each(|_| assert!(word.admit(Low).is_ok() && !word.is_well_filled()));
        assert!(word.admit(High).is_ok() && word.is_well_filled());
    }
}

/// It must not say so of a queue that would take the job, refuse it for another reason, or displace another for it.
#[test]
fn it_is_plainly_full_only_if_the_queue_would_say_so() {
    let word = word(2, [0; 4]);
    assert!(!word.is_plainly_full());
    word.admit(Low).unwrap();
    assert!(!word.is_plainly_full());
    word.admit(High).unwrap();
    assert!(word.is_plainly_full());
    word.set_policy(word.rule(), true);
    assert!(!word.is_plainly_full(), "somebody may be displaced");
    word.set_policy(word.rule(), false);
    word.close();
    assert!(!word.is_plainly_full(), "it is closed");
    let moved = Admission::with_lanes(word.rule(), false, 1);
    (0..2).for_each(|_| moved.readmit(Low));
    assert!(has_moved(&moved) && !moved.is_plainly_full(), "one look at the word does not show it");
}

#[test]
fn a_displacement_keeps_the_number_of_waiting_jobs() {
    let word = word(2, [0; 4]);
    word.admit(Low).unwrap();
    word.admit(Normal).unwrap();
    assert_eq!(word.displace(Low, High), Ok(2));
    assert_eq!(word.displace(Low, High), Err(Refusal::Full), "no low job is left");
    assert_eq!(word.displace(Normal, Normal), Err(Refusal::Full), "not more important");
    word.release(High);
    assert_eq!(word.displace(Normal, High), Err(Refusal::Full), "there is room");
}

#[test]
fn nothing_is_admitted_after_the_close() {
    let word = word(2, [0; 4]);
    word.admit(Low).unwrap();
    word.close();
    assert_eq!(word.admit(Critical), Err(Refusal::Closed));
    assert_eq!(word.displace(Low, High), Err(Refusal::Closed));
    word.release(Low);
    assert!(word.is_empty() && word.is_closed());
}

#[test]
#[cfg_attr(miri, ignore = "a hundred thousand steps of one thread")]
fn retries_beyond_a_lane_are_counted() {
    let word = word(32_767, [0; 4]);
    for _ in 0..32_767 {
        word.admit(Low).unwrap();
    }
    assert!(!has_moved(&word));
    word.readmit(Low);
    word.readmit(Low);
    assert!(has_moved(&word) && !word.is_closed(), "no lane overflows into what is above it");
    assert_eq!(word.waiting()[Low], 32_769);
    assert_eq!(word.admit(High), Err(Refusal::Full));
    for _ in 0..32_769 {
        assert!(!word.is_empty());
        word.release(Low);
    }
    assert!(word.is_empty() && !has_moved(&word));
    assert_eq!(word.admit(High), Ok(1));
}

#[test]
fn the_counts_come_back_when_a_quarter_of_a_lane_waits() {
    let word = Admission::with_lanes(word(20, [0; 4]).rule(), false, 8);
    for _ in 0..8 {
        word.readmit(Low);
        assert!(!has_moved(&word));
    }
    for _ in 0..3 {
        word.admit(Low).unwrap();
        assert!(has_moved(&word));
    }
    for left in (3..11).rev() {
        assert!(has_moved(&word), "{left} and one");
        word.release(Low);
    }
    assert!(has_moved(&word));
    word.release(Low);
    assert!(!has_moved(&word));
    assert_eq!((word.waiting()[Low], word.admit(High)), (2, Ok(3)));
}

fn has_moved(word: &Admission) -> bool {
    word.word.load(Ordering::SeqCst) & MOVED != 0
}

#[test]
#[cfg_attr(miri, ignore = "millions of steps")]
fn a_million_jobs_wait_and_the_next_one_is_refused() {
    let word = word(1_000_000, [0; 4]);
    for n in 1..=1_000_000 {
        assert_eq!(word.admit(if n % 2 == 0 { Low } else { High }), Ok(n));
    }
    assert_eq!(word.admit(Critical), Err(Refusal::Full));
    assert_eq!(word.displace(Low, High), Ok(1_000_000));
    assert_eq!((word.waiting()[Low], word.waiting()[High]), (499_999, 500_001));
    word.release(Low);
    assert_eq!(word.admit(Critical), Ok(1_000_000));
    word.close();
    assert_eq!(word.admit(Low), Err(Refusal::Closed));
    (0..499_998).for_each(|_| word.release(Low));
    (0..500_001).for_each(|_| word.release(High));
    assert_eq!((word.waiting()[Critical], has_moved(&word), word.is_closed()), (1, false, true));
}

/// Lanes of three: threads move the counts out and back all the time, and the bound holds to the last place.
#[test]
fn the_counts_survive_their_moves() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = if cfg!(miri) { 50 } else { 20_000 };
    let word = Admission::with_lanes(word(6, [0; 4]).rule(), false, 3);
    let (inside, moves) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let (word, inside, moves) = (&word, &inside, &moves);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let class = if (n + round) % 5 == 0 { High } else { Low };
                    let places = (0..4).map(|_| u32::from(word.admit(class).is_ok())).sum();
                    assert!(inside.fetch_add(places, Ordering::SeqCst) + places <= 6);
                    moves.fetch_add(u32::from(has_moved(word)), Ordering::Relaxed);
                    inside.fetch_sub(places, Ordering::SeqCst);
                    (0..places).for_each(|_| word.release(class));
                }
            });
        }
    });
    assert!(word.is_empty() && moves.into_inner() > 0);
}

/// Threads fight for the last places. With add-then-undo some would be refused while there is room.
#[test]
fn many_threads_fill_the_queue_exactly() {
    const THREADS: u32 = 8;
    const EACH: u32 = if cfg!(miri) { 100 } else { 4_000 };
    let capacity = THREADS * EACH / 2;
    let word = word(capacity, [0; 4]);
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let (word, admitted) = (&word, &admitted);
            scope.spawn(move || {
                for _ in 0..EACH {
                    let class = if n % 2 == 0 { Low } else { High };
                    if word.admit(class).is_ok() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.load(Ordering::Relaxed), capacity);
    assert_eq!(word.waiting().values().sum::<u32>(), capacity);
}

/// One place, always taken and given back by the same thread: with exact admission each thread that finds the
/// other's place free gets it, and the count never exceeds the capacity.
#[test]
fn the_bound_is_never_overshot() {
    const EACH: u32 = if cfg!(miri) { 200 } else { 20_000 };
    let word = word(3, [0; 4]);
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    if word.admit(Normal).is_ok() {
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        word.release(Normal);
                    }
                }
            });
        }
    });
    assert!(word.is_empty());
}
