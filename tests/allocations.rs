//! What a job takes from the allocator in the long run: nothing. A process of its own: it counts what the whole process does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookpool::{Call, Config, Event, HookPool};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Jobs that wait at once.
const EACH: usize = 100;

#[test]
fn a_job_has_the_memory_of_one_that_has_ended() {
    let done = Arc::new(AtomicUsize::new(0));
    let config = "pool = { workers = 1, standby = 0 }\n[hook.a]\non = ['*']\n";
    let pool = HookPool::builder()
        .config(Config::from_toml(config).unwrap())
        .register("a", {
            let done = Arc::clone(&done);
            move |_: &Call| _ = done.fetch_add(1, Ordering::Release)
        })
        .build()
        .unwrap();
    let event = Event::from_json(r#"{"event": "x", "session_id": "s"}"#).unwrap();
    let mut submitted = 0;
    let mut rounds = |count: usize| {
        let before = ALLOCATOR.stats().allocations;
        for _ in 0..count {
            // Nobody has a handle any more when they run.
            pool.pause("a");
            (0..EACH).for_each(|_| drop(pool.submit(event.clone())));
            pool.resume("a");
            submitted += EACH;
            while done.load(Ordering::Acquire) < submitted {
                std::thread::yield_now();
            }
        }
        ALLOCATOR.stats().allocations - before
    };
    // Until the worker has all that it keeps, and the rest comes back.
    rounds(10);
    let allocations = rounds(100);
    println!("{allocations} allocations for {} jobs", 100 * EACH);
    assert!(allocations < 100 * EACH / 10, "{allocations} allocations for {} jobs", 100 * EACH);
    assert!(pool.drain(Duration::from_mins(1)).is_balanced());
}
