//! Idle costs nothing, all metrics on: a pool with handlers of every mode that has worked and has nothing to do. As the
//! kernel counts it, none of its threads is scheduled once. Linux only.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread::park_timeout;
use std::time::Duration;

use hookpool::{Call, Config, Event, HookPool};

const HOOKS: &str = r#"
    defaults.timeout = "1m"
    [hook.command]
    on = ["*"]
    run = "cat > /dev/null"
    breaker = { failures = 3 }
    [hook.lines]
    on = ["*"]
    run = "cat > /dev/null"
    mode = "lines"
    batch = { size = 3, linger = "1ms" }
    [hook.stays]
    on = ["*"]
    run = '''while read -r l; do id=${l#*id\":\"}; echo "{\"id\":\"${id%%\"*}\",\"ok\":true}"; done'''
    mode = "resident"
    idle_timeout = "1h"
    [hook.code]
    on = ["*"]
"#;

/// As the kernel counts: how often each thread of the pool has got a processor, and for how long.
fn counts() -> BTreeMap<String, String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let of_pool = |task: &std::path::PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("hookpool-"))
    };
    let count = |task: std::path::PathBuf| {
        let status = fs::read_to_string(task.join("status")).unwrap();
        let switches = status.lines().filter(|line| line.contains("ctxt_switches")).collect::<String>();
        let times = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        (task.display().to_string(), switches + &times)
    };
    tasks.filter(of_pool).map(count).collect()
}

fn stays_at_rest(window: Duration) {
    // The counts are those of the whole process.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let config = Config::from_toml(HOOKS).unwrap_or_else(|error| panic!("{error}"));
    let pool = HookPool::builder().config(config).register("code", |_: &Call| ()).build().unwrap();
    for n in 0..5 {
        let event = format!(r#"{{"hook_event_name":"Stop","session_id":"{n}"}}"#);
        let submission = pool.submit(Event::from_json(event).unwrap());
        for job in submission.admitted() {
            job.wait(Duration::from_mins(1)).unwrap();
        }
    }
    assert_eq!(pool.status().total.resolved(), 20);
    let long = Duration::from_mins(1);
    let begun = std::time::Instant::now();
    loop {
        let before = counts();
        park_timeout(Duration::from_millis(150));
        if before == counts() {
            break;
        }
        assert!(begun.elapsed() < long, "the threads do not come to rest");
    }
    let before = counts();
    assert!(before.len() >= 4 + 2, "workers, the watchdog, and the thread of resident processes: {before:?}");
    park_timeout(window);
    assert_eq!(before, counts());
    let snapshot = pool.status();
    assert_eq!(snapshot.pool.asleep, snapshot.pool.threads);
    assert!(pool.drain(long).is_balanced());
}

/// The window is short, and proves all the same: what polls is never at rest, so the window never begins.
#[test]
fn a_pool_that_has_nothing_to_do_is_not_woken() {
    stays_at_rest(Duration::from_millis(150));
}

#[test]
#[ignore = "takes ten seconds; tests/long.sh runs it"]
fn a_pool_that_has_nothing_to_do_is_not_woken_in_ten_seconds() {
    stays_at_rest(Duration::from_secs(10));
}
