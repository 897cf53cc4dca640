//! Breakers in virtual time: when they open, for how long, who probes, and that nothing probes for ever.

use std::time::Duration;

use proptest::prelude::*;

use super::machine::{BreakerState, Machine, Pass, Turn};
use crate::hook::BreakerPolicy;
use crate::time::Time;

const BASE: Duration = Duration::from_secs(30);

fn policy(failures: Option<u32>, rate: Option<f64>) -> BreakerPolicy {
    BreakerPolicy { failures, rate, cooldown: BASE, max_cooldown: Duration::from_mins(3) }
}

fn at(seconds: u64) -> Time {
    Time(0) + Duration::from_secs(seconds)
}

fn fail(machine: &mut Machine, now: Time) -> Option<Turn> {
    let pass = machine.pick(now).unwrap();
    machine.record(pass, Err("exit status 1"), now)
}

fn succeed(machine: &mut Machine, now: Time) -> Option<Turn> {
    let pass = machine.pick(now).unwrap();
    machine.record(pass, Ok(()), now)
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_starts_the_count_again() {
    let mut machine = Machine::new(policy(Some(3), None));
    for end in [false, false, true, false, false] {
        let turn = if end { succeed(&mut machine, at(0)) } else { fail(&mut machine, at(0)) };
        assert_eq!(turn, None);
    }
    let why = "3 failures in a row, the last: exit status 1".to_owned();
    assert_eq!(fail(&mut machine, at(0)), Some(Turn::Opened(BASE, why)));
    assert!(machine.refuses(at(29)) && !machine.refuses(at(30)));
    assert!(machine.pick(at(29)).unwrap_err().contains("3 failures in a row"));
    assert_eq!(machine.status(at(10)).cooldown_left, Some(Duration::from_secs(20)));
}

#[test]
fn a_share_of_the_last_twenty_opens_it_once_there_are_ten() {
    let mut machine = Machine::new(policy(None, Some(0.55)));
    for _ in 0..9 {
        assert_eq!(fail(&mut machine, at(0)), None, "nine are too few");
    }
    assert!(matches!(fail(&mut machine, at(0)), Some(Turn::Opened(..))));
    machine.reset();
    for _ in 0..20 {
        succeed(&mut machine, at(0));
    }
    for _ in 0..10 {
        assert_eq!(fail(&mut machine, at(0)), None, "ten of twenty are less");
    }
    let why = "11 of the last 20 failed, the last: exit status 1".to_owned();
    assert_eq!(fail(&mut machine, at(0)), Some(Turn::Opened(BASE, why)));
}

#[test]
fn failures_slide_out_of_the_share_and_a_reset_forgets_them() {
    let mut machine = Machine::new(policy(None, Some(0.5)));
    let some = |machine: &mut Machine, ends: &[bool]| {
        for end in ends {
            let turn = if *end { succeed(machine, at(0)) } else { fail(machine, at(0)) };
            assert_eq!(turn, None);
        }
    };
    some(&mut machine, &[false; 9]);
    some(&mut machine, &[true; 20]);
    some(&mut machine, &[false; 9]);
    machine.reset();
    assert_eq!(machine.status(at(0)).failures_in_a_row, 0);
    some(&mut machine, &[false; 9]);
    assert!(fail(&mut machine, at(0)).is_some());
}

#[test]
fn a_probe_that_fails_goes_on_with_the_count_and_is_the_last_reason() {
    let mut machine = Machine::new(policy(Some(10), Some(0.5)));
    for _ in 0..10 {
        fail(&mut machine, at(0));
    }
    let probe = machine.pick(at(30)).unwrap();
    let why = "11 failures in a row, the last: exit status 7".to_owned();
    let turn = machine.record(probe, Err("exit status 7"), at(30));
    assert_eq!(turn, Some(Turn::Opened(2 * BASE, why.clone())));
    assert!(machine.pick(at(31)).unwrap_err().ends_with(&why));
    let status = machine.status(at(31));
    assert_eq!((status.state, status.failures_in_a_row, status.opened), (BreakerState::Open, 11, 2));
    assert_eq!(machine.status(at(90)).state, BreakerState::HalfOpen);
}

#[test]
fn the_cool_down_doubles_up_to_its_bound_and_starts_again_after_a_success() {
    let mut machine = Machine::new(policy(Some(1), None));
    let mut now = at(0);
    let opened_for = |turn: Option<Turn>| match turn {
        Some(Turn::Opened(cooldown, _)) => cooldown.as_secs(),
        turn => panic!("{turn:?}"),
    };
    for seconds in [30, 60, 120, 180, 180] {
        assert_eq!(opened_for(fail(&mut machine, now)), seconds);
        now = now + Duration::from_secs(seconds);
    }
    assert_eq!(succeed(&mut machine, now), Some(Turn::Closed));
    assert_eq!(machine.status(now).failures_in_a_row, 0);
    assert_eq!(opened_for(fail(&mut machine, now)), 30);
    assert_eq!(machine.status(now).opened, 6);
}

#[test]
fn a_probe_that_decides_nothing_makes_way_for_the_next() {
    let mut machine = Machine::new(policy(Some(1), None));
    fail(&mut machine, at(0));
    let first = machine.pick(at(30)).unwrap();
    assert!(machine.refuses(at(3000)) && machine.pick(at(3000)).is_err());
    assert_eq!(machine.status(at(31)).state, BreakerState::HalfOpen);
    machine.release(first, at(31));
    assert!(!machine.refuses(at(31)));
    assert_eq!(machine.record(first, Ok(()), at(31)), None, "its dispatch is over");
    let second = machine.pick(at(31)).unwrap();
    assert_eq!(machine.record(first, Ok(()), at(32)), None, "it comes too late");
    machine.release(first, at(32));
    assert!(machine.pick(at(32)).is_err(), "the second one probes");
    assert_eq!(machine.record(second, Ok(()), at(33)), Some(Turn::Closed));
}

#[test]
fn what_ran_before_it_opened_is_not_heard_after() {
    let mut machine = Machine::new(policy(Some(1), None));
    let old = machine.pick(at(0)).unwrap();
    fail(&mut machine, at(0));
    assert_eq!(machine.record(old, Ok(()), at(1)), None);
    assert!(machine.refuses(at(1)));
    machine.reset();
    assert_eq!(machine.record(old, Err("late"), at(1)), None);
    let before = machine.pick(at(1)).unwrap();
    machine.reset();
    assert_eq!(machine.record(before, Err("late"), at(1)), None, "a reset is a new beginning");
    assert!(!machine.refuses(at(1)));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Pick,
    /// Of the passes that are out, this one ends: well, badly, or neither.
    End(usize, Option<bool>),
    Reset,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u64..100).prop_map(Step::Wait),
        4 => Just(Step::Pick),
        6 => (any::<usize>(), proptest::option::of(any::<bool>())).prop_map(|(n, end)| Step::End(n, end)),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_probes_and_nothing_probes_for_ever(
        steps in proptest::collection::vec(a_step(), 0..200),
        failures in 1_u32..4,
        by_rate: bool,
    ) {
        let mut machine = Machine::new(policy(Some(failures), by_rate.then_some(0.5)));
        let mut now = at(0);
        let mut out: Vec<Pass> = Vec::new();
        let mut probe: Option<Pass> = None;
        for step in steps {
            match step {
                Step::Wait(seconds) => now = now + Duration::from_secs(seconds),
                Step::Pick => {
                    let (was_closed, refused) = (machine.is_closed(), machine.refuses(now));
                    let picked = machine.pick(now);
                    prop_assert_eq!(picked.is_err(), refused, "submit and pick agree");
                    if let Ok(pass) = picked {
                        if !was_closed {
                            prop_assert_eq!(probe, None, "one probe at a time");
                            probe = Some(pass);
                        }
                        out.push(pass);
                    }
                }
                Step::End(which, end) if !out.is_empty() => {
                    let pass = out.swap_remove(which % out.len());
                    if let Some(good) = end {
                        let turn = machine.record(pass, if good { Ok(()) } else { Err("x") }, now);
                        if probe == Some(pass) {
                            let expected = if good { "Closed" } else { "Opened" };
                            prop_assert!(format!("{turn:?}").contains(expected), "a probe decides: {:?}", turn);
                        } else {
                            prop_assert_ne!(turn, Some(Turn::Closed), "only a probe closes it");
                        }
                    }
                    machine.release(pass, now);
                    if probe == Some(pass) {
                        probe = None;
                    }
                }
                Step::End(..) => {}
                Step::Reset => {
                    machine.reset();
                    probe = None;
                }
            }
            let status = machine.status(now);
            prop_assert!(status.cooldown_left.is_none_or(|left| left <= Duration::from_mins(3)));
        }
        // Whatever has happened: when what runs has ended, the longest cool-down later one may run.
        for pass in out {
            machine.release(pass, now);
        }
        prop_assert!(machine.pick(now + Duration::from_mins(3)).is_ok());
    }
}
