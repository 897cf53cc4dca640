//! Variables: their meaning, their odd values, their names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::{environment, load_with, problems_of, texts};
use crate::config::{Config, ConfigLoader, Severity};
use crate::{CommandLine, HandlerSpec, KindSet};

const HOOKS: &str = "[hook.audit]\non = ['stop']\nrun = 'true'\n[hook.ends_]\non = ['stop']\nrun = 'true'\n";

fn with(name: &str, value: &str) -> Config {
    let loaded = load_with(HOOKS, &[(name, value)]);
    loaded.unwrap_or_else(|error| panic!("{name}={value}: {error}")).config
}

fn refused(name: &str, value: &str) -> String {
    let error = load_with(HOOKS, &[(name, value)]).expect_err(&format!("{name}={value} is accepted"));
    assert_eq!(error.problems.len(), 1, "{error}");
    error.to_string()
}

#[test]
fn every_older_switch_takes_every_spelling_of_yes_and_no() {
    fn kind(name: &str) -> impl Fn(&Config) -> bool {
        let kind = KindSet::from_name(name).unwrap();
        move |config| config.kinds.intersects(kind)
    }
    type Switch = (&'static str, Box<dyn Fn(&Config) -> bool>);
    let switches: [Switch; 7] = [
        ("CLAUDE_MPM_PERFORMANCE_MODE", Box::new(|config| config.performance_mode)),
        ("CLAUDE_MPM_HOOKS_PRE_TOOL", Box::new(kind("pre_tool"))),
        ("CLAUDE_MPM_HOOKS_POST_TOOL", Box::new(kind("post_tool"))),
        ("CLAUDE_MPM_HOOKS_USER_PROMPT", Box::new(kind("user_prompt"))),
        ("CLAUDE_MPM_HOOKS_DELEGATION", Box::new(kind("delegation"))),
        ("CLAUDE_MPM_HOOK_BATCHING", Box::new(|config| config.batching.enabled)),
        ("CLAUDE_MPM_HOOK_DEBUG", Box::new(|config| config.debug)),
    ];
    for (name, value_of) in switches {
        for value in ["true", "TRUE", "True", "1", "yes", "on", "ON", " true ", "on\n"] {
            assert!(value_of(&with(name, value)), "{name}={value:?}");
        }
        for value in ["false", "FALSE", "0", "no", "off", "\toff "] {
            assert!(!value_of(&with(name, value)), "{name}={value:?}");
        }
        for value in ["", " ", "2", "abc", "truefalse", "-1", "nan", "ja"] {
            let text = refused(name, value);
            assert!(text.starts_with(&format!("{name}=")), "{text}");
            assert!(text.contains("must be true or false, not "), "{text}");
        }
    }
}

#[test]
fn the_older_queue_size_is_a_whole_number_in_range() {
    let name = "CLAUDE_MPM_HOOK_QUEUE_SIZE";
    for (value, capacity) in
        [("500", 500), (" 500 ", 500), ("1", 1), ("1000000", 1_000_000), ("1_000", 1000), ("007", 7)]
    {
        assert_eq!(with(name, value).queue.capacity, capacity, "{value}");
    }
    for value in [
        "",
        "abc",
        "-5",
        "0",
        "2.5",
        "1e3",
        "nan",
        "inf",
        "1000001",
        "99999999999999999999999",
        "1e400",
        "0x10",
    ] {
        let text = refused(name, value);
        assert!(
            text.starts_with(&format!(
                "{name}={value}: error: `queue.capacity` must be a whole number from 1"
            )),
            "{text}"
        );
    }
}

#[test]
fn the_older_timeout_counts_seconds() {
    let name = "CLAUDE_MPM_HOOK_BG_TIMEOUT";
    for (value, millis) in [("2.0", 2000), ("5", 5000), ("0.25", 250), ("5s", 5000), ("100ms", 100)] {
        assert_eq!(with(name, value).hooks[0].timeout, Duration::from_millis(millis), "{value}");
    }
    for value in ["", "abc", "-1", "-5", "0", "0.0", "nan", "inf", "1e400", "1e3", "31d"] {
        let text = refused(name, value);
        assert!(
            text.starts_with(&format!("{name}={value}: error: `defaults.timeout` must be a duration")),
            "{text}"
        );
    }
}

#[test]
fn the_older_batch_settings_have_their_units() {
    assert_eq!(with("CLAUDE_MPM_HOOK_BATCH_SIZE", "25").batching.size, 25);
    assert_eq!(with("CLAUDE_MPM_HOOK_BATCH_TIMEOUT_MS", "250").batching.linger, Duration::from_millis(250));
    assert_eq!(with("CLAUDE_MPM_HOOK_BATCH_TIMEOUT_MS", "1s").batching.linger, Duration::from_secs(1));
    assert_eq!(with("CLAUDE_MPM_HOOK_BATCH_TIMEOUT_MS", "0").batching.linger, Duration::ZERO);
    refused("CLAUDE_MPM_HOOK_BATCH_SIZE", "0");
    for value in ["", "abc", "-5", "nan", "1e400"] {
        refused("CLAUDE_MPM_HOOK_BATCH_SIZE", value);
        refused("CLAUDE_MPM_HOOK_BATCH_TIMEOUT_MS", value);
    }
    let loaded = load_with(HOOKS, &[("CLAUDE_MPM_HOOK_BATCHING", "true")]).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].severity, Severity::Warning);
    assert!(load_with(HOOKS, &[("CLAUDE_MPM_HOOK_BATCHING", "false")]).unwrap().warnings.is_empty());
}

#[test]
fn any_key_can_be_a_variable() {
    assert_eq!(with("HOOKPOOL_POOL__WORKERS", "8").pool.workers, 8);
    assert_eq!(with("HOOKPOOL_pool__Workers", "8").pool.workers, 8);
    assert!(with("HOOKPOOL_PERFORMANCE_MODE", "on").performance_mode);
    assert_eq!(with("HOOKPOOL_QUEUE__MAX_BYTES", "32MB").queue.max_bytes, 32_000_000);
    assert_eq!(with("HOOKPOOL_SCHEDULER__BYPASS", "off").scheduler.bypass, None);
    let bypass = with("HOOKPOOL_SCHEDULER__BYPASS", "{ low = 9 }").scheduler.bypass.unwrap();
    assert_eq!(bypass[crate::PriorityClass::Low], 9);
    assert_eq!(with("HOOKPOOL_CLASS__LOW__SEATS", "2").classes[crate::PriorityClass::Low].seats, 2);
    assert!(
        !with("HOOKPOOL_KINDS__PRE_TOOL", "no").kinds.intersects(KindSet::from_name("pre_tool").unwrap())
    );
}

#[test]
fn a_variable_reaches_into_a_hook_of_a_file() {
    let hook = |name: &str, value: &str| with(name, value).hooks[0].clone();
    assert_eq!(hook("HOOKPOOL_HOOK__AUDIT__TIMEOUT", "5s").timeout, Duration::from_secs(5));
    assert_eq!(hook("HOOKPOOL_HOOK__AUDIT__ON", "['stop', 'pre_tool']").selector.kinds.members().count(), 2);
    let line = |value: &str| {
        let HandlerSpec::Command(command) = &hook("HOOKPOOL_HOOK__AUDIT__RUN", value).handler else {
            panic!("it has a command")
        };
        command.line.clone()
    };
    assert_eq!(line("echo 1"), CommandLine::Shell("echo 1".into()));
    assert_eq!(line("007"), CommandLine::Shell("007".into()));
    assert_eq!(line("['a', 'b']"), CommandLine::Exec { program: "a".into(), args: vec!["b".into()] });
    for (name, value) in
        [("HOOKPOOL_HOOK__AUDIT__ENV", "{ My_Var = 'x' }"), ("HOOKPOOL_HOOK__AUDIT__ENV__My_Var", "x")]
    {
        let HandlerSpec::Command(command) = &hook(name, value).handler else { panic!("it has a command") };
        assert_eq!(command.env.get(&OsString::from("My_Var")), Some(&"x".into()), "{name}");
    }
    let config = with("HOOKPOOL_HOOK__ENDS___TIMEOUT", "7s");
    assert_eq!(config.hooks[1].timeout, Duration::from_secs(7), "a name may end in an underscore");
}

#[test]
fn a_hook_in_no_file_cannot_be_overridden() {
    let text = refused("HOOKPOOL_HOOK__AUDITS__TIMEOUT", "5s");
    assert!(text.contains("no file defines a hook `audits`"), "{text}");
    assert!(text.contains("did you mean the hook `audit`?"), "{text}");
    assert!(refused("HOOKPOOL_HOOK__ZZZ__TIMEOUT", "5s").contains("hooks that files define: audit, ends_"));
    let error = ConfigLoader::new().overrides("hook.a.timeout", "5s").load().unwrap_err();
    assert!(error.to_string().starts_with("option hook.a.timeout=5s: error: no file defines"), "{error}");
}

#[test]
fn an_unknown_variable_of_ours_is_a_mistake() {
    for (name, hint) in [
        ("HOOKPOOL_POOL__WORKER", "HOOKPOOL_POOL__WORKERS"),
        ("HOOKPOOL_POOL_WORKERS", "HOOKPOOL_POOL__WORKERS"),
        ("HOOKPOOL_PERFORMANCE_MOD", "HOOKPOOL_PERFORMANCE_MODE"),
        ("HOOKPOOL_HOOK__AUDIT__TIMOUT", "HOOKPOOL_HOOK__AUDIT__TIMEOUT"),
    ] {
        let text = refused(name, "8");
        assert!(text.contains(&format!("unknown variable `{name}`")), "{text}");
        assert!(text.ends_with(&format!("did you mean `{hint}`?")), "{text}");
    }
    for name in [
        "HOOKPOOL_",
        "HOOKPOOL___",
        "HOOKPOOL_POOL__",
        "HOOKPOOL_POOL____WORKERS",
        "HOOKPOOL_HOOK__",
        "HOOKPOOL_HOOK__AUDIT",
        "HOOKPOOL_HOOK__AUDIT__",
    ] {
        refused(name, "8");
    }
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    for name in [
        "HOOKPOOL_HOOK",
        "HOOKPOOL_KIND",
        "HOOKPOOL_EVENT",
        "HOOKPOOL_SESSION",
        "HOOKPOOL_JOB",
        "HOOKPOOL_ATTEMPT",
        "HOOKPOOL_DEADLINE_MS",
        "HOOKPOOL_DEPTH",
        "HOOKPOOL_POOL_ID",
        "CLAUDE_MPM_SOMETHING",
        "HOOKPOOLS",
        "PATH",
    ] {
        assert!(load_with(HOOKS, &[(name, "whatever")]).unwrap().warnings.is_empty(), "{name}");
    }
}

#[test]
fn values_that_are_not_utf8_name_their_variable() {
    for name in ["HOOKPOOL_POOL__WORKERS", "CLAUDE_MPM_HOOK_QUEUE_SIZE"] {
        let value = OsString::from_vec(vec![b'8', 0xff]);
        let error = ConfigLoader::new().environment([(name.into(), value)]).load().unwrap_err();
        assert_eq!(error.problems.len(), 1);
        assert!(error.to_string().contains(&format!("the value of `{name}` must be UTF-8 text")), "{error}");
    }
    let name = OsString::from_vec(b"HOOKPOOL_\xff".to_vec());
    assert!(ConfigLoader::new().environment([(name, "1".into())]).load().is_err());
}

#[test]
fn all_variables_are_checked_at_once() {
    let variables =
        [("HOOKPOOL_POOL__WORKERS", "abc"), ("HOOKPOOL_NOPE", "1"), ("CLAUDE_MPM_HOOK_BG_TIMEOUT", "-1")];
    let problems = problems_of(load_with("pool.standby = -1", &variables));
    assert_eq!(problems.len(), 4, "{:?}", texts(&problems));
    let texts = texts(&problems);
    let workers = "HOOKPOOL_POOL__WORKERS=abc: error: `pool.workers` must be a whole number from 1 to 256, or \"auto\", not \"abc\"";
    assert!(texts.iter().any(|text| text == workers), "{texts:?}");
}

#[test]
fn overrides_are_read_like_variables() {
    let loader = ConfigLoader::new().text("hooks.toml", HOOKS).environment(environment(&[]));
    let config = loader.clone().overrides("pool.workers", "auto").overrides("hook.audit", "{ timeout = 3 }");
    assert_eq!(config.load().unwrap().config.hooks[0].timeout, Duration::from_secs(3));
    for (key, value) in [
        ("pool.worker", "1"),
        ("", "1"),
        ("hook", "{ x = {} }"),
        ("hook.x.on", "1"),
        ("pool", "5"),
        ("pool..workers", "1"),
    ] {
        assert!(loader.clone().overrides(key, value).load().is_err(), "{key}={value}");
    }
}

#[test]
fn of_two_variables_for_the_same_the_later_name_wins() {
    let bypass = |pairs: &[(&str, &str)]| load_with(HOOKS, pairs).unwrap().config.scheduler.bypass;
    let low = |pairs: &[(&str, &str)]| bypass(pairs).map(|bypass| bypass[crate::PriorityClass::Low]);
    assert_eq!(
        low(&[("HOOKPOOL_SCHEDULER__BYPASS", "off"), ("HOOKPOOL_SCHEDULER__BYPASS__LOW", "7")]),
        Some(7)
    );
    assert_eq!(low(&[("HOOKPOOL_SCHEDULER__BYPASS__LOW", "7"), ("HOOKPOOL_SCHEDULER__bypass", "off")]), None);
    let both = [("HOOKPOOL_CLASS__LOW", "{ seats = 3, ceiling = 4 }"), ("HOOKPOOL_CLASS__LOW__SEATS", "2")];
    let low = load_with(HOOKS, &both).unwrap().config.classes[crate::PriorityClass::Low];
    assert_eq!((low.seats, low.ceiling), (2, 4));
}

/// Each variable must not cost as much as everything else: with thousands of both this once took minutes.
#[test]
fn thousands_of_variables_over_thousands_of_hooks_are_loaded_in_good_time() {
    let file = (0..3000)
        .fold(String::new(), |text, n| text + &format!("[hook.h{n}]\non = ['stop']\nrun = 'true'\n"));
    let variables = (0..3000).map(|n| (OsString::from(format!("HOOKPOOL_HOOK__H{n}__TIMEOUT")), "7s".into()));
    let loaded = ConfigLoader::new().text("hooks.toml", file).environment(variables).load().unwrap();
    assert!(loaded.config.hooks.iter().all(|hook| hook.timeout == Duration::from_secs(7)));
}
