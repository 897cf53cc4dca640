//! `hookpool run --record`: what a recording has and has not, that `simulate` takes it, and files that fail.

use hookpool::{Fate, OutcomeKind, PriorityClass, Recording, Refusal, RunEnd, Skip};
use serde_json::Value;

use crate::env::{TestEnv, event};

/// A secret, in an event of a secret session.
const SECRET: &str =
    "{\"event\":\"Fine\",\"session_id\":\"s3cr3t-session\",\"project\":\"s3cr3t-field\",\"x\":\"s3cr3t\"}\n";

#[test]
fn a_recording_has_every_job_and_nothing_of_what_events_hold() {
    let env = TestEnv::with_hooks(
        "queue.max_event_bytes = 300\n\
         [hook.fine]\non = ['Fine', 'Large']\nrun = 'true'\npriority = 'high'\n\
         [hook.twice]\non = ['Twice']\nrun = '[ $HOOKPOOL_ATTEMPT = 2 ]'\nretry = { attempts = 2, backoff = '1ms' }\n\
         [hook.hangs]\non = ['Hangs']\nrun = 'sleep 1000'\ntimeout = '10ms'\n\
         [hook.no]\non = ['No']\nrun = 'exit 2'\n\
         [hook.off]\non = ['Fine']\nrun = 'true'\nenabled = false\n\
         [hook.lines]\non = ['Fine']\nrun = 'cat'\nmode = 'lines'\nbatch = { size = 2, linger = '1ms', key = 'field:project' }\n",
    );
    let large = format!("{{\"event\":\"Large\",\"x\":\"{}\"}}\n", "y".repeat(400));
    let events =
        [SECRET.repeat(2), event("Twice", "a"), event("Hangs", "a"), event("No", "b"), large].concat();
    env.write("events.jsonl", events);
    let done =
        env.run(&["run", "--record", "r.jsonl", "--when-full", "drop", "--report", "json", "events.jsonl"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!env.read("r.jsonl").contains("s3cr3t") && !env.exists("r.jsonl.part"));

    let recording = Recording::read(env.path("r.jsonl")).unwrap();
    assert!(recording.is_whole && recording.lost == 0 && recording.jobs.is_sorted_by_key(|job| job.at));
    let of =
        |hook: &str| -> Vec<_> { recording.jobs.iter().filter(|job| job.hook.as_str() == hook).collect() };
    let ends = |hook: &str| -> Vec<_> { of(hook)[0].runs.iter().map(|run| run.end).collect() };
    let fine = of("fine");
    assert_eq!(fine.iter().map(|job| job.class).collect::<Vec<_>>(), [PriorityClass::High; 3]);
    assert_eq!(fine[0].fate, Fate::Admitted(Some(OutcomeKind::Succeeded)));
    assert_eq!(fine[2].fate, Fate::Refused(Refusal::TooLarge));
    assert_eq!(fine[0].bytes as usize, SECRET.trim_end().len());
    assert!(fine[0].session.is_some() && fine[0].session == fine[1].session && fine[2].session.is_none());
    assert_eq!(of("twice")[0].session, of("hangs")[0].session, "numbers mean the same in all of it");
    assert_eq!(ends("twice"), [RunEnd::Failed, RunEnd::Succeeded]);
    assert_eq!(ends("hangs"), [RunEnd::TimedOut]);
    assert!(of("hangs")[0].runs[0].time.as_millis() >= 10);
    assert_eq!(ends("no"), [RunEnd::SaidNo]);
    assert_eq!(of("off")[0].fate, Fate::Skipped(Skip::HookDisabled));
    assert!(of("lines")[0].batch.is_some() && of("lines")[0].batch == of("lines")[1].batch);

    let simulated = env.run(&["simulate", "r.jsonl", "--report", "json"]);
    assert_eq!((simulated.code, simulated.stderr.as_str()), (Some(0), ""), "{simulated:?}");
    let [real, simulated]: [Value; 2] =
        [done, simulated].map(|done| serde_json::from_str(&done.stdout).unwrap());
    for part in ["submitted", "admitted", "refused", "skipped", "outcomes", "retries", "balanced"] {
        assert_eq!(simulated[part], real[part], "{part}");
    }
    let sweep = env.run(&["simulate", "r.jsonl", "--sweep", "workers=1,8", "--target-p99", "normal=1m"]);
    assert!(sweep.stdout.contains("1 worker is enough"), "{sweep:?}");
}

#[test]
fn a_replay_that_waited_for_room_waits_in_the_simulation_too() {
    let env = TestEnv::with_hooks(
        "queue.capacity = 1\npool = { workers = 1, standby = 0 }\n[hook.a]\non = ['X']\nrun = 'true'\n",
    );
    env.write("events.jsonl", event("X", "s").repeat(30));
    assert_eq!(env.run(&["run", "--record", "r.jsonl", "events.jsonl"]).code, Some(0));
    let done = env.run(&["simulate", "r.jsonl", "--report", "json"]);
    assert!(done.stderr.contains("as fast as the recorded pool could take them"), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["outcomes"]["succeeded"], 30);
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_run() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['X']\nrun = 'echo >> ran'\norder = 'none'\n");
    env.write("events.jsonl", event("X", "s").repeat(20));
    let done = env.run(&["run", "--record", "/dev/full", "events.jsonl"]);
    assert_eq!(done.code, Some(70), "{done:?}");
    assert_eq!(done.stderr.matches("the recording ends here").count(), 1, "{done:?}");
    assert!(done.stderr.contains("cannot write the recording /dev/full: No space left"), "{done:?}");
    assert_eq!(env.lines("ran").len(), 20);
}

#[test]
fn a_file_that_cannot_be_made_is_told_before_anything_runs() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['X']\nrun = 'echo >> ran'\n");
    env.write("events.jsonl", event("X", "s"));
    let done = env.run(&["run", "--record", "no/r.jsonl", "events.jsonl"]);
    assert_eq!((done.code, done.stdout.as_str(), env.exists("ran")), (Some(70), "", false), "{done:?}");
    assert!(done.stderr.contains("cannot write the recording no/r.jsonl: "), "{done:?}");
}

#[test]
fn what_is_no_recording_and_hooks_that_are_missing_are_told() {
    let env = TestEnv::with_hooks("[hook.a]\non = ['X']\nrun = 'true'\n");
    let first = "{\"hookpool_recording\":1}\n";
    let job = |hook| format!("{{\"job\":1,\"at_ns\":1,\"hook\":\"{hook}\",\"class\":\"low\",\"bytes\":1}}\n");
    env.write("other.jsonl", format!("{first}{}", job("b")));
    env.write("bad.jsonl", format!("{first}{}nonsense\n", job("a")));
    env.write("cut.jsonl", format!("{first}{}{{\"job\":1,\"e", job("a")));
    for (file, code, words) in [
        ("other.jsonl", 3, "other.jsonl: error: `hook.b`: the configuration has no hook of that name"),
        ("bad.jsonl", 3, "bad.jsonl:3:1: error: no line of a recording"),
        ("cut.jsonl", 0, "the recording was cut off"),
    ] {
        let done = env.run(&["simulate", file]);
        assert_eq!(done.code, Some(code), "{done:?}");
        assert!(done.stderr.contains(words), "{words} is not in\n{}", done.stderr);
    }
}
