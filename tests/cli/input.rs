//! What is an event, and what becomes of the rest.

use crate::env::{TestEnv, lone};

const COUNT_ALL: &str = "[hook.all]\non = ['*']\nrun = 'echo \"$HOOKPOOL_EVENT\" >> seen'\n";

/// Runs these bytes as a file; answers with read, invalid and succeeded, and standard error.
fn read(bytes: impl AsRef<[u8]>) -> (u64, u64, u64, String) {
    let env = TestEnv::with_hooks(COUNT_ALL);
    env.write("in.json", bytes);
    let done = env.run(&["run", "in.json", "--report", "json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let report = done.report();
    (report.n("events.read"), report.n("events.invalid"), report.n("outcomes.succeeded"), done.stderr)
}

#[test]
fn lines_pretty_documents_and_documents_that_share_a_line_are_read() {
    for (form, bytes, events) in [
        ("lines", "{\"type\":\"a\"}\n{\"type\":\"b\"}\n", 2),
        ("no line break at the end", "{\"type\":\"a\"}\n{\"type\":\"b\"}", 2),
        ("CRLF", "{\"type\":\"a\"}\r\n{\"type\":\"b\"}\r\n", 2),
        ("byte order mark", "\u{feff}{\"type\":\"a\"}\n", 1),
        ("blank lines", "\n\n  \n{\"type\":\"a\"}\n\r\n", 1),
        ("pretty", "{\n  \"type\": \"a\",\n  \"x\": { \"y\": [1,\n 2] }\n}\n{\n\"type\":\"b\"\n}", 2),
        ("two on a line", "{\"type\":\"a\"} {\"type\":\"b\"}{\"type\":\"c\"}\n", 3),
        ("empty", "", 0),
        ("only space", " \n \n", 0),
    ] {
        let (read, invalid, ran, stderr) = read(bytes);
        assert_eq!((read, invalid, ran), (events, 0, events), "{form}: {stderr}");
        assert_eq!(stderr, "", "{form}");
    }
}

#[test]
fn what_is_no_event_is_told_with_its_line_and_counted_and_the_rest_goes_on() {
    for (what, line) in [
        ("no JSON", "this is no JSON"),
        ("broken", "{\"type\":\"a\",,}"),
        ("array", "[{\"type\":\"a\"}]"),
        ("string", "\"text\""),
        ("number", "17"),
        ("without a name", "{\"x\":1}"),
        ("with a name that is no string", "{\"type\":7}"),
        ("no UTF-8 name", "{\"type\":\"\\ud800\"}"),
    ] {
        let (read, invalid, ran, stderr) = read(format!("{{\"type\":\"a\"}}\n{line}\n{{\"type\":\"b\"}}\n"));
        assert_eq!((read, invalid, ran), (3, 1, 2), "{what}: {stderr}");
        assert!(stderr.contains("in.json:2: "), "{what}: {stderr}");
    }
}

#[test]
fn a_document_that_is_cut_off_hides_nothing_but_itself() {
    let (read, invalid, ran, stderr) =
        read("{\"type\":\"a\"}\n{\"type\":\"b\",\n{\"type\":\"c\"}\n{\"type\":\"d\",");
    assert_eq!((read, invalid, ran), (4, 2, 2), "{stderr}");
    assert!(stderr.contains("in.json:2: ") && stderr.contains("in.json:4: "), "{stderr}");
}

#[test]
fn a_line_longer_than_the_reader_holds_is_invalid_and_the_rest_goes_on() {
    let env = TestEnv::with_hooks(&format!("queue.max_event_bytes = 100\n{COUNT_ALL}"));
    let mut live = env.spawn(&["run", "-", "--report", "json"]);
    live.send(lone("A"));
    live.send("{\"type\":\"long\",\"x\":\"");
    let part = vec![b'x'; 1 << 20];
    for _ in 0..17 {
        live.send(&part);
    }
    live.send("\"}\n");
    live.send(lone("B"));
    let done = live.finish();
    let report = done.report();
    assert_eq!((report.n("events.read"), report.n("events.invalid")), (3, 1));
    assert_eq!(report.happened(), "succeeded 2");
    assert!(done.stderr.contains("standard input:2: longer than"), "{}", done.stderr);
}

#[test]
fn several_files_and_standard_input_are_read_in_order() {
    let env = TestEnv::with_hooks(&format!("pool.workers = 1\n{COUNT_ALL}"));
    env.write("one", lone("A"));
    env.write("two", lone("C"));
    let done = env.feed(&["run", "one", "-", "two", "--report", "json"], lone("B"));
    assert_eq!(done.report().n("events.read"), 3);
    assert_eq!(env.lines("seen"), ["A", "B", "C"]);
}

#[test]
fn a_file_that_cannot_be_read_ends_with_5_after_what_was_read_before_is_done() {
    let env = TestEnv::with_hooks(COUNT_ALL);
    env.write("one", lone("A"));
    env.write("folder/x", "");
    for name in ["missing", "folder"] {
        let done = env.run(&["run", "one", name, "--report", "json"]);
        assert_eq!(done.code, Some(5), "{done:?}");
        assert!(done.stderr.contains(name), "{done:?}");
        assert_eq!(done.report().happened(), "succeeded 1");
    }
}

#[test]
fn events_without_a_name_get_that_of_the_option_and_others_keep_theirs() {
    let env = TestEnv::with_hooks(COUNT_ALL);
    let done = env.feed(&["run", "-", "--event", "mine"], "{\"x\":1}\n{\"type\":\"own\"}\n");
    assert_eq!(done.code, Some(0));
    let mut seen = env.lines("seen");
    seen.sort();
    assert_eq!(seen, ["mine", "own"]);
}
