//! What has ended is forgotten: ten times as many jobs, sessions, processes, changes or pools leave no more allocated than
//! the first ones did. What each case does, it does to the end before anything is counted, so nothing here depends on time.
//! One test in a process of its own: it counts what the whole process has allocated.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;
use std::time::{Duration, Instant};

use hookpool::{Answer, BatchAnswer, Call, Config, Event, HookManager, HookPool, Recorder};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const AMPLE: Duration = Duration::from_mins(2);
/// What may come to be beside what is forgotten: a queue that was fuller than ever, a histogram that took in a longer time.
const BLOCKS: i64 = 30;
const BYTES: i64 = 100_000;

/// Something that is done again and again.
struct Case {
    name: &'static str,
    hooks: &'static str,
    /// How often in all; a tenth of that comes before the first count.
    rounds: u64,
    act: fn(&HookPool, u64),
}

/// A resident handler that answers everything.
const ANSWERS: &str = r#"['sed', '-u', '-n', 's/.*"id":"\([^"]*\)".*/{"id":"\1"}/p']"#;

const CASES: &[Case] = &[
    Case {
        name: "functions, a session for each event",
        hooks: "[hook.function]\non = ['*']\n",
        rounds: 50_000,
        act: |pool, n| submit(pool, "Stop", n, "ok"),
    },
    Case {
        name: "functions, of several classes in one session, that fail and panic",
        hooks: "[priority]\nstop = 'high'\nnotification = 'low'\n[hook.function]\non = ['*']\n",
        rounds: 5_000,
        act: |pool, n| {
            for kind in ["Notification", "Stop", "PreToolUse"] {
                submit(pool, kind, n, if n % 2 == 0 { "fail" } else { "panic" });
            }
        },
    },
    Case {
        name: "attempts, and a breaker that opens and closes",
        hooks: "[hook.function]\non = ['*']\nretry = { attempts = 2, backoff = '1ms' }\n\
                breaker = { failures = 3, cooldown = '10ms', max_cooldown = '10ms' }\n",
        rounds: 1_000,
        act: |pool, n| {
            submit(pool, "Stop", n, "fail");
            if n % 3 == 0 {
                pool.reset_breaker("function");
            }
        },
    },
    Case {
        name: "events that nobody wants, and jobs that are refused, displaced, cancelled and expire",
        hooks: "queue = { capacity = 8, on_full = 'displace', max_wait = '1ms' }\npriority.stop = 'high'\n\
                [hook.function]\non = ['Stop', 'PreToolUse']\n[hook.off]\non = ['*']\nrun = 'true'\nenabled = false\n",
        rounds: 1_000,
        act: |pool, n| {
            pool.pause("function");
            for kind in ["Notification", "PreToolUse", "PreToolUse", "PreToolUse", "Stop", "Stop", "Stop"] {
                let submission = pool.submit(event(kind, n, "ok"));
                if let Some(job) = submission.admitted_for("function").filter(|_| kind == "Stop") {
                    job.cancel();
                }
                pool.submit(event(kind, n + 1, "ok"));
            }
            pool.resume("function");
        },
    },
    Case {
        name: "batches of functions, by a field",
        hooks: "[hook.batches]\non = ['*']\norder = 'none'\n\
                batch = { size = 5, linger = '1ms', key = 'field:session_id' }\n",
        rounds: 5_000,
        act: |pool, n| submit(pool, "Stop", n / 3, "ok"),
    },
    Case {
        name: "functions beyond their time",
        hooks: "[hook.function]\non = ['*']\ntimeout = '1ms'\n",
        rounds: 300,
        act: |pool, n| submit(pool, "Stop", n, "late"),
    },
    Case {
        name: "commands that succeed, fail, hang and are missing",
        hooks: "pool = { workers = 1, standby = 0 }\n[hook.good]\non = ['*']\nrun = ['/bin/cat']\n[hook.bad]\non = ['*']\nrun = 'echo no >&2; exit 1'\n\
                [hook.hangs]\non = ['Stop']\nrun = ['/bin/sleep', '60']\ntimeout = '1ms'\n\
                [hook.missing]\non = ['*']\nrun = ['/nowhere/at/all']\n",
        rounds: 500,
        act: |pool, n| submit(pool, if n % 10 == 0 { "Stop" } else { "PreToolUse" }, n, "ok"),
    },
    Case {
        name: "processes for batches of lines",
        hooks: "pool = { workers = 1, standby = 0 }\n[hook.lines]\non = ['*']\nrun = 'while read -r line; do :; done'\nmode = 'lines'\n\
                batch = { size = 4, linger = '1ms' }\n",
        rounds: 1_000,
        act: |pool, n| submit(pool, "Stop", n, "ok"),
    },
    Case {
        name: "resident processes that are replaced, or end at rest",
        hooks: "pool = { workers = 1, standby = 0 }\n[hook.resident]\non = ['*']\nrun = ANSWERS\nmode = 'resident'\n\
                max_events = 3\nidle_timeout = '1ms'\n",
        rounds: 1_000,
        act: |pool, n| submit(pool, "Stop", n, "ok"),
    },
    Case {
        name: "subscriptions and changes",
        hooks: "[hook.function]\non = ['*']\n[hook.resident]\non = ['Stop']\nrun = ANSWERS\n\
                mode = 'resident'\n",
        rounds: 200,
        act: |pool, n| {
            let outcomes = pool.outcomes(4);
            submit(pool, "Stop", n, "ok");
            pool.set("hook.function.timeout", &format!("{}s", 2 + n % 7)).unwrap();
            pool.set("hook.resident.grace", &format!("{}ms", 500 + n % 7)).unwrap();
            pool.set("queue.max_wait", &format!("{}s", 20 + n % 11)).unwrap();
            pool.resize(2 + u16::try_from(n % 3).unwrap(), 1).unwrap();
            pool.set_performance_mode(n % 2 == 0);
            submit(pool, "Stop", n, "ok");
            pool.unset("performance_mode").unwrap();
            let config = if n % 2 == 0 {
                "[hook.other]\non = ['*']\nrun = 'true'\n"
            } else {
                "[hook.function]\non = ['*']\n"
            };
            pool.reload_with(Config::from_toml(config).unwrap()).unwrap();
            submit(pool, "Stop", n, "ok");
            drop(outcomes);
        },
    },
    Case {
        name: "managers of many sessions",
        hooks: "[hook.function]\non = ['*']\n",
        rounds: 5_000,
        act: |pool, n| {
            let manager = HookManager::new(pool.clone()).with_session(&format!("session {n}")).unwrap();
            let call = manager.trigger_pre_tool_hook("ok", n);
            manager.trigger_post_tool_hook_for(call.tool_use_id().unwrap(), "ok", 0, "x".repeat(100));
            manager.trigger("SessionStart", ());
            manager.trigger("SessionStart", "no object");
        },
    },
    Case {
        name: "pools, with a recording",
        hooks: "",
        rounds: 200,
        act: |_, n| {
            let recorder = Recorder::create("/dev/null").unwrap();
            let hooks = "[hook.function]\non = ['*']\n[hook.resident]\non = ['*']\nrun = ['/bin/cat']\nmode = 'resident'\n";
            let config = Config::from_toml(hooks).unwrap();
            let builder = HookPool::builder().config(config).record(&recorder);
            let pool = builder.register("function", function).build().unwrap();
            submit(&pool, "Stop", n, "ok");
            assert!(pool.drain(AMPLE).is_balanced());
            recorder.finish().unwrap();
        },
    },
];

fn function(call: &Call) -> Answer {
    match call.event().tool() {
        Some("fail") => Answer::failed("as asked"),
        Some("panic") => panic!("as asked"),
        Some("late") => {
            while !call.is_cancelled() {
                std::thread::yield_now();
            }
            Answer::ok()
        }
        _ => Answer::ok(),
    }
}

fn event(kind: &str, session: u64, tool: &str) -> Event {
    let text = format!(r#"{{"hook_event_name":"{kind}","session_id":"s{session}","tool_name":"{tool}"}}"#);
    Event::from_json(text).unwrap()
}

fn submit(pool: &HookPool, kind: &str, session: u64, tool: &str) {
    pool.submit_when_room(event(kind, session, tool));
}

/// What is allocated, as a number of blocks and of bytes.
fn allocated() -> (i64, i64) {
    let now = ALLOCATOR.stats();
    let less = |one: usize, other: usize| i64::try_from(one).unwrap() - i64::try_from(other).unwrap();
    (less(now.allocations, now.deallocations), less(now.bytes_allocated, now.bytes_deallocated))
}

impl Case {
    fn run(&self) {
        // A queue of few places, so that it is full at once, and has all the room that it will ever take.
        let queue = if self.hooks.contains("queue") { "" } else { "queue.capacity = 20\n" };
        let config = format!("{queue}{}", self.hooks.replace("ANSWERS", ANSWERS));
        let config = Config::from_toml(&config).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let pool = HookPool::builder()
            .config(config)
            .register("function", function)
            .register_batch("batches", |calls: &[Call]| BatchAnswer::Each(vec![Answer::ok(); calls.len()]))
            .build()
            .unwrap();
        let act = |rounds: std::ops::Range<u64>| {
            rounds.for_each(|n| (self.act)(&pool, n));
            let total = || pool.status().total;
            until(|| total().admitted() == total().resolved(), || format!("{}: all ends", self.name));
        };
        act(0..self.rounds / 10);
        let before = allocated();
        act(self.rounds / 10..self.rounds);
        // What a job leaves in the pool goes a moment after its outcome.
        let grown = || (allocated().0 - before.0, allocated().1 - before.1);
        until(
            || grown().0 <= BLOCKS && grown().1 <= BYTES,
            || format!("{}: {:?} blocks and bytes more after {} rounds", self.name, grown(), self.rounds),
        );
        let ledger = pool.drain(AMPLE);
        assert!(ledger.is_balanced(), "{}: {ledger:?}", self.name);
    }
}

fn until(is_true: impl Fn() -> bool, what: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < AMPLE, "{}", what());
        std::thread::yield_now();
    }
}

#[test]
fn what_has_ended_is_forgotten() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Handlers panic as asked, and nobody need read of it.
        if !std::thread::current().name().is_some_and(|name| name.starts_with("hookpool-")) {
            usual(panic);
        }
    }));
    for case in CASES {
        let begun = Instant::now();
        case.run();
        println!("{:>8.1?} {}", begun.elapsed(), case.name);
    }
}
