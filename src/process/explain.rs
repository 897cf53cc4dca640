//! What an exit status of a shell, or of `env`, means, where the files prove it.
//!
//! 127 is said of a program that is not found, 126 of one that may not be executed, whoever says it. Which program that
//! is stands in no status, so the ones that are certain to have been needed are looked for again. Output is never read:
//! its words are the handler's own.

use std::ffi::OsStr;

use super::resolve::resolve;
use super::spawn::Prepared;
use super::start_error::{StartError, interpreter_problem};

/// Words that begin a command and are no program's name.
const OF_THE_SHELL: &[&str] = &[
    ".", ":", "[", "alias", "break", "builtin", "case", "cd", "command", "continue", "declare", "echo",
    "eval", "exit", "export", "false", "for", "function", "if", "local", "printf", "pwd", "read", "readonly",
    "return", "set", "shift", "source", "test", "time", "trap", "true", "type", "ulimit", "umask", "unset",
    "until", "wait", "while",
];

impl Prepared {
    /// What is missing or not executable, with what would help, when the handler has ended with this status. `None`: it
    /// means nothing that is known.
    pub fn explain(&self, status: i32) -> Option<String> {
        if !matches!(status, 126 | 127) {
            return None;
        }
        let Some(line) = self.shell_line() else {
            return self.lacks(self.named()).map(|error| error.to_string());
        };
        let found = program_of(line).and_then(|program| self.lacks(OsStr::new(program)));
        Some(found.map_or_else(|| in_general(status).to_owned(), |error| error.to_string()))
    }

    /// The signal that ended what the shell ran, if the status tells of one.
    pub fn signal_of_child(&self, status: i32) -> Option<i32> {
        self.shell_line().and((129..=159).contains(&status).then(|| status - 128))
    }

    /// Why the program cannot run, as far as files show.
    fn lacks(&self, program: &OsStr) -> Option<StartError> {
        let look = |program: &OsStr| resolve(program, self.path(), self.cwd());
        match look(program) {
            Ok(file) => interpreter_problem(&file, |name| look(OsStr::new(name)).is_ok()),
            Err(error) => Some(error),
        }
    }
}

fn in_general(status: i32) -> &'static str {
    if status == 127 {
        "a shell says 127 when it does not find a command: correct the command's name or path in `run`, or install it"
    } else {
        "a shell says 126 when it may not execute a file: make it executable with `chmod +x`, or name its interpreter first"
    }
}

/// The program that a line for the shell begins with, if it is written plainly.
fn program_of(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let word = words.find(|word| *word != "exec")?.trim_end_matches(';');
    let is_plain = word.chars().all(|c| c.is_alphanumeric() || "_-+./@:".contains(c));
    (is_plain && !OF_THE_SHELL.contains(&word)).then_some(word)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::hook::{CommandLine, CommandSpec, InheritEnv, Leftovers, ResourceLimits};
    use crate::process::{Cancel, End, Limits, Runner};

    /// Runs it for its status, and explains that.
    fn explained(folder: &Path, line: CommandLine) -> (i32, Option<String>) {
        let spec = CommandSpec {
            line,
            cwd: folder.to_owned(),
            env: [("PATH".into(), "/usr/bin:/bin".into())].into(),
            inherit: InheritEnv::Only(Vec::new()),
            leftovers: Leftovers::Kill,
            limits: ResourceLimits::default(),
            nice: crate::class::PerClass::default(),
        };
        let prepared = Prepared::new(&spec, &[]);
        let minute = std::time::Duration::from_mins(1);
        let limits = Limits { timeout: minute, grace: minute, max_output: 1000, nice: 0 };
        let run = Runner::default().run(&prepared, b"", [("A", "b")], &limits, &Cancel::new());
        let End::Exited(status) = run.end else { panic!("{:?}", run.end) };
        (status, prepared.explain(status))
    }

    fn script(folder: &Path, name: &str, text: &str, mode: u32) {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_program_that_a_shell_did_not_find_is_named() {
        let dir = tempfile::tempdir().unwrap();
        script(dir.path(), "plain", "echo", 0o644);
        script(dir.path(), "orphan", "#!/no/such/shell\n", 0o755);
        script(dir.path(), "snake", "#!/usr/bin/env no-such-python -u\n", 0o755);
        script(dir.path(), "dos", "#!/usr/bin/env sh\r\necho\r\n", 0o755);
        for (line, status, part) in [
            ("no-such-program --flag", 127, "no program `no-such-program` in PATH (searched /usr/bin:/bin)"),
            ("exec no-such-program 'a b' | cat; exit 127", 127, "no program `no-such-program`"),
            ("./absent", 127, "no program `./absent` in"),
            ("./plain x", 126, "chmod +x"),
            ("./snake", 127, "its interpreter `no-such-python` is not"),
            ("./dos", 127, "the line ends in CR LF"),
            ("cd / && no-such-program", 127, "does not find a command"),
            ("$UNSET/bin/tool", 127, "does not find a command"),
            ("x=1; exit 126", 126, "may not execute"),
        ] {
            let (found, hint) = explained(dir.path(), CommandLine::Shell(line.into()));
            assert_eq!(found, status, "{line}");
            assert!(hint.as_ref().is_some_and(|hint| hint.contains(part)), "{line}: {hint:?}");
        }
        // Shells differ in the status of a script whose interpreter is missing.
        let (status, hint) = explained(dir.path(), CommandLine::Shell("./orphan".into()));
        assert!(
            [126, 127].contains(&status) && hint.unwrap().contains("its interpreter `/no/such/shell` is not")
        );
    }

    #[test]
    fn a_program_is_explained_by_its_interpreter_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        script(dir.path(), "snake", "#!/usr/bin/env no-such-python\n", 0o755);
        script(dir.path(), "own", "#!/bin/sh\nexit 127\n", 0o755);
        let exec = |program: &str| CommandLine::Exec { program: program.into(), args: Vec::new() };
        let (status, hint) = explained(dir.path(), exec("./snake"));
        assert_eq!(status, 127);
        assert!(hint.unwrap().contains("its interpreter `no-such-python` is not"));
        assert_eq!(explained(dir.path(), exec("./own")), (127, None), "a status of its own");
        assert_eq!(explained(dir.path(), CommandLine::Shell("exit 3".into())), (3, None));
    }
}
