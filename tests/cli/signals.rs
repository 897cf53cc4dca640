//! INT and TERM.

use rustix::process::Signal;

use crate::env::{TestEnv, lone, make_pipe};

const ONE_WORKER: &str = "[pool]\nworkers = 1\nstandby = 0\n";
const HOLD: &str = "[hook.hold]\non = ['Hold']\nrun = 'touch held; until [ -e go ]; do sleep 0.01; done'\n";
/// Ends only by KILL.
const STUBBORN: &str = "[hook.hold]\non = ['Hold']\ngrace = '100ms'\nrun = 'trap \"\" TERM; touch held; while :; do sleep 0.05; done'\n";
const OTHER: &str = "[hook.a]\non = ['A']\nrun = 'true'\n";

#[test]
fn a_signal_drains_a_stream_and_the_exit_code_tells_which_it_was() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let env = TestEnv::with_hooks(&format!("{ONE_WORKER}{HOLD}{OTHER}"));
        let mut live = env.spawn(&["run", "-", "-vv", "--report", "json", "--drain-timeout", "1m"]);
        live.send([lone("Hold"), lone("A"), lone("A")].concat());
        env.wait_for("held");
        live.wait_for_stderr("job=3");
        live.signal(signal);
        live.wait_for_stderr("stopping");
        env.write("go", "");
        let done = live.finish_with_input_open();
        assert_eq!(done.code, Some(code), "{done:?}");
        assert_eq!(done.report().happened(), "succeeded 3");
        assert_eq!(env.left_behind(), [0; 0]);
    }
}

#[test]
fn at_the_end_of_the_drain_what_runs_is_killed_and_what_waits_is_abandoned() {
    let env = TestEnv::with_hooks(&format!("{ONE_WORKER}{STUBBORN}{OTHER}"));
    let mut live = env.spawn(&["run", "-", "-vv", "--report", "json", "--drain-timeout", "100ms"]);
    live.send([lone("Hold"), lone("A"), lone("A")].concat());
    env.wait_for("held");
    live.wait_for_stderr("job=3");
    live.signal(Signal::TERM);
    let done = live.finish_with_input_open();
    assert_eq!(done.code, Some(143), "{done:?}");
    assert_eq!(done.report().happened(), "cancelled 1, abandoned 2");
    assert_eq!(env.left_behind(), [0; 0]);
}

#[test]
fn a_second_signal_ends_the_drain_at_once() {
    let env = TestEnv::with_hooks(&format!("{ONE_WORKER}{STUBBORN}{OTHER}"));
    let mut live = env.spawn(&["run", "-", "-vv", "--report", "json", "--drain-timeout", "1h"]);
    live.send([lone("Hold"), lone("A")].concat());
    env.wait_for("held");
    live.wait_for_stderr("job=2");
    live.signal(Signal::INT);
    live.wait_for_stderr("stopping");
    live.signal(Signal::INT);
    let done = live.finish_with_input_open();
    assert_eq!(done.code, Some(130), "{done:?}");
    assert_eq!(done.report().happened(), "cancelled 1, abandoned 1");
    assert_eq!(env.left_behind(), [0; 0]);
}

#[test]
fn two_signals_that_come_together_are_two() {
    let env = TestEnv::with_hooks(&format!("{ONE_WORKER}{STUBBORN}"));
    let mut live = env.spawn(&["run", "-", "--report", "json", "--drain-timeout", "1h"]);
    live.send(lone("Hold"));
    env.wait_for("held");
    live.signal(Signal::INT);
    live.signal(Signal::TERM);
    let done = live.finish_with_input_open();
    assert!(matches!(done.code, Some(130 | 143)), "{done:?}");
    assert_eq!(done.report().happened(), "cancelled 1");
}

#[test]
fn a_signal_ends_a_run_whose_input_is_silent() {
    // A named pipe that nobody writes to.
    let env = TestEnv::with_hooks(HOLD);
    make_pipe(&env.path("pipe"));
    env.write("e", lone("Hold"));
    env.write("go", "");
    let live = env.spawn(&["run", "e", "pipe", "--report", "json"]);
    env.wait_for("held");
    live.signal(Signal::INT);
    let done = live.finish_with_input_open();
    assert_eq!(done.code, Some(130), "{done:?}");
    assert_eq!(done.report().happened(), "succeeded 1");
}

#[test]
fn a_named_pipe_is_read_to_its_end() {
    let env = TestEnv::with_hooks(HOLD);
    make_pipe(&env.path("pipe"));
    env.write("e", lone("Hold"));
    env.write("go", "");
    let live = env.spawn(&["run", "e", "pipe", "--report", "json"]);
    env.wait_for("held");
    env.write("pipe", lone("Hold").repeat(3));
    assert_eq!(live.finish().report().happened(), "succeeded 4");
}

#[test]
fn a_signal_ends_a_wait_for_room_and_one_for_the_next_turn() {
    let env = TestEnv::with_hooks(&format!("{ONE_WORKER}[queue]\ncapacity = 1\n{HOLD}"));
    env.write("e", lone("Hold").repeat(50));
    for rate in [&["--rate", "1/h"][..], &[]] {
        let args = [&["run", "e", "--report", "json", "--drain-timeout", "50ms"], rate].concat();
        let live = env.spawn(&args);
        env.wait_for("held");
        live.signal(Signal::INT);
        let done = live.finish();
        assert_eq!(done.code, Some(130), "{done:?}");
        let report = done.report();
        assert_eq!(report.n("outcomes.cancelled"), 1);
        assert_eq!(report.n("events.read"), report.n("submitted"));
        std::fs::remove_file(env.path("held")).unwrap();
    }
}

/// The terminal goes away: what runs is not left to itself. On a stream it is a reload (`reload.rs`).
#[test]
fn hup_and_quit_drain_as_well() {
    for (signal, code) in [(Signal::HUP, 129), (Signal::QUIT, 131)] {
        let env = TestEnv::with_hooks(&format!("{ONE_WORKER}{HOLD}"));
        env.write("e", lone("Hold"));
        let live = env.spawn(&["run", "e", "--report", "json", "--drain-timeout", "1m"]);
        env.wait_for("held");
        live.signal(signal);
        live.wait_for_stderr("stopping");
        env.write("go", "");
        let done = live.finish_with_input_open();
        assert_eq!(done.code, Some(code), "{done:?}");
        assert_eq!(done.report().happened(), "succeeded 1");
    }
}

/// The document was not cut short by whoever wrote it, and the next file is nobody's concern any more.
#[test]
fn what_a_signal_cuts_off_is_not_invalid_and_no_further_file_is_opened() {
    let env = TestEnv::with_hooks(&format!("{ONE_WORKER}{HOLD}"));
    let mut live = env.spawn(&["run", "-", "missing.jsonl", "--report", "json"]);
    live.send([lone("Hold"), "{\"event\":\"Hold\",\"x\":".to_owned()].concat());
    env.wait_for("held");
    env.write("go", "");
    live.signal(Signal::INT);
    let done = live.finish_with_input_open();
    assert_eq!(done.code, Some(130), "{done:?}");
    let report = done.report();
    assert_eq!(report.happened(), "succeeded 1");
    assert!(!done.stderr.contains("in the middle"), "{done:?}");
}
