//! What a waiting job costs beside its event, as the kernel counts it. A process of its own: nothing else may grow.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::mpsc::channel;
use std::time::Duration;

use hookpool::{Call, Config, Event, HookPool};

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_waiting_job_costs_few_bytes_beside_its_event() {
    const JOBS: usize = 200_000;
    const MOST: usize = 256;
    let config = "pool.workers = 1\npool.standby = 0\nqueue.capacity = 1000000\n[hook.a]\non = ['pre_tool']";
    let (open, gate) = channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let pool = HookPool::builder()
        .config(Config::from_toml(config).unwrap())
        // The first one waits until the gate is gone, and so do those behind it.
        .register("a", move |_: &Call| _ = gate.lock().unwrap().recv())
        .build()
        .unwrap();
    let json = r#"{"session_id":"s","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{}}"#;
    let event = Event::from_json(json).unwrap();
    let submit = || assert!(pool.submit(event.clone()).admitted().next().is_some());
    // A look at the core takes in what is in the lanes, whose memory is used again.
    let fill = |jobs: usize| {
        for _ in 0..jobs / 100 {
            (0..100).for_each(|_| submit());
            assert!(pool.pause("a"));
        }
    };
    fill(1000);
    let before = resident();
    fill(JOBS);
    let each = (resident() - before) / JOBS;
    println!("{each} bytes");
    assert!(each <= MOST, "{each} bytes for each waiting job");
    drop(open);
    assert!(pool.resume("a"));
    assert!(pool.drain(Duration::from_mins(1)).is_balanced());
}
