//! Commands that take batches of lines: each event has its own outcome, as soon as its answer is there.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "helpers/subject.rs"]
mod subject;

use hookpool::{Config, Event, HookPool, OutcomeKind};
use subject::{AMPLE, Subject, is_alive, kinds, outcome, until};

use OutcomeKind::{Cancelled, Failed, NotStarted, Succeeded, TimedOut};

const BATCH: &str = "batch = { size = 10, linger = '0s' }\n";

/// A subject that gets what waits in one batch.
fn subject(keys: &str) -> Subject {
    Subject::new("lines", &format!("{BATCH}{keys}"))
}

fn starts(subject: &Subject) -> usize {
    subject.notes().lines().filter(|line| line.starts_with("start")).count()
}

/// A pool whose one hook `a` runs this in a batch.
fn shell(run: &str, keys: &str) -> HookPool {
    let text =
        format!("[hook.a]\non = ['*']\nmode = 'lines'\nrun = \"{run}\"\ntimeout = '60s'\n{BATCH}{keys}");
    HookPool::builder().config(Config::from_toml(&text).unwrap()).build().unwrap()
}

fn three(pool: &HookPool) -> Vec<std::sync::Arc<hookpool::Outcome>> {
    pool.pause("a");
    let event = || Event::from_json(r#"{"event":"x"}"#).unwrap();
    let jobs: Vec<_> = (0..3).map(|_| pool.submit(event()).admitted().next().unwrap().clone()).collect();
    pool.resume("a");
    let outcomes = jobs.iter().map(outcome).collect();
    assert!(pool.drain(AMPLE).is_balanced());
    outcomes
}

#[test]
fn one_process_answers_a_batch_and_each_event_has_its_own_outcome() {
    let subject = subject("timeout = '60s'");
    let outcomes = subject.together(&["ok", "fail", "hold", "ok", "verdict"]);
    assert_eq!(kinds(&outcomes), [Succeeded, Failed, Succeeded, Succeeded, Succeeded]);
    assert_eq!(
        (&*outcomes[1].reason, outcomes[1].message.as_deref()),
        ("no such file", Some("no such file"))
    );
    assert_eq!(outcomes[4].message.as_deref(), Some("seen"));
    assert_eq!(outcomes[4].verdict.as_ref().unwrap().as_str(), r#"{"decision": "allow", "n": [1, 2]}"#);
    assert_eq!(starts(&subject), 1);
    subject.end(5);
}

#[test]
fn an_event_has_its_outcome_while_the_others_are_worked_on() {
    let subject = subject("timeout = '1h'");
    subject.pool.pause("subject");
    let (quick, hangs) = (subject.send("ok"), subject.send("hang"));
    subject.pool.resume("subject");
    assert_eq!(outcome(&quick).kind, Succeeded);
    assert!(hangs.outcome().is_none());
    subject.pool.kill();
    assert_eq!(outcome(&hangs).kind, Cancelled);
    subject.end(2);
}

/// Nobody is left who wants anything of the process, so it goes, long before its timeout.
#[test]
fn a_batch_is_stopped_when_its_last_member_without_an_outcome_is_cancelled() {
    for mode in ["lines", "resident"] {
        let keys = if mode == "lines" { BATCH } else { "window = 10\n" };
        let subject = Subject::new(mode, &format!("{keys}timeout = '1h'\ngrace = '1h'"));
        subject.pool.pause("subject");
        let [answered, hangs, waits] = ["ok", "hang", "ok"].map(|what| subject.send(what));
        subject.pool.resume("subject");
        assert_eq!(outcome(&answered).kind, Succeeded);
        assert!(hangs.cancel());
        assert!(waits.outcome().is_none(), "{mode}: one is still wanted");
        assert!(waits.cancel());
        assert_eq!(kinds(&[outcome(&hangs), outcome(&waits)]), [Cancelled, Cancelled], "{mode}");
        subject.end(3);
    }
}

#[test]
fn rude_handlers_lose_no_event_and_double_none() {
    use subject::Subject;
    let late = "it ran longer than its timeout of 2s and got TERM";
    for (rude, kinds_expected, reason) in [
        ("twice", [Succeeded, Succeeded, Succeeded], ""),
        ("unknown", [Succeeded, Succeeded, Succeeded], ""),
        ("noise", [Succeeded, Succeeded, Succeeded], ""),
        (
            "never",
            [Succeeded, Failed, Succeeded],
            "its handler ended without an answer to it (exit status 0)",
        ),
        ("half", [Succeeded, TimedOut, TimedOut], late),
        ("hang", [Succeeded, TimedOut, TimedOut], late),
        ("flood", [Succeeded, TimedOut, TimedOut], late),
        ("close_output", [Succeeded, TimedOut, TimedOut], late),
        ("broken", [Succeeded, Failed, Succeeded], "its handler wrote a broken answer: key must be a string"),
        ("long", [Succeeded, Failed, Succeeded], "its handler wrote a broken answer: it is longer than"),
        ("die", [Succeeded, Failed, Failed], "its handler ended without an answer to it (exit status 3)"),
        ("fork", [Succeeded, Failed, Failed], "its handler ended without an answer to it (exit status 0)"),
    ] {
        let subject = Subject::new("lines", &format!("{BATCH}timeout = '2s'"));
        let other = subject.submit("other", "");
        let outcomes = subject.together(&["ok", rude, "ok"]);
        assert_eq!(kinds(&outcomes), kinds_expected, "{rude}: {outcomes:?}");
        assert!(outcomes[1].reason.starts_with(reason), "{rude}: {}", outcomes[1]);
        assert_eq!(outcome(&other).kind, Succeeded, "{rude}");
        subject.end(4);
    }
}

#[test]
fn without_answers_the_exit_status_counts_for_all() {
    assert_eq!(kinds(&three(&shell("cat > /dev/null", ""))), [Succeeded; 3]);
    let outcomes = three(&shell("cat > /dev/null; echo no; exit 4", ""));
    assert_eq!(kinds(&outcomes), [Failed; 3]);
    assert!(outcomes.iter().all(|outcome| outcome.reason == "exit status 4"));
    let output: String =
        outcomes.iter().map(|outcome| outcome.process.as_ref().map_or("", |_| "x")).collect();
    assert_eq!(output, "x", "one process, one output");
    assert_eq!(kinds(&three(&shell("/none/such", ""))), [Failed; 3], "the shell says that, not the system");
    let missing = "[hook.a]\non = ['*']\nmode = 'lines'\nrun = ['/none/such']\nbatch = { linger = '0s' }\n";
    let pool = HookPool::builder().config(Config::from_toml(missing).unwrap()).build().unwrap();
    assert_eq!(kinds(&three(&pool)), [NotStarted; 3]);
}

/// A handler that gives back what it gets speaks no answers: it begins lines as if it did.
#[test]
fn an_echo_is_a_broken_answer() {
    let outcomes = three(&shell("cat", ""));
    assert_eq!(kinds(&outcomes), [Failed; 3]);
    assert!(outcomes[0].reason.contains("missing field `id`"), "{}", outcomes[0]);
}

#[test]
fn the_time_of_a_batch_grows_with_its_events_up_to_a_limit() {
    for (keys, deadline) in [
        ("timeout_per_item = '2s'", "12000"),
        ("timeout_per_item = '2s', timeout_max = '7s'", "7000"),
        ("timeout_max = '7s'", "6000"),
    ] {
        let keys = format!("timeout = '6s'\nbatch = {{ size = 10, linger = '0s', {keys} }}\n");
        let subject = Subject::new("lines", &keys);
        let outcomes = subject.together(&["head", "ok", "ok"]);
        assert!(outcomes[0].reason.contains(&format!(r#""deadline_ms": {deadline}"#)), "{}", outcomes[0]);
        subject.end(3);
    }
    let subject = subject("timeout = '1s'\ngrace = '100ms'\nenv.DEAF = '1'");
    let outcomes = subject.together(&["ok", "hang"]);
    assert_eq!(kinds(&outcomes), [Succeeded, TimedOut]);
    subject.end(2);
}

#[test]
fn a_batch_that_fails_as_a_whole_may_be_split_once() {
    // One bad event takes the others along …
    let subject = subject("timeout = '60s'\non_batch_failure = 'fail'");
    assert_eq!(kinds(&subject.together(&["die", "ok", "ok"])), [Failed; 3]);
    assert_eq!(starts(&subject), 1);
    subject.end(3);
    // … or not. What was answered is not asked again.
    let subject = crate::subject("timeout = '60s'\non_batch_failure = 'split'");
    let outcomes = subject.together(&["ok", "fail", "die", "ok", "never", "broken"]);
    assert_eq!(kinds(&outcomes), [Succeeded, Failed, Failed, Succeeded, Succeeded, Failed]);
    assert_eq!(starts(&subject), 5, "{}", subject.notes());
    assert!(outcomes[2].reason.contains("exit status 3"), "{}", outcomes[2]);
    subject.end(6);
    // A single event is not tried again.
    let subject = crate::subject("timeout = '60s'\non_batch_failure = 'split'");
    assert_eq!(subject.run("die").kind, Failed);
    assert_eq!(starts(&subject), 1);
    subject.end(1);
}

#[test]
fn a_handler_that_reads_nothing_is_no_fault_and_loses_nothing() {
    let pool = shell("exit 0", "");
    pool.pause("a");
    let large = format!(r#"{{"event":"x","large":"{}"}}"#, "x".repeat(900_000));
    let job = pool.submit(Event::from_json(large).unwrap()).admitted().next().unwrap().clone();
    pool.resume("a");
    let outcome = outcome(&job);
    assert_eq!(outcome.kind, Succeeded);
    assert!(outcome.process.as_ref().unwrap().stdin_left > 0);
}

#[test]
fn a_member_that_is_cancelled_before_the_start_is_not_in_the_batch() {
    let subject = subject("timeout = '60s'");
    subject.pool.pause("subject");
    let jobs = ["ok", "die", "ok"].map(|what| subject.send(what));
    assert!(jobs[1].cancel());
    subject.pool.resume("subject");
    assert_eq!(jobs.map(|job| outcome(&job).kind), [Succeeded, Cancelled, Succeeded]);
    subject.end(3);
}

#[test]
fn without_a_batch_each_process_gets_one_line() {
    let subject = Subject::new("lines", "timeout = '60s'");
    let outcomes = subject.together(&["who", "who", "environment"]);
    assert_ne!(outcomes[0].reason, outcomes[1].reason);
    until("they are gone", || !is_alive(&outcomes[0].reason));
    let names = "HOOKPOOL_DEADLINE_MS HOOKPOOL_DEPTH HOOKPOOL_HOOK HOOKPOOL_JOB HOOKPOOL_POOL_ID";
    assert_eq!(outcomes[2].reason, names);
    subject.end(3);
}
