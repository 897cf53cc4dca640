//! `hookpool check`: what it finds, how it shows it, and how it ends.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::env::{Done, TestEnv};

const GOOD: &str = "[hook.a]\non = ['stop']\nrun = 'true'\n";

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// Checks a text as `hooks.toml`, beside a file that is no program.
fn check(toml: &str, args: &[&str]) -> Done {
    let env = TestEnv::new();
    env.write("hooks.toml", toml);
    env.write("beside.sh", "");
    let mut done = env.run(&[&["check"], args].concat());
    done.stdout = done.stdout.replace(env.path("").to_str().unwrap(), "@/");
    done
}

/// One file for each thing that can be found, with what is said of it beside it. For a new one, or a changed text, the
/// test writes what it got to the target folder.
#[test]
fn each_mistake_is_shown_like_this() {
    let mut wrong = Vec::new();
    let all = fixtures();
    assert!(all.len() > 30);
    for file in all {
        let done = check(&std::fs::read_to_string(&file).unwrap(), &[]);
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert_eq!(done.stderr, "", "{name}");
        let errors = done.stdout.contains(": error: ");
        assert_eq!(done.code, Some(if errors { 3 } else { 0 }), "{name}: {done:?}");
        if std::fs::read_to_string(file.with_extension("txt")).unwrap_or_default() != done.stdout {
            let new = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(format!("{name}.txt"));
            std::fs::write(&new, &done.stdout).unwrap();
            wrong.push(new.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "not as in tests/fixtures/check:\n{}", wrong.join("\n"));
}

#[test]
fn the_list_for_editors_has_the_same_problems() {
    for file in fixtures() {
        let toml = std::fs::read_to_string(&file).unwrap();
        let (text, json) = (check(&toml, &[]), check(&toml, &["--report", "json"]));
        assert_eq!(text.code, json.code, "{}", file.display());
        let list: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
        for problem in &list {
            let place = format!("hooks.toml:{}:{}: ", problem["line"], problem["column"]);
            let severity = problem["severity"].as_str().unwrap();
            let head = format!("{place}{severity}: {}", problem["message"].as_str().unwrap());
            assert!(text.stdout.contains(&head), "{head} is missing in\n{}", text.stdout);
        }
        assert_eq!(
            list.len(),
            text.stdout.matches("\n    | ").count() + text.stdout.matches("\n     | ").count()
        );
    }
}

#[test]
fn the_list_has_every_member_and_null_where_there_is_nothing() {
    let env =
        TestEnv::new().variable("HOOKPOOL_POOL__WORKERS", "abc").variable("HOOKPOOL_POOL__STANDBI", "1");
    env.write("hooks.toml", "[queue]\ncapacity = 0\n");
    let done = env.run(&["check", "--report", "json"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(3), ""));
    let list: Value = serde_json::from_str(&done.stdout).unwrap();
    let expected = json!([
        {
            "file": "hooks.toml", "line": 2, "column": 12, "key": "queue.capacity", "severity": "error",
            "message": "`queue.capacity` must be a whole number from 1 to 1000000, not 0",
            "hint": null, "variable": null,
        },
        {
            "file": null, "line": null, "column": null, "key": null, "severity": "error",
            "message": "HOOKPOOL_POOL__STANDBI=1: unknown variable `HOOKPOOL_POOL__STANDBI`",
            "hint": "did you mean `HOOKPOOL_POOL__STANDBY`?", "variable": "HOOKPOOL_POOL__STANDBI",
        },
        {
            "file": null, "line": null, "column": null, "key": "pool.workers", "severity": "error",
            "message": "HOOKPOOL_POOL__WORKERS=abc: `pool.workers` must be a whole number from 1 to 256, or \"auto\", not \"abc\"",
            "hint": null, "variable": "HOOKPOOL_POOL__WORKERS",
        },
    ]);
    assert_eq!(list, expected);
    let text = env.run(&["check"]).stdout;
    assert!(
        text.ends_with("\nhooks.toml, HOOKPOOL_POOL__STANDBI, HOOKPOOL_POOL__WORKERS: 3 errors\n"),
        "{text}"
    );
}

#[test]
fn a_named_file_stands_in_for_the_project_s_and_the_user_s_counts_too() {
    let env = TestEnv::new();
    env.write("home/.config/hookpool/hooks.toml", "[hook.mine]\non = ['stop']\nrun = 'true'\n");
    env.write("hooks.toml", "[pool]\nworkers = 0\n");
    env.write("other.toml", GOOD);
    let done = env.run(&["check", "other.toml"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let user = env.path("home/.config/hookpool/hooks.toml");
    assert_eq!(done.stdout, format!("no problems: 2 hooks from {} and other.toml\n", user.display()));
    assert_eq!(env.run(&["check"]).code, Some(3));
    let done = env.run(&["check", "no-such.toml"]);
    assert_eq!(done.code, Some(3));
    assert!(done.stdout.starts_with("no-such.toml: error: the file cannot be read: "), "{done:?}");
    assert!(done.stdout.ends_with("\nno-such.toml: 1 error\n"), "{done:?}");
}

#[test]
fn it_is_said_that_there_is_no_file() {
    let env = TestEnv::new();
    let user = env.path("home/.config/hookpool/hooks.toml");
    let words = format!(
        "there is no configuration file (looked for {}, hooks.toml, config/hooks.toml)\n",
        user.display()
    );
    let done = env.run(&["check"]);
    assert_eq!((done.code, done.stdout), (Some(0), format!("no problems: {words}")));
    let done = env.run(&["check", "--report", "json"]);
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr),
        (Some(0), "[]\n", format!("hookpool: {words}"))
    );
}

#[test]
fn colours_are_for_those_who_want_them_and_change_no_word() {
    let bad = "[pool]\nworkers = 0\n[hook.a]\non = ['stop']\nrun = ['./missing']\n";
    let plain = TestEnv::new().variable("NO_COLOR", "1");
    let coloured = TestEnv::new().variable("CLICOLOR_FORCE", "1");
    let [plain, coloured] = [plain, coloured].map(|env| {
        env.write("hooks.toml", bad);
        env.run(&["check"]).stdout.replace(env.path("").to_str().unwrap(), "@/")
    });
    assert!(coloured.contains("\u{1b}[1m\u{1b}[31merror\u{1b}[0m") && !plain.contains('\u{1b}'));
    let mut words = coloured;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[33m"] {
        words = words.replace(code, "");
    }
    assert_eq!(words, plain);
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let env = TestEnv::new();
    for args in [&["check", "--report", "xml"][..], &["check", "a", "b"], &["check", "--no-such"]] {
        let done = env.run(args);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
}

#[test]
fn nothing_is_run() {
    let env = TestEnv::new();
    env.write(
        "hooks.toml",
        "[hook.a]\non = ['*']\nrun = 'touch ran'\n[hook.b]\non = ['*']\nrun = ['touch', 'ran']\n",
    );
    assert_eq!(env.run(&["check"]).code, Some(0));
    assert!(!env.exists("ran"));
}

/// However many warnings there are, an error behind them is found, and so nothing of the file is used.
#[test]
fn warnings_do_not_hide_an_error() {
    let env = TestEnv::new();
    let idle = (0..1200)
        .fold(String::new(), |text, n| text + &format!("[hook.h{n}]\non = ['deploy']\nrun = 'true'\n"));
    env.write("hooks.toml", idle + "[hook.last]\non = ['stop']\nrun = 5\n");
    let done = env.run(&["check"]);
    assert_eq!(done.code, Some(3));
    assert!(done.stdout.ends_with("\nhooks.toml: 1 error, 1000 warnings\n"));
    env.write("e", "{\"type\":\"Stop\"}\n");
    assert_eq!(env.run(&["run", "e"]).code, Some(3));
}
