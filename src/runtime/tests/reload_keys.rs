//! Every setting is live: for each key, what a probe sees before it is set, and after.

use std::sync::mpsc;

use super::*;
use crate::handler::Call;
use crate::outcome::Outcome;

/// A pool with a hook of each sort, and what its closures are held by.
struct Probed {
    pool: HookPool,
    arrived: mpsc::Receiver<usize>,
    open: mpsc::Sender<()>,
}

const BASE: &str = "
[hook.shell]
on = ['stop', 'user_prompt']
run = 'echo $WORD; exit $CODE'
env = { WORD = 'one', CODE = '0' }
grace = '1ms'
[hook.rust]
on = ['notification']
[hook.many]
on = ['session_start']
";

fn probed() -> Probed {
    let (told, arrived) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let (gate, too) = (Mutex::new(gate), told.clone());
    let pool = HookPool::builder()
        .config(Config::from_toml(BASE).unwrap())
        .register("rust", move |_: &Call| {
            told.send(1).unwrap();
            // Until it is let go, or the test has ended.
            let _ = gate.lock().unwrap().recv();
        })
        .register_batch("many", move |calls: &[Call]| too.send(calls.len()).unwrap())
        .build()
        .unwrap();
    Probed { pool, arrived, open }
}

impl Probed {
    fn submit(&self, name: &str) -> Submission {
        self.pool.submit(event(&format!(r#"{{"event":"{name}","session_id":"s","tool_name":"Bash"}}"#)))
    }

    fn outcome(&self) -> Arc<Outcome> {
        self.submit("stop").admitted().next().unwrap().wait(LONG).unwrap()
    }
}

/// What would become of an event, with its class.
fn preview(probed: &Probed) -> String {
    let previews = probed.pool.preview(&event(r#"{"event":"stop","tool_name":"Bash"}"#));
    let words = previews.iter().map(|hook| match hook.skip {
        Some(why) => why.name().to_owned(),
        None => hook.class.name().to_owned(),
    });
    words.collect()
}

fn printed(probed: &Probed) -> String {
    probed.outcome().process.as_ref().unwrap().stdout.text().trim().to_owned()
}

fn outcome(probed: &Probed) -> String {
    let outcome = probed.outcome();
    format!("{} after {}", outcome.kind, outcome.attempts.len())
}

/// The answers to two submits, of which the first waits.
fn two(probed: &Probed) -> String {
    probed.pool.pause("shell");
    let answers = [probed.submit("user_prompt"), probed.submit("stop")];
    let handles: Vec<_> = answers.iter().flat_map(Submission::admitted).cloned().collect();
    let why = answers.iter().flat_map(Submission::refused).map(|(_, why)| why.name());
    let why: Vec<_> = why.collect();
    let gone = handles.iter().any(|handle| handle.outcome().is_some());
    for handle in &handles {
        handle.cancel();
    }
    probed.pool.resume("shell");
    if gone { "displaced".into() } else { why.join(" ") }
}

/// What a job behind one that runs for long comes to.
fn behind(probed: &Probed) -> String {
    probed.pool.set("hook.rust.max_concurrency", "1").unwrap();
    let submit = || probed.submit("notification").admitted().next().unwrap().clone();
    // Where the wait is short and the machine is busy, it may be over for the first one, too.
    let runs = |job: &JobHandle| {
        cancel::until(|| probed.arrived.try_recv().is_ok() || job.outcome().is_some());
        job.outcome().is_none()
    };
    let first = std::iter::repeat_with(submit).find(runs).unwrap();
    let second = submit();
    let limit = if probed.pool.config().max_wait_is_short() { LONG } else { Duration::ZERO };
    let end = second.wait(limit).map(|outcome| outcome.kind.name());
    second.cancel();
    probed.open.send(()).unwrap();
    first.wait(LONG).unwrap();
    probed.pool.unset("hook.rust.max_concurrency").unwrap();
    end.unwrap_or("waits").to_owned()
}

impl Config {
    fn max_wait_is_short(&self) -> bool {
        let hook = self.hooks.iter().find(|hook| hook.name.as_str() == "rust").unwrap();
        let limit = self.max_wait(hook, PriorityClass::Normal).limit;
        limit.is_some_and(|limit| limit < Duration::from_secs(1))
    }
}

/// How many of six run at once, when no more comes.
fn at_once(probed: &Probed) -> String {
    let handles: Vec<_> = (0..6)
        .map(|n| {
            let event = event(&format!(r#"{{"event":"Notification","session_id":"{}"}}"#, n / 2));
            probed.pool.submit(event).admitted().next().unwrap().clone()
        })
        .collect();
    // Whoever runs is counted by the pool before anybody else can be.
    let mut runs = 0;
    let expected = probed.pool.expected_at_once();
    while runs < expected {
        runs += probed.arrived.recv_timeout(LONG).unwrap();
    }
    assert!(probed.arrived.recv_timeout(Duration::from_millis(20)).is_err(), "more than {expected}");
    for _ in &handles {
        probed.open.send(()).unwrap();
    }
    for handle in &handles {
        let _ = handle.wait(LONG).unwrap();
    }
    while probed.arrived.try_recv().is_ok() {}
    runs.to_string()
}

impl HookPool {
    fn expected_at_once(&self) -> usize {
        let config = self.config();
        let hook = config.hooks.iter().find(|hook| hook.name.as_str() == "rust").unwrap();
        // Three sessions, and one at a time of each.
        let chains = if hook.order == crate::Order::None { 6 } else { 3 };
        let class = hook.priority.unwrap_or(PriorityClass::Normal);
        let standby = if class == PriorityClass::High { config.pool.standby } else { 0 };
        let seats = (config.pool.workers + standby).min(config.classes[class].seats);
        usize::from(seats).min(chains).min(hook.max_concurrency.unwrap_or(9) as usize)
    }
}

/// Sizes of the batches that four events make.
fn batches(probed: &Probed) -> String {
    probed.pool.pause("many");
    (0..4).for_each(|_| drop(probed.submit("session_start")));
    probed.pool.resume("many");
    let (mut sizes, mut sum) = (Vec::new(), 0);
    while sum < 4 {
        let size = probed.arrived.recv_timeout(LONG).unwrap();
        sum += size;
        sizes.push(size.to_string());
    }
    sizes.join(" ")
}

/// What a probe sees.
type Probe = fn(&Probed) -> String;
/// A key, a value, the probe, and what it sees before and after.
type Row = (&'static str, &'static str, Probe, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("performance_mode", "true", preview, "normal", "performance_mode"),
    ("kinds.stop", "false", preview, "normal", "kind_disabled"),
    ("priority.stop", "critical", preview, "normal", "critical"),
    ("defaults.priority", "low", preview, "normal", "low"),
    ("hook.shell.enabled", "false", preview, "normal", "hook_disabled"),
    ("hook.shell.priority", "high", preview, "normal", "high"),
    ("hook.shell.on", "['pre_tool']", preview, "normal", ""),
    ("hook.shell.match.tool", "Edit|Write", preview, "normal", ""),
    ("hook.shell.where", "{ tool_name = 'Edit' }", preview, "normal", ""),
    ("hook.shell.run", "echo two", printed, "one", "two"),
    ("hook.shell.env.WORD", "three", printed, "one", "three"),
    ("hook.shell.env_clear", "true", printed, "one", "one"),
    ("hook.shell.max_output", "2B", printed, "one", "o\n[... 2 bytes left out ...]"),
    ("hook.shell.limits.output", "1B", outcome, "succeeded after 0", "failed after 0"),
    ("hook.shell.env.CODE", "1", outcome, "succeeded after 0", "failed after 0"),
    ("hook.shell.run", "exit 3", outcome, "succeeded after 0", "failed after 0"),
    (
        "hook.shell.timeout",
        "10ms",
        |p| {
            p.pool.set("hook.shell.run", "sleep 0.5").unwrap();
            let seen = outcome(p);
            p.pool.unset("hook.shell.run").unwrap();
            seen
        },
        "succeeded after 0",
        "timed_out after 0",
    ),
    ("queue.capacity", "1", two, "", "full"),
    ("queue.max_bytes", "80B", two, "", "bytes_full"),
    ("queue.max_event_bytes", "10B", two, "", "too_large too_large"),
    ("class.normal.ceiling", "1", two, "", "class_full"),
    ("queue.max_wait", "1ms", behind, "waits", "expired"),
    ("class.normal.max_wait", "1ms", behind, "waits", "expired"),
    ("hook.rust.max_wait", "1ms", behind, "waits", "expired"),
    ("pool.workers", "2", at_once, "3", "2"),
    ("class.normal.seats", "1", at_once, "3", "1"),
    ("hook.rust.max_concurrency", "2", at_once, "3", "2"),
    ("hook.rust.order", "none", at_once, "3", "4"),
    ("hook.many.batch", "{ size = 2 }", batches, "1 1 1 1", "2 2"),
    ("batching", "{ enabled = true, size = 3, linger = '1ms' }", batches, "1 1 1 1", "3 1"),
];

#[test]
fn every_key_is_live() {
    let probed = probed();
    for &(key, value, probe, before, after) in ROWS {
        assert_eq!(probe(&probed), before, "before {key} is set");
        probed.pool.set(key, value).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(probe(&probed), after, "with {key} = {value}");
        probed.pool.unset(key).unwrap();
    }
    let seen: Vec<_> = ROWS.iter().map(|row| row.2(&probed)).collect();
    assert!(seen.iter().zip(ROWS).all(|(seen, row)| seen == row.3), "all is as it was: {seen:?}");
    drop(probed.open);
    assert!(probed.pool.drain(LONG).is_balanced());
}

/// Those that work together.
#[test]
fn retries_breakers_displacement_and_standby_are_live() {
    let probed = probed();
    let set = |key: &str, value: &str| drop(probed.pool.set(key, value).unwrap());
    set("hook.shell.env.CODE", "1");
    set("hook.shell.retry", "{ attempts = 3, backoff = '1ms' }");
    assert_eq!(outcome(&probed), "failed after 2");
    probed.pool.unset("hook.shell.retry").unwrap();
    set("hook.shell.breaker", "{ failures = 1 }");
    assert_eq!(outcome(&probed), "failed after 0");
    assert_eq!(preview(&probed), "breaker_open");
    set("hook.shell.timeout", "7s");
    assert_eq!(preview(&probed), "breaker_open", "a breaker with the same policy goes on");
    set("hook.shell.run", "echo repaired");
    assert_eq!(preview(&probed), "normal", "another handler has not failed yet");
    set("queue.capacity", "1");
    set("queue.on_full", "displace");
    set("priority.stop", "high");
    assert_eq!(two(&probed), "displaced");
    set("queue.capacity", "1000");
    set("pool.workers", "1");
    set("hook.rust.priority", "high");
    assert_eq!(at_once(&probed), "2");
    set("pool.standby", "0");
    assert_eq!(at_once(&probed), "1");
    drop(probed.open);
    assert!(probed.pool.drain(LONG).is_balanced());
}
