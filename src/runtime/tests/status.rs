//! What a snapshot tells of a pool beside the ledger.

use super::*;
use crate::class::PriorityClass::{High, Low, Normal};
use crate::kind::EventKind;

const HOOKS: &str = "queue.capacity = 7\npool = { workers = 1, standby = 1 }\n\
    [hook.a]\non = ['stop']\nrun = 'touch \"$MARK\"; sleep 600'\ngrace = '10m'\ntimeout = '10m'\norder = 'none'\n\
    [hook.b]\non = ['pre_tool', 'post_tool']\nrun = 'true'\npriority = 'low'\n";

#[test]
fn gauges_show_what_waits_what_is_taken_and_what_is_paused() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let pool = pool(&format!("{HOOKS}[hook.a.env]\nMARK = '{}'\n", mark.display()));
    let gauges = pool.status().pool;
    assert_eq!((gauges.workers, gauges.standby, gauges.threads, gauges.capacity), (1, 1, 2, 7));
    assert_eq!((gauges.bytes, gauges.lanes[Normal]), (0, crate::metrics::LaneGauges::default()));
    cancel::until(|| pool.status().pool.asleep == 2);

    pool.pause("b");
    pool.pause_class(High);
    let stop = event(r#"{"hook_event_name":"Stop"}"#);
    let size = stop.payload().len() as u64;
    let runs = pool.submit(stop.clone()).admitted().next().unwrap().clone();
    cancel::until(|| mark.exists());
    assert_eq!(pool.status().total.running(), 1);
    let waits = pool.submit(stop).admitted().next().unwrap().clone();
    let tool = pool.submit(event(r#"{"hook_event_name":"PreToolUse","tool_name":"x"}"#));
    cancel::until(|| pool.status().pool.lanes[Low].oldest.is_some_and(|oldest| !oldest.is_zero()));

    let snapshot = pool.status();
    let lanes = snapshot.pool.lanes;
    assert_eq!((lanes[Normal].waiting, lanes[Normal].busy, lanes[Normal].paused), (1, 1, false));
    assert!(lanes[Normal].oldest.is_some());
    assert_eq!((lanes[Low].waiting, lanes[Low].busy), (1, 0));
    assert_eq!((lanes[High].waiting, lanes[High].oldest, lanes[High].paused), (0, None, true));
    assert_eq!(snapshot.hooks.iter().map(|hook| hook.paused).collect::<Vec<_>>(), [false, true]);
    assert!(snapshot.pool.bytes > 2 * size && snapshot.pool.max_bytes > snapshot.pool.bytes);

    assert!(waits.cancel() && tool.admitted().next().unwrap().cancel());
    assert!(runs.cancel(), "it is looked at before it is stopped");
    assert!(pool.drain(LONG).is_balanced());
    let runs = &pool.status().hooks[0].runs;
    assert_eq!((runs.processes(), runs.spawn_times().unwrap().samples), (1, 1));
    assert!(runs.peak_memory().unwrap() > 100_000);
    assert_eq!(pool.status().pool.bytes, 0);
}

#[test]
fn counts_are_known_by_hook_class_and_kind() {
    let pool = pool(HOOKS);
    for name in ["PreToolUse", "PostToolUse", "PostToolUse", "Notification"] {
        pool.submit(event(&format!(r#"{{"hook_event_name":"{name}","tool_name":"x"}}"#)));
    }
    let snapshot = pool.drain(LONG).snapshot;
    let parts = snapshot.hooks[1].parts.iter().map(|part| (part.class, part.kind, part.counts.resolved()));
    assert_eq!(parts.collect::<Vec<_>>(), [(Low, EventKind::PreTool, 1), (Low, EventKind::PostTool, 2)]);
    assert!(snapshot.hooks[0].parts.is_empty());
    let kinds = snapshot.kinds.iter().map(|(kind, counts)| (*kind, counts.submitted(), counts.resolved()));
    let expected = [(EventKind::PreTool, 1, 1), (EventKind::PostTool, 2, 2), (EventKind::Notification, 1, 0)];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
    assert_eq!(
        snapshot.kinds.iter().map(|(_, counts)| counts.submitted()).sum::<u64>(),
        snapshot.total.submitted()
    );
}

/// Processes that stay are counted when they have ended, however many events they took.
#[test]
fn a_process_that_stays_is_counted_once() {
    let handler = r#"while read -r l; do id=${l#*id\":\"}; echo "{\"id\":\"${id%%\"*}\",\"ok\":true}"; done"#;
    let pool =
        pool(&format!("[hook.a]\non = ['*']\nmode = 'resident'\nrun = '''{handler}'''\ntimeout = '1m'\n"));
    for _ in 0..5 {
        let submission = pool.submit(event(r#"{"type":"x"}"#));
        let outcome = submission.admitted().next().unwrap().wait(LONG).unwrap();
        assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome}");
    }
    assert!(pool.drain(LONG).is_balanced());
    let runs = &pool.status().hooks[0].runs;
    assert_eq!((runs.processes(), runs.spawn_times().unwrap().samples), (1, 1));
    assert_eq!((runs.batch_sizes().samples(), runs.batch_sizes().max()), (5, 1));
    assert!(!runs.cpu_time().is_zero() && runs.peak_memory().is_some());
}

/// Whatever the change is made by; one that is refused is none.
#[test]
fn changes_of_the_configuration_are_counted() {
    let pool = pool(HOOKS);
    assert_eq!(pool.status().reloads, 0);
    pool.set("pool.workers", "3").unwrap();
    pool.set("pool.workers", "0").unwrap_err();
    pool.reload_with(Config::default()).unwrap();
    pool.set_performance_mode(true);
    pool.resize(2, 0).unwrap();
    pool.unset("no.such.key").unwrap();
    assert_eq!(pool.status().reloads, 5);
    assert!(pool.drain(LONG).is_balanced());
    pool.reload_with(Config::default()).unwrap_err();
    assert_eq!(pool.status().reloads, 5);
}

/// What a hook's handlers have cost stays with it, however it is defined anew, and when it is gone.
#[test]
fn a_hook_that_is_gone_keeps_what_was_counted() {
    let pool = pool("[hook.a]\non = ['*']\nrun = 'true'\n");
    let run_one = || {
        let submission = pool.submit(event(r#"{"type":"x"}"#));
        submission.admitted().next().unwrap().wait(LONG).unwrap();
    };
    run_one();
    pool.set("hook.a.run", "'exit 3'").unwrap();
    run_one();
    pool.pause("a");
    pool.reload_with(Config::default()).unwrap();
    let snapshot = pool.status();
    let hook = &snapshot.hooks[0];
    assert!(hook.removed && hook.paused);
    assert_eq!((hook.runs.processes(), hook.counts.outcome(OutcomeKind::Failed)), (2, 1));
    assert_eq!(hook.parts.len(), 1);
    assert_eq!(snapshot.kinds[0].1.resolved(), 2);
}

/// Whoever has waited for an outcome finds the room that its job had.
#[test]
fn the_bytes_of_an_event_are_free_when_its_outcome_is_known() {
    let config = Config::from_toml("pool.workers = 1\n[hook.a]\non = ['*']\n[hook.b]\non = ['*']\n").unwrap();
    let nothing = |_: &crate::Call| ();
    let pool = HookPool::builder().config(config).register("a", nothing).register("b", nothing);
    let pool = pool.build().unwrap();
    for _ in 0..2000 {
        let submission = pool.submit(event(r#"{"type":"x"}"#));
        assert_eq!(submission.admitted().filter(|job| job.wait(LONG).is_some()).count(), 2);
        assert_eq!(pool.status().pool.bytes, 0);
    }
    assert!(pool.drain(LONG).is_balanced());
}
