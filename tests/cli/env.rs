//! The world of one test: a folder of its own, the program, and what it says.
//!
//! Nothing leaks in: the program starts with `PATH`, and `HOME` and `XDG_CONFIG_HOME` inside of the folder. Nothing leaks
//! out unnoticed: a mark in the environment, which handlers inherit, finds what is left of them in the process table.
//! Waiting is for states, and ends with a panic long after a slow machine would have come there.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ledger::Report;

/// Far more than anything here takes.
const WATCHDOG: Duration = Duration::from_secs(30);

/// The default timeout would make tests depend on the speed of the machine.
const PATIENT: &str = "defaults.timeout = '1m'\ndefaults.grace = '10s'\n";

pub(crate) struct TestEnv {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        // By `Zq` tests know the secrets that they look for, and a random name has it once in a thousand times.
        let has_mark = |dir: &tempfile::TempDir| dir.path().to_string_lossy().contains("Zq");
        let dir = std::iter::repeat_with(|| tempfile::tempdir().unwrap()).find(|dir| !has_mark(dir)).unwrap();
        Self { dir, variables: Vec::new() }
    }

    /// With a `hooks.toml` of patient hooks.
    pub(crate) fn with_hooks(toml: &str) -> Self {
        let env = Self::new();
        env.write("hooks.toml", format!("{PATIENT}{toml}"));
        env
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Waits until a handler has made the file.
    pub(crate) fn wait_for(&self, name: &str) {
        until(&format!("the file {name}"), || self.exists(name));
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.spawn(args).finish()
    }

    /// Runs `run --report json` on these events, and answers with the report.
    pub(crate) fn report(&self, args: &[&str], events: &str) -> Report {
        self.write("events.jsonl", events);
        let all: Vec<&str> =
            ["run", "--report", "json", "events.jsonl"].into_iter().chain(args.iter().copied()).collect();
        let done = self.run(&all);
        assert_eq!(done.code, Some(0), "{done:?}");
        done.report()
    }

    pub(crate) fn feed(&self, args: &[&str], input: impl AsRef<[u8]>) -> Done {
        let mut live = self.spawn(args);
        live.send(input.as_ref());
        live.finish()
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Live {
        self.spawn_in(".", args)
    }

    /// Starts the program in a folder below.
    pub(crate) fn spawn_in(&self, folder: &str, args: &[&str]) -> Live {
        self.start(folder, args, &[])
    }

    /// Starts the program; nobody reads the named ones of its `stdout` and `stderr`.
    pub(crate) fn spawn_unheard(&self, args: &[&str], unheard: &[&str]) -> Live {
        self.start(".", args, unheard)
    }

    #[expect(clippy::disallowed_methods, reason = "programs are found by the PATH of the tests")]
    fn start(&self, folder: &str, args: &[&str], unheard: &[&str]) -> Live {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookpool"));
        command.args(args).current_dir(self.path(folder)).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.path("home")).env("XDG_CONFIG_HOME", self.path("home/.config"));
        command.env("TEST_MARK", self.dir.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Live {
            stdin: child.stdin.take(),
            stdout: (!unheard.contains(&"stdout")).then(|| Gather::start(stdout)),
            stderr: (!unheard.contains(&"stderr")).then(|| Gather::start(stderr)),
            child,
        }
    }

    /// Processes of handlers that are still there.
    pub(crate) fn left_behind(&self) -> Vec<i32> {
        let mark = format!("TEST_MARK={}", self.dir.path().display());
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        numbers
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|number| {
                let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
            })
            .collect()
    }
}

/// A test that failed leaves nothing behind either.
impl Drop for TestEnv {
    fn drop(&mut self) {
        for number in self.left_behind() {
            let _ = kill_process(Pid::from_raw(number).unwrap(), Signal::KILL);
        }
    }
}

/// A program that runs.
pub(crate) struct Live {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<Gather>,
    stderr: Option<Gather>,
}

impl Live {
    /// Writes to its standard input. That it reads no more is its own affair.
    pub(crate) fn send(&mut self, text: impl AsRef<[u8]>) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(text.as_ref());
            let _ = stdin.flush();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.as_ref().unwrap().text()
    }

    pub(crate) fn wait_for_stderr(&self, text: &str) {
        let stderr = self.stderr.as_ref().unwrap();
        until(&format!("on standard error: {text}, not only\n{}", stderr.text()), || {
            stderr.text().contains(text)
        });
    }

    /// Ends its input and waits for its end.
    pub(crate) fn finish(mut self) -> Done {
        drop(self.stdin.take());
        self.finish_with_input_open()
    }

    /// Waits for its end.
    pub(crate) fn finish_with_input_open(mut self) -> Done {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > WATCHDOG {
                let _ = self.child.kill();
                panic!(
                    "the program does not end; it said\n{}",
                    self.stderr.as_ref().map_or_else(String::new, Gather::text)
                );
            }
            pause();
        };
        let text = |stream: Option<Gather>| stream.map(Gather::finish).unwrap_or_default();
        Done { code: status.code(), stdout: text(self.stdout.take()), stderr: text(self.stderr.take()) }
    }
}

/// What a program has said, at its end.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The report, whose sums have been checked.
    pub(crate) fn report(&self) -> Report {
        Report::parse(&self.stdout).unwrap_or_else(|error| panic!("no report: {error}\n{self:?}"))
    }
}

/// Reads a stream to its end, on a thread of its own.
struct Gather {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Gather {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, thread }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn finish(self) -> String {
        let Self { bytes, thread } = self;
        thread.join().unwrap();
        let bytes = bytes.lock().unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Waits until it is true.
pub(crate) fn until(what: &str, is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < WATCHDOG, "never came true: {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "the short pause between two looks at a state")]
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// An event of this raw name in a session.
pub(crate) fn event(name: &str, session: &str) -> String {
    format!("{{\"type\":\"{name}\",\"session_id\":\"{session}\"}}\n")
}

/// An event of this raw name in no session.
pub(crate) fn lone(name: &str) -> String {
    format!("{{\"type\":\"{name}\"}}\n")
}

pub(crate) fn repeat(line: &str, count: usize) -> String {
    line.repeat(count)
}

/// Makes a named pipe.
pub(crate) fn make_pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
}
