//! What a handler may take of the machine: real programs that take more.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use hookpool::{Config, End, Event, HookPool, Outcome, OutcomeKind, StopReason};

use OutcomeKind::{Failed, Succeeded};

const AMPLE: Duration = Duration::from_mins(2);

/// The limits are set from outside, so a program that wants to meet one waits until it is there.
const UNTIL_BOUND: &str = "
import os, resource, signal, sys, time
def until(is_true):
    while not is_true(): time.sleep(0.001)
def until_bound(name, bound):
    until(lambda: resource.getrlimit(getattr(resource, 'RLIMIT_' + name))[0] == bound)
";

fn pool(keys: &str, script: &str) -> HookPool {
    let text = format!(
        "[hook.a]\non = ['*']\nrun = ['python3', '-c', '''{UNTIL_BOUND}{script}''']\ntimeout = '60s'\ngrace = '10s'\n{keys}\n"
    );
    HookPool::builder().config(Config::from_toml(&text).unwrap_or_else(|e| panic!("{e}"))).build().unwrap()
}

fn run(pool: &HookPool) -> Arc<Outcome> {
    let submission = pool.submit(Event::from_json(r#"{"event":"x"}"#).unwrap());
    submission.admitted().next().unwrap().wait(AMPLE).expect("it has an outcome")
}

fn printed(outcome: &Outcome) -> String {
    outcome.process.as_ref().unwrap().stdout.text().trim().to_owned()
}

fn hint(outcome: &Outcome) -> &str {
    outcome.hint.as_deref().unwrap_or_default()
}

#[test]
fn memory_that_is_not_allowed_is_refused() {
    let script = "
until_bound('DATA', 150_000_000)
try: bytearray(300_000_000)
except MemoryError: print('refused'); os.abort()";
    let outcome = run(&pool("limits.memory = '150MB'", script));
    assert_eq!((outcome.kind, &*printed(&outcome)), (Failed, "refused"), "{outcome}");
    assert_eq!(
        hint(&outcome),
        "it may have had no memory left: `hook.a.limits.memory` allows 150000000 bytes"
    );
    let outcome = run(&pool("limits.memory = '800MB'", "bytearray(300_000_000)"));
    assert_eq!((outcome.kind, hint(&outcome)), (Succeeded, ""), "{outcome}");
}

#[test]
fn processor_time_is_bounded_also_for_who_ignores_the_signal() {
    for (script, signal) in
        [("while True: pass", 24), ("signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", 9)]
    {
        let outcome = run(&pool("limits.cpu = '900ms'", &format!("\nuntil_bound('CPU', 1)\n{script}")));
        assert_eq!(outcome.kind, Failed, "{outcome}");
        assert_eq!(outcome.process.as_ref().unwrap().end, End::Signalled(signal));
        assert_eq!(hint(&outcome), "it used up its processor time: raise `hook.a.limits.cpu`, which is 1 s");
    }
}

#[test]
fn files_are_bounded_for_it_and_for_what_it_starts() {
    let script = "
until_bound('NOFILE', 40)
if os.fork(): sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
files = []
try:
    while True: files.append(open('/dev/null'))
except OSError as error: print(error.strerror, files[-1].fileno())";
    let outcome = run(&pool("limits.files = 40", script));
    assert_eq!((outcome.kind, &*printed(&outcome)), (Succeeded, "Too many open files 39"), "{outcome}");
}

#[test]
fn a_limit_above_that_of_hookpool_itself_changes_nothing() {
    let script = "
until_bound('CPU', 3600)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[1])";
    let outcome = run(&pool("limits = { files = 1_000_000, cpu = '1h' }", script));
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    assert_eq!(printed(&outcome), own.min(1_000_000).to_string(), "{outcome}");
}

#[test]
fn who_writes_too_much_is_stopped_and_has_failed() {
    let outcome = run(&pool("limits.output = '1MB'", "\nwhile True: print('y' * 1000)"));
    assert_eq!(outcome.kind, Failed);
    assert_eq!(outcome.reason, "it wrote more than the 1000000 bytes of its `limits.output` and got TERM");
    let process = outcome.process.as_ref().unwrap();
    assert_eq!(process.stopped.unwrap().why, StopReason::Output);
    // Both streams count, and whether the end is seen before the bytes are does not.
    for (bytes, kind) in [(500, Succeeded), (501, Failed)] {
        let script = format!("\nos.write(1, b'x' * {bytes})\nos.write(2, b'x' * 500)");
        let outcome = run(&pool("limits.output = 1000", &script));
        assert_eq!(outcome.kind, kind, "{bytes}: {outcome}");
    }
}

/// Answers each line, after so much noise as it asks for.
const RESIDENT: &str = "
import json
for line in sys.stdin:
    noise = int(json.loads(line)['noise'])
    print('x' * noise, flush=True)
    print(json.dumps({'id': json.loads(line)['hookpool']['id'], 'ok': True}), flush=True)";

#[test]
fn what_a_resident_process_may_write_it_may_write_for_each_event() {
    let pool = pool("mode = 'resident'\nlimits.output = 1000", RESIDENT);
    let send = |noise: u32| {
        let event = Event::from_json(format!(r#"{{"event":"x","noise":{noise}}}"#)).unwrap();
        pool.submit(event).admitted().next().unwrap().wait(AMPLE).unwrap()
    };
    for _ in 0..5 {
        assert_eq!(send(600).kind, Succeeded);
    }
    let outcome = send(200_000);
    assert_eq!(outcome.kind, Failed);
    assert_eq!(outcome.reason, "it wrote more than the 1000 bytes of its `limits.output` and got TERM");
    assert_eq!(send(600).kind, Succeeded, "another process takes its place");
    assert!(pool.drain(AMPLE).is_balanced());
}

#[test]
fn a_resident_process_is_bound_too() {
    let script = "
until_bound('NOFILE', 40)
import json
for line in sys.stdin: print(json.dumps({'id': json.loads(line)['hookpool']['id'], 'ok': True}), flush=True)";
    assert_eq!(run(&pool("mode = 'resident'\nlimits.files = 40", script)).kind, Succeeded);
}

#[test]
fn the_rank_is_that_of_the_class() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let rank = |priority: &str, mode: &str, rank: i32| {
        let script = format!(
            "
import json
until(lambda: os.getpriority(os.PRIO_PROCESS, 0) == {rank})
if '{mode}' != 'single':
    for line in sys.stdin: print(json.dumps({{'id': json.loads(line)['hookpool']['id'], 'ok': True}}), flush=True)"
        );
        let keys = format!(
            "priority = '{priority}'\nmode = '{mode}'\n[class.low]\nnice = 5\n[class.high]\nnice = 1"
        );
        let outcome = run(&pool(&keys, &script));
        assert_eq!(outcome.kind, Succeeded, "{priority} {mode}: {outcome}");
    };
    for mode in ["single", "lines", "resident"] {
        rank("low", mode, own + 5);
        rank("high", mode, own + 1);
        rank("normal", mode, own);
    }
}

#[test]
fn a_reload_changes_limits_and_ranks() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let script = format!(
        "
until_bound('NOFILE', 60)
until(lambda: os.getpriority(os.PRIO_PROCESS, 0) == {})",
        own + 3
    );
    let pool = pool("priority = 'low'\nlimits.files = 50\n[class.low]\nnice = 1", &script);
    pool.set("hook.a.limits.files", "60").unwrap();
    pool.set("class.low.nice", "3").unwrap();
    assert_eq!(run(&pool).kind, Succeeded);
}
