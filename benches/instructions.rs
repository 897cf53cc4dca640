//! What the way in takes in instructions, which a busy machine does not change.
//!
//!     cargo install gungraun-runner --version 0.20.0    # once; it needs valgrind
//!     cargo bench --bench instructions
//!
//! Each row is a hundred calls, after a hundred that warm it up: all that they allocate on the way is in it. Nothing runs
//! meanwhile, so the figures are those of the calling thread alone. Instructions are neither time nor waits for memory;
//! `peers` and `trigger` measure those.

#![expect(clippy::unwrap_used, reason = "a benchmark panics when it cannot measure")]
#![expect(clippy::exit, missing_docs, unused_qualifications, reason = "what the macros make")]

use std::hint::black_box;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use gungraun::{library_benchmark, library_benchmark_group, main};
use hookpool::bench_door::BarePool;
use hookpool::{Config, Event, HookManager, HookPool, KindSet, Matcher, RawJson, Selector};

const CALLS: usize = 100;
const CAPACITY: u32 = 32_767;
const HOOK: &str =
    "shutdown.drain = '1ms'\n[pool]\nstandby = 0\n[hook.a]\non = ['pre_tool']\nrun = ['true']\n";

fn event() -> Event {
    let json = r#"{"session_id":"session-0001","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"cargo test"}}"#;
    Event::from_json(json).unwrap()
}

fn hooks(capacity: u32) -> (HookPool, Event) {
    let config = Config::from_toml(&format!("queue.capacity = {capacity}\n{HOOK}")).unwrap();
    let pool = HookPool::builder().config(config).build().unwrap();
    pool.pause("a");
    let event = event();
    for _ in 0..CALLS {
        drop(pool.submit(event.clone()));
    }
    (pool, event)
}

fn bare() -> (BarePool<Event>, Event) {
    let pool = BarePool::new(2, CAPACITY, drop).unwrap();
    pool.pause();
    let event = event();
    for _ in 0..CALLS {
        assert!(pool.submit(|| event.clone()));
    }
    (pool, event)
}

type Channel = (Sender<Event>, Receiver<Event>, Event);

fn channel(capacity: usize) -> Channel {
    let (sender, receiver) = crossbeam_channel::bounded(capacity);
    let event = event();
    for _ in 0..CALLS {
        let sent = sender.try_send(event.clone());
        assert!(!matches!(sent, Err(TrySendError::Disconnected(_))));
    }
    (sender, receiver, event)
}

/// Three of a hundred hooks want the event.
fn matcher() -> (Matcher, Event) {
    let selector = |on: &str, tool: Option<&str>| Selector::new(&[on.to_owned()], tool, Vec::new()).unwrap();
    let mut all = vec![
        selector("pre_tool", None),
        selector("pre_tool", Some("Bash|Edit")),
        selector("*", Some("Ba.*")),
    ];
    all.extend((0..97).map(|number| selector("pre_tool", Some(&format!("Tool{number}|Other{number}")))));
    let found = (Matcher::new(all.iter()), event());
    find(&found);
    found
}

fn find((matcher, event): &(Matcher, Event)) {
    matcher.find(black_box(event), KindSet::all(), |_, matched| _ = black_box(matched));
}

fn manager(_: ()) -> (HookManager, String) {
    let config = Config::from_toml(&format!("queue.capacity = {CAPACITY}\n{HOOK}")).unwrap();
    let manager = HookManager::from_config(config).unwrap();
    manager.pool().unwrap().pause("a");
    let arguments =
        format!(r#"{{"command":"{}","description":"run the tests"}}"#, "cargo test --workspace ".repeat(14));
    for _ in 0..CALLS {
        manager.trigger_pre_tool_hook("Bash", RawJson::new(&arguments).unwrap());
    }
    (manager, arguments)
}

// What a row was given is given back, so that its end is not counted.

#[library_benchmark]
#[bench::admitted(args = (CAPACITY,), setup = hooks)]
#[bench::refused(args = (1,), setup = hooks)]
fn submit((pool, event): (HookPool, Event)) -> (HookPool, Event) {
    for _ in 0..CALLS {
        drop(black_box(pool.submit(event.clone())));
    }
    (pool, event)
}

#[library_benchmark]
#[bench::admitted(setup = bare)]
fn submit_bare((pool, event): (BarePool<Event>, Event)) -> (BarePool<Event>, Event) {
    for _ in 0..CALLS {
        black_box(pool.submit(|| event.clone()));
    }
    (pool, event)
}

#[library_benchmark]
#[bench::sent(args = (CAPACITY as usize,), setup = channel)]
#[bench::refused(args = (1,), setup = channel)]
fn try_send((sender, receiver, event): Channel) -> Channel {
    for _ in 0..CALLS {
        _ = black_box(sender.try_send(event.clone()));
    }
    (sender, receiver, event)
}

#[library_benchmark]
#[bench::three_of_a_hundred_hooks(setup = matcher)]
fn matching(given: (Matcher, Event)) -> (Matcher, Event) {
    for _ in 0..CALLS {
        find(&given);
    }
    given
}

#[library_benchmark]
#[bench::arguments_of_350_bytes(args = ((),), setup = manager)]
fn trigger_pre_tool_hook((manager, arguments): (HookManager, String)) -> (HookManager, String) {
    let raw = RawJson::new(&arguments).unwrap();
    for _ in 0..CALLS {
        black_box(manager.trigger_pre_tool_hook("Bash", raw));
    }
    (manager, arguments)
}

library_benchmark_group!(
    name = way_in,
    benchmarks = [submit, submit_bare, try_send, matching, trigger_pre_tool_hook]
);
main!(library_benchmark_groups = way_in);
