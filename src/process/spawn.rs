//! Prepares a command once and starts it many times.
//!
//! Everything here keeps `std::process::Command` on its `posix_spawn` path: an absolute program, a whole environment,
//! `process_group(0)`, and nothing that has to run between fork and exec. On that path a start costs the same however
//! large this process is.
//!
//! A command that has been started is kept for the next start, so that the environment is assembled once and not for
//! every run. Invariant: a started command has the hook's environment and the variables of this run, and nothing of the
//! run that it was used for before.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::resolve::resolve;
use super::start_error::{StartError, diagnose};
use crate::hook::{CommandLine, CommandSpec, InheritEnv, Leftovers, ResourceLimits};

/// Where programs are looked for when no environment has a `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where the program of a command without a slash is looked for: its own `PATH`, else that of hookpool, whether or not
/// the handler inherits it.
pub(crate) fn search_path(spec: &CommandSpec, inherited: Option<&OsStr>) -> OsString {
    let own = spec.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
    own.or(inherited).unwrap_or(OsStr::new(DEFAULT_PATH)).to_owned()
}

/// A command with its program found and its environment assembled.
pub struct Prepared {
    named: OsString,
    /// The problem is kept for whoever asks. A run looks again, so that installing the program cures the hook.
    program: Result<PathBuf, StartError>,
    path: OsString,
    args: Vec<OsString>,
    shell_line: Option<String>,
    cwd: PathBuf,
    env: BTreeMap<OsString, OsString>,
    leftovers: Leftovers,
    limits: ResourceLimits,
    /// Commands between two runs; at most as many as there were runs at once.
    idle: Mutex<Vec<Kept>>,
}

/// A command after a run.
struct Kept {
    command: Command,
    /// The variables of that run. The next one mostly has the same, and then none has to be taken back.
    names: Vec<OsString>,
}

impl Prepared {
    /// Finds the program and assembles the environment: what the hook inherits of `parent_env`, then its own variables.
    ///
    /// The program is looked up in the `PATH` that the handler will see, else in that of `parent_env`.
    #[must_use]
    pub fn new(spec: &CommandSpec, parent_env: &[(OsString, OsString)]) -> Self {
        let mut env: BTreeMap<OsString, OsString> = match &spec.inherit {
            InheritEnv::All => parent_env.iter().cloned().collect(),
            InheritEnv::Only(names) => {
                parent_env.iter().filter(|(name, _)| names.contains(name)).cloned().collect()
            }
        };
        env.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let inherited_path =
            parent_env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let path = search_path(spec, inherited_path);
        let (named, args) = match &spec.line {
            CommandLine::Shell(text) => ("/bin/sh".into(), vec!["-c".into(), text.into()]),
            CommandLine::Exec { program, args } => (program.clone(), args.clone()),
        };
        let shell_line = match &spec.line {
            CommandLine::Shell(text) => Some(text.clone()),
            CommandLine::Exec { .. } => None,
        };
        let program = resolve(&named, &path, &spec.cwd);
        let (cwd, leftovers, limits) = (spec.cwd.clone(), spec.leftovers, spec.limits);
        Self { named, program, path, args, shell_line, cwd, env, leftovers, limits, idle: Mutex::default() }
    }

    /// What keeps the program from being found, as of the preparation.
    pub fn problem(&self) -> Option<&StartError> {
        self.program.as_ref().err()
    }

    /// The absolute path of the program, if it was found.
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref().ok()
    }

    /// What the hook names, `/bin/sh` for a line.
    pub(super) fn named(&self) -> &OsStr {
        &self.named
    }

    /// The line that the shell gets, if the hook has one.
    pub(super) fn shell_line(&self) -> Option<&str> {
        self.shell_line.as_deref()
    }

    /// Where programs are looked for.
    pub(super) fn path(&self) -> &OsStr {
        &self.path
    }

    pub(super) fn cwd(&self) -> &Path {
        &self.cwd
    }

    pub(super) fn leftovers(&self) -> Leftovers {
        self.leftovers
    }

    /// What its processes may take of the machine.
    pub fn limits(&self) -> &ResourceLimits {
        &self.limits
    }

    /// Starts the command as the leader of a new process group, with pipes for its output and, if wanted, its input.
    pub(super) fn spawn<K, V>(
        &self,
        wants_stdin: bool,
        env: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Spawned, StartError>
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut kept = match &self.program {
            Ok(program) => self.idle().pop().unwrap_or_else(|| Kept::new(self.command(program))),
            Err(_) => Kept::new(self.command(&resolve(&self.named, &self.path, &self.cwd)?)),
        };
        let mut same = 0;
        for (name, value) in env {
            let name = name.as_ref();
            if kept.names.get(same).is_some_and(|last| last == name) {
                same += 1;
            } else {
                self.take_back(&mut kept, same);
                kept.names.push(name.to_owned());
                same = kept.names.len();
            }
            kept.command.env(name, value);
        }
        self.take_back(&mut kept, same);
        kept.command.stdin(if wants_stdin { Stdio::piped() } else { Stdio::null() });
        let child = kept
            .command
            .spawn()
            .map_err(|error| diagnose(&error, Path::new(kept.command.get_program()), &self.cwd))?;
        if self.program.is_ok() {
            self.idle().push(kept);
        }
        Ok(Spawned { child })
    }

    /// Takes the last run's variables back, from that one on.
    fn take_back(&self, kept: &mut Kept, from: usize) {
        for name in kept.names.drain(from.min(kept.names.len())..) {
            match self.env.get(&name) {
                Some(value) => kept.command.env(name, value),
                None => kept.command.env_remove(name),
            };
        }
    }

    /// The command as every run starts from it.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(&self.args)
            .current_dir(&self.cwd)
            .env_clear()
            .envs(&self.env)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn new(command: Command) -> Self {
        Self { command, names: Vec::new() }
    }
}

/// Without its environment and its arguments, which may be secret.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// A running child and its pipes.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) child: Child,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(inherit: InheritEnv, env: &[(&str, &str)]) -> CommandSpec {
        CommandSpec {
            line: CommandLine::Exec { program: "sh".into(), args: Vec::new() },
            cwd: "/".into(),
            env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            inherit,
            leftovers: Leftovers::Kill,
            limits: ResourceLimits::default(),
            nice: crate::class::PerClass::default(),
        }
    }

    fn parent() -> Vec<(OsString, OsString)> {
        [("PATH", "/bin"), ("HOME", "/h"), ("SECRET", "s")].map(|(n, v)| (n.into(), v.into())).into()
    }

    fn text(prepared: &Prepared) -> String {
        let pairs = prepared.env.iter().map(|(n, v)| format!("{}={}", n.display(), v.display()));
        pairs.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_environment_is_what_is_inherited_and_then_the_hooks_own() {
        let all = Prepared::new(&spec(InheritEnv::All, &[("HOME", "/mine"), ("A", "1")]), &parent());
        assert_eq!(text(&all), "A=1 HOME=/mine PATH=/bin SECRET=s");
        let only = InheritEnv::Only(vec!["HOME".into(), "NONE".into()]);
        let some = Prepared::new(&spec(only, &[("A", "1")]), &parent());
        assert_eq!(text(&some), "A=1 HOME=/h");
        assert_eq!(some.program(), Some(Path::new("/bin/sh")), "found in the PATH that is not handed on");
    }

    #[test]
    fn the_program_is_looked_up_in_the_path_that_the_handler_sees() {
        let own = Prepared::new(&spec(InheritEnv::All, &[("PATH", "/none")]), &parent());
        assert!(
            matches!(own.problem(), Some(StartError::Missing { searched: Some(path), .. }) if path == "/none")
        );
        let bare = Prepared::new(&spec(InheritEnv::Only(Vec::new()), &[]), &[]);
        assert!(bare.problem().is_none(), "a usual PATH stands in when there is none");
    }

    #[test]
    fn nothing_of_one_run_is_in_the_environment_of_the_next() {
        let mut spec = spec(InheritEnv::Only(Vec::new()), &[("OWN", "1")]);
        spec.line = CommandLine::Exec { program: "/usr/bin/env".into(), args: Vec::new() };
        let prepared = Prepared::new(&spec, &[]);
        let run = |env: &[(&str, &str)]| {
            let child = prepared.spawn(false, env.iter().copied()).unwrap().child;
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
        };
        assert_eq!(run(&[("JOB", "1"), ("OWN", "2")]), "JOB=1\nOWN=2\n");
        assert_eq!(prepared.idle().len(), 1);
        assert_eq!(run(&[("KIND", "k")]), "KIND=k\nOWN=1\n");
        assert_eq!(run(&[]), "OWN=1\n");
        assert_eq!(prepared.idle().len(), 1, "the same one was used");
    }
}
