//! Durations, rates and numbers of things as people read them: three significant digits, and the unit that fits.

use std::time::Duration;

/// At most seven characters: `850µs`, `1.25ms`, `31.0s`, `20m34s`, `27h46m`.
pub(crate) fn duration(duration: Duration) -> String {
    // Above an hour the digits cannot be seen, above a microsecond the double is exact enough for three of them.
    let seconds = duration.as_secs_f64();
    // The bounds are where rounding to three digits would give 1000 of the unit.
    if seconds < 999.5e-6 {
        format!("{:.0}µs", seconds * 1e6)
    } else if seconds < 999.5e-3 {
        format!("{}ms", digits(seconds * 1e3))
    } else if seconds < 999.5 {
        format!("{}s", digits(seconds))
    } else {
        let minutes = duration.as_secs() / 60;
        match minutes {
            0..100 => format!("{minutes}m{:02}s", duration.as_secs() % 60),
            _ => format!("{}h{:02}m", minutes / 60, minutes % 60),
        }
    }
}

/// `count` per `elapsed`, as a number per second. `None` when no time has passed.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn per_second(count: u64, elapsed: Duration) -> Option<String> {
    let rate = count as f64 / elapsed.as_secs_f64();
    rate.is_finite().then(|| digits(rate))
}

/// `1 job`, `2 jobs`, `0 jobs`.
pub(crate) fn some(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Three significant digits; all of them where there are more before the point.
fn digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_in_the_unit_that_fits() {
        let micros = |micros, want: &str| assert_eq!(duration(Duration::from_micros(micros)), want);
        micros(0, "0µs");
        micros(7, "7µs");
        micros(999, "999µs");
        micros(1000, "1.00ms");
        micros(9_994, "9.99ms");
        micros(9_996, "10.0ms");
        micros(123_456, "123ms");
        micros(999_499, "999ms");
        micros(999_500, "1.00s");
        micros(31_000_000, "31.0s");
        micros(999_499_999, "999s");
        micros(1_234_000_000, "20m34s");
        micros(100_000_000_000, "27h46m");
        assert_eq!(duration(Duration::from_nanos(999_700)), "1.00ms");
        assert!(duration(Duration::MAX).ends_with('m'));
    }

    #[test]
    fn rates_need_time() {
        assert_eq!(per_second(5, Duration::ZERO), None);
        assert_eq!(per_second(0, Duration::ZERO), None);
        assert_eq!(per_second(5, Duration::from_secs(2)).as_deref(), Some("2.50"));
        assert_eq!(per_second(1_000_000, Duration::from_secs(3)).as_deref(), Some("333333"));
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([some(0, "job"), some(1, "job"), some(2, "job")], ["0 jobs", "1 job", "2 jobs"]);
    }
}
