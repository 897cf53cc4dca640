//! Everything at once: events of every sort from several threads, handlers of every mode that misbehave in every way
//! that the tests know, and somebody who reloads, resizes, pauses, cancels and resets all the while. Then the books balance,
//! order has held, and no process, thread or descriptor is left.
//!
//! The choices come from a seed; what the threads make of them does not, so a seed is a load and no script. Here a
//! slice; `tests/chaos.sh` runs 100,000 events. One test in a process of its own: it counts what the process has.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "helpers/dice.rs"]
mod dice;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hookpool::{
    Answer, BatchAnswer, Call, Config, Event, HookPool, Outcome, OutcomeKind, PriorityClass, Refusal, Skip,
};

use self::dice::Dice;

const AMPLE: Duration = Duration::from_mins(2);
const EVENTS: u64 = 4_000;
const SUBMITTERS: u64 = 3;
/// Sessions of each submitter: one thread submits the events of a session, so their order is that of their numbers.
const SESSIONS: u64 = 5;

/// What an event asks its handler for, and of how many such events one is that. Handlers that hang cost their timeout.
const DEEDS: &[(&str, u64)] = &[
    ("ok", 2),
    ("fail", 12),
    ("no", 40),
    ("die", 60),
    ("flood", 90),
    ("twice", 40),
    ("unknown", 60),
    ("noise", 40),
    ("broken", 90),
    ("hold", 60),
    ("escape", 120),
    ("never", 250),
    ("hang", 250),
    ("deaf", 400),
    ("half", 400),
    ("stop", 500),
    ("forks", 400),
    ("fork", 200),
    ("close_output", 400),
    ("answer_and_die", 100),
    ("panic", 30),
    ("nap", 400),
];

fn config(mark: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers");
    format!(
        r#"
        [pool]
        workers = 4
        max_overrun = 2
        [queue]
        capacity = 100
        max_bytes = "200kB"
        max_event_bytes = "20kB"
        on_full = "displace"
        max_wait = "300ms"
        [class.low]
        guarantee = 20
        max_wait = "100ms"
        [defaults]
        timeout = "150ms"
        grace = "30ms"
        [kinds]
        notification = false
        [priority]
        user_prompt = "high"
        [hook.closure]
        on = ["pre_tool", "user_prompt"]
        timeout = "20ms"
        [hook.batches]
        on = ["post_tool"]
        batch = {{ size = 8, linger = "2ms", key = "session" }}
        on_batch_failure = "split"
        [hook.free]
        on = ["*"]
        where = {{ free = true }}
        order = "none"
        max_concurrency = 2
        priority = "critical"
        [hook.command]
        on = ["stop"]
        run = ["/bin/sh", "{folder}/chaos.sh"]
        env.CHAOS = "{mark}"
        [hook.retried]
        on = ["stop"]
        where = {{ retried = true }}
        run = ["/bin/sh", "{folder}/chaos.sh"]
        env.CHAOS = "{mark}"
        priority = "low"
        retry = {{ attempts = 3, backoff = "3ms" }}
        breaker = {{ failures = 4, cooldown = "20ms", max_cooldown = "100ms" }}
        [hook.lines]
        on = ["session_start"]
        run = ["/usr/bin/env", "python3", "{folder}/lines.py"]
        env = {{ PATH = "/usr/bin:/bin", CHAOS = "{mark}" }}
        mode = "lines"
        timeout = "400ms"
        batch = {{ size = 20, linger = "5ms" }}
        on_batch_failure = "split"
        [hook.resident]
        on = ["session_end", "pre_compact"]
        run = ["/usr/bin/env", "python3", "{folder}/lines.py"]
        env = {{ PATH = "/usr/bin:/bin", CHAOS = "{mark}" }}
        mode = "resident"
        timeout = "400ms"
        instances = 2
        window = 4
        max_events = 50
        [hook.missing]
        on = ["pre_compact"]
        run = ["/nowhere/at/all"]
        breaker = {{ failures = 3, cooldown = "10ms" }}
        [hook.off]
        on = ["stop"]
        enabled = false
        run = "true"
        [hook.closed]
        on = ["notification"]
        run = "true"
        "#
    )
}

const HOOKS: &[&str] =
    &["closure", "batches", "free", "command", "retried", "lines", "resident", "missing", "off", "closed"];
const KINDS: &[(&str, u64)] = &[
    ("PreToolUse", 2),
    ("PostToolUse", 3),
    ("UserPromptSubmit", 3),
    ("SessionEnd", 3),
    ("Stop", 8),
    ("SessionStart", 8),
    ("PreCompact", 12),
    ("Notification", 30),
    ("nobody_wants_this", 30),
];

/// Settings that are changed while it runs, and what to.
const LIVE: &[(&str, &[&str])] = &[
    ("queue.capacity", &["60", "100", "1000"]),
    ("queue.on_full", &["drop_new", "displace"]),
    ("scheduler.bypass", &["off", "{ high = 2, normal = 2, low = 3 }"]),
    ("class.low.seats", &["1", "3"]),
    ("priority.stop", &["low", "critical"]),
    ("hook.command.timeout", &["100ms", "150ms"]),
    ("hook.free.max_concurrency", &["1", "5"]),
    ("hook.batches.batch.size", &["1", "30"]),
    ("hook.resident.instances", &["1", "3"]),
    ("hook.resident.max_events", &["20", "200"]),
    ("hook.lines.mode", &["lines", "resident"]),
    ("hook.off.enabled", &["true", "false"]),
];

impl Dice {
    /// The first that comes up, one in so many; else the first of all.
    fn pick<'a>(&mut self, from: &[(&'a str, u64)]) -> &'a str {
        let start = usize::try_from(self.below(from.len() as u64)).unwrap();
        let turned = from.iter().cycle().skip(start).take(from.len());
        turned.clone().find(|(_, one_in)| self.below(*one_in) == 0).unwrap_or(&from[0]).0
    }
}

/// What the handlers in Rust and the observer have seen.
#[derive(Default)]
struct Seen {
    /// The events of each hook and session for which a handler in Rust was called.
    calls: Mutex<HashMap<(String, String), BTreeSet<u64>>>,
    disorder: AtomicU64,
    ends: Mutex<HashMap<u64, OutcomeKind>>,
    doubled: AtomicU64,
}

fn number(event: &Event, name: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_slice(event.payload()).unwrap();
    value[name].as_u64().unwrap_or_default()
}

fn deed(event: &Event) -> String {
    let value: serde_json::Value = serde_json::from_slice(event.payload()).unwrap();
    value["do"].as_str().unwrap_or_default().to_owned()
}

impl Seen {
    fn call(&self, call: &Call) {
        let Some(session) = call.session() else { return };
        let key = (call.hook().to_string(), session.to_owned());
        let n = number(call.event(), "n");
        let mut calls = self.calls.lock().unwrap();
        // Its time was over before it was called, on a busy machine, so its chain may have gone on.
        if call.is_cancelled() {
            return;
        }
        let before = calls.entry(key).or_default();
        // A batch that is split gives each event once more, which is no step back.
        let is_first = !before.contains(&n);
        if is_first && before.last().is_some_and(|last| *last > n) {
            self.disorder.fetch_add(1, Ordering::Relaxed);
        }
        before.insert(n);
    }

    fn end(&self, outcome: &Outcome) {
        let job = outcome.job.to_string().parse().unwrap();
        if self.ends.lock().unwrap().insert(job, outcome.kind).is_some() {
            self.doubled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs for a while that depends on nothing but the clock: what overruns must overrun.
fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::thread::yield_now();
    }
}

fn act(call: &Call) -> Answer {
    match &*deed(call.event()) {
        "fail" | "no" | "die" => Answer::failed("as asked"),
        "panic" => panic!("as asked"),
        "hang" | "deaf" => {
            spin(Duration::from_millis(40));
            Answer::ok()
        }
        _ => Answer::ok(),
    }
}

fn act_for_all(calls: &[Call]) -> BatchAnswer {
    let deeds: Vec<_> = calls.iter().map(|call| deed(call.event())).collect();
    let has = |what: &str| deeds.iter().any(|deed| deed == what);
    assert!(!has("panic"), "as asked");
    if has("die") {
        return BatchAnswer::All(Answer::failed("all of them"));
    }
    let each = |deed: &String| if deed == "fail" { Answer::failed("as asked") } else { Answer::ok() };
    BatchAnswer::Each(deeds.iter().map(each).collect())
}

fn build(mark: &str, seen: &Arc<Seen>) -> HookPool {
    let [closure, batches, free, observer] = [0; 4].map(|_| Arc::clone(seen));
    HookPool::builder()
        .config(Config::from_toml(&config(mark)).unwrap_or_else(|error| panic!("{error}")))
        .sweep_escapees(true)
        .register("closure", move |call: &Call| {
            closure.call(call);
            act(call)
        })
        .register_batch("batches", move |calls: &[Call]| {
            for call in calls {
                batches.call(call);
            }
            act_for_all(calls)
        })
        .register("free", move |call: &Call| {
            let _ = &free;
            act(call)
        })
        .on_outcome(move |outcome| observer.end(outcome))
        .build()
        .unwrap()
}

/// What the submitters were told.
#[derive(Default)]
struct Told {
    admitted: u64,
    refused: HashMap<Refusal, u64>,
    skipped: HashMap<Skip, u64>,
}

fn submit(pool: &HookPool, who: u64, events: u64, seed: u64) -> Told {
    let mut dice = Dice(seed);
    let mut told = Told::default();
    let mut handles = Vec::new();
    for n in 0..events {
        let (kind, deed) = (dice.pick(KINDS), dice.pick(DEEDS));
        let session = if dice.below(10) == 0 {
            String::new()
        } else {
            format!(r#","session_id":"{who}-{}""#, dice.below(SESSIONS))
        };
        let padding = "x"
            .repeat(usize::try_from(if dice.below(500) == 0 { 25_000 } else { dice.below(2_000) }).unwrap());
        let (free, retried) = (dice.below(6) == 0, dice.below(2) == 0);
        let event = format!(
            r#"{{"hook_event_name":"{kind}"{session},"n":{n},"do":"{deed}","free":{free},"retried":{retried},"padding":"{padding}"}}"#
        );
        let event = Event::from_json(event).unwrap();
        // A live source outruns the handlers at once; one that waits for room gives them something to do.
        let submission = if dice.below(10) == 0 { pool.submit(event) } else { pool.submit_when_room(event) };
        for (_, why) in submission.refused() {
            *told.refused.entry(why).or_default() += 1;
        }
        for (_, why) in submission.skipped() {
            *told.skipped.entry(why).or_default() += 1;
        }
        if submission.is_unmatched() {
            *told.skipped.entry(Skip::NoMatch).or_default() += 1;
        }
        for handle in submission.admitted() {
            told.admitted += 1;
            handles.push(handle.clone());
        }
        if !handles.is_empty() && dice.below(15) == 0 {
            let at = usize::try_from(dice.below(handles.len() as u64)).unwrap();
            handles.swap_remove(at).cancel();
        }
        if handles.len() > 200 {
            handles.drain(..100);
        }
    }
    told
}

fn resume_all(pool: &HookPool) {
    for hook in HOOKS {
        assert!(pool.resume(hook));
    }
    for class in PriorityClass::ALL {
        pool.resume_class(class);
    }
}

/// Changes everything that can be changed while it runs.
fn disturb(pool: &HookPool, is_over: &AtomicBool, seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let mut deeds = 0;
    while !is_over.load(Ordering::Relaxed) {
        let hook = dice.of(HOOKS);
        let class = dice.of(&PriorityClass::ALL);
        match dice.below(12) {
            0 => assert!(pool.pause(hook)),
            1 | 3 | 8 | 9 => resume_all(pool),
            2 => pool.pause_class(class),
            10 => {
                let (key, values) = dice.of(LIVE);
                let value = dice.of(values);
                pool.set(key, value).unwrap();
            }
            11 => drop(pool.reload().unwrap()),
            4 => {
                let (workers, standby) = (1 + dice.below(8), dice.below(3));
                pool.resize(u16::try_from(workers).unwrap(), u16::try_from(standby).unwrap()).unwrap();
            }
            5 => {
                pool.reset_breaker(hook);
            }
            6 if dice.below(30) == 0 => {
                // Briefly: what is skipped costs the submitters nothing, so thousands of events fly by.
                pool.set_performance_mode(true);
                spin(Duration::from_micros(20));
                pool.set_performance_mode(false);
            }
            _ => {
                let total = pool.status().total;
                assert!(total.resolved() <= total.admitted());
            }
        }
        deeds += 1;
        spin(Duration::from_micros(dice.below(4_000)));
    }
    resume_all(pool);
    pool.resize(4, 1).unwrap();
    deeds
}

/// Living processes that carry the mark in their environment.
fn marked(mark: &str) -> usize {
    let wanted = format!("CHAOS={mark}");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let environments = processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
    environments.filter(|all| all.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())).count()
}

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Children of this process, dead ones included.
fn children() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    children.map(|children| children.split_whitespace().count()).sum()
}

fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn until(what: &str, is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < AMPLE, "never came true: {what}");
        std::thread::yield_now();
    }
}

#[expect(clippy::disallowed_methods, reason = "a long run is asked for by a script")]
fn asked_for(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_the_books_balance_order_holds_and_nothing_is_left() {
    let events = asked_for("HOOKPOOL_CHAOS_EVENTS").unwrap_or(EVENTS);
    let seed = asked_for("HOOKPOOL_CHAOS_SEED").unwrap_or(7);
    // Panics are part of it; who wants to see them all runs it without this.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        if !text.contains("as asked") {
            eprintln!("{text}");
        }
    }));
    let before = [count("/proc/self/fd"), count("/proc/self/task"), children()];
    let mark = format!("{}-{seed}", std::process::id());
    let witness = Arc::<Seen>::default();
    let pool = build(&mark, &witness);
    let is_over = AtomicBool::new(false);
    let (told, deeds) = std::thread::scope(|scope| {
        let disturber = scope.spawn(|| disturb(&pool, &is_over, seed));
        let submitters: Vec<_> = (0..SUBMITTERS)
            .map(|who| {
                let pool = &pool;
                scope.spawn(move || submit(pool, who, events / SUBMITTERS, seed ^ (who + 1) << 32))
            })
            .collect();
        let told: Vec<_> = submitters.into_iter().map(|thread| thread.join().unwrap()).collect();
        is_over.store(true, Ordering::Relaxed);
        (told, disturber.join().unwrap())
    });
    // Every other seed ends in the middle of everything: some are abandoned, some stopped.
    let ledger = pool.drain(if seed.is_multiple_of(2) { Duration::from_millis(50) } else { AMPLE });
    let total = &ledger.snapshot.total;
    assert!(ledger.is_balanced() && ledger.lost == 0, "{ledger:?}");
    let sum = |of: fn(&Told) -> u64| told.iter().map(of).sum::<u64>();
    assert_eq!(total.admitted(), sum(|told| told.admitted));
    assert_eq!(total.all_refused(), sum(|told| told.refused.values().sum()));
    for why in Skip::ALL {
        let told: u64 = told.iter().filter_map(|told| told.skipped.get(why)).sum();
        assert_eq!(total.skipped(*why), told, "{why}");
    }
    assert_eq!(witness.doubled.load(Ordering::Relaxed), 0, "one outcome for each job");
    let ends = std::mem::take(&mut *witness.ends.lock().unwrap());
    assert_eq!(ends.len() as u64, total.admitted());
    for kind in OutcomeKind::ALL {
        let told = ends.values().filter(|end| *end == kind).count() as u64;
        assert_eq!(total.outcome(*kind), told, "{kind}");
    }
    assert_eq!(witness.disorder.load(Ordering::Relaxed), 0, "order within a session");
    let kinds: HashSet<_> = ends.values().collect();
    let outcomes: Vec<_> = OutcomeKind::ALL.iter().map(|kind| (kind, total.outcome(*kind))).collect();
    println!(
        "{events} events, {} jobs, {deeds} disturbances, {} kB: {outcomes:?}",
        total.admitted(),
        resident_kb()
    );
    assert!(kinds.len() >= 7, "a slice of everything: {outcomes:?}");
    drop(pool);
    until("every process is gone", || marked(&mark) == 0);
    let after = || [count("/proc/self/fd"), count("/proc/self/task"), children()];
    until("all is as before", || after() == before);
}
