//! What a handler finds around it: folder, environment, time left, and how much of its output is kept.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::outcome::Outcome;

const PROMPT: &str = r#"{"hook_event_name":"UserPromptSubmit"}"#;

/// The outcome of one event for a patient hook with these keys.
fn outcome_of(keys: &str, json: &str) -> Arc<Outcome> {
    let pool = pool(&format!("defaults.timeout = '10m'\n[hook.a]\non = ['*']\n{keys}\n"));
    let outcome = pool.submit(event(json)).admitted().next().unwrap().wait(LONG).unwrap();
    assert!(pool.drain(LONG).is_balanced());
    outcome
}

/// What a handler that succeeded wrote to standard output.
fn output_of(keys: &str, json: &str) -> String {
    let outcome = outcome_of(keys, json);
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome}");
    outcome.process.as_ref().unwrap().stdout.text().into_owned()
}

/// Names and values of the variables that a handler gets.
fn environment_of(keys: &str, json: &str) -> Vec<(String, String)> {
    let output = output_of(&format!("run = ['/usr/bin/env', '-0']\n{keys}"), json);
    let variables = output.split_terminator('\0').filter_map(|variable| variable.split_once('='));
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn value<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
    variables.iter().find(|variable| variable.0 == name).map(|variable| &*variable.1)
}

/// Names without those that tell of the job.
fn inherited(variables: &[(String, String)]) -> Vec<&str> {
    variables.iter().map(|variable| &*variable.0).filter(|name| !name.starts_with("HOOKPOOL_")).collect()
}

#[test]
fn a_handler_runs_in_the_folder_of_its_hook() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    let keys = format!("cwd = '{}'\nrun = ['/bin/pwd']", folder.display());
    assert_eq!(Path::new(output_of(&keys, PROMPT).trim_end()), folder);
}

#[test]
fn a_handler_gets_the_variables_of_its_hook_before_inherited_ones() {
    let variables = environment_of("env = { PATH = '/own', EMPTY = '', WORDS = 'a  b=c' }", PROMPT);
    for (name, own) in [("PATH", "/own"), ("EMPTY", ""), ("WORDS", "a  b=c")] {
        assert_eq!(value(&variables, name), Some(own), "{name}");
        assert_eq!(variables.iter().filter(|variable| variable.0 == name).count(), 1, "{name}");
    }
    assert!(inherited(&variables).len() > 3, "the rest is inherited: {variables:?}");
}

#[test]
fn a_cleared_environment_has_what_the_hook_sets_and_what_tells_of_the_job() {
    let variables = environment_of("env_clear = true\nenv = { OWN = 'mine' }", PROMPT);
    assert_eq!(inherited(&variables), ["OWN"]);
    assert_eq!(value(&variables, "HOOKPOOL_HOOK"), Some("a"));
    assert_eq!(value(&variables, "HOOKPOOL_KIND"), Some("user_prompt"));
}

#[test]
fn an_environment_cleared_but_for_a_list_has_the_variables_of_the_list_that_exist() {
    let variables = environment_of("env_clear = ['PATH', 'NO_SUCH_VARIABLE_HERE']", PROMPT);
    assert_eq!(inherited(&variables), ["PATH"]);
    assert_eq!(value(&variables, "HOOKPOOL_HOOK"), Some("a"));
}

#[test]
fn of_long_output_the_first_and_the_last_part_are_kept_and_the_rest_is_counted() {
    let writes = "printf first; head -c 100000 /dev/zero; printf last";
    let run = format!("run = '{writes}; ({writes}) >&2'\nmax_output = '1kB'");
    let outcome = outcome_of(&run, PROMPT);
    let process = outcome.process.as_ref().unwrap();
    for captured in [&process.stdout, &process.stderr] {
        assert!(captured.head().starts_with(b"first\0"));
        assert!(captured.tail().ends_with(b"\0last"));
        assert_eq!(captured.total(), 100_009);
        assert_eq!(captured.head().len() + captured.tail().len(), 1000);
        assert_eq!(captured.left_out(), 99_009);
        assert!(captured.text().contains("\n[... 99009 bytes left out ...]\n"));
    }
}

#[test]
fn the_deadline_is_a_number_of_milliseconds_within_the_timeout() {
    let told = output_of("run = 'printf %s \"$HOOKPOOL_DEADLINE_MS\"'\ntimeout = '90s'", PROMPT);
    assert!((1..=90_000).contains(&told.parse::<u64>().unwrap()), "{told}");
}

#[test]
fn a_name_with_a_character_that_no_environment_holds_reaches_the_handler_without_it() {
    let json = r#"{"hook_event_name":"One\u0000two","session_id":"\u0000s\u0000"}"#;
    let variables = environment_of("", json);
    assert_eq!(value(&variables, "HOOKPOOL_EVENT"), Some("One\u{fffd}two"));
    assert_eq!(value(&variables, "HOOKPOOL_SESSION"), Some("\u{fffd}s\u{fffd}"));
    assert_eq!(output_of("run = 'cat'", json), json, "the event itself keeps it");
}

/// A program around the pool may write anything of it into its own log.
#[test]
fn no_debug_form_shows_the_environment_or_what_hooks_are_given() {
    let text = "[hook.a]\non = ['*']\nrun = ['true', '${env:PLAIN}']\nenv = { B = '${env:PLAIN}', C = 'Zq2' }\n\
                [hook.b]\non = ['*']\nrun = 'true ${env:PLAIN}'\n[hook.c]\non = ['*']\nrun = 'cat'\nmode = 'resident'\n";
    let environment = [("PLAIN".into(), "Zq1".into()), ("HOOKPOOL_HOOK__A__ENV__D".into(), "Zq3".into())];
    let sources = crate::config::ConfigLoader::new().text("hooks.toml", text).environment(environment);
    let loaded = sources.clone().load().unwrap();
    let builder = HookPool::builder().config(loaded.config.clone());
    let shown = format!("{sources:?} {loaded:?} {builder:?}");
    assert!(!shown.contains("Zq"), "{shown}");
    let pool = builder.build().unwrap();
    pool.set("hook.a.env.E", "Zq4").unwrap();
    let told = pool.set("hook.a.env.F", "Zq5").unwrap().to_string();
    let handles: Vec<_> = pool.submit(event(r#"{"event":"x"}"#)).admitted().cloned().collect();
    let outcome = handles[0].wait(LONG).unwrap();
    let shown = format!("{pool:?} {:?} {handles:?} {outcome:?} {told}", pool.status());
    assert!(!shown.contains("Zq"), "{shown}");
    assert!(!shown.contains("CARGO_MANIFEST_DIR"), "the environment of this process: {shown}");
    assert!(pool.drain(LONG).is_balanced());
}
