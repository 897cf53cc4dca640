//! What a right configuration means.

use std::path::Path;
use std::time::Duration;

use super::{load, load_with, texts};
use crate::config::{ConfigLoader, OnFull, PickMode};
use crate::{
    CommandLine, CommandSpec, HandlerSpec, InheritEnv, KindSet, Leftovers, MaxWait, Order, PriorityClass,
    ResourceLimits,
};

fn command(handler: &HandlerSpec) -> &CommandSpec {
    let HandlerSpec::Command(command) = handler else { panic!("it has a command") };
    command
}

#[test]
fn nothing_said_means_the_documented_defaults() {
    let loaded = load("").unwrap();
    let config = loaded.config;
    assert!(loaded.warnings.is_empty());
    assert!(!config.performance_mode && !config.debug && config.hooks.is_empty());
    assert_eq!((config.pool.workers, config.pool.standby), (4, 1));
    assert_eq!(config.pool.standby_for, PriorityClass::High);
    assert_eq!((config.queue.capacity, config.queue.max_bytes), (1000, 64_000_000));
    assert_eq!(config.queue.max_event_bytes, 8_000_000);
    assert_eq!(config.queue.on_full, OnFull::DropNew);
    assert!((config.queue.warn_at - 0.8).abs() < 1e-9);
    assert_eq!(config.scheduler.mode, PickMode::Strict);
    let bypass = config.scheduler.bypass.unwrap();
    assert_eq!(bypass[PriorityClass::High], 16);
    assert_eq!(bypass[PriorityClass::Normal], 16);
    assert_eq!(bypass[PriorityClass::Low], 64);
    for class in config.classes.values() {
        assert_eq!((class.guarantee, class.ceiling, class.seats, class.max_wait), (0, 1000, 5, None));
    }
    assert_eq!(config.kinds, KindSet::all());
    assert_eq!(config.priority.class_of(KindSet::DELEGATION), PriorityClass::High);
    assert_eq!(config.priority.class_of(KindSet::EMPTY), PriorityClass::Normal);
    assert!(!config.batching.enabled);
    assert_eq!((config.batching.size, config.batching.bytes), (10, 1_000_000));
    assert_eq!(config.batching.linger, Duration::from_millis(100));
    assert_eq!(config.shutdown.drain, Duration::from_secs(2));
}

#[test]
fn a_hook_has_the_defaults_that_it_does_not_override() {
    let config = load("[hook.a]\non = ['pre_tool']\nrun = 'true'\n").unwrap().config;
    let hook = &config.hooks[0];
    assert_eq!(hook.name.as_str(), "a");
    assert!(hook.enabled);
    assert_eq!((hook.timeout, hook.grace), (Duration::from_secs(2), Duration::from_millis(500)));
    assert_eq!((hook.priority, hook.order, hook.max_concurrency), (None, Order::Session, None));
    assert_eq!(hook.max_wait, None);
    let built_in = MaxWait { limit: Some(Duration::from_secs(30)), explicit: false };
    assert_eq!(config.queue.max_wait, built_in);
    assert_eq!(hook.max_output, 64_000);
    let command = command(&hook.handler);
    assert_eq!(command.line, CommandLine::Shell("true".into()));
    assert_eq!(command.cwd, Path::new("/work dir"));
    assert_eq!((&command.inherit, command.leftovers), (&InheritEnv::All, Leftovers::Kill));
}

#[test]
fn every_key_of_a_hook_is_taken_over() {
    let text = r#"
        [hook.a]
        on = ["pre_tool", "SomethingElse"]
        match = { tool = "Bash" }
        where = { "tool_input.subagent_type" = "explorer", n = 3, x = 0.5, b = true }
        run = ["${config_dir}/run me", "${env:WHO}", "$${x}"]
        enabled = false
        priority = "critical"
        timeout = "1m 30s"
        grace = 0
        order = "none"
        max_concurrency = 3
        max_wait = "off"
        max_output = "1KiB"
        cwd = "sub"
        env = { A = "${env:WHO}!", B = "" }
        env_clear = ["PATH"]
        mode = "single"
        leftovers = "keep"
        limits = { memory = "1MB", cpu = "1500ms", files = 20, output = "2kB" }
        [class.low]
        nice = 7
    "#;
    let loaded = load_with(text, &[("WHO", "ada")]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", texts(&loaded.warnings));
    let hook = &loaded.config.hooks[0];
    assert!(!hook.enabled && hook.selector.tool.is_some() && hook.selector.fields.len() == 4);
    assert_eq!(hook.priority, Some(PriorityClass::Critical));
    assert_eq!((hook.timeout, hook.grace), (Duration::from_secs(90), Duration::ZERO));
    assert_eq!((hook.order, hook.max_concurrency), (Order::None, Some(3)));
    assert_eq!(hook.max_wait, Some(MaxWait { limit: None, explicit: true }));
    assert_eq!(hook.max_output, 1024);
    let command = command(&hook.handler);
    let args = vec!["ada".into(), "${x}".into()];
    assert_eq!(command.line, CommandLine::Exec { program: "/work dir/run me".into(), args });
    assert_eq!(command.cwd, Path::new("/work dir/sub"));
    let env: Vec<_> = command.env.iter().map(|(k, v)| (k.to_str().unwrap(), v.to_str().unwrap())).collect();
    assert_eq!(env, [("A", "ada!"), ("B", "")]);
    assert_eq!(command.inherit, InheritEnv::Only(vec!["PATH".into()]));
    assert_eq!(command.leftovers, Leftovers::Keep);
    let limits = ResourceLimits {
        memory: Some(1_000_000),
        // In whole seconds, and not less than was asked for.
        cpu: Some(2),
        files: Some(20),
        output: Some(2000),
    };
    assert_eq!(command.limits, limits);
    assert_eq!(PriorityClass::ALL.map(|class| command.nice[class]), [0, 0, 0, 7]);
}

#[test]
fn tables_of_the_pool_are_taken_over() {
    let text = r#"
        performance_mode = true
        [pool]
        workers = "auto"
        standby_for = "critical"
        [queue]
        capacity = 50
        max_bytes = "1MiB"
        on_full = "displace"
        [scheduler]
        mode = "weighted"
        bypass = "off"
        [class.high]
        guarantee = 10
        [class.low]
        ceiling = 20
        seats = 2
        max_wait = "10s"
        [kinds]
        pre_tool = false
        [priority]
        stop = "low"
        [shutdown]
        drain = 0
    "#;
    let config = load(text).unwrap().config;
    assert!(config.performance_mode && (2..=16).contains(&config.pool.workers));
    assert_eq!(config.pool.standby_for, PriorityClass::Critical);
    assert_eq!((config.queue.capacity, config.queue.max_bytes), (50, 1 << 20));
    assert_eq!(config.queue.max_event_bytes, 1 << 20, "the built-in limit of one event follows");
    assert_eq!(config.queue.on_full, OnFull::Displace);
    assert_eq!((config.scheduler.mode, config.scheduler.bypass), (PickMode::Weighted, None));
    assert_eq!(config.classes[PriorityClass::High].guarantee, 10);
    assert_eq!(config.classes[PriorityClass::High].ceiling, 50);
    let low = config.classes[PriorityClass::Low];
    assert_eq!((low.ceiling, low.seats), (20, 2));
    assert_eq!(low.max_wait, Some(MaxWait { limit: Some(Duration::from_secs(10)), explicit: true }));
    let pre_tool = KindSet::from_name("pre_tool").unwrap();
    assert_eq!(config.kinds, KindSet::all().without(pre_tool));
    assert_eq!(config.priority.class_of(KindSet::from_name("stop").unwrap()), PriorityClass::Low);
    assert_eq!(config.shutdown.drain, Duration::ZERO);
}

#[test]
fn the_longest_wait_is_the_hooks_then_the_classes_then_the_queues() {
    let wait = |text: &str| {
        let hook = "[hook.a]\non = ['stop']\nrun = 'true'\n";
        let config = load(&format!("{hook}{text}")).unwrap().config;
        let hook = &config.hooks[0];
        let wait = config.max_wait(hook, hook.priority.unwrap_or(PriorityClass::Normal));
        (wait.limit.map(|limit| limit.as_secs()), wait.explicit)
    };
    assert_eq!(wait(""), (Some(30), false));
    assert_eq!(wait("[queue]\nmax_wait = 30"), (Some(30), true));
    assert_eq!(wait("[queue]\nmax_wait = 20\n[class.low]\nmax_wait = 5"), (Some(20), true));
    assert_eq!(wait("priority = 'low'\n[queue]\nmax_wait = 20\n[class.low]\nmax_wait = 5"), (Some(5), true));
    assert_eq!(wait("priority = 'low'\nmax_wait = 'off'\n[class.low]\nmax_wait = 5"), (None, true));
}

#[test]
fn hooks_keep_the_order_in_which_they_were_declared() {
    let text = "[hook.zebra]\non = ['stop']\nrun = 'z'\n[hook.ant]\non = ['stop']\nrun = 'a'\n";
    let later = "[hook.bee]\non = ['stop']\nrun = 'b'\n[hook.ant]\ntimeout = 1\n";
    let loader = ConfigLoader::new().text("a.toml", text).text("b.toml", later);
    let config = loader.overrides("hook.ant.run", "other").load().unwrap().config;
    let names: Vec<_> = config.hooks.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["zebra", "ant", "bee"]);
    assert_eq!(config.hooks[1].timeout, Duration::from_secs(1));
}

#[test]
fn relative_paths_start_from_the_file_that_says_them() {
    let user = "[hook.a]\non = ['stop']\nrun = ['${config_dir}/x']\n[hook.b]\non = ['stop']\nrun = 'x'\ncwd = 'sub'\n";
    let project = "[hook.b]\ncwd = 'other'\n[hook.a]\ntimeout = 5\n";
    let loader =
        ConfigLoader::new().working_dir("/w").text("/user/hooks.toml", user).text("p/hooks.toml", project);
    let config = loader.load().unwrap().config;
    let a = command(&config.hooks[0].handler);
    assert_eq!(a.line, CommandLine::Exec { program: "/user/x".into(), args: vec![] });
    assert_eq!(a.cwd, Path::new("/user"));
    assert_eq!(command(&config.hooks[1].handler).cwd, Path::new("/w/p/other"));
}

#[test]
fn the_example_in_the_repository_loads_without_a_word() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/hooks.toml");
    let loaded = ConfigLoader::new().file(&path).load().unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", texts(&loaded.warnings));
    assert_eq!(loaded.config.hooks.len(), 6);
    assert_eq!(loaded.config.files, [path]);
}

#[test]
fn an_unknown_word_in_on_is_a_raw_name_with_a_warning_at_its_place() {
    let loaded = load("[hook.a]\non = ['stop', 'deploy']\nrun = 'true'\n").unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    let warning = &loaded.warnings[0];
    assert_eq!((warning.line(), warning.column()), (Some(2), Some(15)));
    assert!(warning.message.contains("`deploy` is no kind"), "{warning}");
}

#[test]
fn the_mode_decides_what_runs_and_how_many_events_it_gets() {
    use crate::hook::HandlerSpec;
    let text = "batching.enabled = true\n\
        [hook.one]\non = ['stop']\nrun = 'x'\n\
        [hook.lines]\non = ['stop']\nrun = 'x'\nmode = 'lines'\n\
        [hook.plain]\non = ['stop']\nrun = 'x'\nmode = 'resident'\nmax_concurrency = 9\ninstances = 3\n\
        [hook.full]\non = ['stop']\nrun = 'x'\nmode = 'resident'\nwindow = 16\nidle_timeout = 'off'\n\
        max_events = 100\nmax_age = '1h'\nmax_concurrency = 1\ninstances = 2\n";
    let loaded = load(text).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let [one, lines, plain, full] = loaded.config.hooks.as_slice() else { panic!("there are four") };
    assert!(matches!(one.handler, HandlerSpec::Command(_)) && one.batch.is_none());
    assert!(matches!(lines.handler, HandlerSpec::Lines(_)));
    assert_eq!(lines.batch.as_ref().map(|batch| batch.size), Some(10));
    let HandlerSpec::Resident(spec) = &plain.handler else { panic!("it is resident") };
    assert_eq!((spec.instances, spec.idle_timeout), (3, Some(Duration::from_mins(5))));
    assert_eq!((spec.max_events, spec.max_age, plain.max_concurrency), (None, None, Some(3)));
    assert!(plain.batch.is_none(), "[batching] is not for those that stay");
    let HandlerSpec::Resident(spec) = &full.handler else { panic!("it is resident") };
    assert_eq!((spec.instances, spec.idle_timeout), (2, None));
    assert_eq!((spec.max_events, spec.max_age), (Some(100), Some(Duration::from_hours(1))));
    let batch = full.batch.as_ref().unwrap();
    assert_eq!((batch.size, batch.linger, full.max_concurrency), (16, Duration::ZERO, Some(1)));
}

#[test]
fn settings_of_another_mode_are_warned_about() {
    let hook = |keys: &str| format!("[hook.a]\non = ['stop']\nrun = 'x'\n{keys}");
    for (keys, key, why) in [
        ("window = 2", "hook.a.window", "only a handler with `mode = \"resident\"` has it"),
        (
            "mode = 'lines'\nmax_age = '1h'",
            "hook.a.max_age",
            "only a handler with `mode = \"resident\"` has it",
        ),
        ("batch = { size = 2 }", "hook.a.batch", "the hook's handler gets one event at a time"),
        ("mode = 'resident'\nbatch.size = 2", "hook.a.batch", "as many events at once as `window` says"),
        ("mode = 'resident'\non_batch_failure = 'split'", "hook.a.on_batch_failure", "`window`"),
    ] {
        let warnings = load(&hook(keys)).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{keys}: {warnings:?}");
        assert_eq!(warnings[0].key, key);
        assert!(warnings[0].message.contains("has no effect") && warnings[0].message.contains(why), "{keys}");
    }
}
