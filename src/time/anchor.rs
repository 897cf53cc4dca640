//! Reckoning the time by a counter. Pure: both the counter and the clock are given.
//!
//! An [`Anchor`] is one thread's last look at both. While the counter goes on by what should be [`LONGEST`], the time is
//! that of the look and what the counter has gone on since; then there is another look. So whatever the counter does, a
//! time is never ahead of the clock by more than `LONGEST`, and what is wrong is right again as soon as the counter has
//! gone on by that, or has gone back.

/// Nanoseconds for which an anchor holds.
pub(super) const LONGEST: u64 = 1_000_000;

/// Nanoseconds that a look at both may take to be believed; as a rule it takes thirty. A thread that loses its processor
/// in the middle takes far longer, and nobody knows on which side of the clock.
pub(super) const CLOSE: u64 = 500;

/// Two spans of the counter have to agree up to one part in so many, for a rate to be believed.
const AGREEMENT: u64 = 1000;

/// A look at both: the counter before and after the clock was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    before: u64,
    time: u64,
    after: u64,
}

impl Look {
    pub(super) fn take(counter: impl Fn() -> u64, clock: impl FnOnce() -> u64) -> Self {
        Self::after(counter(), counter, clock)
    }

    fn after(before: u64, counter: impl Fn() -> u64, clock: impl FnOnce() -> u64) -> Self {
        let time = clock();
        Self { before, time, after: counter() }
    }

    /// Ticks that it took. Vast if the counter went back meanwhile.
    pub(super) const fn width(&self) -> u64 {
        self.after.wrapping_sub(self.before)
    }
}

/// How fast the counter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Nanoseconds in 2^32 ticks.
    scale: u64,
    /// [`LONGEST`] and [`CLOSE`] in ticks.
    longest: u64,
    close: u64,
}

impl Rate {
    /// From three looks, one after the other. `None`: they do not agree, or took too long.
    pub(super) fn from_looks(looks: &[Look; 3]) -> Option<Self> {
        let [first, middle, last] = looks;
        let scale = scale_between(first, last)?;
        let agree = scale_between(first, middle)?.abs_diff(scale_between(middle, last)?) <= scale / AGREEMENT;
        let rate = Self { scale, longest: ticks(LONGEST, scale)?, close: ticks(CLOSE, scale)? };
        (agree && looks.iter().all(|look| look.width() <= rate.close)).then_some(rate)
    }

    /// For less than `self.longest` ticks, so it does not overflow.
    const fn nanos(&self, ticks: u64) -> u64 {
        (ticks * self.scale) >> 32
    }
}

/// Nanoseconds in 2^32 ticks, if both the counter and the clock have gone on.
fn scale_between(from: &Look, to: &Look) -> Option<u64> {
    let ticks = to.before.checked_sub(from.before)?;
    let nanos = u128::from(to.time.checked_sub(from.time)?);
    u64::try_from((nanos << 32).checked_div(ticks.into())?).ok()
}

fn ticks(nanos: u64, scale: u64) -> Option<u64> {
    (nanos << 32).checked_div(scale)
}

/// See the module's description. Until its first look it holds for no tick at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    counter: u64,
    time: u64,
    /// Ticks for which it holds.
    holds: u64,
    /// The latest time that was given.
    latest: u64,
}

impl Anchor {
    pub(super) const NONE: Self = Self { counter: 0, time: 0, holds: 0, latest: 0 };

    /// The time now, and never less than the one before.
    pub(super) fn read(
        &mut self,
        rate: &Rate,
        counter: impl Fn() -> u64,
        clock: impl FnOnce() -> u64,
    ) -> u64 {
        let count = counter();
        // Vast if the counter is behind the anchor.
        let passed = count.wrapping_sub(self.counter);
        let time = if passed < self.holds {
            self.time + rate.nanos(passed)
        } else {
            self.renew(&Look::after(count, counter, clock), rate)
        };
        self.latest = self.latest.max(time);
        self.latest
    }

    #[cold]
    fn renew(&mut self, look: &Look, rate: &Rate) -> u64 {
        // One that cannot be believed leaves nothing: a counter that went back would come past the old anchor again.
        let holds = if look.width() <= rate.close { rate.longest } else { 0 };
        *self = Self { counter: look.before, time: look.time, holds, ..*self };
        look.time
    }
}
