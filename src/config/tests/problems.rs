//! What is wrong is found, all of it, and at its place.

use proptest::prelude::*;

use super::{load, load_with, problems_of, texts};
use crate::config::file::MAX_FILE_BYTES;
use crate::config::{ConfigLoader, Origin, Severity};

#[test]
fn every_mistake_of_a_file_is_reported_at_its_place() {
    let text = "\
perfomance_mode = true
[pool]
workers = 0
standby = \"one\"
[queue]
on_full = \"drop_old\"
max_wait = \"soon\"
max_bytes = \"64 MBytes\"
[class.urgent]
seats = 1
[hook.Audit]
on = [\"stop\"]
[hook.a]
on = [\"stop\", 5]
run = []
[hook.b]
run = \"true\"
";
    let problems = problems_of(load(text));
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line().unwrap(), problem.column().unwrap(), problem.key.as_str()))
        .collect();
    let expected = [
        (1, 1, "perfomance_mode"),
        (3, 11, "pool.workers"),
        (4, 11, "pool.standby"),
        (6, 11, "queue.on_full"),
        (7, 12, "queue.max_wait"),
        (8, 13, "queue.max_bytes"),
        (9, 8, "class.urgent"),
        (11, 7, "hook.Audit"),
        (14, 15, "hook.a.on"),
        (15, 7, "hook.a.run"),
        (16, 7, "hook.b.on"),
    ];
    assert_eq!(found, expected, "{:#?}", texts(&problems));
}

#[test]
fn a_problem_shows_its_line_and_what_would_be_right() {
    let problems = problems_of(load("# ä\n[queue]\non_full = \"displac\"\n"));
    let expected = "\
hooks.toml:3:11: error: `queue.on_full` must be \"drop_new\" or \"displace\", not \"displac\"
  3 | on_full = \"displac\"
    |           ^
  hint: did you mean \"displace\"?";
    assert_eq!(texts(&problems), [expected]);
}

#[cfg(not(feature = "http"))]
#[test]
fn a_url_without_its_feature_is_an_error_that_says_so() {
    let error = load("hook.a = { on = ['stop'], url = 'http://a/' }").unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert_eq!(error.problems[0].message, "`hook.a.url` is not supported by this build");
    assert_eq!(error.problems[0].hint.as_deref(), Some("hookpool with the feature `http` has it"));
}

/// One line each: the text, the key of the only problem, and a part of what it says.
#[test]
fn bad_values_say_what_is_allowed() {
    for (text, key, part) in [
        ("performance_mode = 'yes'", "performance_mode", "true or false, not the text \"yes\""),
        ("performance_mode = 1", "performance_mode", "not the number 1"),
        ("pool = 4", "pool", "must be a table, not the number 4"),
        ("pool.workers = '4.5'", "pool.workers", "or \"auto\", not \"4.5\""),
        ("pool.workers = 257", "pool.workers", "from 1 to 256"),
        ("pool.workers = 99999999999999999999", "pool.workers", "not 99999999999999999999"),
        ("pool.workers = true", "pool.workers", "not true"),
        ("pool.workers = 1979-05-27", "pool.workers", "not a date or time"),
        ("pool.standby_for = 'urgent'", "pool.standby_for", "\"critical\", \"high\", \"normal\" or \"low\""),
        ("queue.capacity = 1000001", "queue.capacity", "from 1 to 1000000"),
        ("queue.capacity = '5'", "queue.capacity", "not the text \"5\""),
        ("queue.capacity = 5.0", "queue.capacity", "not the number 5.0"),
        ("queue.warn_at = 1.5", "queue.warn_at", "above 0 and at most 1"),
        ("queue.warn_at = nan", "queue.warn_at", "above 0 and at most 1"),
        ("queue.warn_at = 0", "queue.warn_at", "above 0 and at most 1"),
        ("queue.max_wait = 0", "queue.max_wait", "above 0 and at most 30 days, or \"off\""),
        ("queue.max_wait = nan", "queue.max_wait", "not nan"),
        ("queue.max_wait = -inf", "queue.max_wait", "a duration"),
        ("queue.max_wait = -1", "queue.max_wait", "not -1"),
        ("queue.max_wait = ''", "queue.max_wait", "not empty"),
        ("queue.max_bytes = 0", "queue.max_bytes", "from 1 bytes"),
        ("queue.max_bytes = 1.5", "queue.max_bytes", "not the number 1.5"),
        ("scheduler.bypass = 'on'", "scheduler.bypass", "a table, or \"off\", not \"on\""),
        ("scheduler.bypass.critical = 1", "scheduler.bypass.critical", "unknown key"),
        ("scheduler.bypass.high = 0", "scheduler.bypass.high", "from 1"),
        ("kinds.PreToolUse = true", "kinds.PreToolUse", "unknown key"),
        ("priority.stop = 'top'", "priority.stop", "\"critical\""),
        ("defaults.timeout = '0s'", "defaults.timeout", "above 0"),
        ("hook = []", "hook", "must be a table, not a list"),
        ("hook.a = 1", "hook.a", "must be a table"),
        ("hook.a__b = {}", "hook.a__b", "is no hook name"),
        ("hook.\"a\\u0007\" = {}", "hook.\"a\\u{7}\"", "`a\\u{7}` is no hook name"),
        ("hook.\"\" = {}", "hook.\"\"", "is no hook name"),
        ("hook.a = { on = ['stop'], run = ' ' }", "hook.a.run", "neither empty"),
        ("hook.a = { on = ['stop'], run = [''] }", "hook.a.run", "whose program is empty"),
        ("hook.a = { on = ['stop'], run = \"a\\u0000\" }", "hook.a.run", "a string for the shell"),
        ("hook.a = { on = ['stop'], run = ['x', \"a\\u0000\"] }", "hook.a.run", "NUL"),
        ("hook.a = { on = ['stop'], run = {} }", "hook.a.run", "not a table"),
        ("hook.a = { on = [], run = 'x' }", "hook.a.on", "an empty list"),
        ("hook.a = { on = [''], run = 'x' }", "hook.a.on.0", ""),
        ("hook.a = { on = ['stop'], run = 'x', match = { tol = 'B' } }", "hook.a.match.tol", "unknown key"),
        ("hook.a = { on = ['stop'], run = 'x', where = { a.b = 1 } }", "hook.a.where.a", "not a table"),
        ("hook.a = { on = ['stop'], run = 'x', where = { a = inf } }", "hook.a.where.a", "text, a number"),
        ("hook.a = { on = ['stop'], run = 'x', env = { 'A=B' = '' } }", "hook.a.env.\"A=B\"", "without `=`"),
        ("hook.a = { on = ['stop'], run = 'x', env = { A = 1 } }", "hook.a.env.A", "must be text"),
        ("hook.a = { on = ['stop'], run = 'x', cwd = '' }", "hook.a.cwd", "not empty"),
        ("hook.a = { on = ['stop'], run = ['${nope}'] }", "hook.a.run.0", "`${nope}` stands for nothing"),
        ("hook.a = { on = ['stop'], run = 'x ${env:NOPE}' }", "hook.a.run", "the variable `NOPE` is not set"),
        ("hook.a = { on = ['stop'], run = ['${env:EMPTY}'] }", "hook.a.run", "the program of"),
        ("hook.a = { on = ['stop'] }", "hook.a.run", "hook `a` has no `run`"),
        ("hook.a = { run = 'x' }", "hook.a.on", "hook `a` has no `on`"),
        (
            "hook.a = { on = ['stop'], url = 'ftp://x' }",
            "hook.a.url",
            "must begin with `http://` or `https://`",
        ),
        ("hook.a = { on = ['stop'], url = 'http://u:p@x' }", "hook.a.url", "user and password"),
        ("hook.a = { on = ['stop'], url = '${env:NOPE}' }", "hook.a.url", "the variable `NOPE` is not set"),
        ("hook.a = { on = ['stop'], run = 'x', url = 'http://x' }", "hook.a.url", "has both `run` and `url`"),
        (
            "hook.a = { on = ['stop'], url = 'http://x', mode = 'resident' }",
            "hook.a.mode",
            "must not be \"resident\"",
        ),
        (
            "hook.a = { on = ['stop'], url = 'http://x', headers = { 'A B' = '' } }",
            "hook.a.headers.\"A B\"",
            "no name of a header",
        ),
        (
            "hook.a = { on = ['stop'], url = 'http://x', headers = { A = \"b\\nc\" } }",
            "hook.a.headers.A",
            "one line of plain ASCII",
        ),
        (
            "hook.a = { on = ['stop'], url = 'http://x', headers = { A = '${env:NOPE}' } }",
            "hook.a.headers.A",
            "is not set",
        ),
        (
            "hook.a = { on = ['stop'], url = 'http://x', headers = { Host = 'b' } }",
            "hook.a.headers.Host",
            "cannot be set",
        ),
        (
            "hook.a = { on = ['stop'], url = 'http://x', headers = { a = '', A = '' } }",
            "hook.a.headers.a",
            "is there twice",
        ),
        (
            "hook.a = { on = ['stop'], run = 'x', mode = 'resident', window = 0 }",
            "hook.a.window",
            "from 1 to 1024",
        ),
        ("hook.a = { on = ['stop'], run = 'x', mode = 'many' }", "hook.a.mode", "\"lines\" or \"resident\""),
        ("class.low = { guarantee = 2000 }", "class.low.guarantee", "2000 is above 1000 (built-in default)"),
        ("class.low = { guarantee = 9, ceiling = 5 }", "class.low.ceiling", "which is 9 (hooks.toml:1:27)"),
        ("queue = { max_bytes = 10, max_event_bytes = 20 }", "queue.max_event_bytes", "not be above"),
        ("timeout = 5", "timeout", "unknown key"),
    ] {
        if text.contains("url = ") && cfg!(not(feature = "http")) {
            continue;
        }
        let problems = problems_of(load_with(text, &[("EMPTY", "")]));
        assert_eq!(problems.len(), 1, "{text}: {:#?}", texts(&problems));
        let problem = &problems[0];
        assert_eq!(problem.severity, Severity::Error, "{text}");
        assert_eq!(problem.key, key, "{text}");
        assert!(problem.message.contains(part), "{text}: {}", problem.message);
        assert_eq!(problem.line(), Some(1), "{text}");
    }
}

#[test]
fn unknown_keys_come_with_a_hint() {
    for (text, hint) in [
        ("[pool]\nwoker = 1", "did you mean `workers`?"),
        ("[hook.a]\non = ['stop']\nrun = 'x'\ntimout = 1", "did you mean `timeout`?"),
        ("[pol]", "did you mean `pool`?"),
        ("[class.urgent]", "known here: critical, high, low, normal"),
        ("timeout = 1", "the key exists as `defaults.timeout`, `hook.NAME.timeout`"),
        ("[kinds]\npretool = false", "did you mean `pre_tool`?"),
    ] {
        let problems = problems_of(load(text));
        assert_eq!(problems[0].hint.as_deref(), Some(hint), "{text}");
    }
}

#[test]
fn a_refused_value_is_not_complained_about_twice() {
    for text in [
        "[queue]\ncapacity = 'x'\n[class.low]\nguarantee = 2000",
        "[class.low]\nguarantee = 'x'\nceiling = 1\n[class.high]\nguarantee = 2000",
        "[hook.a]\non = 5\nrun = 'x'",
        "[hook.a]\non = ['stop']\nrun = 5",
    ] {
        assert_eq!(problems_of(load(text)).len(), 1, "{text}");
    }
}

#[test]
fn keys_without_effect_are_told_once_each_and_do_no_harm() {
    let text = "
        [hook.a]
        on = ['stop']
        run = 'true'
        batch = { size = 50, linger = '200ms', key = 'field:a.b' }
        on_batch_failure = 'split'
        instances = 2
        idle_timeout = '1m'
        max_events = 10
        max_age = 'off'
        window = 1
        retry = { attempts = 3, backoff = '1s', on = ['failed'] }
        [hook.a.breaker]
        failures = 3
        rate = 0.5
    ";
    let loaded = load(text).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.message.as_str()).collect();
    let resident = ["instances", "idle_timeout", "max_events", "max_age", "window"];
    let mut expected: Vec<_> = resident
        .map(|key| format!("`hook.a.{key}` has no effect: only a handler with `mode = \"resident\"` has it"))
        .to_vec();
    let at_a_time = ["batch", "on_batch_failure"];
    expected.extend(
        at_a_time
            .map(|key| format!("`hook.a.{key}` has no effect: the hook's handler gets one event at a time")),
    );
    assert_eq!(warnings, expected);
    assert!(loaded.warnings.iter().all(|warning| warning.severity == Severity::Warning));
    for bad in [
        "retry = { attempts = 0 }",
        "retry = { on = ['never'] }",
        "batch = { key = 'field:' }",
        "batch = { key = 'field:a..b' }",
        "limits = { cpu = 0 }",
    ] {
        let text = format!("[hook.a]\non = ['stop']\nrun = 'true'\n{bad}");
        assert_eq!(problems_of(load(&text)).len(), 1, "{bad}");
    }
}

/// The first example that a user reads.
#[test]
fn the_documented_example_loads_without_a_word() {
    let text = r#"
performance_mode = false
[pool]
workers = 4
standby = 1
[queue]
capacity = 1000
on_full = "drop_new"
max_wait = "30s"
warn_at = 0.8
[defaults]
timeout = "2s"
grace = "500ms"
priority = "normal"
[kinds]
pre_tool = true
delegation = true
[priority]
delegation = "high"
[batching]
enabled = false
size = 10
linger = "100ms"
[hook.audit]
on = ["pre_tool", "post_tool"]
match = { tool = "Bash|Edit" }
run = ["python3", "audit.py"]
mode = "lines"
priority = "low"
batch = { size = 50, linger = "200ms" }
[hook.delegation_tracker]
on = ["delegation"]
run = ["./track-delegation"]
priority = "high"
timeout = "5s"
"#;
    let loaded = load(text).unwrap();
    assert!(loaded.warnings.is_empty() && loaded.config.hooks.len() == 2);
}

#[test]
fn a_file_that_is_no_toml_has_one_problem_at_its_place() {
    let problems = problems_of(load_with("[pool]\nworkers = = 3\n", &[("HOOKPOOL_HOOK__A__TIMEOUT", "1s")]));
    assert_eq!(problems.len(), 1, "{:#?}", texts(&problems));
    assert_eq!((problems[0].line(), problems[0].column()), (Some(2), Some(11)));
    assert!(problems[0].message.starts_with("no valid TOML: "));
    let problems = problems_of(load("a = 1\na = 2\n"));
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].line(), Some(2));
}

#[test]
fn a_file_is_utf8_and_not_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hooks.toml");
    std::fs::write(&path, b"# fine\nx = '\xff'\n").unwrap();
    let problems = problems_of(ConfigLoader::new().file(&path).load());
    assert_eq!(problems[0].message, "the file is not UTF-8 text");
    assert_eq!((problems[0].line(), problems[0].column()), (Some(2), Some(6)));
    let large = "#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap());
    assert!(load(&large).is_ok());
    let problems = problems_of(load(&(large + "#")));
    assert_eq!(texts(&problems), ["hooks.toml: error: the file is larger than 4 MB"]);
}

#[test]
fn hostile_files_give_an_answer_in_bounded_work() {
    let deep = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(problems_of(load(&deep)).len(), 1);
    let many: String = (0..50_000).fold(String::new(), |text, n| text + "k" + &n.to_string() + " = 1\n");
    assert_eq!(problems_of(load(&many)).len(), 1000);
    let long_line = format!("pool = {{ {} = 1 }}", "x".repeat(1_000_000));
    let problems = problems_of(load(&long_line));
    assert!(problems[0].to_string().len() < 1000);
    let controls = "pool.\"\\u001b[31m\" = 1";
    assert!(!problems_of(load(controls))[0].to_string().contains('\u{1b}'));
}

#[test]
fn cross_checks_point_at_the_variable_that_has_to_change() {
    let text = "[class.low]\nguarantee = 600\n[class.high]\nguarantee = 500";
    let problems = problems_of(load_with(text, &[("HOOKPOOL_CLASS__NORMAL__GUARANTEE", "900")]));
    assert_eq!(problems.len(), 1);
    let expected = Origin::Variable { name: "HOOKPOOL_CLASS__NORMAL__GUARANTEE".into(), value: "900".into() };
    assert_eq!(problems[0].origin, expected);
}

proptest! {
    #[test]
    fn no_text_of_a_file_panics(text in "\\PC*|(\\[?[a-z_.\"]{1,12}\\]?( = (-?[0-9.e]{1,9}|\"[^\"]*\"|\\[|\\{[a-z =]*\\}))?\n){0,6}") {
        let _ = problems_of(load(&text)).iter().map(ToString::to_string).count();
    }

    #[test]
    fn no_value_of_a_setting_panics(
        key in proptest::sample::select(crate::config::registry::settings().map(|s| s.path).collect::<Vec<_>>()),
        value in "[^\0]*|-?[0-9]{1,30}(\\.[0-9]{0,12})?(e[0-9]{1,4}|ms|MB|s)?|\\[[^\0]{0,9}\\]|\\{[^\0]{0,9}\\}",
    ) {
        let key = key.replace("NAME", "audit").replace("CLASS", "low").replace("KIND", "stop");
        let name = format!("HOOKPOOL_{}", key.replace('.', "__"));
        let hook = "[hook.audit]\non = ['stop']\nrun = 'true'\n";
        let _ = texts(&problems_of(load_with(hook, &[(&name, &value)])));
        let toml = format!("{key} = {value}");
        let _ = texts(&problems_of(load(&toml)));
    }

    #[test]
    fn no_name_of_a_variable_panics(name in "HOOKPOOL_(HOOK__|POOL__|[A-Z]{1,5})?\\PC{0,12}", value in "[^\0]{0,8}") {
        let _ = texts(&problems_of(load_with("", &[(&name, &value)])));
    }
}
