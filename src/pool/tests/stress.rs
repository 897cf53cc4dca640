//! Everything at once, from a seed that a failure names: submitters, cancels, pauses, displacement, expiry, retries,
//! panics, other bounds, seats and hooks meanwhile, and a close at any moment. Whatever happens, the books balance and every thread ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::dice::Dice;
use super::hosts::{LIMIT, Script, Shell, Spec, TestHost, await_state, params, push};
use super::resize::any_params;
use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal};
use crate::pool::Pool;
use crate::scheduler::{BatchParams, CoreParams, HookParams, HookSlot};
use crate::time::{Clock, Time};

fn spec(id: u32, linger: Duration, dice: &mut Dice) -> Spec {
    let mut spec =
        Spec { hook: u32::try_from(dice.below(3)).unwrap(), ..Spec::new(id, dice.of(&PriorityClass::ALL)) };
    spec.batch = (spec.hook == 2).then_some(BatchParams { size: 4, bytes: 100, linger });
    spec.session = (dice.below(4) != 0).then(|| dice.below(8));
    spec.max_wait = (dice.below(3) == 0).then(|| Duration::from_micros(dice.below(3_000)));
    spec.script = match dice.below(30) {
        0 => Script::Panic,
        1 => Script::Retry(2, Duration::from_micros(dice.below(500))),
        2 => Script::Call(Box::new(|_| std::thread::yield_now())),
        _ => Script::Nothing,
    };
    spec
}

/// Jobs of each submitter.
const EACH: u32 = if cfg!(miri) { 12 } else { 400 };

/// One life of a pool.
fn round(seed: u64) {
    let mut dice = Dice(seed);
    let capacity = 1 + u32::try_from(dice.below(40)).unwrap();
    let mut params = params(1 + u32::try_from(dice.below(4)).unwrap(), capacity);
    params.seats.standby = u32::try_from(dice.below(2)).unwrap();
    params.seats.per_class[PriorityClass::Low] = 1 + u32::try_from(dice.below(3)).unwrap();
    params.displace = dice.below(2) == 0;
    params.pick.weighted = dice.below(3) == 0;
    params.pick.bypass = (dice.below(2) == 0).then(|| PerClass::from_fn(|_| 4));
    params.pressure = capacity;
    let linger = Duration::from_micros(dice.below(400));
    let hooks = [
        HookParams::default(),
        HookParams { max_concurrency: Some(1) },
        HookParams { max_concurrency: Some(2) },
    ];
    let clock = Clock::start();
    let host = TestHost::new(clock);
    let pool: Pool<_> = Shell::start(params, &hooks, clock, Arc::clone(&host));
    let (admitted, attempts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Not more than the submitters who do not wait make in any case.
    let close_at = usize::try_from(dice.below(u64::from(2 * EACH))).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (pool, admitted, attempts) = (&pool, &admitted, &attempts);
            let mut dice = Dice(seed * 10 + u64::from(thread));
            let waits = thread == 0 && (dice.below(2) == 0);
            scope.spawn(move || {
                for id in (thread * 1_000_000)..thread * 1_000_000 + EACH {
                    let spec = spec(id, linger, &mut dice);
                    attempts.fetch_add(1, Ordering::Relaxed);
                    let place =
                        if waits { pool.reserve_when_room(spec.class) } else { pool.reserve(spec.class) };
                    match place {
                        Ok(place) => {
                            push(pool, place, spec);
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(Refusal::Closed) => return,
                        Err(why) => assert!(!waits, "{why}"),
                    }
                    if dice.below(8) == 0 {
                        Shell::cancel_job(
                            pool,
                            id - u32::try_from(dice.below(u64::from(id % 1_000_000) + 1)).unwrap(),
                        );
                    }
                }
            });
        }
        let (pool, seconds) = (&pool, dice.below(60));
        scope.spawn(move || {
            for _ in 0..seconds {
                let (class, hook) = (dice.of(&PriorityClass::ALL), u32::try_from(dice.below(3)).unwrap());
                match dice.below(4) {
                    0 => Shell::pause_class(pool, class),
                    1 => Shell::pause_hook(pool, hook),
                    _ => {}
                }
                std::thread::yield_now();
                Shell::resume_class(pool, class);
                Shell::resume_hook(pool, hook);
            }
        });
        let mut dice = Dice(seed + (1 << 40));
        let changes = if dice.below(2) == 0 { dice.below(20) } else { 0 };
        scope.spawn(move || {
            for _ in 0..changes {
                let other = CoreParams { displace: (dice.below(2) == 0), ..any_params(&mut dice) };
                let (answer, left) = pool.change(|params| *params = other);
                answer.unwrap();
                drop(left);
                let at_once = 1 + u32::try_from(dice.below(3)).unwrap();
                drop(pool.set_hooks(&[(HookSlot(2), HookParams { max_concurrency: Some(at_once) })]));
                std::thread::yield_now();
            }
        });
        if seed.is_multiple_of(3) {
            await_state("the moment of the close", || attempts.load(Ordering::Relaxed) >= close_at);
            pool.close();
        }
    });
    // Half of them end as they are; the others have until now.
    let deadline = if seed.is_multiple_of(2) { LIMIT } else { Duration::ZERO };
    assert_eq!(pool.drain(deadline, Duration::from_secs(50)).leaked, 0);
    host.assert_balanced(admitted.into_inner());
    assert_eq!(pool.waiting(), PerClass::default());
    if deadline == LIMIT {
        assert_eq!(host.count(OutcomeKind::Abandoned), 0, "a drain that stands still is a lost wake-up");
    }
}

fn rounds_for(span: Duration, first_seed: u64) {
    let clock = Clock::start();
    let mut seed = first_seed;
    while clock.now() < Time::default() + span {
        // Shown when it fails.
        println!("seed {seed}");
        round(seed);
        seed += 1;
    }
    println!("{} rounds", seed - first_seed);
}

#[test]
fn the_books_balance_after_anything() {
    rounds_for(Duration::from_secs(2), 0);
}

/// For the night, or after a change of the protocol: `cargo test --release --lib -- --ignored --nocapture stress`.
#[test]
#[ignore = "takes two minutes"]
fn the_books_balance_for_minutes() {
    rounds_for(Duration::from_mins(2), 1_000_000);
}
