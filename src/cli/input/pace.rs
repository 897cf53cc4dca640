//! When each event of a replay is due.
//!
//! Owns the schedule, not the waiting: [`Pace::due`] is pure arithmetic on times since the start of
//! the replay. Invariants: the schedule is an open loop, so an event that comes late is due at once
//! and does not shift those after it; a fixed rate is exact, without drift; due times never decrease.

use std::str::FromStr;
use std::time::Duration;

/// The longest time between two recorded events that is kept. A longer one is a break, not a pace.
const LONGEST_GAP: Duration = Duration::from_hours(1);

/// The longest time before an event without a timestamp.
const LONGEST_GUESS: Duration = Duration::from_secs(1);

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The schedule of a replay.
#[derive(Debug, Clone)]
pub(crate) struct Pace(Kind);

#[derive(Debug, Clone)]
enum Kind {
    FullSpeed,
    Rate { rate: Rate, sent: u64 },
    Realtime(Realtime),
}

#[derive(Debug, Clone, Default)]
struct Realtime {
    /// The timestamp of the last stamped event, and when that event was scheduled by its stamp.
    last_stamp: Option<(i64, Duration)>,
    /// The time between the last two stamped events.
    gap: Duration,
    /// When the last event was scheduled.
    last: Duration,
}

impl Pace {
    /// Every event is due at once.
    pub(crate) fn full_speed() -> Self {
        Self(Kind::FullSpeed)
    }

    /// The first event is due at the start, each further one a fixed time after the one before.
    pub(crate) fn rate(rate: Rate) -> Self {
        Self(Kind::Rate { rate, sent: 0 })
    }

    /// Events are due as far apart as their timestamps say.
    ///
    /// A timestamp before the last one, or more than an hour after it, counts as no time passed. An
    /// event without one follows after the time between the last two that had one, at most a second.
    pub(crate) fn realtime() -> Self {
        Self(Kind::Realtime(Realtime::default()))
    }

    /// When to send the next event: never before `now`. Both are times since the start.
    pub(crate) fn due(&mut self, timestamp_ms: Option<i64>, now: Duration) -> Duration {
        match &mut self.0 {
            Kind::FullSpeed => now,
            Kind::Rate { rate, sent } => {
                let due = rate.time_of(*sent);
                *sent = sent.saturating_add(1);
                due.max(now)
            }
            Kind::Realtime(schedule) => schedule.due(timestamp_ms, now).max(now),
        }
    }
}

impl Realtime {
    fn due(&mut self, timestamp_ms: Option<i64>, now: Duration) -> Duration {
        let due = match (timestamp_ms, self.last_stamp) {
            (Some(stamp), Some((last_stamp, at))) => {
                let gap = u64::try_from(stamp.saturating_sub(last_stamp)).unwrap_or(0);
                self.gap =
                    Some(Duration::from_millis(gap)).filter(|gap| *gap <= LONGEST_GAP).unwrap_or_default();
                self.last_stamp = Some((stamp, at.saturating_add(self.gap)));
                at.saturating_add(self.gap)
            }
            (Some(stamp), None) => {
                self.last_stamp = Some((stamp, now));
                now
            }
            (None, Some(_)) => self.last.saturating_add(self.gap.min(LONGEST_GUESS)),
            (None, None) => now,
        };
        self.last = self.last.max(due);
        self.last
    }
}

/// A number of events in a unit of time, such as `100/s`, `5/m` or `0.5/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Events in one period of so many nanoseconds. Both are kept whole, so that nothing is rounded
    /// before the time of an event is known.
    events: u64,
    period_ns: u64,
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RateError {
    /// The part before the slash is no number.
    #[error(
        "`{0}` is no number of events: give digits with at most 3 decimals, as in `100/s`, `0.5/s` or `5/m`"
    )]
    Number(String),
    /// The part after the slash is no unit.
    #[error("`{0}` is no unit of time: give `s`, `m` or `h`, as in `100/s` or `5/m`")]
    Unit(String),
    /// The number is zero.
    #[error("a rate of zero would send nothing: give a number above 0, as in `0.5/s` or `5/m`")]
    Zero,
    /// The rate is above what a schedule can tell apart.
    #[error("`{0}` is too fast: give at most {max} events per second, or no rate for full speed", max = Rate::MAX_PER_SECOND)]
    TooFast(String),
}

impl Rate {
    /// The highest rate: one event for each microsecond.
    pub(crate) const MAX_PER_SECOND: u64 = 1_000_000;

    /// When the event after `count` others is due.
    fn time_of(self, count: u64) -> Duration {
        let nanos = u128::from(count) * u128::from(self.period_ns) / u128::from(self.events.max(1));
        let second = u128::from(NANOS_PER_SECOND);
        let seconds = u64::try_from(nanos / second).unwrap_or(u64::MAX);
        Duration::new(seconds, u32::try_from(nanos % second).unwrap_or(0))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit.trim() {
            "s" | "sec" => 1,
            "m" | "min" => 60,
            "h" => 60 * 60,
            unit => return Err(RateError::Unit(unit.to_owned())),
        };
        let number = number.trim();
        let thousandths = thousandths(number).ok_or_else(|| RateError::Number(number.to_owned()))?;
        if thousandths == 0 {
            return Err(RateError::Zero);
        }
        if thousandths > Self::MAX_PER_SECOND * seconds * 1000 {
            return Err(RateError::TooFast(text.trim().to_owned()));
        }
        Ok(Self { events: thousandths, period_ns: seconds * 1000 * NANOS_PER_SECOND })
    }
}

/// A decimal number without sign or exponent, times 1000. Too large a number becomes the largest.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    let decimals: u64 = format!("{decimals:0<3}").parse().ok()?;
    Some(whole.saturating_mul(1000).saturating_add(decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn full_speed_never_waits() {
        let mut pace = Pace::full_speed();
        assert_eq!(pace.due(Some(5_000), ms(3)), ms(3));
        assert_eq!(pace.due(None, ms(4)), ms(4));
    }

    #[test]
    fn a_rate_is_a_whole_multiple_of_its_interval() {
        let cases: &[(&str, u64, Duration)] = &[
            ("100/s", 1, ms(10)),
            ("100", 1, ms(10)),
            (" 100 / s ", 3, ms(30)),
            ("0.5/s", 1, ms(2_000)),
            ("5/m", 1, ms(12_000)),
            ("2/min", 1, ms(30_000)),
            ("7.2/h", 1, ms(500_000)),
            ("0.001/h", 1, Duration::from_hours(1_000)),
            ("1000000/s", 1, Duration::from_micros(1)),
            ("3/s", 1, Duration::from_nanos(333_333_333)),
            // A third of a second is rounded for each event anew, so nothing adds up.
            ("3/s", 3_000_000_000, Duration::from_secs(1_000_000_000)),
        ];
        for &(text, count, due) in cases {
            assert_eq!(rate(text).time_of(count), due, "{text}");
        }
        assert!(rate("0.001/h").time_of(u64::MAX) > Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn late_events_are_due_at_once_and_the_schedule_is_kept() {
        let mut pace = Pace::rate(rate("10/s"));
        let table = [(0, 0), (1, 100), (350, 350), (351, 351), (352, 400), (401, 500)];
        for (now, due) in table {
            assert_eq!(pace.due(None, ms(now)), ms(due), "at {now}");
        }
    }

    #[test]
    fn realtime_keeps_the_gaps_of_the_recording() {
        const HOUR: i64 = 3_600_000;
        type Table = &'static [(Option<i64>, u64)];
        let tables: &[(&str, Table)] = &[
            ("gaps", &[(Some(1_000), 0), (Some(1_250), 250), (Some(3_000), 2_000)]),
            ("backwards is no gap", &[(Some(5_000), 0), (Some(4_000), 0), (Some(4_100), 100)]),
            ("an hour is a gap", &[(Some(0), 0), (Some(HOUR), 3_600_000)]),
            ("more is a break", &[(Some(0), 0), (Some(HOUR + 1), 0), (Some(HOUR + 11), 10)]),
            ("no timestamps: at once", &[(None, 0), (None, 0)]),
            ("one stamp makes no gap", &[(None, 0), (Some(9_000), 0), (None, 0), (Some(9_100), 100)]),
            ("the pace of the neighbours", &[(Some(0), 0), (Some(200), 200), (None, 400), (None, 600)]),
            (
                "at most a second",
                &[(Some(0), 0), (Some(9_000), 9_000), (None, 10_000), (Some(18_000), 18_000)],
            ),
            (
                "guesses do not shift stamps",
                &[(Some(0), 0), (Some(500), 500), (None, 1_000), (Some(1_200), 1_200)],
            ),
            (
                "stamps do not overtake guesses",
                &[(Some(0), 0), (Some(500), 500), (None, 1_000), (Some(600), 1_000), (Some(1_100), 1_100)],
            ),
            ("wild stamps", &[(Some(i64::MIN), 0), (Some(i64::MAX), 0), (Some(i64::MIN), 0)]),
        ];
        for (name, table) in tables {
            let mut pace = Pace::realtime();
            for (index, &(stamp, due)) in table.iter().enumerate() {
                assert_eq!(pace.due(stamp, Duration::ZERO), ms(due), "{name}: event {index}");
            }
        }
    }

    #[test]
    fn a_late_recording_catches_up_with_its_first_event() {
        let mut pace = Pace::realtime();
        assert_eq!(pace.due(Some(0), ms(40)), ms(40));
        assert_eq!(pace.due(Some(100), ms(500)), ms(500));
        assert_eq!(pace.due(Some(600), ms(501)), ms(640));
    }

    #[test]
    fn what_is_no_rate_is_told_what_would_be_one() {
        let cases = [
            ("", "`` is no number of events"),
            ("fast", "`fast` is no number of events"),
            ("-1/s", "`-1` is no number of events"),
            ("1e3", "`1e3` is no number of events"),
            (".5/s", "`.5` is no number of events"),
            ("0.0001/s", "with at most 3 decimals"),
            ("10/d", "`d` is no unit of time: give `s`, `m` or `h`"),
            ("10/", "`` is no unit of time"),
            ("0/s", "give a number above 0"),
            ("1000001/s", "give at most 1000000 events per second"),
            ("99999999999999999999999/h", "is too fast"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
