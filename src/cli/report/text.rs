//! The report for people: a headline, a table by hook and one by class, why jobs waited, what failed and why, which breakers opened, what
//! was not run and what to do about it, and the ledger.
//!
//! Columns are there for what happened somewhere, so nothing is hidden and nothing is noise. Text of handlers is
//! shown through `clean`, which lets no control character pass.

use std::fmt::Write as _;

use anstyle::Style;
use hookpool::{BreakerState, Counts, HookSnapshot, OutcomeKind, PriorityClass, Refusal, Skip, Timing};

use super::palette::paint;
use super::table::{Cell, Column, Table};
use super::units::{duration, per_second, some};
use super::{Palette, RunReport, clean, waits};

/// Widest line of a table, and of what a handler wrote.
const WIDTH: usize = 100;
/// Lines of output that are shown with a failure.
const OUTPUT_LINES: usize = 5;
/// Failures that are shown with their output; the others only with their reason.
const WITH_OUTPUT: usize = 20;
/// Longest reason, in characters: paths in it may be long, and are what one looks for.
const REASON_CHARS: usize = 400;

/// The report, with a line break at its end.
pub(crate) fn render(report: &RunReport, palette: &Palette) -> String {
    let page = Page { report, palette };
    let parts = [
        page.headline(),
        page.hooks(),
        page.classes(),
        page.waits(),
        page.failures(),
        page.breakers(),
        page.not_run(),
        page.ledger(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// The parts of a simulation's report, which has no input and no failures of its own.
pub(crate) fn simulated(report: &RunReport, palette: &Palette) -> Vec<String> {
    let page = Page { report, palette };
    let parts = vec![page.classes(), page.hooks(), page.waits(), page.not_run(), page.ledger()];
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

struct Page<'a> {
    report: &'a RunReport,
    palette: &'a Palette,
}

impl Page<'_> {
    fn total(&self) -> &Counts {
        &self.report.ledger.snapshot.total
    }

    fn headline(&self) -> String {
        let RunReport { events, elapsed, .. } = self.report;
        let time = duration(*elapsed);
        if events.read == 0 {
            return format!("{} in {time}\n", paint(self.palette.title, "no events read"));
        }
        let mut text = paint(self.palette.title, &format!("{} read", some(events.read, "event")));
        if events.invalid > 0 {
            let invalid = format!("{} invalid", events.invalid);
            let _ = write!(text, ", {}", paint(self.palette.bad, &invalid));
        }
        let _ = write!(text, ", {} matched; ", events.matched);
        let runs = self.total().run().map_or(0, |run| run.samples);
        let _ = match per_second(runs, *elapsed) {
            Some(rate) if runs > 0 => writeln!(text, "{} run in {time}, {rate} jobs/s", some(runs, "job")),
            _ => writeln!(text, "nothing run in {time}"),
        };
        text
    }

    fn hooks(&self) -> String {
        let hooks = &self.report.ledger.snapshot.hooks;
        if hooks.is_empty() {
            return "no hooks are configured: a table [hook.NAME] in hooks.toml makes one\n".to_owned();
        }
        let is_used = |hook: &&HookSnapshot| hook.counts.submitted() > 0;
        let (used, unused): (Vec<_>, Vec<_>) = hooks.iter().partition(is_used);
        let names = used.iter().map(|hook| {
            let removed = if hook.removed { " (removed)" } else { "" };
            Cell::new(format!("{}{removed}", hook.name), Style::new())
        });
        let classes = used.iter().map(|hook| {
            let classes: Vec<_> = hook.classes().map(PriorityClass::name).collect();
            Cell::new(classes.join(", "), Style::new())
        });
        let keys =
            vec![Column::new("", "hook", names.collect()), Column::new("", "class", classes.collect())];
        let counts: Vec<&Counts> = used.iter().map(|hook| &hook.counts).collect();
        let mut text = Table::new(keys, self.values(&counts)).render(WIDTH, self.palette);
        if !unused.is_empty() && self.report.events.read > 0 {
            let names: Vec<_> = unused.iter().map(|hook| hook.name.as_str()).collect();
            let names = wrap(&names, ", ", WIDTH, "  ");
            let _ = writeln!(text, "{}\n{names}", paint(self.palette.faint, "hooks that no event was for:"));
        }
        text
    }

    fn classes(&self) -> String {
        let classes = self.report.ledger.snapshot.classes();
        let used: Vec<_> = classes.filter(|(_, counts)| counts.submitted() > 0).collect();
        let names = used.iter().map(|(class, _)| Cell::new(class.name(), Style::new()));
        let keys = vec![Column::new("", "class", names.collect())];
        let counts: Vec<&Counts> = used.iter().map(|(_, counts)| *counts).collect();
        Table::new(keys, self.values(&counts)).render(WIDTH, self.palette)
    }

    /// The columns for rows with these counts. What happened in none of them has none.
    fn values(&self, rows: &[&Counts]) -> Vec<Column> {
        let mut columns = Vec::new();
        let mut add = |group, name, style, value: &dyn Fn(&Counts) -> u64| {
            if rows.iter().any(|counts| value(counts) > 0) {
                let cells = rows.iter().map(|counts| self.number(value(counts), style));
                columns.push(Column::new(group, name, cells.collect()));
            }
        };
        let Palette { bad, warning, .. } = *self.palette;
        add("", "submitted", Style::new(), &Counts::submitted);
        add("", "queued", bad, &Counts::queued);
        add("", "running", bad, &Counts::running);
        for kind in OutcomeKind::ALL {
            let style = match kind {
                OutcomeKind::Succeeded => Style::new(),
                kind if kind.is_failure() => bad,
                _ => warning,
            };
            add("", kind.name(), style, &|counts| counts.outcome(*kind));
        }
        add("", "retries", warning, &Counts::retries);
        for why in Refusal::ALL {
            add("refused", why.name(), warning, &|counts| counts.refused(*why));
        }
        for why in Skip::ALL {
            add("skipped", why.name(), warning, &|counts| counts.skipped(*why));
        }
        self.times("wait", rows, Counts::wait, &mut columns);
        self.times("run", rows, Counts::run, &mut columns);
        columns
    }

    fn times(
        &self,
        group: &'static str,
        rows: &[&Counts],
        timing: fn(&Counts) -> Option<Timing>,
        columns: &mut Vec<Column>,
    ) {
        let timings: Vec<_> = rows.iter().map(|counts| timing(counts)).collect();
        if timings.iter().all(Option::is_none) {
            return;
        }
        let mut add = |name, of: fn(&Timing) -> std::time::Duration| {
            let cells = timings.iter().map(|timing| match timing {
                Some(timing) => Cell::new(duration(of(timing)), Style::new()),
                None => Cell::new("-", self.palette.faint),
            });
            columns.push(Column::new(group, name, cells.collect()));
        };
        add("p50", |timing| timing.p50);
        add("p99", |timing| timing.p99);
        add("max", |timing| timing.max);
    }

    fn number(&self, number: u64, style: Style) -> Cell {
        Cell::new(number.to_string(), if number == 0 { self.palette.faint } else { style })
    }

    fn waits(&self) -> String {
        waits::table(&self.report.ledger.snapshot.hooks, WIDTH, self.palette)
    }

    fn failures(&self) -> String {
        let failures = &self.report.failures;
        if failures.is_empty() {
            return String::new();
        }
        let mut text = format!("{}\n", paint(self.palette.title, "failures"));
        for (at, note) in failures.iter().enumerate() {
            let what = format!("{} {}", note.count, note.kind);
            let first = if note.count > 1 { ", first" } else { "" };
            let reason = clean::line(&note.reason, REASON_CHARS);
            let reason = if reason.is_empty() { "no reason is known".to_owned() } else { reason };
            let hook = clean::line(&note.hook, REASON_CHARS);
            let _ = writeln!(text, "  {hook}  {}{first}: {reason}", paint(self.palette.bad, &what));
            if let Some(hint) = &note.hint {
                let hint = clean::line(hint, REASON_CHARS);
                let _ = writeln!(text, "    {} {hint}", paint(self.palette.faint, "hint:"));
            }
            if at >= WITH_OUTPUT {
                continue;
            }
            let (lines, more) = clean::last_lines(&note.output_tail, OUTPUT_LINES, WIDTH - 6);
            for line in more.then_some("…").into_iter().chain(lines.iter().map(String::as_str)) {
                let _ = writeln!(text, "    {} {line}", paint(self.palette.faint, "|"));
            }
        }
        text
    }

    /// The hooks whose breakers have opened.
    fn breakers(&self) -> String {
        let hooks = self.report.ledger.snapshot.hooks.iter();
        let opened = hooks.filter_map(|hook| hook.breaker.filter(|b| b.opened > 0).map(|b| (&hook.name, b)));
        let lines: Vec<_> = opened
            .map(|(name, breaker)| {
                let state = match breaker.state {
                    BreakerState::Closed => "closed again".to_owned(),
                    state => format!(
                        "{} at the end, {} in a row",
                        state.name(),
                        some(breaker.failures_in_a_row.into(), "failure")
                    ),
                };
                let opened = format!("opened {}", some(breaker.opened, "time"));
                format!("  {name}  {}, {state}\n", paint(self.palette.warning, &opened))
            })
            .collect();
        if lines.is_empty() {
            return String::new();
        }
        format!("{}\n{}", paint(self.palette.title, "breakers"), lines.concat())
    }

    /// Whatever was submitted and did not get its chance to run, with what to do about it.
    fn not_run(&self) -> String {
        let total = self.total();
        let refused =
            Refusal::ALL.iter().map(|why| ("refused", why.name(), total.refused(*why), of_refusal(*why)));
        let skipped = Skip::ALL.iter().map(|why| ("skipped", why.name(), total.skipped(*why), of_skip(*why)));
        let ended = OutcomeKind::ALL.iter().filter_map(|kind| {
            of_outcome(*kind).map(|hint| ("admitted", kind.name(), total.outcome(*kind), hint))
        });
        let lines: Vec<_> = refused.chain(skipped).chain(ended).filter(|(.., count, _)| *count > 0).collect();
        if lines.is_empty() {
            return String::new();
        }
        let mut text = format!("{}\n", paint(self.palette.title, "not run, or not to the end"));
        let name_width = lines.iter().map(|(_, name, ..)| name.len()).max().unwrap_or_default();
        let widest = lines.iter().map(|(.., count, _)| count.to_string().len()).max().unwrap_or_default();
        for (what, name, count, hint) in lines {
            let count = paint(self.palette.warning, &format!("{count:>widest$}"));
            let _ = writeln!(text, "  {count} {what:<8}  {name:<name_width$}  {hint}");
        }
        text
    }

    fn ledger(&self) -> String {
        let ledger = &self.report.ledger;
        let total = self.total();
        let refused: u64 = Refusal::ALL.iter().map(|why| total.refused(*why)).sum();
        let skipped: u64 = Skip::ALL.iter().map(|why| total.skipped(*why)).sum();
        let (submitted, admitted) = (total.submitted(), total.admitted());
        let title = paint(self.palette.title, "ledger");
        let mut text = format!(
            "{title}  {submitted} submitted = {admitted} admitted + {refused} refused + {skipped} skipped; \
             {admitted} admitted = {} queued + {} running",
            total.queued(),
            total.running(),
        );
        for kind in OutcomeKind::ALL {
            let count = total.outcome(*kind);
            if count > 0 || *kind == OutcomeKind::Succeeded {
                let _ = write!(text, " + {count} {kind}");
            }
        }
        if ledger.is_balanced() {
            let _ = writeln!(text, ": {}", paint(self.palette.good, "balanced"));
        } else {
            let (few, many) =
                (admitted.saturating_sub(total.resolved()), total.resolved().saturating_sub(admitted));
            let faults = [
                (few, "without an outcome"),
                (many, "with more than one outcome"),
                (ledger.lost, "lost"),
                (ledger.still_queued(), "still in the queue"),
            ];
            let faults = faults.iter().filter(|(count, _)| *count > 0);
            let faults: Vec<_> =
                faults.map(|(count, what)| format!("{} {what}", some(*count, "job"))).collect();
            let verdict = format!("NOT BALANCED: {}; this is a fault of hookpool", faults.join(", "));
            let _ = writeln!(text, ": {}", paint(self.palette.bad, &verdict));
        }
        if ledger.leaked > 0 {
            let leaked = some(ledger.leaked as u64, "handler");
            let leaked = format!("{leaked} in Rust did not end in time and could not be stopped");
            let _ = writeln!(text, "{}", paint(self.palette.warning, &leaked));
        }
        text
    }
}

fn of_refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::Full => "the queue was full: see queue.capacity and pool.workers",
        Refusal::ClassFull => "the class had reached class.NAME.ceiling, which is queue.capacity by default",
        Refusal::BytesFull => "the payloads that waited filled queue.max_bytes",
        Refusal::TooLarge => "the event is larger than queue.max_event_bytes",
        Refusal::Closed => "they came after the shutdown had begun",
    }
}

fn of_skip(why: Skip) -> &'static str {
    match why {
        Skip::NoMatch => "no hook wants these events: see on, match and where of the hooks",
        Skip::KindDisabled => "the kind of the event is switched off in [kinds]",
        Skip::HookDisabled => "the hook says enabled = false",
        Skip::PerformanceMode => "performance_mode = true skips every hook",
        Skip::BreakerOpen => "the hook had failed too often: see hook.NAME.breaker",
        Skip::Duplicate => "the same event was submitted before",
        Skip::ConfigError => "the configuration is invalid: `hookpool check` tells where",
    }
}

/// For jobs that were admitted, and that something other than their handler ended.
fn of_outcome(kind: OutcomeKind) -> Option<&'static str> {
    match kind {
        OutcomeKind::Displaced => Some("they gave up their places in the full queue: see queue.capacity"),
        OutcomeKind::Expired => Some("they waited longer than max_wait: see queue.max_wait and pool.workers"),
        OutcomeKind::Cancelled => Some("they were stopped while they ran, or by their submitter"),
        OutcomeKind::Abandoned => Some("the shutdown came first: see shutdown.drain and --drain-timeout"),
        OutcomeKind::Succeeded
        | OutcomeKind::Failed
        | OutcomeKind::TimedOut
        | OutcomeKind::Panicked
        | OutcomeKind::NotStarted => None,
    }
}

/// The words in lines of at most `limit` characters, where words are short enough for it.
fn wrap(words: &[&str], separator: &str, limit: usize, indent: &str) -> String {
    let mut text = String::from(indent);
    let mut column = indent.len();
    for (at, word) in words.iter().enumerate() {
        let end = if at + 1 < words.len() { separator.trim_end() } else { "" };
        if at > 0 && column + separator.len() + word.len() > limit {
            let _ = write!(text, "\n{indent}");
            column = indent.len();
        } else if at > 0 {
            text.push(' ');
            column += 1;
        }
        let _ = write!(text, "{word}{end}");
        column += word.len() + end.len();
    }
    text
}
