//! The processor's counter, where it can be trusted: one rate for the process, an anchor for each thread.
//!
//! Trusted is what the kernel trusts: on Linux it names the counter as the source of its own clock, and has then found
//! that it runs evenly, through every state of rest, and alike on all cores. Anywhere else the system's clock is read.
//!
//! Finding the rate is nobody's delay: it is done in a thread that ends with it. It takes some ten milliseconds of
//! sleep, and `quanta`'s own calibration, which spins for half a millisecond, or up to 200 on a machine that has other
//! things to do; a process that is not quick never pays for it.

use std::cell::Cell;
use std::sync::{LazyLock, Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::anchor::{Anchor, Look, Rate};
use super::nanos;

/// Where the kernel says what its clock is read by.
const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Between two of the looks that the rate is taken from.
const APART: Duration = Duration::from_millis(5);

/// Looks of which the shortest is taken.
const TRIES: usize = 16;

/// The start of the process's time, as far as its clocks go.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Not set: not looked for, or not yet found. `None`: there is none that can be trusted.
static COUNTER: OnceLock<Option<Counter>> = OnceLock::new();

/// One is enough for the process.
static SEARCH: Once = Once::new();

thread_local! {
    static ANCHOR: Cell<Anchor> = const { Cell::new(Anchor::NONE) };
}

/// Now, and as nanoseconds of the process's time.
pub(super) fn origin() -> (Instant, u64) {
    let epoch = *EPOCH;
    let now = Instant::now();
    (now, nanos(now.saturating_duration_since(epoch)))
}

/// Nanoseconds of the process's time, by the counter. `None`: it is not in use.
pub(super) fn now() -> Option<u64> {
    let counter = COUNTER.get()?.as_ref()?;
    Some(ANCHOR.with(|cell| {
        let mut anchor = cell.get();
        let now = anchor.read(&counter.rate, || counter.source.raw(), clock);
        cell.set(anchor);
        now
    }))
}

/// Has the counter used, if there is one, as soon as its rate is known. Does not wait for that.
pub(super) fn look_for() {
    // Without a thread to spare it goes on as before.
    SEARCH.call_once(|| drop(thread::Builder::new().name("hookpool-clock".to_owned()).spawn(find)));
}

/// Has the counter used, if there is one.
pub(super) fn find() {
    COUNTER.get_or_init(Counter::find);
}

fn clock() -> u64 {
    nanos(EPOCH.elapsed())
}

#[derive(Debug)]
struct Counter {
    source: quanta::Clock,
    rate: Rate,
}

impl Counter {
    #[expect(
        clippy::disallowed_methods,
        reason = "a rate is measured over time, and nothing else is waited for"
    )]
    fn find() -> Option<Self> {
        if std::fs::read_to_string(SOURCE).ok()?.trim() != "tsc" {
            return None;
        }
        let source = quanta::Clock::new();
        let looks = [(); 3].map(|()| {
            thread::sleep(APART);
            closest_look(&source)
        });
        Some(Self { rate: Rate::from_looks(&looks)?, source })
    }
}

fn closest_look(source: &quanta::Clock) -> Look {
    let look = || Look::take(|| source.raw(), clock);
    (0..TRIES).map(|_| look()).min_by_key(Look::width).unwrap_or_else(look)
}

#[cfg(test)]
pub(crate) fn is_sought() -> bool {
    SEARCH.is_completed()
}

#[cfg(test)]
pub(super) fn can_be_found() -> bool {
    Counter::find().is_some()
}
