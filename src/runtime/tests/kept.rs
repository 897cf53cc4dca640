//! Failures that are kept, in memory and in a file: which, how many, and by which settings.

use std::path::Path;
use std::sync::mpsc;

use serde_json::Value;

use super::*;
use crate::handler::Call;
use crate::outcome::Outcome;

/// A hook in Rust that fails with the event's text as its message, if it has one.
fn failing(toml: &str) -> HookPool {
    let config = Config::from_toml(&format!("{toml}\n[hook.a]\non = ['*']\n")).unwrap();
    let fail = |call: &Call| {
        let event: Value = serde_json::from_slice(call.event().payload()).unwrap();
        event["text"].as_str().map_or(Ok(()), |text| Err(text.to_owned()))
    };
    HookPool::builder().config(config).register("a", fail).build().unwrap()
}

fn fail(pool: &HookPool, text: &str) -> Arc<Outcome> {
    let json = serde_json::json!({"event": "x", "text": text}).to_string();
    pool.submit(event(&json)).admitted().next().unwrap().wait(LONG).unwrap()
}

fn kept(pool: &HookPool) -> Vec<String> {
    let message = |outcome: &Arc<Outcome>| outcome.message.clone().unwrap_or_default();
    pool.recent_failures("a").iter().map(message).collect()
}

fn letters(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn recent_failures_are_bounded_in_number_and_bytes_and_there_is_always_the_newest() {
    let pool = failing("failures = { keep = 3, max_bytes = '80kB' }");
    for text in ["1", "2", "3", "4", "5"] {
        fail(&pool, text);
    }
    pool.submit(event(r#"{"event":"fine"}"#)).admitted().next().unwrap().wait(LONG).unwrap();
    assert_eq!(kept(&pool), ["5", "4", "3"]);
    // A text is in the event, the message and the reason: two of these fit, three do not.
    let texts = ["x", "y", "z"].map(|letter| letter.repeat(10_000));
    for text in &texts {
        fail(&pool, text);
    }
    assert!(kept(&pool) == [&*texts[2], &*texts[1]], "{}", kept(&pool).len());
    let large = "w".repeat(100_000);
    fail(&pool, &large);
    assert!(kept(&pool) == [&*large], "it alone is beyond the limit");
    fail(&pool, "6");
    assert_eq!(kept(&pool), ["6"]);
    assert!(pool.recent_failures("b").is_empty());
    assert!(pool.drain(LONG).is_balanced());
    assert_eq!(kept(&pool), ["6"], "they are for after the end, too");
    let none = failing("failures.keep = 0");
    fail(&none, "7");
    assert!(kept(&none).is_empty());
}

#[test]
fn kept_failures_survive_a_change_of_their_hook_and_go_by_the_limits_in_force() {
    let pool = failing("");
    for text in ["1", "2", "3"] {
        fail(&pool, text);
    }
    pool.set("hook.a.timeout", "7s").unwrap();
    assert_eq!(kept(&pool), ["3", "2", "1"]);
    pool.set("failures.keep", "2").unwrap();
    assert_eq!(kept(&pool), ["3", "2"], "at once");
    pool.set("failures.max_bytes", "1B").unwrap();
    assert_eq!(kept(&pool), ["3"]);
    pool.reload_with(Config::from_toml("[hook.b]\non = ['*']\n").unwrap()).unwrap_err();
    let other = Config::from_toml("[hook.a]\non = ['*']\nenabled = false\n").unwrap();
    pool.reload_with(other).unwrap();
    assert_eq!(kept(&pool), ["3"]);
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn redaction_is_live() {
    let pool = failing("");
    let own = "badge-4711 and password=hunter2";
    assert_eq!(fail(&pool, own).message.as_deref(), Some("badge-4711 and password=[redacted]"));
    let told = pool.set("redact.patterns", "['badge-[0-9]+']").unwrap();
    assert!(told.to_string().ends_with("for new jobs"), "{told}");
    assert_eq!(fail(&pool, own).message.as_deref(), Some("[redacted] and password=[redacted]"));
    assert_eq!(pool.redactor().text(own), "[redacted] and password=[redacted]");
    pool.set("redact.defaults", "false").unwrap();
    assert_eq!(fail(&pool, own).message.as_deref(), Some("[redacted] and password=hunter2"));
    pool.set("redact.enabled", "false").unwrap();
    assert_eq!(fail(&pool, own).message.as_deref(), Some(own));
    pool.unset("redact.enabled").unwrap();
    pool.set("redact.patterns", "['(']").unwrap_err();
    assert_eq!(fail(&pool, own).message.as_deref(), Some("[redacted] and password=hunter2"));
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn the_file_of_dead_letters_is_live_and_what_came_before_stays_where_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let texts = |name: &str| -> Vec<String> {
        letters(&path(name)).iter().map(|line| line["event"]["text"].as_str().unwrap().to_owned()).collect()
    };
    let pool = failing("");
    fail(&pool, "before");
    let set = |key: &str, value: &str| drop(pool.set(key, value).unwrap());
    set("dead_letters.file", path("one").to_str().unwrap());
    fail(&pool, "1");
    fail(&pool, "2");
    set("dead_letters.file", path("two").to_str().unwrap());
    fail(&pool, "3");
    set("dead_letters.on", "['timed_out']");
    fail(&pool, "is not asked for");
    set("dead_letters.on", "['failed']");
    fail(&pool, "4");
    pool.unset("dead_letters.file").unwrap();
    fail(&pool, "after");
    set("dead_letters.file", path("one").to_str().unwrap());
    fail(&pool, "5");
    assert!(pool.drain(LONG).is_balanced());
    assert_eq!(
        (texts("one"), texts("two")),
        (["1", "2", "5"].map(str::to_owned).into(), vec!["3".into(), "4".into()])
    );
    let counts = pool.dead_letters();
    assert_eq!((counts.written, counts.dropped, counts.failed), (5, 0, 0));
}

/// Settings that a program has made, as a file may not have them.
#[test]
fn a_success_that_is_to_be_kept_is_though_nobody_has_a_handle() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all");
    let toml = format!("[dead_letters]\nfile = {file:?}\n[hook.a]\non = ['*']\n");
    let mut config = Config::from_toml(&toml).unwrap();
    config.dead_letters.as_mut().unwrap().on.push(OutcomeKind::Succeeded);
    let pool = HookPool::builder().config(config).register("a", |_: &Call| ()).build().unwrap();
    pool.pause("a");
    drop(pool.submit(event(r#"{"event":"x"}"#)));
    pool.resume("a");
    assert!(pool.drain(LONG).is_balanced());
    assert_eq!(letters(&file).len(), 1);
}

/// The jobs of one pool, each of which fails in another way.
#[test]
fn each_outcome_that_is_no_success_is_in_the_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dead.jsonl");
    let every =
        ["failed", "timed_out", "panicked", "not_started", "displaced", "expired", "cancelled", "abandoned"];
    let config = format!(
        "pool = {{ workers = 2, standby = 0 }}\nqueue = {{ capacity = 2, on_full = 'displace' }}\n\
         [dead_letters]\nfile = '{}'\non = {every:?}\n\
         [hook.failed]\non = ['failed']\nrun = 'exit 1'\n\
         [hook.timed_out]\non = ['timed_out']\nrun = 'exec sleep 60'\ntimeout = '10ms'\ngrace = '0s'\n\
         [hook.panicked]\non = ['panicked']\n\
         [hook.not_started]\non = ['not_started']\nrun = ['/no/such/program']\n\
         [hook.expired]\non = ['blocks', 'expired']\ntimeout = '1m'\nmax_concurrency = 1\n\
         [hook.waits]\non = ['displaced', 'cancelled', 'abandoned', 'high']\nrun = 'true'\n",
        file.display()
    );
    let (blocks, is_blocked) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let pool = HookPool::builder()
        .config(Config::from_toml(&config).unwrap())
        .register("panicked", |_: &Call| -> () { panic!("as it should") })
        .register("expired", move |_: &Call| {
            blocks.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
        })
        .build()
        .unwrap();
    let submit = |name: &str| {
        let submission = pool.submit(event(&format!(r#"{{"event":"{name}"}}"#)));
        submission.admitted().next().unwrap_or_else(|| panic!("{name}: {submission:?}")).clone()
    };
    for name in ["failed", "timed_out", "panicked", "not_started"] {
        assert_eq!(submit(name).wait(LONG).unwrap().kind.name(), name);
    }
    let blocking = submit("blocks");
    is_blocked.recv_timeout(LONG).unwrap();
    pool.set("hook.expired.max_wait", "1ms").unwrap();
    assert_eq!(submit("expired").wait(LONG).unwrap().kind.name(), "expired");
    pool.pause("waits");
    let displaced = submit("displaced");
    let cancelled = submit("cancelled");
    pool.set("priority.other", "high").unwrap();
    let high = submit("high");
    assert_eq!(displaced.wait(LONG).unwrap().kind.name(), "displaced");
    cancelled.cancel();
    assert_eq!(cancelled.wait(LONG).unwrap().kind.name(), "cancelled");
    drop(open);
    blocking.wait(LONG).unwrap();
    pool.resume("waits");
    assert_eq!(high.wait(LONG).unwrap().kind.name(), "succeeded");
    pool.pause("waits");
    submit("abandoned");
    assert!(pool.drain(Duration::ZERO).is_balanced());
    let written: Vec<_> = letters(&file);
    let text = |line: &Value, part: &str, key: &str| line[part][key].as_str().unwrap().to_owned();
    assert!(written.iter().all(|line| text(line, "dead_letter", "outcome") == text(line, "event", "event")));
    let mut outcomes: Vec<_> = written.iter().map(|line| text(line, "dead_letter", "outcome")).collect();
    outcomes.sort();
    let mut expected = every.map(str::to_owned);
    expected.sort();
    assert_eq!(outcomes, expected);
}
