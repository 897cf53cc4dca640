//! What has ended is forgotten: ten times as many jobs, sessions, processes, changes or pools leave no more allocated than
//! the first ones did. One test in a process of its own: it counts what the whole process has allocated.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;
use std::ops::Range;
use std::time::{Duration, Instant};

use hookpool::bench_door::kept_for_jobs;
use hookpool::{
    Answer, BatchAnswer, Call, Config, Counts, Event, HookManager, HookPool, HookPoolBuilder, OutcomeKind,
    Recorder, Refusal, Skip,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const AMPLE: Duration = Duration::from_mins(1);
/// What may be there in addition, whatever the number of rounds: room for a queue that was fuller than ever, histograms
/// that took in a longer time (12 kB each at most, and a case has up to 17), a thread that is about to end.
const BLOCKS: i64 = 80;
const BYTES: i64 = 240_000;

/// Something that is done again and again.
struct Case {
    name: &'static str,
    hooks: &'static str,
    /// How often it is done in all; a tenth of that comes before the first count.
    rounds: u64,
    round: fn(&HookPool, u64),
    /// Outcomes, refusals and skips that come of it.
    happens: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "functions, a session for each event",
        hooks: "[hook.function]\non = ['*']\n",
        rounds: 50_000,
        round: |pool, n| submit(pool, "Stop", n, "ok"),
        happens: &["succeeded"],
    },
    Case {
        name: "functions that fail and panic, several classes in one session",
        hooks: "priority = { stop = 'high', notification = 'low' }\n[hook.function]\non = ['*']\n",
        rounds: 5_000,
        round: |pool, n| {
            for kind in ["Notification", "Stop", "PreToolUse"] {
                submit(pool, kind, n, if n % 2 == 0 { "fail" } else { "panic" });
            }
        },
        happens: &["failed", "panicked"],
    },
    Case {
        name: "functions in batches, by a field",
        hooks: "[hook.batches]\non = ['*']\norder = 'none'\n\
                batch = { size = 5, linger = '1ms', key = 'field:session_id' }\n",
        rounds: 5_000,
        round: |pool, n| submit(pool, "Stop", n / 3, "ok"),
        happens: &["succeeded"],
    },
    Case {
        name: "functions beyond their time",
        hooks: "[hook.function]\non = ['*']\ntimeout = '1ms'\n",
        rounds: 500,
        round: |pool, n| submit(pool, "Stop", n, "late"),
        happens: &["timed_out"],
    },
    Case {
        name: "attempts, and a breaker that opens and is closed",
        hooks: "[hook.function]\non = ['*']\nretry = { attempts = 2, backoff = '1ms' }\nbreaker.failures = 3\n",
        rounds: 5_000,
        round: |pool, n| {
            submit(pool, "Stop", n, "fail");
            submit(pool, "Stop", n, "ok");
            pool.reset_breaker("function");
        },
        happens: &["failed", "succeeded", "not_started", "breaker_open"],
    },
    Case {
        name: "events that nobody wants, and jobs that are refused, displaced, cancelled and expire",
        hooks: "queue = { capacity = 4, on_full = 'displace' }\npriority.stop = 'high'\n\
                [hook.function]\non = ['stop', 'pre_tool']\n[hook.off]\non = ['stop']\nrun = 'true'\nenabled = false\n\
                [hook.hasty]\non = ['user_prompt']\ntimeout = '1ms'\nmax_wait = '1us'\n",
        rounds: 2_000,
        round: |pool, n| {
            pool.pause("function");
            let submit = |kind, session| pool.submit(event(kind, session, "ok"));
            for session in [n, n, n + 1, n + 2] {
                submit("PreToolUse", session);
            }
            for session in [n, n, n + 1] {
                for job in submit("Stop", session).admitted() {
                    job.cancel();
                }
            }
            for session in 0..5 {
                submit("Stop", session);
            }
            submit("Notification", n);
            pool.resume("function");
            // Whatever becomes of the first, the second is behind it for longer than it waits.
            let submit_late = || pool.submit_when_room(event("UserPromptSubmit", n, "late"));
            submit_late();
            submit_late();
        },
        happens: &["succeeded", "displaced", "expired", "cancelled", "full", "no_match", "hook_disabled"],
    },
    Case {
        name: "commands that succeed, fail, hang and are missing",
        hooks: "pool = { workers = 1, standby = 0 }\n\
                [hook.good]\non = ['*']\nrun = ['cat']\n[hook.bad]\non = ['*']\nrun = 'echo no >&2; exit 1'\n\
                [hook.hangs]\non = ['stop']\nrun = ['sleep', '60']\ntimeout = '1ms'\n\
                [hook.missing]\non = ['*']\nrun = ['/nowhere/at/all']\n",
        rounds: 500,
        round: |pool, n| submit(pool, if n % 5 == 0 { "Stop" } else { "PreToolUse" }, n, "ok"),
        happens: &["succeeded", "failed", "timed_out", "not_started"],
    },
    Case {
        name: "a process for each batch of lines",
        hooks: "pool = { workers = 1, standby = 0 }\n\
                [hook.lines]\non = ['*']\nrun = ECHO\nmode = 'lines'\nbatch = { size = 4, linger = '1ms' }\n",
        rounds: 1_000,
        round: |pool, n| submit(pool, "Stop", n, "ok"),
        happens: &["succeeded"],
    },
    Case {
        name: "resident processes that are replaced, end at rest, or end without an answer",
        hooks: "pool = { workers = 1, standby = 0 }\n\
                [hook.good]\non = ['*']\nrun = ECHO\nmode = 'resident'\nmax_events = 3\nidle_timeout = '1ms'\n\
                [hook.bad]\non = ['*']\nrun = ['head', '-n', '1']\nmode = 'resident'\n",
        rounds: 500,
        round: |pool, n| submit(pool, "Stop", n, "ok"),
        happens: &["succeeded", "failed"],
    },
    Case {
        name: "subscriptions and changes of everything",
        hooks: CHANGING,
        rounds: 100,
        round: |pool, n| {
            let outcomes = pool.outcomes(4);
            submit(pool, "Stop", n, "ok");
            pool.set("hook.function.timeout", &format!("{}s", 2 + n % 7)).unwrap();
            pool.set("hook.resident.grace", &format!("{}ms", 500 + n % 7)).unwrap();
            pool.set("queue.max_wait", &format!("{}s", 20 + n % 11)).unwrap();
            pool.resize(2 + u16::try_from(n % 3).unwrap(), 1).unwrap();
            pool.set_performance_mode(true);
            submit(pool, "Stop", n, "ok");
            pool.unset("performance_mode").unwrap();
            for hooks in ["[hook.other]\non = ['*']\nrun = 'true'\n", CHANGING] {
                pool.reload_with(config(hooks)).unwrap();
                submit(pool, "Stop", n, "ok");
            }
            drop(outcomes);
        },
        happens: &["succeeded", "performance_mode"],
    },
    Case {
        name: "managers of many sessions",
        hooks: "[hook.function]\non = ['*']\n",
        rounds: 2_000,
        round: |pool, n| {
            let manager = HookManager::new(pool.clone()).with_session(&format!("session {n}")).unwrap();
            let call = manager.trigger_pre_tool_hook("ok", n);
            manager.trigger_post_tool_hook_for(call.tool_use_id().unwrap(), "ok", 0, "x".repeat(100));
            manager.trigger("SessionStart", "no object");
        },
        happens: &["succeeded"],
    },
    Case {
        name: "pools, with a recording",
        hooks: "",
        rounds: 200,
        round: |_, n| {
            let recorder = Recorder::create("/dev/null").unwrap();
            let pool = pool(CHANGING, |builder| builder.record(&recorder));
            submit(&pool, "Stop", n, "ok");
            assert!(pool.drain(AMPLE).is_balanced());
            recorder.finish().unwrap();
        },
        happens: &[],
    },
];

/// Hooks that one case takes away and brings back in each round.
const CHANGING: &str =
    "[hook.function]\non = ['*']\n[hook.resident]\non = ['stop']\nrun = ECHO\nmode = 'resident'\n";

/// Answers every event.
const ECHO: &str = r#"['sed', '-u', '-n', 's/.*"id":"\([^"]*\)".*/{"id":"\1","ok":true}/p']"#;

fn config(hooks: &str) -> Config {
    // Few places, so that the queue is full at once and has all the room that it will ever take; so are the places of
    // failures that are kept. Patterns keep working memory for as many threads as have ever used them at once.
    let queue = if hooks.contains("queue") { "" } else { "queue.capacity = 20\n" };
    let text = format!("failures.keep = 2\nredact.enabled = false\n{queue}{}", hooks.replace("ECHO", ECHO));
    Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn pool(hooks: &str, with: impl FnOnce(HookPoolBuilder) -> HookPoolBuilder) -> HookPool {
    let each = |calls: &[Call]| BatchAnswer::Each(calls.iter().map(function).collect());
    // With an observer, what is overdue is told by threads that come and go.
    let builder = HookPool::builder().config(config(hooks)).on_outcome(|_| {});
    let builder = builder.register("function", function).register("hasty", function);
    with(builder.register_batch("batches", each)).build().unwrap()
}

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

/// How much is allocated.
#[derive(Clone, Copy, Debug)]
struct Allocated {
    blocks: i64,
    bytes: i64,
}

impl Allocated {
    fn least(self, other: Self) -> Self {
        Self { blocks: self.blocks.min(other.blocks), bytes: self.bytes.min(other.bytes) }
    }

    fn since(self, before: Self) -> Self {
        Self { blocks: self.blocks - before.blocks, bytes: self.bytes - before.bytes }
    }
}

fn allocated() -> Allocated {
    let now = ALLOCATOR.stats();
    let less = |one: usize, other: usize| i64::try_from(one).unwrap() - i64::try_from(other).unwrap();
    // How much of jobs is kept depends on which thread was faster. It is bounded otherwise.
    let (blocks, bytes) = kept_for_jobs();
    Allocated {
        blocks: less(now.allocations, now.deallocations + blocks),
        bytes: less(now.bytes_allocated, now.bytes_deallocated + bytes),
    }
}

fn happened(total: &Counts) -> Vec<&'static str> {
    let outcomes = OutcomeKind::ALL.iter().filter(|kind| total.outcome(**kind) > 0).map(|kind| kind.name());
    let refused = Refusal::ALL.iter().filter(|why| total.refused(**why) > 0).map(|why| why.name());
    let skipped = Skip::ALL.iter().filter(|why| total.skipped(**why) > 0).map(|why| why.name());
    outcomes.chain(refused).chain(skipped).collect()
}

impl Case {
    fn run(&self) {
        let pool = pool(self.hooks, |builder| builder);
        let run = |rounds: Range<u64>| {
            rounds.for_each(|n| (self.round)(&pool, n));
            let total = || pool.status().total;
            until(|| total().admitted() == total().resolved(), || format!("{}: all have ended", self.name));
            allocated()
        };
        // What a job has in the pool goes a moment after it has its outcome, so the least of some looks is what stays.
        let part = self.rounds / 100;
        let before = (0..10).map(|n| run(n * part..(n + 1) * part)).reduce(Allocated::least).unwrap();
        run(10 * part..self.rounds);
        let grown = || allocated().since(before);
        until(
            || grown().blocks <= BLOCKS && grown().bytes <= BYTES,
            || format!("{}: {:?} after {} rounds", self.name, grown(), self.rounds),
        );
        let ledger = pool.drain(AMPLE);
        assert!(ledger.is_balanced(), "{}: {ledger:?}", self.name);
        let happened = happened(&ledger.snapshot.total);
        for expected in self.happens {
            assert!(happened.contains(expected), "{}: {expected} is not among {happened:?}", self.name);
        }
    }
}

fn until(is_true: impl Fn() -> bool, what: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < AMPLE, "never came true: {}", what());
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
