//! The hook manager as a framework uses it: what its events hold, what its answers say, and how it ends.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hookpool::{
    Config, DelegationPhase, Event, EventKind, HookManager, HookPool, OutcomeKind, PriorityClass, RawJson,
    Refusal, Skip, Triggered,
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

const AMPLE: Duration = Duration::from_mins(1);
const EVERYTHING: &str = "[hook.all]\non = ['*']\nrun = 'cat >/dev/null'\n";

fn config(text: &str) -> Config {
    Config::from_toml(&format!("defaults.timeout = '10m'\nshutdown.drain = '10m'\n{text}")).unwrap()
}

fn manager(text: &str) -> HookManager {
    HookManager::from_config(config(text)).unwrap()
}

/// The event that was handled.
fn event(triggered: &Triggered) -> Event {
    let handle = triggered.admitted().next().unwrap_or_else(|| panic!("{triggered:?}"));
    let outcome = handle.wait(AMPLE).unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome}");
    outcome.event.clone()
}

fn members(triggered: &Triggered) -> Value {
    serde_json::from_slice(event(triggered).payload()).unwrap()
}

/// A value that must not be looked at.
struct Untouchable;

impl Serialize for Untouchable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("it was serialised")
    }
}

/// A value that JSON cannot hold.
fn impossible() -> BTreeMap<(u8, u8), u8> {
    BTreeMap::from([((1, 2), 3)])
}

#[test]
fn events_have_the_form_that_agents_send_with_the_older_names_beside() {
    let manager = manager(EVERYTHING);
    let common = |name: &str, own: Value| {
        let mut all = json!({
            "hook_event_name": name, "session_id": manager.session_id(), "cwd": std::env::current_dir().unwrap(),
        });
        all.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        all
    };
    let call = manager.trigger_pre_tool_hook("Bash", json!({"command": "ls \"a\"\n"}));
    let id = call.tool_use_id().unwrap();
    let args = json!({"command": "ls \"a\"\n"});
    let result = json!({"stdout": "é"});
    let cases = [
        (
            call,
            "PreToolUse",
            json!({"tool_name": "Bash", "tool_input": args, "tool_args": args, "tool_use_id": id.to_string()}),
        ),
        (
            manager.trigger_pre_tool_hook("Task", RawJson::new("{ \"a\" : 1e3 }").unwrap()),
            "PreToolUse",
            json!({"tool_name": "Task", "tool_input": {"a": 1e3}, "tool_args": {"a": 1e3}}),
        ),
        (
            manager.trigger_pre_tool_hook("Quote\"", ()),
            "PreToolUse",
            json!({"tool_name": "Quote\"", "tool_input": {}, "tool_args": {}}),
        ),
        (
            manager.trigger_post_tool_hook("Bash", -1, &result),
            "PostToolUse",
            json!({"tool_name": "Bash", "exit_code": -1, "tool_response": result, "result": result}),
        ),
        (
            manager.trigger_post_tool_hook_for(id, "Bash", 0, None::<&str>),
            "PostToolUse",
            json!({
                "tool_name": "Bash", "exit_code": 0, "tool_response": null, "result": null,
                "tool_use_id": id.to_string(),
            }),
        ),
        (
            manager.trigger_user_prompt_hook("a\u{2028}\"b\""),
            "UserPromptSubmit",
            json!({"prompt": "a\u{2028}\"b\""}),
        ),
        (
            manager.trigger_delegation_hook("explorer", DelegationPhase::Start, json!({"agent_id": "a1"})),
            "SubagentStart",
            json!({"agent_type": "explorer", "agent_id": "a1"}),
        ),
        (
            manager.trigger_delegation_hook("explorer", DelegationPhase::Stop, ["done"]),
            "SubagentStop",
            json!({"agent_type": "explorer", "data": ["done"]}),
        ),
        (
            manager.trigger_delegation_hook("explorer", DelegationPhase::Stop, ()),
            "SubagentStop",
            json!({"agent_type": "explorer"}),
        ),
        (manager.trigger("PreCompact", json!({"trigger": "auto"})), "PreCompact", json!({"trigger": "auto"})),
        (
            manager.trigger("Own", json!({"session_id": "s", "cwd": "/"})),
            "Own",
            json!({"session_id": "s", "cwd": "/"}),
        ),
        (manager.trigger("Own", RawJson::new("{ }").unwrap()), "Own", json!({})),
    ];
    for (triggered, name, own) in cases {
        let mut found = members(&triggered);
        let object = found.as_object_mut().unwrap();
        let timestamp = object.remove("timestamp").unwrap();
        let timestamp = timestamp.as_str().unwrap();
        assert_eq!(
            (timestamp.len(), timestamp.get(19..20), timestamp.get(26..)),
            (32, Some("."), Some("+00:00"))
        );
        if own.get("tool_use_id").is_none() && name == "PreToolUse" {
            object.remove("tool_use_id").expect("every call has an id");
        }
        assert_eq!(found, common(name, own));

        // What was known without reading is what is read.
        let written = event(&triggered);
        let read = Event::from_json(written.payload()).unwrap();
        assert_eq!(
            (read.name(), read.kind(), read.kinds()),
            (written.name(), written.kind(), written.kinds())
        );
        assert_eq!((read.tool(), read.session()), (written.tool(), written.session()));
        assert_eq!(read.session_key(), written.session_key());
        assert_eq!(read.timestamp_ms(), written.timestamp_ms());
        assert!(read.timestamp_ms().is_some());
    }
    assert!(manager.shutdown().is_balanced());
}

#[test]
fn events_are_selected_like_those_of_an_agent() {
    let manager = manager(
        "[hook.failed]\non = ['post_tool']\nwhere = { exit_code = 1 }\nrun = 'true'\n\
         [hook.listing]\non = ['pre_tool']\nmatch = { tool = 'Ba.*' }\nwhere = { 'tool_input.command' = 'ls' }\nrun = 'true'\n\
         [hook.never]\non = ['tool_failed']\nrun = 'true'\n\
         [hook.delegation]\non = ['delegation']\nrun = 'true'\n",
    );
    let hooks = |triggered: Triggered| -> Vec<String> {
        triggered.hooks().iter().map(|hook| hook.hook.to_string()).collect()
    };
    assert_eq!(hooks(manager.trigger_post_tool_hook("Bash", 1, "no")), ["failed"]);
    assert_eq!(hooks(manager.trigger_post_tool_hook("Bash", 0, "yes")), [""; 0]);
    assert_eq!(hooks(manager.trigger_pre_tool_hook("Bash", json!({"command": "ls"}))), ["listing"]);
    assert_eq!(hooks(manager.trigger_pre_tool_hook("Bash", json!({"command": "rm"}))), [""; 0]);
    assert_eq!(hooks(manager.trigger_pre_tool_hook("Read", json!({"command": "ls"}))), [""; 0]);
    assert_eq!(hooks(manager.trigger_pre_tool_hook("Task", ())), ["delegation"]);
    assert_eq!(hooks(manager.trigger_delegation_hook("x", DelegationPhase::Stop, ())), ["delegation"]);
    assert_eq!(hooks(manager.trigger("PostToolUseFailure", json!({"tool_name": "Bash"}))), ["never"]);
    let ledger = manager.shutdown();
    assert!(ledger.is_balanced());
    assert_eq!(ledger.snapshot.total.skipped(Skip::NoMatch), 3);
    assert_eq!(ledger.snapshot.classes[PriorityClass::High].admitted(), 2, "delegations go first by default");
}

#[test]
fn a_value_that_json_cannot_hold_is_an_answer_and_nothing_is_submitted() {
    let manager = manager(&format!("{EVERYTHING}[hook.off]\non = ['*']\nenabled = false\nrun = 'true'\n"));
    for triggered in [
        manager.trigger_pre_tool_hook("Bash", impossible()),
        manager.trigger_post_tool_hook("Bash", 0, impossible()),
        manager.trigger_delegation_hook("x", DelegationPhase::Start, impossible()),
        manager.trigger("Own", impossible()),
        manager.trigger("Own", json!({"hook_event_name": "Other"})),
        manager.trigger("Own", "text"),
        manager.trigger("", ()),
        manager.trigger_delegation_hook("x", DelegationPhase::Start, json!({"agent_type": "y"})),
        manager.trigger_pre_tool_hook(&"t".repeat(5000), ()),
        manager.trigger(&"n".repeat(5000), ()),
    ] {
        assert!(triggered.invalid().is_some(), "{triggered:?}");
        assert!(!triggered.is_admitted() && !triggered.is_unmatched() && triggered.skip().is_none());
    }
    let error = manager.trigger_pre_tool_hook("Bash", impossible()).invalid().unwrap().to_string();
    assert!(error.starts_with("member `tool_input` of the event cannot be written as JSON: "), "{error}");
    let total = manager.shutdown().snapshot.total;
    assert_eq!((total.admitted(), total.skipped(Skip::NoMatch)), (0, 0));
    assert_eq!(total.submitted(), total.skipped(Skip::HookDisabled));
    let manager = self::manager(EVERYTHING);
    assert!(manager.trigger_pre_tool_hook("Bash", impossible()).invalid().is_some());
    assert_eq!(manager.shutdown().snapshot.total.submitted(), 0, "that no hook wants it would be untrue");
}

#[test]
fn an_event_that_no_hook_takes_is_not_even_written() {
    let hook = "hook.a = { on = ['pre_tool'], match = { tool = 'Bash' }, run = 'true', enabled = ENABLED }\n";
    for (setting, tool, why) in [
        ("performance_mode = true", "Bash", Some(Skip::PerformanceMode)),
        ("kinds.pre_tool = false", "Bash", Some(Skip::KindDisabled)),
        ("# hook off", "Bash", Some(Skip::HookDisabled)),
        ("", "Read", None),
    ] {
        let hook = hook.replace("ENABLED", if setting == "# hook off" { "false" } else { "true" });
        let manager = manager(&format!("{setting}\n{hook}"));
        let triggered = manager.trigger_pre_tool_hook(tool, Untouchable);
        assert_eq!(triggered.skipped_hooks().next().map(|(_, why)| why), why, "{setting}");
        assert_eq!(triggered.is_unmatched(), why.is_none(), "{setting}");
        let total = manager.status().total;
        assert_eq!((total.submitted(), total.skipped(why.unwrap_or(Skip::NoMatch))), (1, 1), "{setting}");
    }
}

#[test]
fn a_value_that_triggers_a_hook_while_it_is_written_does_not_mix_the_two_events() {
    struct Nested<'a>(&'a HookManager);
    impl Serialize for Nested<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert_eq!(members(&self.0.trigger_user_prompt_hook("inner"))["prompt"], "inner");
            serializer.collect_map([("outer", true)])
        }
    }
    let manager = manager(EVERYTHING);
    let outer = members(&manager.trigger_pre_tool_hook("Bash", Nested(&manager)));
    assert_eq!(outer["tool_input"], json!({"outer": true}));
    assert!(manager.shutdown().is_balanced());
}

#[test]
fn answers_say_what_happened() {
    let manager = manager("queue.capacity = 1\n[hook.a]\non = ['pre_tool']\nrun = 'true'\n");
    manager.pool().unwrap().pause("a");
    let first = manager.trigger_pre_tool_hook("Bash", ());
    assert!(first.is_admitted() && first.skip().is_none() && first.invalid().is_none());
    assert_eq!(manager.queue_size(), 1);
    let second = manager.trigger_pre_tool_hook("Bash", ());
    assert!(!second.is_admitted());
    assert_eq!(second.refused().map(|(hook, why)| (hook.as_str(), why)).next(), Some(("a", Refusal::Full)));
    assert_ne!(first.tool_use_id(), second.tool_use_id());
    assert_eq!(manager.trigger_user_prompt_hook("x").skip(), Some(Skip::NoMatch));
    manager.pool().unwrap().resume("a");
    let ledger = manager.shutdown();
    assert!(ledger.is_balanced());
    assert_eq!(ledger.snapshot.total.outcome(OutcomeKind::Succeeded), 1);
    let late = manager.trigger_pre_tool_hook("Bash", ());
    assert_eq!(late.refused().next().map(|(_, why)| why), Some(Refusal::Closed));
}

#[test]
fn performance_mode_is_obeyed_from_the_next_event_on() {
    let manager = manager(EVERYTHING);
    let pool = manager.pool().unwrap();
    assert!(manager.trigger_user_prompt_hook("1").is_admitted());
    pool.set_performance_mode(true);
    assert!(pool.performance_mode() && pool.config().performance_mode);
    let skipped = manager.trigger_user_prompt_hook("2");
    assert_eq!(skipped.skipped_hooks().next().map(|(_, why)| why), Some(Skip::PerformanceMode));
    let event = Event::from_json(r#"{"event": "Stop"}"#).unwrap();
    assert_eq!(pool.preview(&event)[0].skip, Some(Skip::PerformanceMode));
    assert_eq!(pool.submit(event).admitted().count(), 0);
    pool.set_performance_mode(false);
    assert!(manager.trigger_user_prompt_hook("3").is_admitted());
    let ledger = manager.shutdown();
    assert!(ledger.is_balanced());
    assert_eq!(
        (ledger.snapshot.total.admitted(), ledger.snapshot.total.skipped(Skip::PerformanceMode)),
        (2, 2)
    );
}

#[test]
fn the_last_handle_drains_and_so_does_a_guard() {
    for with_guard in [false, true] {
        let ended = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&ended);
        let pool = HookPool::builder().config(config(EVERYTHING)).on_outcome(move |outcome| {
            assert_eq!(outcome.kind, OutcomeKind::Succeeded);
            count.fetch_add(1, Ordering::Relaxed);
        });
        let manager = HookManager::new(pool.build().unwrap());
        let other = manager.with_session("other").unwrap();
        assert_eq!(members(&other.trigger_user_prompt_hook("x"))["session_id"], "other");
        for _ in 0..20 {
            manager.trigger_user_prompt_hook("x");
        }
        if with_guard {
            drop(manager.shutdown_on_drop());
            assert_eq!(ended.load(Ordering::Relaxed), 21);
            assert!(!other.trigger_user_prompt_hook("x").is_admitted());
        } else {
            drop(manager);
            other.trigger_user_prompt_hook("x");
            drop(other);
            assert_eq!(ended.load(Ordering::Relaxed), 22);
        }
    }
}

#[test]
fn a_session_is_a_chain_and_two_sessions_are_two() {
    let manager = manager("pool.workers = 2\n[hook.a]\non = ['stop']\nrun = 'true'\n");
    for wrong in [String::new(), "s".repeat(5000)] {
        assert!(manager.with_session(&wrong).is_err());
    }
    let [one, two] = ["one", "two"].map(|id| manager.with_session(id).unwrap());
    let keys = [&one, &two, &one].map(|manager| event(&manager.trigger("Stop", ())).session_key().unwrap());
    assert!(keys[0] == keys[2] && keys[0] != keys[1]);
}

#[test]
fn every_event_of_the_manager_has_its_own_kind() {
    let manager = manager(EVERYTHING);
    for (triggered, kind) in [
        (manager.trigger_pre_tool_hook("x", ()), EventKind::PreTool),
        (manager.trigger_post_tool_hook("x", 1, ()), EventKind::PostTool),
        (manager.trigger_user_prompt_hook("x"), EventKind::UserPrompt),
        (manager.trigger_delegation_hook("x", DelegationPhase::Start, ()), EventKind::DelegationStart),
        (manager.trigger_delegation_hook("x", DelegationPhase::Stop, ()), EventKind::DelegationStop),
        (manager.trigger("SessionEnd", ()), EventKind::SessionEnd),
    ] {
        assert_eq!(event(&triggered).kind(), kind);
    }
}

#[cfg(feature = "cli")]
#[test]
fn the_two_debug_lines_are_written_for_what_is_triggered() {
    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(move || sink.clone());
    // Workers log on their own threads, so it is that of the whole process; the other tests' lines do no harm.
    subscriber.init();
    let manager = manager(EVERYTHING);
    event(&manager.trigger_pre_tool_hook("Bash", ()));
    event(&manager.trigger_post_tool_hook("Bash", 0, "x"));
    manager.shutdown();
    let text = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    assert!(text.contains("Successfully queued PreToolUse hook for background processing"), "{text}");
    let took = text.split("Hook PostToolUse processed in background thread (took ").nth(1).unwrap();
    let (seconds, _) = took.split_once("s)").unwrap();
    assert!(seconds.parse::<f64>().is_ok() && seconds.len() >= 4, "{seconds}");
}
