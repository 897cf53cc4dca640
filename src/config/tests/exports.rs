//! The effective configuration as text: it means the same, it explains itself, and it tells no secret.

use std::path::Path;

use super::{environment, texts};
use crate::config::{Config, ConfigLoader, Loaded};

const RICH: &str = r#"
performance_mode = true
[pool]
workers = "auto"
[queue]
max_bytes = "1MiB"
[scheduler]
bypass = "off"
[class.low]
ceiling = 20
max_wait = "off"
[kinds]
stop = false
[priority]
stop = "low"
[hook.zebra]
on = ["pre_tool", "SomethingElse"]
match = { tool = "(?i)bash|\\w+" }
where = { "tool_input.subagent_type" = "ex\"pl\n", n = 3, x = 0.5, big = 1e300, b = true }
run = ["${config_dir}/run me", "${env:WHO}", "$${config_dir}", "$${x}"]
timeout = "1m 30s"
grace = 0
env = { A = "${env:WHO}!", "odd name" = "", C = "${config_dir}" }
env_clear = ["PATH"]
max_output = 1025
leftovers = "keep"
[hook.ant]
on = "stop"
run = "echo \"${HOME}\" ${config_dir}"
cwd = "sub"
max_wait = "1500ms"
env_clear = true
[hook.bee]
on = ["*"]
run = "true"
[hook.lines]
on = ["stop"]
run = ["x"]
mode = "lines"
batch = { size = 5, linger = "20ms", key = "field:a.b", timeout_max = "1m" }
[hook.stays]
on = ["stop"]
run = ["x"]
mode = "resident"
instances = 2
idle_timeout = "off"
max_age = "1h"
"#;

fn meaning(config: &Config) -> String {
    let mut config = config.clone();
    config.files = Vec::new();
    format!("{config:#?}")
}

/// Loads as if there were several layers in several folders.
fn loaded(text: &str) -> Loaded {
    let upper = "[hook.bee]\ntimeout = 7\n[hook.ant]\nenv = { FROM = '${config_dir}' }\n";
    let loader = ConfigLoader::new().working_dir("/work dir").text("/user ${x}/hooks.toml", text);
    let variables =
        [("WHO", "very secret"), ("HOOKPOOL_QUEUE__CAPACITY", "77"), ("HOOKPOOL_HOOK__BEE__ON", "['stop']")];
    let loader = loader.text("upper/hooks.toml", upper).environment(environment(&variables));
    loader.overrides("shutdown.drain", "250ms").load().unwrap_or_else(|error| panic!("{error}"))
}

fn same_again(loaded: &Loaded, variables: &[(&str, &str)]) {
    for origins in [false, true] {
        let text = loaded.to_toml(origins);
        let again = ConfigLoader::new().working_dir("/else where").text("copy.toml", &text);
        let again = again
            .environment(environment(variables))
            .load()
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(meaning(&again.config), meaning(&loaded.config), "{text}");
    }
}

#[test]
fn it_is_read_back_as_the_same_in_any_folder() {
    same_again(&loaded(RICH), &[("WHO", "very secret")]);
    same_again(&ConfigLoader::new().load().unwrap(), &[]);
    for file in ["config/hooks.toml", "config/demo/hooks.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        same_again(&ConfigLoader::new().file(path).load().unwrap(), &[]);
    }
}

#[test]
fn every_value_is_followed_by_what_set_it() {
    let text = loaded(RICH).to_toml(true);
    let origin = |start: &str| {
        let line =
            text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}\n{text}"));
        line.rsplit_once("  # ").unwrap().1.to_owned()
    };
    for (start, expected) in [
        ("performance_mode = true", "/user ${x}/hooks.toml:2"),
        ("debug = false", "built-in"),
        ("capacity = 77", "HOOKPOOL_QUEUE__CAPACITY"),
        ("# max_wait = \"30s\"", "built-in"),
        ("drain = \"250ms\"", "option shutdown.drain"),
        ("timeout = \"7s\"", "upper/hooks.toml:2"),
        ("timeout = \"90s\"", "/user ${x}/hooks.toml:21"),
        ("cwd = \"/user $${x}/sub\"", "/user ${x}/hooks.toml:30"),
        ("cwd = \"/user $${x}\"", "the folder of its file"),
        ("env.FROM = \"/work dir/upper\"", "upper/hooks.toml:4"),
        ("where.\"tool_input.subagent_type\" = ", "/user ${x}/hooks.toml:19"),
    ] {
        assert_eq!(origin(start), expected, "{start}\n{text}");
    }
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('['));
    assert!(lines.clone().all(|line| line.contains("  # ")) && lines.count() > 60, "{text}");
}

#[test]
fn what_stands_in_the_environment_stays_there() {
    let loaded = loaded(RICH);
    for text in [loaded.to_toml(false), loaded.to_toml(true)] {
        assert!(!text.contains("very secret") && text.contains("env.A = \"${env:WHO}!\""), "{text}");
    }
    assert!(texts(&loaded.warnings).iter().all(|text| !text.contains("very secret")));
}
