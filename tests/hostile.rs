//! Hostile input through the real program: events, configurations and what handlers write, of any size, depth and
//! encoding. Whatever comes, the program ends by itself with the code that it documents, within bounded memory, says what
//! was wrong and where, lets nobody forge its lines, and loses no job.
//!
//! What each door of the library does with bytes that nobody thought of: `src/fuzzing`.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hookpool::text::is_unsafe;

const MB: usize = 1_000_000;

/// Far more than anything here takes.
const WATCHDOG: Duration = Duration::from_mins(3);

/// A folder, and the program in it, which may use so many bytes of memory that it can write to.
struct World {
    folder: tempfile::TempDir,
    memory: usize,
}

/// What the program did.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl World {
    fn new(hooks: impl AsRef<[u8]>) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), memory: 100 * MB };
        fs::write(world.path("hooks.toml"), hooks).unwrap();
        world
    }

    /// With one hook that keeps what it gets of each event, under the number of its job.
    fn keeping() -> Self {
        Self::new("[hook.keep]\non = ['*']\ntimeout = '10m'\nrun = 'cat > \"got.$HOOKPOOL_JOB\"'\n")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a file of a beginning, one part many times over, and an end, without holding it.
    fn write(&self, name: &str, begin: &[u8], (part, times): (&[u8], usize), end: &[u8]) {
        let mut file = BufWriter::new(File::create(self.path(name)).unwrap());
        file.write_all(begin).unwrap();
        (0..times).for_each(|_| file.write_all(part).unwrap());
        file.write_all(end).unwrap();
    }

    fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, &[])
    }

    #[expect(clippy::disallowed_methods, reason = "programs are found by the PATH of the tests")]
    fn run_with(&self, args: &[&str], variables: &[(&str, &[u8])]) -> Done {
        // Memory that it does not get it cannot do without: it would end by a signal. Not by a shell, which drops variables.
        let mut command = Command::new("prlimit");
        command.arg(format!("--data={}", self.memory));
        command.arg(env!("CARGO_BIN_EXE_hookpool")).args(args);
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(variables.iter().map(|(name, value)| (name, std::ffi::OsStr::from_bytes(value))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let read = |mut stream: Box<dyn Read + Send>| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                bytes
            })
        };
        let stdout = read(Box::new(child.stdout.take().unwrap()));
        let stderr = read(Box::new(child.stderr.take().unwrap()));
        let (ended, is_over) = mpsc::channel::<()>();
        let watchdog = thread::spawn(move || {
            if is_over.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let status = child.wait().unwrap();
        drop(ended);
        watchdog.join().unwrap();
        Done {
            code: status.code(),
            stdout: stdout.join().unwrap(),
            stderr: String::from_utf8_lossy(&stderr.join().unwrap()).into_owned(),
        }
    }
}

impl Done {
    /// How often each of these stands in a report: `succeeded`, `events.read`, ….
    fn counts<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        let report: serde_json::Value = serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no report: {error}: {self:?}"));
        assert_eq!(report["balanced"], true, "{report}");
        names.map(|name| {
            let at = name.split('.').fold(&report, |value, part| &value[part]);
            at.as_u64().unwrap_or_else(|| panic!("{name} in {report}"))
        })
    }

    /// Nothing that was said can move a cursor, and each line was begun by the program.
    fn is_clean(&self) {
        for text in [&*String::from_utf8_lossy(&self.stdout), &self.stderr] {
            let bad = text.chars().find(|c| is_unsafe(*c) && *c != '\n');
            assert_eq!(bad, None, "{}", text.escape_debug());
            assert!(text.lines().all(|line| !line.starts_with("forged")), "{text}");
        }
    }
}

const GOOD: &[u8] = b"\n{\"type\":\"good\"}\n";

#[test]
fn an_event_of_any_size_and_depth_takes_bounded_memory_and_hides_nothing_behind_it() {
    // What is longer than can be an event is told with its line, and the next line counts.
    for (what, begin, part, times) in [
        ("one string", &b"{\"type\":\"x\",\"a\":\""[..], &[b'x'; 10_000][..], 10_000),
        ("one key", b"{\"type\":\"x\",\"", &[b'k'; 10_000], 10_000),
        ("many lines", b"{\"type\":\"x\"", b",\n  \"a\": \"bcdefghijklmnopqrstuvwxyz\"", 3_000_000),
        ("arrays without end", b"{\"type\":\"x\",\"a\":", b"[[[[[[[[[[", 10_000_000),
        ("objects without end", b"{\"type\":\"x\"", b",\"a\":{\"b\":1", 9_000_000),
        ("an array of events", b"[", b"{\"type\":\"x\"},", 8_000_000),
        ("NULs", b"", &[0; 10_000], 10_000),
        ("a number without end", b"{\"type\":\"x\",\"a\":1", &[b'0'; 10_000], 10_000),
    ] {
        let world = World::keeping();
        world.write("in", begin, (part, times), GOOD);
        let done = world.run(&["run", "in", "--report", "json"]);
        assert_eq!(done.code, Some(0), "{what}: {}", done.stderr);
        let counts = done.counts(["events.invalid", "outcomes.succeeded"]);
        assert_eq!(counts, [1, 1], "{what}: {}", done.stderr);
        assert!(done.stderr.starts_with("in:1: ") && done.stderr.len() < 500, "{what}: {}", done.stderr);
        done.is_clean();
    }
}

#[test]
fn what_json_allows_reaches_a_handler_to_the_byte() {
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    let many = "\"a\":1,".repeat(100_000);
    let key = "k".repeat(4 * MB);
    for (what, event) in [
        ("depth", format!("{{\"type\":\"x\",\"a\":{deep}}}").into_bytes()),
        ("equal keys", format!("{{{many}\"type\":\"x\"}}").into_bytes()),
        ("a giant key", format!("{{\"{key}\":1,\"type\":\"x\"}}").into_bytes()),
        ("numbers", br#"{"type":"x","a":[1e999,-0,1E-999,123456789012345678901234567890]}"#.to_vec()),
        ("surrogates", br#"{"type":"x","\ud800":"\udfff\ud800","b":"\u0000"}"#.to_vec()),
        ("bytes that are no text", b"{\"type\":\"x\",\"\xff\":\"\xfe\xed\xa0\x80\"}".to_vec()),
        ("names with NUL", br#"{"type":"a\u0000b","session_id":"\u0000","tool_name":"\n\u0000"}"#.to_vec()),
    ] {
        let world = World::keeping();
        fs::write(world.path("in"), &event).unwrap();
        let done = world.run(&["run", "in", "--report", "json"]);
        assert_eq!(done.counts(["outcomes.succeeded"]), [1], "{what}: {}", done.stderr);
        assert!(fs::read(world.path("got.1")).unwrap() == event, "{what}");
        done.is_clean();
    }
}

#[test]
fn a_configuration_of_any_content_is_refused_in_a_few_words_and_little_memory() {
    let keys = b"k = 1\n[x]\n";
    let wide: Vec<u8> = "hook.a.on = 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (what, begin, (part, times), says) in [
        ("50 MB", &b"#"[..], (&[b'x'; 1000][..], 50_000), "larger than 4 MB"),
        ("NULs", b"", (&[0; 1000], 1000), "hooks.toml:1:1: error: no valid TOML: there is a NUL"),
        ("no text", b"a = '\xff'", (b"", 0), "hooks.toml:1:6: error: the file is not UTF-8 text"),
        ("two bytes a letter", &wide, (b"", 0), "hint: a file in UTF-16 has to be saved as UTF-8"),
        ("lists in lists", b"a = ", (b"[", 3_000_000), "no valid TOML"),
        ("tables in tables", b"a = ", (b"{a=", 1_000_000), "no valid TOML"),
        ("dots", b"a", (b".a", 1_500_000), "no valid TOML"),
        ("a header of dots", b"[a", (b".a", 1_500_000), "no valid TOML"),
        ("one table twice", b"", (keys, 2), "duplicate key"),
        ("unknown keys", b"", (b"x\\", 2), "no valid TOML"),
        ("a lone carriage return", b"a = 1\rb = 2\n", (b"", 0), "no valid TOML"),
    ] {
        // A file of some megabytes may take some hundred for a moment.
        let world = World { memory: 400 * MB, ..World::new("") };
        world.write("hooks.toml", begin, (part, times), b"");
        for args in [&["check"][..], &["run", "-"], &["config"]] {
            let done = world.run(args);
            let said = [&*String::from_utf8_lossy(&done.stdout), &done.stderr].concat();
            assert_eq!(done.code, Some(3), "{args:?} with {what}: {said}");
            assert!(said.contains(says) && said.len() < 1500, "{args:?} with {what}: {said}");
            done.is_clean();
        }
    }
}

#[test]
fn a_byte_order_mark_and_dos_line_ends_change_nothing() {
    let world = World::new("\u{feff}[hook.a]\r\non = ['*']\r\nrun = 'true'\r\n");
    assert_eq!(world.run(&["check"]).code, Some(0));
    let world = World::new("\u{feff}[hook.a]\r\non = ['*']\r\nrun = 'true'\r\nbad = 1\r\n");
    let done = world.run(&["check"]);
    assert!(String::from_utf8_lossy(&done.stdout).contains("hooks.toml:4:1: error: unknown key"), "{done:?}");
    done.is_clean();
}

/// What moves a cursor, ends a line, or turns the text around it.
const RUDE: &str = "\\u001b[2J\\nforged\\r\\u202e\\u0007";

#[test]
fn no_text_of_a_configuration_plays_with_the_terminal() {
    let good = format!(
        "[hook.a]\non = ['*', \"{RUDE}\"]\nrun = [\"./{RUDE}\", \"{RUDE}\"]\ncwd = \"{RUDE}\"\nenv.\"{RUDE}\" = \"{RUDE}\"\n\
         match.tool = \"{RUDE}\"\nwhere = {{ \"{RUDE}\" = \"{RUDE}\" }}\n"
    );
    let bad = format!(
        "\"{RUDE}\" = 1\npool.workers = \"{RUDE}\"\n[hook.\"{RUDE}\"]\n[hook.a]\non = [\"\", \"{RUDE}\"]\nrun = 'x'\n\
         priority = \"{RUDE}\"\nmatch.tool = \"{RUDE}(\"\nwhere = {{ \"{RUDE}..\" = \"x\" }}\nenv.A = \"${{env:{RUDE}}}\"\n"
    );
    let raw = format!("a = '{}' # \u{202e}forged \u{1b}[2J\n", "\u{2028}\u{feff}");
    for text in [&good, &bad, &raw] {
        let world = World::new(text);
        fs::write(world.path("in"), GOOD).unwrap();
        for args in
            [&["check"][..], &["config", "--origins"], &["run", "in"], &["run", "--dry-run", "in", "-vvv"]]
        {
            world.run(args).is_clean();
        }
    }
    let world = World::new("");
    let value = RUDE.replace("\\u001b", "\u{1b}").replace("\\n", "\n");
    let variables = [
        ("HOOKPOOL_POOL__WORKERS", value.as_bytes()),
        ("HOOKPOOL_QUEUE__CAPACITY", b"\xff\x1b[2J"),
        ("HOOKPOOL_\n\u{1b}[2Jforged", b"1"),
        ("HOOKPOOL_HOOK__\u{1b}[2J__RUN", b"1"),
    ];
    let done = world.run_with(&["check"], &variables);
    assert_eq!(done.code, Some(3), "{done:?}");
    assert_eq!(done.stdout.windows(7).filter(|text| text == b"error: ").count(), 4, "{done:?}");
    done.is_clean();
}

#[test]
fn no_name_of_a_file_plays_with_the_terminal() {
    let world = World::keeping();
    let name = "\u{1b}[2J\nforged\u{202e}";
    fs::write(world.path(name), "nonsense\n").unwrap();
    for args in
        [&["run", name][..], &["run", "\u{1b}[2J\nforged missing"], &["check", name], &["check", "\nforged"]]
    {
        let done = world.run(args);
        assert!(
            [&done.stderr, &*String::from_utf8_lossy(&done.stdout)].concat().contains("\\nforged"),
            "{done:?}"
        );
        done.is_clean();
    }
}

#[test]
fn no_output_of_a_handler_plays_with_the_terminal_or_forges_a_line() {
    let answer = |rest: &str| format!("{{\"id\":\"1\",\"ok\":false{rest}}}\n");
    let long = "x".repeat(MB / 2);
    for (what, mode, output) in [
        ("a message", "lines", answer(&format!(",\"message\":\"no{RUDE}\""))),
        ("a verdict", "lines", answer(&format!(",\"verdict\":\"{RUDE}\""))),
        ("a long message", "lines", answer(&format!(",\"message\":\"{long}\""))),
        ("a broken answer", "lines", "{\"id\":\"\u{1b}[2J\u{202e}\rforged\n".to_owned()),
        ("an answer to nobody", "lines", format!("{{\"id\":\"{RUDE}\",\"ok\":true}}\n")),
        ("a message", "resident", answer(&format!(",\"message\":\"no{RUDE}\""))),
        ("a broken answer", "resident", "{\"id\":\"\u{1b}[2J\u{202e}\rforged\n".to_owned()),
        ("noise", "single", format!("\u{1b}[2J\u{9b}31m\0\nforged\r\u{202e}\u{7}{long}")),
    ] {
        let run =
            if mode == "single" { "cat output; cat output >&2; exit 1" } else { "read -r line; cat output" };
        let hooks = format!(
            "[hook.rude]\non = ['*']\ntimeout = '10m'\nmode = '{mode}'\nrun = ['sh', '-c', '{run}']\n"
        );
        let world = World::new(hooks);
        fs::write(world.path("output"), output).unwrap();
        fs::write(world.path("in"), GOOD).unwrap();
        for args in [&["-vvv"][..], &["-vvv", "--show-output"], &["--report", "json"]] {
            let done = world.run(&[&["run", "in"], args].concat());
            assert_eq!(done.code, Some(0), "{what}: {done:?}");
            assert!(done.stderr.len() < 20_000, "{what}: {} bytes", done.stderr.len());
            done.is_clean();
        }
        let [failed, succeeded] =
            world.run(&["run", "in", "--report", "json"]).counts(["outcomes.failed", "outcomes.succeeded"]);
        assert_eq!(
            (failed, succeeded),
            if what == "an answer to nobody" { (0, 1) } else { (1, 0) },
            "{what}"
        );
    }
}

#[test]
fn output_without_measure_is_read_to_its_end_and_not_kept() {
    // 200 MB: of noise, of an answer, of answers to nobody; on a stream that nobody looks at.
    let flood = "yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | head -c 200000000";
    for (what, mode, run, ended) in [
        ("noise", "single", format!("{flood}; {flood} >&2"), "outcomes.succeeded"),
        ("no line end", "single", format!("{flood} | tr -d \"\\n\""), "outcomes.succeeded"),
        ("noise", "lines", flood.to_owned(), "outcomes.succeeded"),
        ("one answer", "lines", format!("printf \"{{\"; {flood} | tr -d \"\\n\""), "outcomes.failed"),
        ("answers", "lines", "yes \"{}\" | head -c 2000000".to_owned(), "outcomes.failed"),
        (
            "one answer",
            "resident",
            format!("read -r line; printf \"{{\"; {flood} | tr -d \"\\n\""),
            "outcomes.failed",
        ),
    ] {
        let world = World::new(format!(
            "[hook.flood]\non = ['*']\ntimeout = '10m'\nmode = '{mode}'\nrun = ['sh', '-c', '{run}']\n"
        ));
        fs::write(world.path("in"), GOOD).unwrap();
        let done = world.run(&["run", "in", "--report", "json"]);
        assert_eq!(done.counts([ended]), [1], "{what} in {mode}: {done:?}");
        done.is_clean();
    }
}

#[test]
fn a_load_of_any_content_is_refused_with_its_place() {
    for (what, begin, (part, times), says) in [
        ("50 MB", &b"#"[..], (&[b'x'; 1000][..], 50_000), "larger than 4 MB"),
        ("NULs", b"", (&[0; 1000], 1000), "load:1:1: error: no valid TOML: there is a NUL"),
        ("a recording of one line", b"{", (&[b' '; 1000], 50_000), "load:1:1: error: no line of a recording"),
        (
            "a recording of rude text",
            b"{\"\x1b[2J\xe2\x80\xae\r",
            (b"", 0),
            "load:1:1: error: no line of a recording",
        ),
        ("nothing ever comes", b"[class.low]\narrivals = []\n", (b"", 0), "load:2:12: error: "),
        (
            "times beyond all measure",
            b"[class.low]\narrivals = { every = 1e17 }\n",
            (b"", 0),
            "at most 30 days",
        ),
    ] {
        let world = World::new("");
        world.write("load", begin, (part, times), b"");
        let done = world.run(&["simulate", "load"]);
        let said = [&*String::from_utf8_lossy(&done.stdout), &done.stderr].concat();
        assert_eq!(done.code, Some(3), "{what}: {said}");
        assert!(said.contains(says) && said.len() < 1500, "{what}: {said}");
        done.is_clean();
    }
}

#[test]
fn all_that_fuzzing_has_found_of_events_goes_through_the_program_at_once() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/event");
    // A package has none: it is only in the repository.
    let files: Vec<PathBuf> =
        fs::read_dir(corpus).into_iter().flatten().map(|file| file.unwrap().path()).collect();
    let world = World::new("[hook.a]\non = ['*']\nenabled = false\nrun = 'x'\n");
    let mut args = vec!["run", "--report", "json", "--event", "x", "-v"];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    args.push("/dev/null");
    let done = world.run(&args);
    assert_eq!(done.code, Some(0), "{done:?}");
    let [read, invalid, skipped] = done.counts(["events.read", "events.invalid", "skipped.hook_disabled"]);
    assert_eq!(read, invalid + skipped);
    done.is_clean();
}
