//! What was measured, as a table with words under it, or as one object.

use std::fmt::Write as _;
use std::time::Duration;

use hookpool::{Counts, OutcomeKind, Refusal, Skip};
use serde_json::{Map, Value, json};

use super::super::report::{Palette, json as ledger, paint, units};
use super::measure::{HANDLER, Measured, Mode};

/// The report for people.
pub(super) fn text(measured: &Measured, palette: &Palette) -> String {
    let Measured { events, event_bytes, clock, workers, modes } = measured;
    let mut text = format!("{events} events of about {event_bytes} bytes, one hook: {HANDLER}\n\n");
    let head = format!(
        "{:<18}{:>9}{:>9}{:>9}{:>16}  outcomes",
        "cost to the caller", "p50", "p99", "max", "until the last"
    );
    let _ = writeln!(text, "{}", paint(palette.title, &head));
    for mode in modes {
        let [p50, p99, max] = [50, 99, 100].map(|percent| short(mode.cost(percent)));
        let label = mode.name.replace('_', " ");
        let _ = writeln!(
            text,
            "{label:<18}{p50:>9}{p99:>9}{max:>9}{:>16}  {}",
            short(mode.elapsed),
            outcomes(mode)
        );
    }
    let _ = write!(
        text,
        "\n\
         synchronous       each handler is started and waited for on the calling thread, as before there was a queue\n\
         pool              the same events and the same handler through hookpool: the caller hands them over and goes\n\
         {:18}on, {workers} workers run them\n\
         performance mode  every hook is skipped\n\
         full queue        another job has the only place, so every event is refused; that job runs at the end\n\
         \n\
         until the last: from the first event to the last outcome. Reading the clock is in every cost: {}.\n",
        "",
        short(*clock)
    );
    if let Some(ratio) = ratio(measured) {
        let _ = writeln!(
            text,
            "With the pool a hook costs its caller {ratio:.0} times less (p50). The handlers' own work stays the same."
        );
    }
    text
}

/// The report for programs, with a line break at its end.
pub(super) fn json(measured: &Measured, is_indented: bool) -> String {
    let modes: Map<String, Value> =
        measured.modes.iter().map(|mode| (mode.name.to_owned(), object(mode))).collect();
    let whole = json!({
        "events": measured.events,
        "event_bytes": measured.event_bytes,
        "handler": [HANDLER],
        "workers": measured.workers,
        "clock_ns": nanos(measured.clock),
        "modes": modes,
        "times_less_p50": ratio(measured),
    });
    let text = if is_indented { format!("{whole:#}") } else { whole.to_string() };
    text + "\n"
}

fn object(mode: &Mode) -> Value {
    let mut object = match &mode.ledger {
        Some(ledger) => ledger::totals(ledger),
        None => json!({
            "outcomes": { "succeeded": mode.succeeded, "failed": mode.costs.len() as u64 - mode.succeeded }
        }),
    };
    if let Some(members) = object.as_object_mut() {
        let costs = json!({
            "p50": nanos(mode.cost(50)), "p99": nanos(mode.cost(99)), "max": nanos(mode.cost(100)),
            "total": nanos(mode.costs.iter().sum()),
        });
        members.insert("caller_ns".to_owned(), costs);
        let elapsed = u64::try_from(mode.elapsed.as_micros()).unwrap_or(u64::MAX);
        members.insert("elapsed_us".to_owned(), elapsed.into());
    }
    object
}

/// What became of the events, in words.
fn outcomes(mode: &Mode) -> String {
    let Some(ledger) = &mode.ledger else {
        return match mode.costs.len() as u64 - mode.succeeded {
            0 => format!("{} succeeded", mode.succeeded),
            failed => format!("{} succeeded, {failed} failed", mode.succeeded),
        };
    };
    let total: &Counts = &ledger.snapshot.total;
    let outcomes = OutcomeKind::ALL.iter().map(|kind| (total.outcome(*kind), kind.name(), ""));
    let refused = Refusal::ALL.iter().map(|why| (total.refused(*why), "refused: ", why.name()));
    let skipped = Skip::ALL.iter().map(|why| (total.skipped(*why), "skipped: ", why.name()));
    let all = outcomes.chain(refused).chain(skipped).filter(|(count, ..)| *count > 0);
    let words: Vec<String> = all.map(|(count, what, why)| format!("{count} {what}{why}")).collect();
    words.join(", ")
}

/// How many times less the pool's caller pays than the synchronous one.
fn ratio(measured: &Measured) -> Option<f64> {
    let [synchronous, pool, ..] = &measured.modes;
    let ratio = synchronous.cost(50).as_secs_f64() / pool.cost(50).as_secs_f64();
    ratio.is_finite().then_some(ratio)
}

fn short(duration: Duration) -> String {
    match duration.as_nanos() {
        nanos @ 0..1000 => format!("{nanos}ns"),
        1000..10_000 => format!("{:.2}µs", duration.as_secs_f64() * 1e6),
        _ => units::duration(duration),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
