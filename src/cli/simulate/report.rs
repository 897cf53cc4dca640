//! What a simulation or a sweep has found, for people and for programs. Nothing in it depends on the machine.

use anstyle::Style;
use hookpool::{Config, PerClass, PriorityClass, Refusal, SimulationReport};
use hookpool::{Counts, OutcomeKind};
use serde_json::{Map, Value, json};

use super::sweep::{Run, Swept, Target};
use crate::cli::report::json::{self as ledger, Layout};
use crate::cli::report::table::{Cell, Column, Table};
use crate::cli::report::units::{duration, some};
use crate::cli::report::{EventCounts, Palette, RunReport, paint, text as tables};

/// Widest line of a table.
const WIDTH: usize = 120;

/// The report of one run for people.
pub(super) fn text(found: SimulationReport, config: &Config, palette: &Palette) -> String {
    let total = &found.ledger.snapshot.total;
    let head = format!("{} in {} of virtual time", some(total.submitted(), "job"), duration(found.elapsed));
    let seats = format!(
        "seats  {} workers and {} standby, busy for {} of the time\nqueue  {} waiting (p50), {} (p99), {} at most, of {}\n",
        config.pool.workers,
        config.pool.standby,
        percent(found.utilisation),
        found.depth.p50,
        found.depth.p99,
        found.depth.max,
        config.queue.capacity,
    );
    let mut parts = vec![format!("{}, seed {}\n", paint(palette.title, &head), found.seed)];
    let mut rest = tables::simulated(&as_run(found), palette);
    parts.append(&mut rest);
    let last = parts.len().saturating_sub(1);
    parts.insert(last, seats);
    parts.join("\n")
}

/// The report of one run for programs.
pub(super) fn json(found: SimulationReport, is_indented: bool) -> String {
    shown(&object(found), is_indented)
}

/// The report of a sweep for people: a line for each combination, and the answer.
pub(super) fn sweep_text(swept: &Swept, palette: &Palette) -> String {
    let column = |group, name, cell: &dyn Fn(&Run) -> String| {
        let style = |run: &Run| if run.is_enough { palette.good } else { Style::new() };
        let cells = swept.runs.iter().map(|run| Cell::new(cell(run), style(run)));
        Column::new(group, name, cells.collect())
    };
    let keys = vec![
        column("", "workers", &|run| run.workers.to_string()),
        column("", "standby", &|run| run.standby.to_string()),
        column("", "capacity", &|run| run.capacity.to_string()),
    ];
    let mut values = Vec::new();
    for class in PriorityClass::ALL {
        let counts = |run: &Run| run.found.ledger.snapshot.classes[class].clone();
        if swept.runs.iter().any(|run| counts(run).submitted() > 0) {
            let p99 =
                |run: &Run| counts(run).wait().map_or_else(|| "-".to_owned(), |wait| duration(wait.p99));
            values.push(column("wait p99", class.name(), &p99));
        }
    }
    let total = |run: &Run| run.found.ledger.snapshot.total.clone();
    values.push(column("", "refused", &|run| refused(&total(run)).to_string()));
    values.push(column("", "displaced", &|run| total(run).outcome(OutcomeKind::Displaced).to_string()));
    values.push(column("", "expired", &|run| total(run).outcome(OutcomeKind::Expired).to_string()));
    values.push(column("", "busy", &|run| percent(run.found.utilisation)));
    if swept.target.is_some() {
        values.push(column("", "enough", &|run| if run.is_enough { "yes" } else { "no" }.to_owned()));
    }
    let mut text = Table::new(keys, values).render(WIDTH, palette);
    if let Some(target) = swept.target {
        text.push('\n');
        text.push_str(&answer(swept, target, palette));
    }
    text
}

fn answer(swept: &Swept, target: Target, palette: &Palette) -> String {
    let whose = target.class.map_or_else(|| "every class".to_owned(), |class| format!("the class {class}"));
    let wanted = format!("99 of 100 jobs of {whose} start within {}", duration(target.wait));
    match swept.answer() {
        Some(run) => {
            let Run { workers, standby, capacity, .. } = run;
            let head = format!(
                "{} {} enough",
                some((*workers).into(), "worker"),
                if *workers == 1 { "is" } else { "are" }
            );
            format!(
                "{}: with standby {standby} and capacity {capacity}, {wanted}\n",
                paint(palette.good, &head)
            )
        }
        None => format!("{}: in none of these do {wanted}\n", paint(palette.bad, "not enough")),
    }
}

/// The report of a sweep for programs.
pub(super) fn sweep_json(swept: &Swept, is_indented: bool) -> String {
    let settings =
        |run: &Run| json!({"workers": run.workers, "standby": run.standby, "capacity": run.capacity});
    let runs = swept.runs.iter().map(|run| {
        let mut object = object(run.found.clone());
        if let (Some(members), Value::Object(settings)) = (object.as_object_mut(), settings(run)) {
            members.extend(settings);
            if swept.target.is_some() {
                members.insert("enough".to_owned(), run.is_enough.into());
            }
        }
        object
    });
    let target = swept
        .target
        .map(|target| json!({"class": target.class.map(PriorityClass::name), "p99_us": micros(target.wait)}));
    let whole = json!({
        "runs": runs.collect::<Vec<Value>>(),
        "target": target,
        "answer": swept.answer().map(settings),
    });
    shown(&whole, is_indented)
}

/// The object of `run --report json`, without events, with what only a simulation knows.
fn object(found: SimulationReport) -> Value {
    let by_class = |value: &dyn Fn(PriorityClass) -> u64| -> Map<String, Value> {
        PriorityClass::ALL.iter().map(|class| (class.name().to_owned(), value(*class).into())).collect()
    };
    let mean_wait: PerClass<_> = found.mean_wait;
    let extra = json!({
        "seed": found.seed,
        "seats": found.seats,
        "utilisation": found.utilisation,
        "mean_wait_us": by_class(&|class| micros(mean_wait[class])),
        "waited": by_class(&|class| found.waited[class]),
        "depth": {"p50": found.depth.p50, "p99": found.depth.p99, "max": found.depth.max},
    });
    let text = ledger::render(&as_run(found), Layout::Line);
    let mut whole: Value = serde_json::from_str(&text).unwrap_or_default();
    if let (Some(members), Value::Object(extra)) = (whole.as_object_mut(), extra) {
        members.remove("events");
        members.extend(extra);
    }
    whole
}

fn as_run(found: SimulationReport) -> RunReport {
    let SimulationReport { ledger, elapsed, .. } = found;
    let read = ledger.snapshot.total.submitted();
    RunReport {
        events: EventCounts { read, invalid: 0, matched: read },
        ledger,
        elapsed,
        failures: Vec::new(),
    }
}

fn refused(counts: &Counts) -> u64 {
    Refusal::ALL.iter().map(|why| counts.refused(*why)).sum()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn shown(value: &Value, is_indented: bool) -> String {
    let text = if is_indented { format!("{value:#}") } else { value.to_string() };
    text + "\n"
}
