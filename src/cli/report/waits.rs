//! Why jobs waited: one line for each hook whose jobs waited noticeably, and what to do about it.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::Style;
use hookpool::{Counts, HookSnapshot, WaitCause, WaitSplit};

use super::table::{Cell, Column, Table};
use super::units::duration;
use super::{Palette, paint};

/// The mean wait from which on a hook is shown. The hand-over does not count: it is not the queue's doing.
const NOTICEABLE: Duration = Duration::from_millis(10);

/// The table with its hints, or nothing.
pub(super) fn table(hooks: &[HookSnapshot], limit: usize, palette: &Palette) -> String {
    let shown: Vec<_> = hooks.iter().filter(|hook| is_noticeable(&hook.counts)).collect();
    if shown.is_empty() {
        return String::new();
    }
    let splits: Vec<WaitSplit> = shown.iter().map(|hook| hook.counts.waited_for()).collect();
    let column = |group, name, cells: &dyn Fn(&WaitSplit) -> Cell| {
        Column::new(group, name, splits.iter().map(cells).collect())
    };
    let names = shown.iter().map(|hook| Cell::new(hook.name.as_str(), Style::new()));
    let keys = vec![Column::new("", "hook", names.collect())];
    let mut values = vec![column("", "waited", &|split| Cell::new(duration(split.total()), Style::new()))];
    for cause in WaitCause::ALL {
        if splits.iter().any(|split| percent(split, *cause) > 0) {
            let cell = |split: &WaitSplit| match percent(split, *cause) {
                0 => Cell::new("-", palette.faint),
                part => Cell::new(format!("{part} %"), Style::new()),
            };
            values.push(column("", cause.name(), &cell));
        }
    }
    let mut text = format!("{}\n", paint(palette.title, "why jobs waited"));
    text.push_str(&Table::new(keys, values).render(limit, palette));
    let is_main = |cause: &&WaitCause| splits.iter().any(|split| split.longest() == Some(**cause));
    let main: Vec<_> = WaitCause::ALL.iter().filter(is_main).collect();
    let width = main.iter().map(|cause| cause.name().len()).max().unwrap_or_default();
    for cause in main {
        let _ = writeln!(text, "  {:width$}  {}", cause.name(), hint(*cause));
    }
    text
}

fn is_noticeable(counts: &Counts) -> bool {
    let waited = counts.waited_for();
    let in_queue = waited.total().saturating_sub(waited.of(WaitCause::Wake));
    in_queue.as_nanos() >= NOTICEABLE.as_nanos() * u128::from(counts.resolved().max(1))
}

/// The whole wait's share that had this cause, rounded.
fn percent(split: &WaitSplit, cause: WaitCause) -> u128 {
    let total = split.total().as_nanos().max(1);
    (split.of(cause).as_nanos() * 100 + total / 2) / total
}

fn hint(cause: WaitCause) -> &'static str {
    match cause {
        WaitCause::MoreImportant => {
            "more important jobs had the seats, or were next: see pool.standby and the priorities"
        }
        WaitCause::Chain => "behind their session: order = \"none\" lets a hook run its events side by side",
        WaitCause::NoSeat => "every seat was taken: see pool.workers",
        WaitCause::Linger => "for their batch to fill: see batch.linger",
        WaitCause::Paused => "their hook or class was paused",
        WaitCause::Limit => "as many ran as the hook's max_concurrency or class.NAME.seats allows",
        WaitCause::Wake => "a seat was free and its worker on the way: the machine was busy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookpool::{Config, Load, Simulation};

    fn shown(load: &str, toml: &str) -> String {
        let config = Config::from_toml(toml).unwrap_or_else(|error| panic!("{error}"));
        let load = Load::from_toml(load).unwrap_or_else(|error| panic!("{error}"));
        let found = Simulation::new(&config, &load).unwrap().run();
        table(&found.ledger.snapshot.hooks, 100, &Palette::PLAIN)
    }

    const HOOKS: &str = "pool = { workers = 1, standby = 0 }\n\
                         [hook.a]\non = ['*']\nrun = 'true'\n[hook.b]\non = ['*']\nrun = 'true'\n";

    #[test]
    fn what_waits_is_told_in_shares_with_what_to_do_about_it() {
        // Two events of one session at once, each for 30 ms: the second waits for the first.
        let load = "jobs = 20\n[hook.a]\nsessions = 1\narrivals = { burst = 2, every = '1s' }\nrun_time = '30ms'\n\
                    [hook.b]\narrivals = { every = '10s' }\nrun_time = '1ms'\n";
        assert_eq!(
            shown(load, HOOKS),
            "why jobs waited\n\
             hook  waited  chain\n\
             a      300ms  100 %\n\
            \x20 chain  behind their session: order = \"none\" lets a hook run its events side by side\n"
        );
    }

    #[test]
    fn nothing_is_said_where_nothing_waits() {
        let load = "jobs = 20\n[hook.a]\narrivals = { every = '1s' }\nrun_time = '30ms'\n";
        assert_eq!(shown(load, HOOKS), "");
    }
}
