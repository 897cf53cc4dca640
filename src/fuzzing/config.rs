//! A configuration: it is refused with problems that stand where they say, or what it means can be written and read back.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::check_text;
use crate::config::{Config, ConfigLoader, Loaded, Origin, Problem, Problems, Severity, read_source, shown};

/// The name of the file that the bytes are.
const NAME: &str = "hooks.toml";

/// The bytes are a file.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let mut problems = Problems::default();
        assert!(read_source(bytes, Path::new(NAME), Path::new("/"), &mut problems).is_none());
        return refused(problems.finish().expect_err("it was refused").problems.iter(), bytes);
    };
    let fresh = || {
        let base =
            ConfigLoader::new().working_dir("/work ${x}").environment([("WHO".into(), "nobody".into())]);
        base.text(NAME, text)
    };
    let checked = fresh().check();
    checked.problems.iter().for_each(|problem| in_its_place(problem, bytes));
    match fresh().load() {
        Ok(loaded) => {
            assert_eq!(checked.errors(), 0, "{:?} is usable", checked.problems);
            loaded.warnings.iter().for_each(|problem| in_its_place(problem, bytes));
            for origins in [false, true] {
                let copy = loaded.to_toml(origins);
                let again = ConfigLoader::new().working_dir("/elsewhere").text("copy.toml", &copy);
                let again = again.environment([("WHO".into(), "nobody".into())]).load();
                let again = again.unwrap_or_else(|error| panic!("{error}\nof the export\n{copy}"));
                assert_eq!(meaning(&again), meaning(&loaded), "of the export\n{copy}");
            }
        }
        Err(error) => {
            assert!(checked.errors() > 0, "`check` has nothing against it: {error}");
            refused(error.problems.iter(), bytes);
        }
    }
}

fn meaning(loaded: &Loaded) -> String {
    let mut config: Config = loaded.config.clone();
    config.files = Vec::new();
    format!("{config:?}")
}

fn refused<'a>(problems: impl Iterator<Item = &'a Problem>, text: &[u8]) {
    let mut errors = 0;
    for problem in problems {
        in_its_place(problem, text);
        errors += usize::from(problem.severity == Severity::Error);
    }
    assert!((1..=1000).contains(&errors), "{errors} errors");
}

/// Fails for a problem that is not where it says, or that is not fit to be shown. `file` is the only file there is.
pub(super) fn in_its_place(problem: &Problem, file: &[u8]) {
    for line in problem.message.split('\n').chain(problem.hint.as_deref()) {
        check_text(line, 4000);
    }
    assert!(!problem.message.contains('\n'), "a message of several lines: {:?}", problem.message);
    check_text(&problem.to_string(), 10_000);
    let Origin::File { position: Some(at), .. } = &problem.origin else { return };
    let text = String::from_utf8_lossy(file);
    let line = text.split('\n').nth(at.line - 1).expect("the line is in the file");
    assert!((1..=line.chars().count() + 1).contains(&at.column), "no such column: {problem}");
    assert!(at.text.chars().count() <= 900 && at.caret <= 140, "a long excerpt: {problem}");
}

/// Hooks for the variables to be about.
const HOOKS: &str = "[hook.audit]\non = ['*']\nrun = ['x']\nmode = 'lines'\nbatch.size = 5\n\
                     [hook.ant]\non = ['stop']\nrun = 'x'\nenv.A = '1'\nwhere = { a = 1 }\n";

/// Each line is a variable: its name, `=`, its value.
pub fn variables(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n');
    let pairs = lines.filter_map(|line| Some(line.split_at(line.iter().position(|byte| *byte == b'=')?)));
    let os = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let variables: Vec<(OsString, OsString)> =
        pairs.map(|(name, value)| (os(name), os(value.get(1..).unwrap_or_default()))).collect();
    let fresh = || ConfigLoader::new().working_dir("/work").text(NAME, HOOKS);
    let loaded = fresh().environment(variables.clone()).load();
    let names: Vec<String> = variables.iter().map(|(name, _)| shown(&name.to_string_lossy())).collect();
    let problems = match &loaded {
        Ok(loaded) => &loaded.warnings,
        Err(error) => &error.problems,
    };
    for problem in problems {
        in_its_place(problem, HOOKS.as_bytes());
        assert!(problem.variable().is_none_or(|name| names.iter().any(|known| known == name)), "{problem}");
    }
    assert!(loaded.is_ok() || problems.iter().any(|problem| problem.severity == Severity::Error));
    if let [(name, value)] = &*variables
        && let (Some(name), Some(value)) = (name.to_str(), value.to_str())
    {
        one(name, value, loaded.ok().as_ref(), fresh());
    }
}

/// A variable that is one of ours does something or is refused, and it does what an option with its text does.
fn one(name: &str, value: &str, loaded: Option<&Loaded>, fresh: ConfigLoader) {
    let Some(rest) = name.strip_prefix("HOOKPOOL_") else { return };
    let is_of_handlers =
        ["HOOK", "KIND", "EVENT", "SESSION", "JOB", "INSTANCE", "ATTEMPT", "DEPTH", "POOL_ID"]
            .contains(&rest)
            || rest == "DEADLINE_MS";
    if is_of_handlers {
        assert!(loaded.is_some(), "{name} is no setting");
        return;
    }
    if let Some(loaded) = loaded {
        let did = loaded.origins().any(|(_, origin)| matches!(origin, Origin::Variable { .. }));
        assert!(did || value.trim_start().starts_with('{'), "{name} does nothing");
    }
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if is_plain && !rest.contains("__ENV__") && !rest.contains("__HEADERS__") {
        let key = rest.to_ascii_lowercase().replace("__", ".");
        let option = fresh.overrides(key, value).load();
        let told = option.as_ref().map_err(|error| {
            error.problems.iter().fold(String::new(), |mut text, problem| {
                let _ = writeln!(text, "{problem}");
                text
            })
        });
        assert_eq!(option.is_ok(), loaded.is_some(), "an option says {told:?}");
        if let (Ok(option), Some(loaded)) = (&option, loaded) {
            assert_eq!(meaning(option), meaning(loaded));
        }
    }
}
