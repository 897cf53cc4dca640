//! Resident handlers that are rude, one row each: no event is lost, none has two outcomes, and the right one suffers.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "helpers/subject.rs"]
mod subject;

use std::fs;
use std::time::Duration;

use hookpool::{Config, End, Event, HookPool, OutcomeKind, StopReason};
use subject::{AMPLE, Subject, is_alive, kinds, outcome, until};

use OutcomeKind::{Cancelled, Failed, NotStarted, Succeeded, TimedOut};

#[test]
fn one_process_answers_many_events() {
    let subject = Subject::new("resident", "timeout = '60s'");
    let first = subject.who();
    for _ in 0..20 {
        assert_eq!(subject.run("ok").kind, Succeeded);
    }
    assert_eq!(subject.who(), first);
    let failed = subject.run("fail");
    assert_eq!((failed.kind, &*failed.reason), (Failed, "no such file"));
    assert!(failed.process.is_none(), "it wrote nothing but its answer: {failed:?}");
    assert_eq!(subject.notes().lines().filter(|line| line.starts_with("start")).count(), 1);
    subject.end(23);
}

#[test]
fn the_line_and_the_environment_say_what_hookpool_knows() {
    let subject = Subject::new("resident", "timeout = '60s'");
    let head = subject.run("head");
    let id = head.job.to_string();
    assert_eq!(
        head.reason,
        format!(r#"{{"id": "{id}", "hook": "subject", "attempt": 1, "deadline_ms": 60000}} one line"#)
    );
    let names = "HOOKPOOL_DEPTH HOOKPOOL_HOOK HOOKPOOL_INSTANCE HOOKPOOL_POOL_ID";
    assert_eq!(subject.run("environment").reason, names);
    let pretty = subject.submit("subject", ",\n\"do\":\r\n\"head\"");
    assert!(outcome(&pretty).reason.ends_with(" one line"));
    subject.end(3);
}

/// What each rude thing does to its own event, and that the next one is as if nothing had been.
#[test]
fn rude_handlers_harm_their_own_event_and_no_other() {
    for (rude, kind, reason, same_process) in [
        ("twice", Succeeded, "", true),
        ("unknown", Succeeded, "", true),
        ("noise", Succeeded, "", true),
        ("never", TimedOut, "it ran longer than its timeout of 2s and got TERM", false),
        ("half", TimedOut, "it ran longer than its timeout of 2s and got TERM", false),
        ("hang", TimedOut, "it ran longer than its timeout of 2s and got TERM", false),
        ("flood", TimedOut, "it ran longer than its timeout of 2s and got TERM", false),
        ("broken", Failed, "its handler wrote a broken answer: key must be a string", false),
        ("long", Failed, "its handler wrote a broken answer: it is longer than 1048576 bytes", false),
        ("die", Failed, "its process ended without an answer to it (exit status 3)", false),
        ("fork", Failed, "its process ended without an answer to it (exit status 0)", false),
        ("close_output", Failed, "its process closed its output without an answer to it", false),
        ("answer_and_die", Succeeded, "", false),
    ] {
        let subject = Subject::new("resident", "timeout = '2s'");
        let other = subject.submit("other", "");
        let before = subject.who();
        let outcome = subject.run(rude);
        assert_eq!(outcome.kind, kind, "{rude}: {outcome}");
        assert!(outcome.reason.starts_with(reason), "{rude}: {outcome}");
        if rude == "answer_and_die" {
            // An event that meets it while it is dying would be its last.
            until("it is gone", || !is_alive(&before));
        }
        assert_eq!(subject.who() == before, same_process, "{rude}");
        assert_eq!(crate::outcome(&other).kind, Succeeded, "{rude}");
        subject.end(4);
    }
}

#[test]
fn a_broken_line_at_rest_replaces_the_process_and_harms_no_event() {
    let subject = Subject::new("resident", "timeout = '60s'");
    let before = subject.who();
    assert_eq!(subject.run("mutter").kind, Succeeded);
    subject.sign("mutter");
    until("it has spoken", || subject.notes().contains("muttered"));
    assert_ne!(subject.who(), before);
    subject.end(3);
}

/// What was said at rest is no beginning of the next answer.
#[test]
fn half_a_line_at_rest_is_glued_to_no_answer() {
    for (said, is_kept) in
        [("loading", true), ("{\\\"id\\\":\\\"", false), (" {", true), ("{\\\"id\\\":\\\"0\\\"}", false)]
    {
        let subject = Subject::new("resident", "timeout = '60s'");
        let before = subject.who();
        let mutter = subject.submit("subject", &format!(r#","do":"mutter","say":"{said}""#));
        assert_eq!(outcome(&mutter).kind, Succeeded);
        subject.sign("mutter");
        until("it has spoken", || subject.notes().contains("muttered"));
        assert_eq!(subject.who() == before, is_kept, "{said}");
        subject.end(3);
    }
}

#[test]
fn an_event_that_a_dying_process_has_not_read_is_given_to_another_one() {
    let subject = Subject::new("resident", "timeout = '60s'");
    let before = subject.who();
    assert_eq!(subject.run("die_at_rest").kind, Succeeded);
    until("it rests", || subject.notes().contains("rests"));
    let next = subject.send("who");
    subject.sign("die");
    let next = outcome(&next);
    assert!(next.reason.parse::<u32>().is_ok() && next.reason != before, "{next}");
    subject.end(3);
}

#[test]
fn one_that_was_started_ahead_and_died_harms_no_event() {
    let subject = Subject::new("resident", "timeout = '60s'\nmax_events = 1\nenv.DIE_AHEAD = '1'");
    assert_eq!(subject.run("ok").kind, Succeeded);
    until("the first one ahead is there", || subject.noted("start ").len() == 2);
    subject.sign("ahead");
    assert_eq!(subject.run("ok").kind, Succeeded);
    until("the next one ahead has died", || subject.notes().contains("died ahead"));
    subject.unsign("ahead");
    assert_eq!(subject.run("ok").kind, Succeeded);
    subject.end(3);
}

#[test]
fn what_a_process_says_beside_its_answers_is_with_the_event() {
    let subject = Subject::new("resident", "timeout = '60s'");
    let noisy = subject.run("noise");
    let process = noisy.process.as_ref().expect("it wrote something");
    assert_eq!(process.end, End::Running);
    assert_eq!(process.stdout.bytes(), b"before\n\xff\xfe\n\n [1]\n".as_slice());
    assert_eq!(process.stderr.text(), "to people\n");
    assert!(subject.run("ok").process.is_none(), "and not with the next one");
    let died = subject.run("die");
    assert_eq!(died.process.as_ref().expect("its end is known").end, End::Exited(3));
    subject.end(3);
}

#[test]
fn a_deaf_process_is_killed_with_its_group_after_the_grace() {
    let subject = Subject::new("resident", "timeout = '1s'\ngrace = '100ms'\nenv.DEAF = '1'");
    let first = subject.who();
    let late = subject.run("hang");
    assert_eq!(late.kind, TimedOut);
    assert!(late.reason.ends_with("and ignored TERM, so it got KILL"), "{late}");
    let process = late.process.as_ref().unwrap();
    let stopped = process.stopped.unwrap();
    assert_eq!((stopped.why, &process.end), (StopReason::Deadline, &End::Signalled(9)));
    assert!(stopped.term_after >= Duration::from_secs(1) && stopped.kill_after > Some(stopped.term_after));
    assert!(!is_alive(&first));
    subject.end(2);
}

#[test]
fn an_instance_that_stops_reading_meets_the_timeout() {
    let subject = Subject::new("resident", "timeout = '2s'\nwindow = 2");
    subject.who();
    subject.pool.pause("subject");
    let hangs = subject.send("hang");
    let large = subject.submit("subject", &format!(r#","do":"ok","large":"{}""#, "x".repeat(6_000_000)));
    subject.pool.resume("subject");
    assert_eq!(outcome(&hangs).kind, TimedOut);
    assert_eq!(outcome(&large).kind, Succeeded, "it was behind, and went to another process");
    subject.end(3);
}

#[test]
fn a_slow_start_is_part_of_the_first_event_only() {
    let subject = Subject::new("resident", "timeout = '60s'\nenv.SLOW_START = '0.5'");
    let first = subject.run("ok");
    assert_eq!(first.kind, Succeeded);
    assert!(first.run.unwrap() >= Duration::from_millis(500));
    subject.end(1);
    let subject = Subject::new("resident", "timeout = '200ms'\nenv.SLOW_START = '60'");
    assert_eq!(subject.run("ok").kind, TimedOut);
    subject.end(1);
}

#[test]
fn a_window_gives_many_events_at_once_and_takes_answers_in_any_order() {
    let subject = Subject::new("resident", "timeout = '60s'\nwindow = 8");
    assert_eq!(kinds(&subject.together(&["hold", "hold", "hold", "ok"])), [Succeeded; 4]);
    subject.end(4);
    // Without a window the first would wait for the others in vain.
    let subject = Subject::new("resident", "timeout = '1s'");
    assert_eq!(kinds(&subject.together(&["hold", "ok"])), [TimedOut, Succeeded]);
    subject.end(2);
}

#[test]
fn the_time_of_an_event_begins_when_those_before_it_are_answered() {
    let subject = Subject::new("resident", "timeout = '3s'\nwindow = 8");
    subject.who();
    let outcomes = subject.together(&["nap", "nap"]);
    assert_eq!(kinds(&outcomes), [Succeeded, Succeeded]);
    assert!(outcomes[1].run.unwrap() < Duration::from_secs(3), "{:?}", outcomes[1]);
    subject.end(3);
}

#[test]
fn those_behind_the_event_that_suffers_are_given_to_another_process() {
    for (rude, kind) in [("die", Failed), ("broken", Failed), ("close_output", Failed), ("hang", TimedOut)] {
        let subject = Subject::new("resident", "timeout = '3s'\nwindow = 8");
        let outcomes = subject.together(&["ok", rude, "ok", rude, "ok", "fail"]);
        assert_eq!(kinds(&outcomes), [Succeeded, kind, Succeeded, kind, Succeeded, Failed], "{rude}");
        subject.end(6);
    }
}

#[test]
fn events_of_a_session_stay_in_order_across_processes() {
    let subject = Subject::new("resident", "timeout = '60s'\nwindow = 4\ninstances = 2\nmax_events = 5");
    let mut jobs = Vec::new();
    for n in 0..60 {
        let rude = if n % 7 == 3 { "die" } else { "ok" };
        jobs.push(subject.submit("subject", &format!(r#","do":"{rude}","n":{n},"session_id":"s""#)));
    }
    let outcomes: Vec<_> = jobs.iter().map(outcome).collect();
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.kind, if n % 7 == 3 { Failed } else { Succeeded }, "{n}: {outcome}");
    }
    let seen: Vec<u32> =
        subject.notes().lines().filter_map(|line| line.strip_prefix("event ")?.parse().ok()).collect();
    assert!(seen.is_sorted(), "{seen:?}");
    subject.end(60);
}

#[test]
fn as_many_processes_as_instances_work_at_once() {
    let subject = Subject::new("resident", "timeout = '3s'\ninstances = 3\norder = 'none'");
    let hanging: Vec<_> = (0..3).map(|_| subject.send("hang")).collect();
    until("three are started", || {
        subject.notes().lines().filter(|line| line.starts_with("start")).count() == 3
    });
    let behind = subject.send("ok");
    assert!(hanging.iter().all(|job| outcome(job).kind == TimedOut));
    assert_eq!(outcome(&behind).kind, Succeeded);
    subject.end(4);
}

#[test]
fn a_process_is_replaced_after_so_many_answers_or_so_long() {
    let subject = Subject::new("resident", "timeout = '60s'\nmax_events = 2");
    let [a, b, c, d] = [(); 4].map(|()| subject.who());
    assert!(a == b && b != c && c == d, "{a} {b} {c} {d}");
    until("those that are replaced end", || !is_alive(&a));
    // The next one is there already: it was started before the old one was let go.
    until("the next one waits", || {
        subject.notes().lines().filter(|line| line.starts_with("start")).count() == 3
    });
    subject.end(4);
    let subject = Subject::new("resident", "timeout = '60s'\nmax_age = '1ms'");
    let [a, b] = [(); 2].map(|()| subject.who());
    assert_ne!(a, b);
    subject.end(2);
}

#[test]
fn a_process_without_work_is_ended_and_its_thread_leaves() {
    let subject = Subject::new("resident", "timeout = '60s'\nidle_timeout = '50ms'");
    let threads = || {
        let all = fs::read_dir("/proc/self/task").unwrap().flatten();
        all.filter(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("hookpool-resid"))
        })
        .count()
    };
    let first = subject.who();
    until("it is ended", || !is_alive(&first));
    let second = subject.who();
    assert_ne!(first, second);
    until("that one too", || !is_alive(&second));
    // Other tests of this process have such threads, and theirs leave too.
    until("the thread leaves", || threads() == 0);
    subject.end(2);
}

#[test]
fn processes_that_die_at_their_start_are_not_started_for_every_event() {
    let subject = Subject::new("resident", "timeout = '60s'\nenv.START_AND_DIE = '1'");
    let outcomes: Vec<_> = (0..40).map(|_| subject.run("ok")).collect();
    let started = outcomes.iter().filter(|outcome| outcome.kind == Failed).count();
    let refused: Vec<_> = outcomes.iter().filter(|outcome| outcome.kind == NotStarted).collect();
    assert!((3..=10).contains(&started) && started + refused.len() == 40, "{started} starts");
    assert!(
        refused[0].reason.starts_with("its processes ended 3 times in a row before they answered anything")
    );
    subject.end(40);
}

#[test]
fn a_missing_program_is_not_started_and_says_why() {
    let config = "[hook.a]\non = ['stop']\nrun = ['/none/such']\nmode = 'resident'\n";
    let pool = HookPool::builder().config(Config::from_toml(config).unwrap()).build().unwrap();
    let job =
        pool.submit(Event::from_json(r#"{"event":"stop"}"#).unwrap()).admitted().next().unwrap().clone();
    let outcome = outcome(&job);
    assert_eq!(outcome.kind, NotStarted);
    assert!(outcome.reason.contains("/none/such"), "{outcome}");
    assert!(pool.drain(AMPLE).is_balanced());
}

#[test]
fn a_job_that_is_cancelled_takes_its_process_along() {
    let subject = Subject::new("resident", "timeout = '60s'");
    let hangs = subject.submit("subject", r#","do":"hang","n":1"#);
    until("it is at work", || subject.notes().contains("event 1"));
    assert!(hangs.cancel());
    assert_eq!(outcome(&hangs).kind, Cancelled);
    assert_eq!(subject.run("ok").kind, Succeeded);
    subject.end(2);
}

#[test]
fn a_member_of_a_window_that_is_cancelled_leaves_the_others_alone() {
    let subject = Subject::new("resident", "timeout = '60s'\nwindow = 8");
    subject.pool.pause("subject");
    let hold = subject.submit("subject", r#","do":"hold","n":1"#);
    let hangs = subject.submit("subject", r#","do":"die","n":2"#);
    let unwanted = subject.submit("subject", r#","do":"ok","n":3"#);
    let last = subject.submit("subject", r#","do":"ok","n":4"#);
    unwanted.cancel();
    subject.pool.resume("subject");
    assert_eq!(outcome(&unwanted).kind, Cancelled);
    let rest = [hold, hangs, last].map(|job| outcome(&job).kind);
    assert_eq!(rest, [Failed, Failed, Succeeded]);
    subject.end(4);
}

#[test]
fn a_drain_ends_what_works_and_what_rests() {
    let subject = Subject::new("resident", "timeout = '60s'\ninstances = 2\norder = 'none'\nwindow = 2");
    let hangs = subject.submit("subject", r#","do":"hang","n":7"#);
    until("it is at work", || subject.notes().contains("event 7"));
    let rests = subject.who();
    let ledger = subject.pool.drain(Duration::ZERO);
    assert!(ledger.is_balanced());
    assert_eq!(outcome(&hangs).kind, Cancelled);
    assert!(!is_alive(&rests));
    subject.end(2);
}

#[test]
fn a_kill_leaves_no_grace_to_deaf_processes() {
    let subject = Subject::new(
        "resident",
        "timeout = '1h'\ngrace = '1h'\nenv.DEAF = '1'\ninstances = 2\norder = 'none'",
    );
    let hangs = subject.submit("subject", r#","do":"hang","n":7"#);
    until("it is at work", || subject.notes().contains("event 7"));
    let rests = subject.who();
    subject.pool.kill();
    assert_eq!(outcome(&hangs).kind, Cancelled);
    assert!(subject.pool.drain(AMPLE).is_balanced());
    assert!(!is_alive(&rests));
    subject.end(2);
}
