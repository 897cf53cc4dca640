//! The file of dead letters, and its replay.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use crate::env::{TestEnv, until};

const FILE: &str = "[dead_letters]\nfile = 'dead.jsonl'\n";

fn letters(env: &TestEnv) -> Vec<Value> {
    env.lines("dead.jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_way_to_fail_is_a_line_and_success_is_none() {
    let env = TestEnv::with_hooks(&format!(
        "{FILE}[hook.fine]\non = ['X']\nrun = 'true'\n\
         [hook.fails]\non = ['X']\nrun = 'echo why >&2; exit 3'\nretry = {{ attempts = 2, backoff = '0s' }}\n\
         [hook.dies]\non = ['X']\nrun = 'kill -9 $$'\n\
         [hook.hangs]\non = ['X']\nrun = 'exec sleep 100'\ntimeout = '50ms'\ngrace = '0s'\n\
         [hook.missing]\non = ['X']\nrun = ['/no/such/program']\n"
    ));
    env.report(&[], "{\n \"type\": \"X\",\r\n \"n\": 1e99, \"password\": \"Zq\" }");
    let mode = std::fs::metadata(env.path("dead.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut all = letters(&env);
    all.sort_by_key(|letter| letter["dead_letter"]["hook"].as_str().unwrap().to_owned());
    let told: Vec<String> = all
        .iter()
        .map(|letter| &letter["dead_letter"])
        .map(|head| {
            let output = head["output"].as_str().unwrap();
            format!(
                "{} {} {} {} {} {output}",
                head["hook"], head["outcome"], head["exit"], head["signal"], head["attempts"]
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "\"dies\" \"failed\" null 9 1 ",
            "\"fails\" \"failed\" 3 null 2 why",
            "\"hangs\" \"timed_out\" null 15 1 ",
            "\"missing\" \"not_started\" null null 0 ",
        ]
    );
    let text = env.read("dead.jsonl");
    assert!(!text.contains("Zq"));
    assert!(
        text.lines()
            .all(|line| line.ends_with(r#""event":{ "type": "X", "n": 1e99, "password": "[redacted]" }}"#)),
        "{text}"
    );
}

/// What fails again is written to the very file that is read.
#[test]
fn a_replay_ends_though_all_of_it_fails_again() {
    let env = TestEnv::with_hooks(&format!(
        "queue.capacity = 4\n{FILE}[hook.a]\non = ['X']\nrun = ['/no/such/program']\norder = 'none'\n"
    ));
    let events = format!("{{\"type\":\"X\",\"filler\":\"{}\"}}\n", "f".repeat(4000)).repeat(200);
    env.report(&[], &events);
    assert_eq!(letters(&env).len(), 200);
    let report = env.run(&["run", "dead.jsonl", "--report", "json"]).report();
    assert_eq!(report.happened(), "not_started 200");
    assert_eq!(letters(&env).len(), 400);
}

#[test]
fn a_replay_gives_each_event_to_the_hook_that_failed_and_to_no_other() {
    let env = TestEnv::with_hooks(&format!(
        "{FILE}redact = false\n[pool]\nworkers = 1\nstandby = 0\n[hook.one]\non = ['*']\nrun = 'test -e good && cat >> one'\n\
         [hook.two]\non = ['*']\nrun = 'cat >> two'\n"
    ));
    let event = r#"{"type":"X","token":"Zq","a":[1,  2]}"#;
    env.feed(&["run", "-", "--event", "unnamed"], format!("{event}\n{{\"a\":1}}\n"));
    assert_eq!(letters(&env).len(), 2);
    env.write("good", "");
    let torn = format!("{}{{\"dead_letter\":{{\"v\":1,\"hook\":\"on", env.read("dead.jsonl"));
    env.write("again", torn.clone() + "\n");
    let dry = env.run(&["run", "again", "--dry-run"]);
    assert_eq!(dry.stdout, "X (other) -> one (normal)\nunnamed (other) -> one (normal)\n", "{dry:?}");
    env.write("cut", torn);
    let done = env.run(&["run", "cut", "--report", "json"]);
    assert_eq!(done.report().happened(), "succeeded 2", "{done:?}");
    assert_eq!(env.read("one"), format!("{event}{{\"a\":1}}"));
    assert_eq!(env.read("two"), format!("{event}{{\"a\":1}}"), "only the first run gave it anything");
    assert!(done.stderr.contains("cut:3: "), "{done:?}");
    for (letter, says) in [
        (r#"{"dead_letter":{"v":2,"hook":"one"},"event":{"type":"X"}}"#, "this is version 1"),
        (r#"{"dead_letter":{"v":1,"hook":"one"}}"#, "has no event"),
        (r#"{"dead_letter":{"v":1,"hook":"one"},"event":{}}"#, "the event of a dead letter"),
    ] {
        let done = env.feed(&["run", "-"], letter);
        assert!(done.stderr.contains(says), "{done:?}");
    }
    let gone = r#"{"dead_letter":{"v":1,"hook":"gone"},"event":{"type":"X"}}"#;
    assert_eq!(env.report(&[], gone).happened(), "no_match 1");
}

#[test]
fn a_full_disk_is_said_once_and_costs_no_job() {
    let env = TestEnv::with_hooks(&format!("{FILE}[hook.fails]\non = ['X']\nrun = 'exit 1'\n"));
    env.write(
        "e",
        "{\"type\":\"X\",\"blob\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}\n".repeat(30),
    );
    // As full as a disk: files end at one block, and the signal for it is ignored.
    let limited =
        format!("trap '' XFSZ; ulimit -f 2; exec {} run e --report json", env!("CARGO_BIN_EXE_hookpool"));
    let done =
        std::process::Command::new("sh").args(["-c", &limited]).current_dir(env.path("")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["outcomes"]["failed"], &report["balanced"]), (&30.into(), &true.into()));
    assert_eq!(err.matches("dead letters cannot be written").count(), 1, "{err}");
    assert!(err.contains("could not be, and 0 came too fast"), "{err}");
}

/// A verdict of that handler, by the settings of the file.
fn verdict(settings: &str) -> Value {
    let env = TestEnv::with_hooks(&format!(
        "{FILE}{settings}[hook.says]\non = ['X']\nmode = 'lines'\n\
         run = '''read line; id=${{line#*id?:?}}; id=${{id%%'\"'*}}\n\
         echo '{{\"id\":\"'$id'\",\"ok\":false,\"verdict\":{{\"why\":\"no\",\"password\":\"Zq1\",\"n\":1e99}}}}' '''\n"
    ));
    env.report(&[], "{\"type\":\"X\"}");
    letters(&env)[0]["dead_letter"]["verdict"].take()
}

#[test]
fn a_verdict_is_written_without_its_secrets_unless_the_file_is_to_have_them() {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(verdict(""), read(r#"{"why":"no","password":"[redacted]","n":1e99}"#));
    assert_eq!(verdict("redact = false\n"), read(r#"{"why":"no","password":"Zq1","n":1e99}"#));
}

/// Whoever holds the lock of the file holds the writing thread up, and nobody else.
#[test]
fn what_comes_too_fast_for_the_file_is_counted_and_said() {
    let env = TestEnv::with_hooks(&format!("{FILE}[hook.missing]\non = ['X']\nrun = ['/no/such/program']\n"));
    env.write("e", "{\"type\":\"X\"}\n".repeat(4000));
    let held = std::fs::File::create(env.path("dead.jsonl")).unwrap();
    held.lock().unwrap();
    let live = env.spawn(&["run", "e", "--report", "json"]);
    live.wait_for_stderr("dead letters come faster than they can be written");
    held.unlock().unwrap();
    let done = live.finish();
    let report = done.report();
    assert_eq!(report.happened(), "not_started 4000", "{done:?}");
    let written = letters(&env).len();
    assert!((1023..4000).contains(&written), "{written}");
    let says =
        format!("{written} dead letters were written; 0 could not be, and {} came too fast", 4000 - written);
    assert!(done.stderr.contains(&says), "{says}: {}", done.stderr);
}

#[test]
fn a_killed_run_leaves_every_line_that_it_has_written_and_another_run_goes_on_behind() {
    let env = TestEnv::with_hooks(&format!("{FILE}[hook.fails]\non = ['X']\nrun = 'exit 1'\n"));
    let mut live = env.spawn(&["run", "-"]);
    live.send("{\"type\":\"X\"}\n".repeat(20));
    until("twenty lines", || env.lines("dead.jsonl").len() == 20);
    live.signal(Signal::KILL);
    live.finish();
    assert_eq!(letters(&env).len(), 20);
    // In the middle of it: whatever is there is whole, but for the last line.
    let mut live = env.spawn(&["run", "-"]);
    live.send("{\"type\":\"X\"}\n".repeat(300));
    until("more lines", || env.lines("dead.jsonl").len() > 50);
    live.signal(Signal::KILL);
    live.finish();
    let text = env.read("dead.jsonl");
    let (whole, torn) = text.rsplit_once('\n').unwrap();
    assert!(whole.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    // A line that was cut off, as a full disk leaves it.
    env.write("dead.jsonl", format!("{whole}\n{torn}{{\"dead_letter\":{{\"v\":1,\"ho"));
    let before = whole.lines().count();
    env.report(&[], "{\"type\":\"X\"}");
    let lines = env.lines("dead.jsonl");
    assert_eq!(lines.len(), before + 2);
    assert!(serde_json::from_str::<Value>(&lines[before + 1]).is_ok(), "{lines:?}");
    env.write("copy", env.read("dead.jsonl"));
    let done = env.run(&["run", "copy", "--report", "json"]);
    assert_eq!(done.report().happened(), format!("failed {}", before + 1));
    assert!(done.stderr.contains(&format!("copy:{}: ", before + 1)), "{done:?}");
}

#[test]
fn two_programs_at_once_share_a_file_line_by_line() {
    let env = TestEnv::with_hooks(&format!(
        "{FILE}max_bytes = '4kB'\nkeep = 100\n[hook.fails]\non = ['X']\nrun = 'exit 1'\n"
    ));
    env.write("e", "{\"type\":\"X\"}\n".repeat(40));
    let runs = [env.spawn(&["run", "e"]), env.spawn(&["run", "e"])];
    for run in runs {
        assert_eq!(run.finish().code, Some(0));
    }
    let files = std::fs::read_dir(env.path("")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.to_str().unwrap().contains("dead.jsonl")).collect();
    let texts: Vec<String> = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.iter().all(|text| text.len() <= 4096) && files.len() > 2, "{files:?}");
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    assert_eq!(lines.len(), 80);
    assert!(lines.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}
