//! Which layer wins, and which layers there are.

use std::path::Path;

use super::{environment, texts};
use crate::config::{Config, ConfigLoader};

fn capacity(config: &Config) -> u32 {
    config.queue.capacity
}

#[test]
fn each_layer_wins_over_those_before_it() {
    let user = ConfigLoader::new().text("user.toml", "queue.capacity = 1\npool.workers = 9");
    assert_eq!(capacity(&user.clone().load().unwrap().config), 1);
    let project = user.text("project.toml", "queue.capacity = 2");
    assert_eq!(capacity(&project.clone().load().unwrap().config), 2);
    let legacy = [("CLAUDE_MPM_HOOK_QUEUE_SIZE", "3")];
    let older = project.clone().environment(environment(&legacy));
    assert_eq!(capacity(&older.load().unwrap().config), 3);
    let both = [legacy[0], ("HOOKPOOL_QUEUE__CAPACITY", "4")];
    let newer = project.environment(environment(&both));
    assert_eq!(capacity(&newer.clone().load().unwrap().config), 4);
    let config =
        newer.overrides("queue.capacity", "5").overrides("queue.capacity", "6").load().unwrap().config;
    assert_eq!(capacity(&config), 6);
    assert_eq!(config.pool.workers, 9, "a key that the upper layers do not name keeps its value");
}

#[test]
fn tables_merge_key_by_key() {
    let lower =
        "[hook.a]\non = ['stop']\nrun = 'true'\nenv = { A = '1', B = '1' }\n[scheduler]\nbypass = 'off'\n";
    let upper = "[hook.a.env]\nB = '2'\n[scheduler.bypass]\nlow = 7\n";
    let config = ConfigLoader::new().text("a.toml", lower).text("b.toml", upper).load().unwrap().config;
    let crate::HandlerSpec::Command(command) = &config.hooks[0].handler else { panic!("it has a command") };
    let values: Vec<_> = command.env.values().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(values, ["1", "2"]);
    let bypass: Vec<_> = config.scheduler.bypass.unwrap().values().copied().collect();
    assert_eq!(bypass[1..], [16, 16, 7]);
}

#[test]
fn a_hook_may_be_completed_by_a_later_file() {
    let loader = ConfigLoader::new().text("a.toml", "[hook.a]\non = ['stop']\n");
    assert!(loader.clone().load().is_err());
    assert!(loader.text("b.toml", "[hook.a]\nrun = 'true'\n").load().is_ok());
}

#[test]
fn every_value_knows_what_set_it() {
    let text = "[hook.a]\non = ['stop']\nrun = 'true'\nwhere = { 'a.b' = 1 }\n";
    let variables = environment(&[("HOOKPOOL_HOOK__A__TIMEOUT", "5s"), ("CLAUDE_MPM_HOOKS_PRE_TOOL", "no")]);
    let layers = ConfigLoader::new().text("hooks.toml", text).environment(variables);
    let loaded = layers.overrides("hook.a.enabled", "no").load().unwrap();
    let origin = |key: &str| loaded.origin(key).map(|origin| origin.to_string());
    for (key, expected) in [
        ("pool.workers", "built-in default"),
        ("hook.a.on", "hooks.toml:2:6"),
        ("hook.a.where.\"a.b\"", "hooks.toml:4:19"),
        ("hook.a.timeout", "HOOKPOOL_HOOK__A__TIMEOUT=5s"),
        ("kinds.pre_tool", "CLAUDE_MPM_HOOKS_PRE_TOOL=no"),
        ("hook.a.enabled", "option hook.a.enabled=no"),
    ] {
        assert_eq!(origin(key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(origin("hook.a.priority"), None);
    assert!(loaded.origins().count() > 50);
}

/// The standard layers in a folder with the given files.
fn standard(files: &[(&str, &str)], explicit: Option<&str>) -> Result<Config, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let home = dir.path().join("home");
    let variables = [("HOME".into(), home.into_os_string())];
    let loader = ConfigLoader::layered(explicit.map(Path::new), variables.into()).working_dir(dir.path());
    loader.load().map(|loaded| loaded.config).map_err(|error| texts(&error.problems))
}

#[test]
fn the_standard_files_are_found_in_their_order() {
    let user = ("home/.config/hookpool/hooks.toml", "queue.capacity = 10\npool.workers = 10");
    let project = ("hooks.toml", "queue.capacity = 20");
    let second = ("config/hooks.toml", "queue.capacity = 30");
    let given = ("given.toml", "queue.capacity = 40");
    let all = [user, project, second, given];
    assert_eq!(capacity(&standard(&[], None).unwrap()), 1000);
    assert_eq!(capacity(&standard(&[user], None).unwrap()), 10);
    assert_eq!(capacity(&standard(&[user, second], None).unwrap()), 30);
    let config = standard(&all, None).unwrap();
    assert_eq!((capacity(&config), config.pool.workers, config.files.len()), (20, 10, 2));
    let config = standard(&all, Some("given.toml")).unwrap();
    assert_eq!((capacity(&config), config.pool.workers, config.files.len()), (40, 10, 2));
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let problems = standard(&[("hooks.toml", "")], Some("missing.toml")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("missing.toml: error: the file cannot be read: "), "{problems:?}");
    let problems = standard(&[("hooks.toml/x", "")], None).unwrap_err();
    assert_eq!(problems, ["hooks.toml: error: the file cannot be read: it is no regular file"]);
}

#[test]
fn xdg_config_home_comes_before_home() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("hookpool")).unwrap();
    std::fs::write(dir.path().join("hookpool/hooks.toml"), "queue.capacity = 7").unwrap();
    let variables = [("XDG_CONFIG_HOME".into(), dir.path().into()), ("HOME".into(), "/nowhere".into())];
    let loader = ConfigLoader::layered(None, variables.into()).working_dir(dir.path());
    assert_eq!(capacity(&loader.load().unwrap().config), 7);
    let relative = [("XDG_CONFIG_HOME".into(), ".".into())];
    let loader = ConfigLoader::layered(None, relative.into()).working_dir(dir.path());
    assert_eq!(capacity(&loader.load().unwrap().config), 1000, "a relative one is to be ignored");
}

#[test]
fn a_bundled_text_reads_nothing_else() {
    let text = "[hook.a]\non = ['stop']\nrun = ['${config_dir}/x']\n";
    let config = ConfigLoader::bundled(text, "/demo").load().unwrap().config;
    let crate::HandlerSpec::Command(command) = &config.hooks[0].handler else { panic!("it has a command") };
    assert_eq!(command.cwd, Path::new("/demo"));
}
