//! What can be done to a core, as data that shrinks well and prints well.
//!
//! Numbers that name a job or a run (`nth`) count those that are there at that moment, modulo their number, so every
//! script is valid, and so is every script that is left when steps are taken out.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use crate::class::{PerClass, PriorityClass};
use crate::scheduler::{
    AdmissionRule, BatchParams, Batching, CoreParams, HookParams, PickParams, SeatParams,
};

/// A millisecond of the scripts, in nanoseconds of the core: stretched, so that the little time that each step takes is
/// told apart finely enough that no two deadlines fall together by accident.
pub(super) const MS: u64 = 1_000_000_000_000;

/// A core's parameters and its hooks.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) core: CoreParams,
    pub(super) hooks: Vec<Definition>,
}

/// What a hook is defined as.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Definition {
    pub(super) max_concurrency: Option<u32>,
    pub(super) batch: Option<BatchParams>,
    /// Of the definitions of its hook.
    pub(super) number: u32,
}

impl Definition {
    pub(super) fn params(&self) -> HookParams {
        HookParams { max_concurrency: self.max_concurrency }
    }

    pub(super) fn batching(&self, key: u64) -> Option<Batching> {
        self.batch.map(|bounds| Batching { definition: self.number, key, bounds })
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Offer {
        hook: usize,
        class: PriorityClass,
        session: Option<u64>,
        key: u64,
        bytes: u32,
        max_wait_ms: Option<u64>,
    },
    Pick,
    Complete {
        nth: usize,
        retry: Option<Again>,
    },
    Advance {
        ms: u64,
    },
    Cancel {
        nth: usize,
    },
    Close,
    Abandon,
    PauseHook(usize),
    ResumeHook(usize),
    PauseClass(PriorityClass),
    ResumeClass(PriorityClass),
    /// The next job is offered so many nanoseconds after its admission, unless it can expire.
    Late(u64),
    /// Other parameters from now on.
    Change(CoreParams),
    /// Another definition of a hook from now on.
    Define(usize, Definition),
}

/// Which members of a run shall run again, as a mask, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    pub(super) members: u8,
    pub(super) after_ms: u64,
}

impl Setup {
    /// One hook without limits, plenty of room and no bypass: for tests that change what they are about.
    pub(super) fn plain(workers: u32) -> Self {
        Self {
            core: CoreParams {
                rule: AdmissionRule {
                    capacity: 1000,
                    guarantee: PerClass::default(),
                    ceiling: PerClass::from_fn(|_| 1000),
                },
                displace: false,
                seats: SeatParams {
                    workers,
                    standby: 0,
                    standby_for: PriorityClass::High,
                    per_class: PerClass::from_fn(|_| u32::MAX),
                },
                pick: PickParams { weighted: false, weights: PerClass::from_fn(|_| 1), bypass: None },
                pressure: u32::MAX,
            },
            hooks: vec![Definition::default()],
        }
    }

    pub(super) fn hook(mut self, max_concurrency: Option<u32>, batch: Option<BatchParams>) -> Self {
        self.hooks.push(Definition { max_concurrency, batch, number: 0 });
        self
    }
}

pub(super) fn per_class<T: Copy>(values: [T; 4]) -> PerClass<T> {
    PerClass::from_fn(|class| values[class.index()])
}

pub(super) fn a_setup() -> impl Strategy<Value = Setup> {
    (core_params(), vec(a_hook(), 1..4)).prop_map(|(core, hooks)| Setup { core, hooks })
}

fn core_params() -> impl Strategy<Value = CoreParams> {
    (a_rule(), any::<bool>(), seats(), picks(), weighted(0.3, 1..12_u32)).prop_map(
        |(rule, displace, seats, pick, pressure)| CoreParams {
            rule,
            displace,
            seats,
            pick,
            pressure: pressure.unwrap_or(u32::MAX),
        },
    )
}

pub(super) fn a_script(hooks: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(a_step(hooks), 1..150)
}

/// A setup and a script for it.
pub(super) fn a_story() -> impl Strategy<Value = (Setup, Vec<Step>)> {
    a_setup().prop_flat_map(|setup| {
        let hooks = setup.hooks.len();
        (Just(setup), a_script(hooks))
    })
}

/// A setup, and a script that changes its parameters on the way.
pub(super) fn a_changing_story() -> impl Strategy<Value = (Setup, Vec<Step>)> {
    a_setup().prop_flat_map(|setup| {
        let step = prop_oneof![
            28 => a_step(setup.hooks.len()),
            2 => core_params().prop_map(Step::Change),
            3 => (0..setup.hooks.len(), a_hook()).prop_map(|(hook, to)| Step::Define(hook, to)),
        ];
        (Just(setup), vec(step, 1..150))
    })
}

pub(super) fn a_class() -> impl Strategy<Value = PriorityClass> {
    prop::sample::select(PriorityClass::ALL.to_vec())
}

fn a_rule() -> impl Strategy<Value = AdmissionRule> {
    let classes = || [0..4_u32, 0..4, 0..4, 0..4];
    (1..20_u32, weighted(0.5, classes()), weighted(0.3, [1..6_u32, 1..6, 1..6, 1..6])).prop_map(
        |(capacity, guarantee, ceiling)| {
            let mut left = capacity;
            let guarantee = guarantee.unwrap_or_default().map(|wanted| {
                let given = wanted.min(left);
                left -= given;
                given
            });
            let ceiling = ceiling.unwrap_or([capacity; 4]);
            AdmissionRule { capacity, guarantee: per_class(guarantee), ceiling: per_class(ceiling) }
        },
    )
}

fn seats() -> impl Strategy<Value = SeatParams> {
    (1..5_u32, 0..3_u32, a_class(), weighted(0.3, [1..4_u32, 1..4, 1..4, 1..4])).prop_map(
        |(workers, standby, standby_for, seats)| SeatParams {
            workers,
            standby,
            standby_for,
            per_class: per_class(seats.unwrap_or([u32::MAX; 4])),
        },
    )
}

fn picks() -> impl Strategy<Value = PickParams> {
    let bound = || 0..4_u32;
    (
        prop::bool::weighted(0.2),
        [1..5_u32, 1..5, 1..5, 1..5],
        weighted(0.7, [bound(), bound(), bound(), bound()]),
    )
        .prop_map(|(weighted, weights, bypass)| PickParams {
            weighted,
            weights: per_class(weights),
            bypass: bypass.map(per_class),
        })
}

fn a_hook() -> impl Strategy<Value = Definition> {
    let batch = (1..5_u32, 5..60_u64, prop_oneof![Just(0), 1..20_u64]).prop_map(|(size, bytes, linger)| {
        BatchParams { size, bytes, linger: Duration::from_nanos(linger * MS) }
    });
    (weighted(0.4, 1..3_u32), weighted(0.5, batch)).prop_map(|(max_concurrency, batch)| Definition {
        max_concurrency,
        batch,
        number: 0,
    })
}

fn a_step(hooks: usize) -> impl Strategy<Value = Step> {
    let again = (any::<u8>(), 0..12_u64).prop_map(|(members, after_ms)| Again { members, after_ms });
    prop_oneof![
        80 => (0..hooks, a_class(), weighted(0.6, 0..3_u64), 0..2_u64, 1..15_u32, weighted(0.4, 0..30_u64)).prop_map(
            |(hook, class, session, key, bytes, max_wait_ms)| Step::Offer {
                hook, class, session, key, bytes, max_wait_ms
            }
        ),
        80 => Just(Step::Pick),
        50 => (any::<usize>(), weighted(0.3, again)).prop_map(|(nth, retry)| Step::Complete { nth, retry }),
        15 => (0..25_u64).prop_map(|ms| Step::Advance { ms }),
        8 => any::<usize>().prop_map(|nth| Step::Cancel { nth }),
        1 => prop_oneof![4 => Just(Step::Pick), 1 => Just(Step::Close), 1 => Just(Step::Abandon)],
        3 => (0..hooks).prop_map(Step::PauseHook),
        10 => (0..hooks).prop_map(Step::ResumeHook),
        3 => a_class().prop_map(Step::PauseClass),
        10 => a_class().prop_map(Step::ResumeClass),
        10 => (0..MS).prop_map(Step::Late),
    ]
}
