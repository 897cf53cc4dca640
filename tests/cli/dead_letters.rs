//! The file of dead letters, and its replay.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::env::TestEnv;

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
