//! `hookpool config`: what it prints, and how it ends.

use crate::env::TestEnv;

const HOOK: &str = "[pool]\nworkers = 3\n[hook.a]\non = ['stop']\nrun = ['${config_dir}/x']\nenv = { KEY = '${env:SECRET}' }\n";

#[test]
fn the_effective_configuration_is_printed_and_means_the_same() {
    let env = TestEnv::new().variable("HOOKPOOL_QUEUE__CAPACITY", "50").variable("SECRET", "s3cret");
    env.write("hooks.toml", HOOK);
    let done = env.run(&["config", "--origins"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    for line in ["  # hooks.toml:2", "  # HOOKPOOL_QUEUE__CAPACITY", "  # built-in"] {
        assert!(done.stdout.contains(line), "{line}\n{}", done.stdout);
    }
    assert!(!done.stdout.contains("s3cret"));
    let plain = env.run(&["config"]).stdout;
    let copy = TestEnv::new().variable("SECRET", "s3cret");
    copy.write("hooks.toml", &plain);
    assert_eq!(copy.run(&["config"]).stdout, plain);
    for args in [&["config", "hooks.toml"][..], &["config", "--config", "hooks.toml"]] {
        assert_eq!(env.run(args).stdout, plain);
    }
    assert_eq!(env.run(&["config", "hooks.toml", "--config", "hooks.toml"]).code, Some(2));
}

#[test]
fn one_that_cannot_be_used_is_told_as_by_check_and_not_printed() {
    let env = TestEnv::new();
    env.write("hooks.toml", "[pool]\nworkers = 0\n");
    let done = env.run(&["config"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(3), ""));
    assert!(env.run(&["check"]).stdout.starts_with(done.stderr.trim_end()), "{done:?}");
}

#[test]
fn the_example_needs_nothing_and_is_a_file_to_begin_with() {
    let env = TestEnv::new().variable("HOOKPOOL_NOPE", "1");
    env.write("hooks.toml", "no toml");
    let done = env.run(&["config", "--example"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    let fresh = TestEnv::new();
    fresh.write("hooks.toml", &done.stdout);
    let checked = fresh.run(&["check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), "no problems: 0 hooks from hooks.toml\n"));
    for other in ["--origins", "hooks.toml", "--config=hooks.toml"] {
        assert_eq!(env.run(&["config", "--example", other]).code, Some(2), "{other}");
    }
}

#[test]
fn the_schema_is_one_json_document_and_needs_nothing() {
    let env = TestEnv::new().variable("HOOKPOOL_NOPE", "1");
    let done = env.run(&["config", "--schema"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    let schema: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(schema["properties"]["pool"]["properties"]["workers"]["default"], 4);
    for other in ["--origins", "--example", "hooks.toml", "--config=hooks.toml"] {
        assert_eq!(env.run(&["config", "--schema", other]).code, Some(2), "{other}");
    }
}
