//! The JSON report, read back: every name is there, and every sum holds, or it is no report.

use serde_json::Value;

pub(crate) const OUTCOMES: [&str; 9] = [
    "succeeded",
    "failed",
    "timed_out",
    "panicked",
    "not_started",
    "displaced",
    "expired",
    "cancelled",
    "abandoned",
];
pub(crate) const REFUSED: [&str; 5] = ["full", "class_full", "bytes_full", "too_large", "closed"];
pub(crate) const WAITED: [&str; 7] =
    ["more_important", "chain", "no_seat", "linger", "paused", "limit", "wake"];
pub(crate) const SKIPPED: [&str; 7] = [
    "no_match",
    "kind_disabled",
    "hook_disabled",
    "performance_mode",
    "breaker_open",
    "duplicate",
    "config_error",
];
const CLASSES: [&str; 4] = ["critical", "high", "normal", "low"];

/// A report of a finished run.
#[derive(Debug)]
pub(crate) struct Report(Value);

impl Report {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let report: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        members(
            &report,
            &[
                "events",
                "submitted",
                "admitted",
                "refused",
                "skipped",
                "outcomes",
                "retries",
                "queued",
                "running",
                "balanced",
                "elapsed_us",
                "hooks",
                "classes",
            ],
        )?;
        members(&report["events"], &["read", "invalid", "matched"])?;
        if report["balanced"] != Value::Bool(true) {
            return Err("it does not balance".into());
        }
        number(&report["elapsed_us"])?;
        let total = account("total", &report)?;
        members(&report["classes"], &CLASSES)?;
        for part in ["hooks", "classes"] {
            let mut sum = vec![0; total.len()];
            for (name, counts) in report[part].as_object().ok_or("no object")? {
                let mut names = vec!["wait_us", "run_us", "wait_split_us"];
                names.extend(COUNTERS);
                members(counts, &names)?;
                for (sum, count) in sum.iter_mut().zip(account(name, counts)?) {
                    *sum += count;
                }
                for times in [&counts["wait_us"], &counts["run_us"]] {
                    times_of(times)?;
                }
                members(&counts["wait_split_us"], &WAITED)?;
                for part in counts["wait_split_us"].as_object().into_iter().flatten() {
                    number(part.1)?;
                }
            }
            // An event that no hook wants is in the total alone.
            let unmatched = number(&report["skipped"]["no_match"])?;
            let (submitted, no_match) = (0, total.len() - SKIPPED.len());
            sum[submitted] += unmatched;
            sum[no_match] += unmatched;
            if sum != total {
                return Err(format!("the {part} sum up to {sum:?}, the total says {total:?}"));
            }
        }
        Ok(Self(report))
    }

    /// The count at this path, such as `outcomes.failed` or `hooks.NAME.refused.full`.
    pub(crate) fn n(&self, path: &str) -> u64 {
        number(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error} in {}", self.0))
    }

    pub(crate) fn at(&self, path: &str) -> &Value {
        path.split('.').fold(&self.0, |value, name| &value[name])
    }

    /// What is not zero among outcomes, refusals and skips: all that happened.
    pub(crate) fn happened(&self) -> String {
        let all = [("outcomes", &OUTCOMES[..]), ("refused", &REFUSED), ("skipped", &SKIPPED)];
        let counts = all.iter().flat_map(|(part, names)| names.iter().map(move |name| (part, name)));
        let counts = counts.map(|(part, name)| (name, self.n(&format!("{part}.{name}"))));
        let texts: Vec<_> = counts.filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")).collect();
        texts.join(", ")
    }
}

const COUNTERS: [&str; 8] =
    ["submitted", "admitted", "refused", "skipped", "outcomes", "retries", "queued", "running"];

/// Checks the equations, and answers with all numbers: submitted, admitted, outcomes, refusals, skips.
fn account(name: &str, counts: &Value) -> Result<Vec<u64>, String> {
    let mut all = vec![number(&counts["submitted"])?, number(&counts["admitted"])?];
    let mut sums = Vec::new();
    for (part, names) in [("outcomes", &OUTCOMES[..]), ("refused", &REFUSED), ("skipped", &SKIPPED)] {
        members(&counts[part], names)?;
        let numbers = names.iter().map(|name| number(&counts[part][name])).collect::<Result<Vec<_>, _>>()?;
        sums.push(numbers.iter().sum::<u64>());
        all.extend(numbers);
    }
    let (queued, running) = (number(&counts["queued"])?, number(&counts["running"])?);
    let holds = all[0] == all[1] + sums[1] + sums[2] && all[1] == queued + running + sums[0];
    if holds && queued == 0 && running == 0 {
        Ok(all)
    } else {
        Err(format!("{name} does not add up: {counts}"))
    }
}

/// Three times that do not decrease, or three nulls.
fn times_of(times: &Value) -> Result<(), String> {
    members(times, &["p50", "p99", "max"])?;
    let all = ["p50", "p99", "max"].map(|name| times[name].as_u64());
    let holds = match all {
        [Some(p50), Some(p99), Some(max)] => p50 <= p99 && p99 <= max,
        _ => ["p50", "p99", "max"].iter().all(|name| times[name].is_null()),
    };
    if holds { Ok(()) } else { Err(format!("strange times: {times}")) }
}

fn members(value: &Value, names: &[&str]) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("no object: {value}"))?;
    let mut found: Vec<_> = object.keys().map(String::as_str).collect();
    let mut wanted = names.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    if found == wanted { Ok(()) } else { Err(format!("members {found:?}, not {wanted:?}")) }
}

fn number(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("no whole number: {value}"))
}
