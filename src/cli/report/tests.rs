//! Reports of real, small runs: their exact text, and their JSON read back.
//!
//! Times differ from run to run, so the text of a run with times is compared with each time replaced by `T` and the
//! padding around it squeezed; `table.rs` tests the padding.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookpool::{Config, Event, HookPool, Outcome, OutcomeKind, PriorityClass, Refusal, Skip};
use serde_json::Value;

use super::json::{Layout, render as json};
use super::text::render as text;
use super::{EventCounts, FailureNote, Failures, Palette, RunReport};

const LONG: Duration = Duration::from_mins(1);
const PRE: &str = r#"{"hook_event_name":"PreToolUse","tool_name":"Bash"}"#;
const OTHER: &str = r#"{"hook_event_name":"Notification"}"#;
const STOP: &str = r#"{"hook_event_name":"Stop"}"#;

/// Runs the events, waiting for each one's jobs before the next, and drains.
fn run(toml: &str, events: &[&str]) -> RunReport {
    run_with(toml, events, |_| {}, LONG)
}

fn run_with(toml: &str, events: &[&str], prepare: impl FnOnce(&HookPool), drain: Duration) -> RunReport {
    let config = Config::from_toml(toml).unwrap_or_else(|error| panic!("{error}"));
    let failures = Arc::new(Mutex::new(Failures::default()));
    let notes = Arc::clone(&failures);
    let observer = move |outcome: &Outcome| notes.lock().unwrap().record(outcome);
    let pool = HookPool::builder().config(config).on_outcome(observer).build().unwrap();
    prepare(&pool);
    let mut counts = EventCounts::default();
    for event in events {
        counts.read += 1;
        let Ok(event) = Event::from_json(*event) else {
            counts.invalid += 1;
            continue;
        };
        let submission = pool.submit(event);
        counts.matched += u64::from(!submission.is_unmatched());
        if drain == LONG {
            submission.admitted().for_each(|handle| drop(handle.wait(LONG).unwrap()));
        }
    }
    let ledger = pool.drain(drain);
    drop(pool);
    let failures = std::mem::take(&mut *failures.lock().unwrap()).into_notes();
    RunReport { events: counts, ledger, elapsed: Duration::from_millis(1500), failures }
}

/// Begins with a line break, so that an expected text can begin on a line of its own.
fn shown(report: &RunReport) -> String {
    format!("\n{}", text(report, &Palette::PLAIN))
}

/// Times become `T`; the padding in tables becomes one space, and rules, whose place depends on the times, one dash.
fn squeezed(report: &RunReport) -> String {
    let replace = |text: &str, pattern: &str, with: &str| {
        regex::Regex::new(pattern).unwrap().replace_all(text, with).into_owned()
    };
    let text = replace(&shown(report), r"\b\d+(\.\d+)?(µs|ms|s)\b", "T");
    let text = replace(&text, "─+", "─");
    let text = replace(&text, "(?m)^ +─", "─");
    replace(&text, r"([^ \n]) +", "$1 ")
}

#[test]
fn a_run_with_failures_reads_well() {
    let report = run(
        "
        [hook.audit]
        on = ['*']
        run = 'true'
        priority = 'low'
        [hook.check]
        on = ['pre_tool']
        run = 'echo reading; echo \"no such tool\" >&2; exit 3'
        [hook.unused]
        on = ['session_end']
        run = 'true'
        ",
        &[PRE, PRE, STOP, "{}"],
    );
    let expected = "
4 events read, 1 invalid, 3 matched; 5 jobs run in T, 3.33 jobs/s

─ wait ─ ─ run ─
hook class submitted succeeded failed p50 p99 max p50 p99 max
audit low 3 3 0 T T T T T T
check normal 2 0 2 T T T T T T
hooks that no event was for:
  unused

─ wait ─ ─ run ─
class submitted succeeded failed p50 p99 max p50 p99 max
normal 2 0 2 T T T T T T
low 3 3 0 T T T T T T

failures
  check 2 failed, first: exit status 3
    | no such tool

ledger 5 submitted = 5 admitted + 0 refused + 0 skipped; \
5 admitted = 0 queued + 0 running + 3 succeeded + 2 failed: balanced
";
    assert_eq!(squeezed(&report), expected);
}

#[test]
fn what_was_not_run_comes_with_a_hint() {
    let report = run_with(
        "
        kinds = { stop = false }
        queue = { capacity = 2, max_event_bytes = 60 }
        [hook.first]
        on = ['pre_tool']
        run = 'true'
        priority = 'high'
        [hook.second]
        on = ['pre_tool', 'stop']
        run = 'true'
        [hook.third]
        on = ['stop']
        run = 'true'
        ",
        &[PRE, PRE, STOP, OTHER, &PRE.replace("Bash", "a_tool_with_a_long_name")],
        |pool| {
            pool.pause("first");
            pool.pause("second");
        },
        Duration::ZERO,
    );
    let expected = "
5 events read, 4 matched; nothing run in 1.50s

                                      ──── refused ─────  ── skipped ──
hook    class   submitted  abandoned     full  too_large  kind_disabled
first   high            3          1        1          1              0
second  normal          4          1        1          1              1
third   normal          1          0        0          0              1

                              ──── refused ─────  ── skipped ──
class   submitted  abandoned     full  too_large  kind_disabled
high            3          1        1          1              0
normal          5          1        1          1              2

not run, or not to the end
  2 refused   full           the queue was full: see queue.capacity and pool.workers
  2 refused   too_large      the event is larger than queue.max_event_bytes
  1 skipped   no_match       no hook wants these events: see on, match and where of the hooks
  2 skipped   kind_disabled  the kind of the event is switched off in [kinds]
  2 admitted  abandoned      the shutdown came first: see shutdown.drain and --drain-timeout

ledger  9 submitted = 2 admitted + 4 refused + 3 skipped; \
2 admitted = 0 queued + 0 running + 0 succeeded + 2 abandoned: balanced
";
    assert_eq!(shown(&report), expected);
}

#[test]
fn a_run_without_events_reads_well() {
    let report = run("[hook.audit]\non = ['*']\nrun = 'true'\n", &[]);
    let expected = "
no events read in 1.50s

ledger  0 submitted = 0 admitted + 0 refused + 0 skipped; \
0 admitted = 0 queued + 0 running + 0 succeeded: balanced
";
    assert_eq!(shown(&report), expected);
}

#[test]
fn a_run_without_hooks_says_how_to_make_one() {
    let report = run("", &[STOP]);
    let expected = "
1 event read, 0 matched; nothing run in 1.50s

no hooks are configured: a table [hook.NAME] in hooks.toml makes one

not run, or not to the end
  1 skipped   no_match  no hook wants these events: see on, match and where of the hooks

ledger  1 submitted = 0 admitted + 0 refused + 1 skipped; \
0 admitted = 0 queued + 0 running + 0 succeeded: balanced
";
    assert_eq!(shown(&report), expected);
}

#[test]
fn a_hook_in_several_classes_names_them_all() {
    let toml = "priority = { stop = 'critical' }\nkinds = { stop = false, pre_tool = false }\n\
                [hook.audit]\non = ['stop', 'pre_tool']\nrun = 'true'\n";
    let text = shown(&run(toml, &[PRE, STOP]));
    assert!(text.contains("\naudit  critical, normal          2 "), "{text}");
}

#[test]
fn a_ledger_that_does_not_balance_says_so() {
    let mut report = run("[hook.audit]\non = ['*']\nrun = 'true'\n", &[STOP]);
    report.ledger.lost = 1;
    report.ledger.leaked = 2;
    let text = shown(&report);
    let expected = "1 admitted = 0 queued + 0 running + 1 succeeded: \
        NOT BALANCED: 1 job lost; this is a fault of hookpool\n\
        2 handlers in Rust did not end in time and could not be stopped\n";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(parsed(&report, Layout::Line)["balanced"], false);
}

#[test]
fn handlers_cannot_reach_the_terminal_through_the_report() {
    let rude = r"printf 'one\ntwo\nthree\nfour\nfive\n\033[2J\033[31msix\033[0m\007\n' >&2; exit 1";
    let toml = format!("[hook.rude]\non = ['*']\nrun = '''{rude}'''\n");
    let mut report = run(&toml, &[STOP]);
    report.failures[0].reason.push_str("\u{1b}[2J\nledger  all is well");
    let text = shown(&report);
    let expected = "
failures
  rude  1 failed: exit status 1\\u{1b}[2J ledger  all is well
    | …
    | two
    | three
    | four
    | five
    | \\u{1b}[2Jsix\\u{7}
";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn long_names_keep_the_tables_narrow() {
    let name = "n".repeat(64);
    let toml =
        format!("[hook.{name}]\non = ['*']\nrun = 'exit 1'\n[hook.{name}2]\non = ['stop']\nrun = 'true'\n");
    let text = shown(&run(&toml, &[STOP, PRE]));
    assert!(text.contains(&format!("\n{name}\n      normal          2 ")), "{text}");
    assert!(text.contains(&format!("\n{name}2\n      normal          1 ")), "{text}");
    let tables = text.split("\nledger").next().unwrap();
    assert!(tables.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn colours_change_nothing_but_colours() {
    let report = run("[hook.audit]\non = ['*']\nrun = 'exit 1'\n", &[STOP, "[]"]);
    let coloured = text(&report, &Palette::COLOURED);
    assert!(coloured.contains("\u{1b}[31m") || coloured.contains("\u{1b}[1;31m"), "{coloured:?}");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), text(&report, &Palette::PLAIN));
}

#[test]
fn failures_of_many_jobs_are_told_once_for_each_hook_and_kind() {
    let mut report = run(
        "
        [hook.bad]
        on = ['*']
        run = 'echo to-stdout; exit 2'
        [hook.missing]
        on = ['stop']
        run = ['/nonexistent/program']
        ",
        &[STOP, PRE, STOP],
    );
    report.failures.sort_by(|one, other| one.hook.cmp(&other.hook));
    let [bad, missing] = report.failures.as_slice() else { panic!("{:?}", report.failures) };
    let expected = FailureNote {
        hook: "bad".to_owned(),
        kind: OutcomeKind::Failed,
        count: 3,
        reason: "exit status 2".to_owned(),
        hint: None,
        output_tail: "to-stdout".to_owned(),
    };
    assert_eq!(*bad, expected);
    assert_eq!((missing.kind, missing.count), (OutcomeKind::NotStarted, 2));
    assert!(missing.reason.contains("/nonexistent/program"), "{missing:?}");
}

#[test]
fn a_failure_is_answered_with_what_would_help() {
    let report = run("[hook.lost]\non = ['stop']\nrun = 'PATH= no-such-program 2>/dev/null'\n", &[STOP]);
    let text = shown(&report);
    let expected = "failures\n  lost  1 failed: exit status 127\n    hint: a shell says 127 when it does not find a command:";
    assert!(text.contains(expected), "{text}");
}

fn parsed(report: &RunReport, layout: Layout) -> Value {
    serde_json::from_str(&json(report, layout)).unwrap()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    names
}

/// The counters that the whole, each hook and each class have.
fn assert_has_every_name(part: &Value) {
    for number in ["submitted", "admitted", "queued", "running"] {
        assert!(part[number].is_u64(), "{number} of {part}");
    }
    let lists = [
        ("refused", sorted(Refusal::ALL.iter().map(|why| why.name()))),
        ("skipped", sorted(Skip::ALL.iter().map(|why| why.name()))),
        ("outcomes", sorted(OutcomeKind::ALL.iter().map(|kind| kind.name()))),
    ];
    for (list, expected) in lists {
        assert_eq!(sorted(names(&part[list])), expected);
        assert!(part[list].as_object().unwrap().values().all(Value::is_u64), "{list} of {part}");
    }
}

#[test]
fn json_has_every_name_whatever_happened() {
    let toml = "[hook.audit]\non = ['*']\nrun = 'true'\npriority = 'low'\n\
                [hook.idle]\non = ['session_end']\nrun = 'true'\n";
    for report in [run(toml, &[STOP, PRE, "{}"]), run(toml, &[]), run("", &[STOP])] {
        for layout in [Layout::Line, Layout::Indented] {
            let value = parsed(&report, layout);
            assert_has_every_name(&value);
            assert_eq!(sorted(names(&value["classes"])), sorted(PriorityClass::ALL.map(PriorityClass::name)));
            let parts = ["hooks", "classes"].map(|list| value[list].as_object().unwrap());
            for part in parts.into_iter().flat_map(serde_json::Map::values) {
                assert_has_every_name(part);
                for times in ["wait_us", "run_us"] {
                    assert_eq!(sorted(names(&part[times])), ["max", "p50", "p99"]);
                }
            }
        }
    }
    let value = parsed(&run(toml, &[STOP, PRE, "{}"]), Layout::Line);
    assert_eq!(value["events"], serde_json::json!({"read": 3, "invalid": 1, "matched": 2}));
    assert_eq!(value["hooks"]["audit"]["outcomes"]["succeeded"], 2);
    assert_eq!(value["classes"]["low"]["admitted"], 2);
    let run_us = &value["hooks"]["audit"]["run_us"];
    assert!(run_us["p50"].as_u64() <= run_us["max"].as_u64() && run_us["max"].as_u64() > Some(0), "{run_us}");
    assert_eq!(value["hooks"]["idle"]["wait_us"], serde_json::json!({"p50": null, "p99": null, "max": null}));
}

#[test]
fn json_members_stand_in_the_order_of_the_contract() {
    let zeros = "\"submitted\":0,\"admitted\":0,\
        \"refused\":{\"full\":0,\"class_full\":0,\"bytes_full\":0,\"too_large\":0,\"closed\":0},\
        \"skipped\":{\"no_match\":0,\"kind_disabled\":0,\"hook_disabled\":0,\"performance_mode\":0,\
        \"breaker_open\":0,\"duplicate\":0,\"config_error\":0},\
        \"outcomes\":{\"succeeded\":0,\"failed\":0,\"timed_out\":0,\"panicked\":0,\"not_started\":0,\
        \"displaced\":0,\"expired\":0,\"cancelled\":0,\"abandoned\":0},\"queued\":0,\"running\":0,\"retries\":0";
    let times = "{\"p50\":null,\"p99\":null,\"max\":null}";
    let split =
        "{\"more_important\":0,\"chain\":0,\"no_seat\":0,\"linger\":0,\"paused\":0,\"limit\":0,\"wake\":0}";
    let part = format!("{{{zeros},\"wait_us\":{times},\"run_us\":{times},\"wait_split_us\":{split}}}");
    let expected = format!(
        "{{\"events\":{{\"read\":0,\"invalid\":0,\"matched\":0}},{zeros},\"balanced\":true,\"elapsed_us\":1500000,\
         \"hooks\":{{\"zebra\":{part},\"ape\":{part}}},\
         \"classes\":{{\"critical\":{part},\"high\":{part},\"normal\":{part},\"low\":{part}}}}}\n"
    );
    let toml = "[hook.zebra]\non = ['*']\nrun = 'true'\n[hook.ape]\non = ['*']\nrun = 'true'\n";
    assert_eq!(json(&run(toml, &[]), Layout::Line), expected);
}
