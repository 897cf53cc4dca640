//! A thousand changes of every live key at random, hooks that come and go, while a hundred thousand events pass: the
//! ledger balances, sessions stay in order, and no thread is left. Alone in its process, since it counts threads.

#![expect(clippy::unwrap_used, reason = "a test panics when it fails")]

#[path = "helpers/dice.rs"]
mod dice;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookpool::{Call, Config, Event, HookPool, OutcomeKind};

use self::dice::Dice;

const CHANGES: u64 = 1_000;
const SUBMITTERS: u64 = 4;
const EVENTS: u64 = 100_000;
/// Hooks 0 to 3 take one event at a time, 4 and 5 many.
const HOOKS: u64 = 6;
const CLASSES: [&str; 4] = ["critical", "high", "normal", "low"];

impl Dice {
    fn class(&mut self) -> &'static str {
        self.of(&CLASSES)
    }

    /// A key that is live, and a value that it takes.
    fn setting(&mut self) -> (String, String) {
        let hook = format!("hook.h{}", self.below(HOOKS));
        match self.below(20) {
            0 => ("pool.workers".into(), (1 + self.below(8)).to_string()),
            1 => ("pool.standby".into(), self.below(4).to_string()),
            2 => ("pool.standby_for".into(), self.class().into()),
            3 => ("queue.capacity".into(), (100 + self.below(900)).to_string()),
            4 => ("queue.max_bytes".into(), format!("{}kB", 10 + self.below(1000))),
            5 => ("queue.on_full".into(), self.of(&["drop_new", "displace"]).into()),
            6 => ("queue.max_wait".into(), format!("{}ms", 50 + self.below(30_000))),
            7 => ("queue.warn_at".into(), format!("0.{}", 1 + self.below(9))),
            8 => ("scheduler.mode".into(), self.of(&["strict", "weighted"]).into()),
            9 => ("scheduler.bypass".into(), format!("{{ low = {} }}", 1 + self.below(64))),
            10 => (format!("class.{}.seats", self.class()), (1 + self.below(6)).to_string()),
            11 => (format!("class.{}.guarantee", self.class()), self.below(20).to_string()),
            12 => (
                "batching".into(),
                format!("{{ enabled = {}, size = {} }}", self.below(2) == 0, 1 + self.below(20)),
            ),
            13 => (format!("{hook}.max_concurrency"), (1 + self.below(4)).to_string()),
            14 => (format!("{hook}.priority"), self.class().into()),
            15 => (format!("{hook}.enabled"), (self.below(4) > 0).to_string()),
            16 => (format!("{hook}.timeout"), format!("{}s", 30 + self.below(30))),
            17 => (format!("{hook}.retry"), format!("{{ attempts = {} }}", 1 + self.below(3))),
            18 => (
                format!("{hook}.batch"),
                format!("{{ size = {}, linger = '{}ms' }}", 1 + self.below(9), self.below(5)),
            ),
            _ => ("performance_mode".into(), (self.below(8) == 0).to_string()),
        }
    }

    fn hooks(&mut self) -> String {
        let mut text = format!("priority.stop = '{}'\nkinds.stop = {}\n", self.class(), self.below(5) > 0);
        for hook in (0..HOOKS).filter(|_| self.below(4) > 0).collect::<Vec<_>>() {
            let _ = writeln!(
                text,
                "[hook.h{hook}]\non = ['stop', 'user_prompt']\ntimeout = '{}s'",
                30 + self.below(9)
            );
            if self.below(3) == 0 {
                let _ = writeln!(text, "max_wait = '{}ms'", 50 + self.below(9_000));
            }
            if hook > 3 && self.below(3) > 0 {
                let _ = writeln!(
                    text,
                    "batch = {{ size = {}, linger = '{}ms' }}",
                    1 + self.below(20),
                    self.below(4)
                );
            }
        }
        text
    }
}

/// What the handlers saw.
#[derive(Default)]
struct Seen {
    runs: AtomicU64,
    /// The last event of each hook and session, which no other one may be behind.
    last: Mutex<HashMap<(String, String), u64>>,
}

impl Seen {
    fn note(&self, call: &Call) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let text = std::str::from_utf8(call.event().payload()).unwrap();
        let number = text.split("\"n\":").nth(1).unwrap().trim_end_matches('}').parse().unwrap();
        let key = (call.hook().to_string(), call.session().unwrap().to_owned());
        let before = self.last.lock().unwrap().insert(key.clone(), number);
        assert!(before.is_none_or(|before| before < number), "{key:?}: {number} after {before:?}");
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[test]
fn a_thousand_changes_while_a_hundred_thousand_events_pass() {
    change_and_submit(1);
}

#[test]
#[ignore = "takes minutes"]
fn many_times_a_thousand_changes() {
    (2..32).for_each(change_and_submit);
}

fn change_and_submit(number: u64) {
    let threads_before = threads();
    let seen = Arc::new(Seen::default());
    let all = (0..HOOKS).map(|hook| format!("[hook.h{hook}]\non = ['stop', 'user_prompt']\n"));
    let mut builder = HookPool::builder().config(Config::from_toml(&all.collect::<String>()).unwrap());
    for hook in 0..HOOKS {
        let seen = Arc::clone(&seen);
        let name = format!("h{hook}");
        builder = if hook > 3 {
            builder.register_batch(name, move |calls: &[Call]| calls.iter().for_each(|call| seen.note(call)))
        } else {
            builder.register(name, move |call: &Call| seen.note(call))
        };
    }
    let pool = builder.build().unwrap();
    let (submitted, changed) = (AtomicU64::new(0), AtomicU64::new(0));
    // Neither gets far ahead of the other, whatever the machine does.
    let share = EVENTS / CHANGES;
    let mut applied = 0;
    std::thread::scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let (pool, submitted, changed) = (&pool, &submitted, &changed);
            scope.spawn(move || {
                let mut dice = Dice(number * 100 + submitter);
                for n in 0..EVENTS / SUBMITTERS {
                    while submitted.load(Ordering::SeqCst) > (changed.load(Ordering::SeqCst) + 3) * share {
                        std::thread::yield_now();
                    }
                    let name = dice.of(&["Stop", "UserPromptSubmit"]);
                    let session = format!("{submitter}-{}", dice.below(20));
                    let text = format!(r#"{{"event":"{name}","session_id":"{session}","n":{n}}}"#);
                    let event = Event::from_json(text.into_bytes()).unwrap();
                    if submitter == 0 {
                        pool.submit_when_room(event);
                    } else {
                        pool.submit(event);
                    }
                    submitted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut dice = Dice(number);
        for change in 0..CHANGES {
            while submitted.load(Ordering::SeqCst) < change * share {
                std::thread::yield_now();
            }
            let answer = match dice.below(10) {
                0..2 => pool.reload_with(Config::from_toml(&dice.hooks()).unwrap()).map(drop),
                2 => pool.reload().map(drop),
                3 => {
                    pool.resize(u16::try_from(1 + dice.below(8)).unwrap(), 1).unwrap();
                    Ok(())
                }
                4 => pool.unset(&dice.setting().0).map(drop),
                _ => {
                    let (key, value) = dice.setting();
                    pool.set(&key, &value).map(drop)
                }
            };
            // Some hooks are not there, and guarantees may be more than there is room for: then nothing changes.
            applied += u64::from(answer.is_ok());
            changed.fetch_add(1, Ordering::SeqCst);
        }
    });
    let ledger = pool.drain(Duration::from_mins(2));
    assert!(ledger.is_balanced() && ledger.leaked == 0, "{ledger:?}");
    let total = &ledger.snapshot.total;
    let by_hook: u64 = ledger.snapshot.hooks.iter().map(|hook| hook.counts.admitted()).sum();
    assert_eq!(by_hook, total.admitted(), "hooks that are gone are counted");
    assert_eq!(seen.runs.load(Ordering::Relaxed), total.outcome(OutcomeKind::Succeeded), "each ran once");
    let others = [OutcomeKind::Displaced, OutcomeKind::Expired, OutcomeKind::Succeeded];
    assert_eq!(others.iter().map(|kind| total.outcome(*kind)).sum::<u64>(), total.admitted());
    assert!(total.admitted() >= 100_000 && applied >= CHANGES * 7 / 10, "{} {applied}", total.admitted());
    drop(pool);
    assert_eq!(threads(), threads_before, "no thread is left");
}
