//! Rude handlers under both waiters.
//!
//! Each test asserts on the report of the run and on the states of processes. Where time matters, the handlers would go
//! on for a minute, and the tests wait for states, so that a slow machine changes nothing.

#![cfg(all(target_os = "linux", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod helpers;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use helpers::{
    AMPLE, LIMITS, NO_ENV, NumberFile, SHORT, dead, exec, own_children, prepared, rude, run, run_spec, until,
    waiters,
};
use hookpool::process::{Cancel, End, Limits, Run, Runner, StartError, StopReason, WaiterKind};
use hookpool::{CommandLine, CommandSpec, InheritEnv, Leftovers};

const KILL: i32 = 9;
const TERM: i32 = 15;

/// For handlers that obey: the grace is never used up.
const STOPPED: Limits = Limits { timeout: SHORT, ..LIMITS };
/// For handlers that do not.
const KILLED: Limits = Limits { timeout: SHORT, grace: SHORT, ..LIMITS };

/// That a run was ended by TERM at its deadline, and not earlier.
fn assert_stopped(run: &Run) {
    let stopped = run.stopped.expect("it was told to end");
    assert_eq!((stopped.why, stopped.kill_after), (StopReason::Deadline, None), "{run:?}");
    assert!(stopped.term_after >= SHORT, "{run:?}");
}

/// That a run was ended by KILL after its grace, and not earlier.
fn assert_killed(run: &Run) {
    let stopped = run.stopped.expect("it was told to end");
    assert_eq!((&run.end, stopped.why), (&End::Signalled(KILL), StopReason::Deadline), "{run:?}");
    let kill_after = stopped.kill_after.expect("it outlived its grace");
    assert!(stopped.term_after >= SHORT && kill_after >= stopped.term_after + SHORT, "{run:?}");
    assert!(run.run_time >= kill_after && run.run_time < AMPLE, "{run:?}");
}

#[test]
fn a_handler_gets_its_input_and_its_output_is_kept() {
    for waiter in waiters() {
        let run = run_spec(waiter, &exec("/bin/cat", &[]), b"{\"a\":1}", LIMITS);
        assert!(run.succeeded(), "{waiter:?}: {run:?}");
        assert_eq!((run.stdout.text().as_ref(), run.stdin_left), ("{\"a\":1}", 0));
        assert!(!run.pipe_held && !run.leftovers_killed);
    }
}

#[test]
fn the_exit_status_and_the_ending_signal_are_told_apart() {
    for waiter in waiters() {
        assert_eq!(run(waiter, &["exits", "0"], b"", LIMITS).end, End::Exited(0));
        assert_eq!(run(waiter, &["exits", "7"], b"", LIMITS).end, End::Exited(7));
        let run = run(waiter, &["dies_by", "SEGV"], b"", LIMITS);
        assert_eq!((&run.end, run.stopped), (&End::Signalled(11), None), "{waiter:?}");
        assert!(!run.succeeded());
    }
}

#[test]
fn a_handler_that_obeys_the_polite_signal_is_not_killed() {
    for waiter in waiters() {
        let run = run(waiter, &["obeys_term"], b"", STOPPED);
        assert_stopped(&run);
        assert_eq!((&run.end, run.stdout.text().as_ref()), (&End::Exited(3), "ready\nbye\n"), "{waiter:?}");
        assert!(!run.succeeded());
    }
}

#[test]
fn a_silent_sleeper_ends_at_its_deadline() {
    for waiter in waiters() {
        let run = run(waiter, &["silent"], b"", STOPPED);
        assert_stopped(&run);
        assert_eq!(run.end, End::Signalled(TERM), "{waiter:?}");
    }
}

#[test]
fn a_handler_that_ignores_the_polite_signal_is_killed_after_its_grace() {
    for waiter in waiters() {
        let run = run(waiter, &["ignores_term"], b"", KILLED);
        assert_killed(&run);
        assert_eq!(run.stdout.text(), "ready\n", "{waiter:?}");
    }
}

#[test]
fn a_handler_that_forks_while_it_is_killed_leaves_nothing() {
    for waiter in waiters() {
        let mark = tempfile::tempdir().unwrap();
        let mut spec = rude(&["forks_on"]);
        spec.env.insert("MARK".into(), mark.path().into());
        let run = run_spec(waiter, &spec, b"", Limits { grace: Duration::from_millis(50), ..KILLED });
        assert_eq!(run.end, End::Signalled(KILL), "{waiter:?}: {run:?}");
        let carries = |number: &str| {
            let environ = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(mark.path().to_str().unwrap())
        };
        until("all of its forks are dead", || {
            let mut all = fs::read_dir("/proc").unwrap().flatten();
            (!all.any(|entry| entry.file_name().to_str().is_some_and(carries))).then_some(())
        });
    }
}

#[test]
fn a_stopped_handler_wakes_to_obey_and_one_that_stops_again_is_killed() {
    for waiter in waiters() {
        let obeys = run(waiter, &["stops_itself"], b"", STOPPED);
        assert_stopped(&obeys);
        assert_eq!(
            (&obeys.end, obeys.stdout.text().as_ref()),
            (&End::Signalled(TERM), "ready\n"),
            "{waiter:?}"
        );
        assert_killed(&run(waiter, &["stops_itself_deaf"], b"", KILLED));
    }
}

#[test]
fn what_a_successful_handler_leaves_in_its_group_is_killed() {
    // The portable waiter reaps as it sees the exit, and may not signal after that.
    for status in ["0", "1"] {
        let file = NumberFile::new();
        let path = file.path();
        let run = run(WaiterKind::Pidfd, &["double_forks", path.to_str().unwrap(), status], b"", LIMITS);
        assert_eq!(run.end, End::Exited(status.parse().unwrap()));
        assert!(dead(file.number()) && run.leftovers_killed && !run.pipe_held, "{run:?}");
    }
}

#[test]
fn leftovers_are_kept_if_the_hook_says_so_and_the_handler_succeeded() {
    for waiter in waiters() {
        let file = NumberFile::new();
        let mut spec = rude(&["double_forks", file.path().to_str().unwrap()]);
        spec.leftovers = Leftovers::Keep;
        let run = run_spec(waiter, &spec, b"", LIMITS);
        assert!(run.succeeded() && !run.leftovers_killed && !dead(file.number()), "{waiter:?}: {run:?}");
        end(file.number());
    }
    let file = NumberFile::new();
    let mut spec = rude(&["double_forks", file.path().to_str().unwrap(), "1"]);
    spec.leftovers = Leftovers::Keep;
    let run = run_spec(WaiterKind::Pidfd, &spec, b"", LIMITS);
    assert!(run.leftovers_killed && dead(file.number()), "it failed: {run:?}");
}

#[test]
fn a_descendant_that_ignores_the_polite_signal_dies_with_its_group() {
    for waiter in waiters() {
        let file = NumberFile::new();
        let run = run(waiter, &["double_forks_deaf", file.path().to_str().unwrap()], b"", STOPPED);
        assert_stopped(&run);
        assert_eq!(run.end, End::Signalled(TERM), "the leader obeys");
        assert!(run.leftovers_killed && dead(file.number()), "{waiter:?}: {run:?}");
        assert!(!run.pipe_held);
    }
}

#[test]
fn a_process_that_left_the_session_holds_the_pipe_but_not_the_run() {
    for waiter in waiters() {
        let file = NumberFile::new();
        let own = run(waiter, &["leaves_session", file.path().to_str().unwrap()], b"", LIMITS);
        assert!(own.succeeded() && own.pipe_held, "{waiter:?}: {own:?}");
        end(file.number());

        let file = NumberFile::new();
        let path = file.path();
        let stopped = run(waiter, &["leaves_session_and_sleeps", path.to_str().unwrap()], b"", STOPPED);
        assert_stopped(&stopped);
        assert!(stopped.pipe_held && !dead(file.number()), "{waiter:?}: {stopped:?}");
        end(file.number());
    }
}

#[test]
fn a_pipe_held_after_the_exit_is_closed_or_ends_with_its_holder() {
    let killed = run(WaiterKind::Pidfd, &["holds_pipe"], b"", LIMITS);
    assert!(killed.succeeded() && killed.leftovers_killed && !killed.pipe_held, "{killed:?}");
    assert_eq!(killed.stdout.text(), "done\n");
    for waiter in waiters() {
        let mut spec = rude(&["holds_pipe_for_good"]);
        spec.leftovers = Leftovers::Keep;
        let file = NumberFile::new();
        spec.env.insert("NUMBER".into(), file.path().into());
        let kept = run_spec(waiter, &spec, b"", LIMITS);
        assert!(kept.succeeded() && kept.pipe_held && !kept.leftovers_killed, "{waiter:?}: {kept:?}");
        assert_eq!(kept.stdout.text(), "done\n");
        end(file.number());
    }
}

#[test]
fn closing_or_ignoring_the_input_is_no_failure() {
    let payload = vec![b'x'; 10 << 20];
    for waiter in waiters() {
        let closes = run(waiter, &["closes_stdin"], &payload, LIMITS);
        assert!(closes.succeeded() && closes.stdout.text() == "closed\n", "{waiter:?}: {:?}", closes.end);
        assert!(closes.stdin_left > 0 && closes.stdin_left <= payload.len());
        assert!(run(waiter, &["ignores_input"], &payload, LIMITS).succeeded());
    }
}

#[test]
fn a_large_payload_that_is_never_read_ends_on_time_and_one_that_is_read_arrives() {
    let payload = vec![b'x'; 10 << 20];
    for waiter in waiters() {
        let never = run(waiter, &["never_reads"], &payload, STOPPED);
        assert_stopped(&never);
        assert!(never.stdin_left > 9 << 20, "{waiter:?}: {}", never.stdin_left);
        let read = run_spec(waiter, &exec("/bin/cat", &[]), &payload, LIMITS);
        assert_eq!((read.stdin_left, read.stdout.total()), (0, payload.len() as u64), "{waiter:?}");
        assert!(read.succeeded());
    }
}

#[test]
fn a_gigabyte_of_output_is_counted_and_two_parts_of_it_are_kept() {
    for waiter in waiters() {
        let run = run(waiter, &["writes_1g"], b"", LIMITS);
        assert!(run.succeeded(), "{waiter:?}: {run:?}");
        assert_eq!((run.stdout.total(), run.stdout.truncated()), (1 << 30, true));
        assert_eq!((run.stdout.head().len(), run.stdout.tail().len()), (32 * 1024, 32 * 1024));
    }
}

#[test]
fn truncated_output_keeps_the_beginning_and_the_end() {
    for waiter in waiters() {
        let run = run(waiter, &["marks"], b"", Limits { max_output: 100, ..LIMITS });
        assert!(
            run.stdout.head().starts_with(b"first") && run.stdout.tail().ends_with(b"last"),
            "{waiter:?}"
        );
        assert_eq!(run.stdout.left_out(), 100_009 - 100);
        assert!(run.stdout.text().contains("99909 bytes left out"));
    }
}

#[test]
fn a_flood_of_errors_ends_on_time() {
    for waiter in waiters() {
        let run = run(waiter, &["floods_stderr"], b"", KILLED);
        assert_killed(&run);
        assert!(run.stderr.truncated() && run.stdout.total() == 0, "{waiter:?}");
        assert!(run.stderr.head().starts_with(b"flood\n"));
    }
}

#[test]
fn slow_readers_and_writers_are_waited_for() {
    let lines = "line\n".repeat(30);
    for waiter in waiters() {
        let run = run(waiter, &["slow_echo"], lines.as_bytes(), LIMITS);
        assert!(run.succeeded() && run.stdout.text() == lines, "{waiter:?}: {run:?}");
    }
}

#[test]
fn no_output_and_output_that_is_no_text_are_both_fine() {
    for waiter in waiters() {
        let none = run(waiter, &["no_output"], b"x", LIMITS);
        assert!(none.succeeded() && none.stdout.total() == 0 && none.stdout.bytes().is_empty(), "{waiter:?}");
        let odd = run(waiter, &["not_text"], b"", LIMITS);
        assert_eq!(odd.stdout.bytes().as_ref(), b"a\xff\xfeb");
        assert_eq!(odd.stdout.text(), "a\u{fffd}\u{fffd}b");
    }
}

#[test]
fn a_grace_ends_when_the_token_reaches_its_second_level() {
    for waiter in waiters() {
        let dir = tempfile::tempdir().unwrap();
        let asked = dir.path().join("asked");
        let ready = dir.path().join("ready");
        let (asks, readies) = (asked.display(), ready.display());
        let script =
            format!("trap 'echo >{asks}' TERM; echo >{readies}; while :; do sleep 60 & wait $!; done");
        let spec = exec("/bin/sh", &["-c", &script]);
        for (timeout, grace_begins) in [(AMPLE, true), (SHORT, true), (AMPLE, false)] {
            let cancel = Cancel::new();
            let limits = Limits { timeout, grace: AMPLE * 10, ..LIMITS };
            let run = std::thread::scope(|scope| {
                let run =
                    scope.spawn(|| Runner::new(waiter).run(&prepared(&spec), b"", NO_ENV, &limits, &cancel));
                until("it runs", || (ready.exists() || run.is_finished()).then_some(()));
                if grace_begins {
                    if timeout == AMPLE {
                        cancel.cancel();
                    }
                    // On a slow machine the deadline may come before the trap is set.
                    until("it was asked", || (asked.exists() || run.is_finished()).then_some(()));
                }
                cancel.kill();
                run.join().unwrap()
            });
            let stopped = run.stopped.expect("it was told to end");
            assert!(run.run_time < AMPLE, "{waiter:?}: {run:?}");
            if timeout == AMPLE || asked.exists() {
                assert_eq!(run.end, End::Signalled(KILL), "{waiter:?}: {run:?}");
                assert!(stopped.kill_after.is_some());
            }
            let why = if timeout == AMPLE { StopReason::Cancelled } else { StopReason::Deadline };
            assert_eq!(stopped.why, why);
            for file in [&asked, &ready] {
                let _ = fs::remove_file(file);
            }
        }
    }
}

#[test]
fn a_run_is_cancelled_from_another_thread() {
    for waiter in waiters() {
        let cancel = Cancel::new();
        let spec = prepared(&rude(&["silent"]));
        let run = std::thread::scope(|scope| {
            let run = scope.spawn(|| Runner::new(waiter).run(&spec, b"", NO_ENV, &LIMITS, &cancel));
            until("the handler runs", || {
                own_children().iter().any(|&child| runs_rude(child, "silent")).then_some(())
            });
            cancel.cancel();
            run.join().unwrap()
        });
        let stopped = run.stopped.unwrap();
        assert_eq!((stopped.why, stopped.kill_after), (StopReason::Cancelled, None), "{waiter:?}");
        assert!(stopped.term_after < AMPLE && run.end == End::Signalled(TERM), "{run:?}");
        let again = Runner::new(waiter).run(&spec, b"x", NO_ENV, &LIMITS, &cancel);
        assert_eq!((&again.end, again.stdin_left), (&End::NotStarted(StartError::Cancelled), 1));
    }
}

#[test]
fn the_environment_and_the_working_directory_are_as_prepared() {
    let dir = tempfile::tempdir().unwrap();
    for waiter in waiters() {
        let mut spec = exec("/usr/bin/env", &[]);
        spec.env = [("OWN".into(), "1".into())].into();
        spec.inherit = InheritEnv::Only(vec!["LET".into()]);
        let parent = [("LET", "in"), ("SECRET", "s")].map(|(name, value)| (name.into(), value.into()));
        let prepared = hookpool::process::Prepared::new(&spec, &parent);
        let run = Runner::new(waiter).run(&prepared, b"", [("JOB", "7")], &LIMITS, &Cancel::new());
        assert_eq!(run.stdout.text(), "JOB=7\nLET=in\nOWN=1\n", "{waiter:?}");

        let shell = CommandSpec {
            line: CommandLine::Shell("pwd; echo $0".to_owned()),
            cwd: dir.path().canonicalize().unwrap(),
            ..exec("", &[])
        };
        let run = run_spec(waiter, &shell, b"", LIMITS);
        assert_eq!(run.stdout.text(), format!("{}\n/bin/sh\n", shell.cwd.display()));
    }
}

#[test]
fn processor_time_and_peak_memory_are_reported() {
    let used = run(WaiterKind::Pidfd, &["burns"], b"", LIMITS);
    assert!(used.succeeded() && used.cpu_time.unwrap() > Duration::ZERO);
    assert!(used.cpu_time.unwrap() <= used.run_time + Duration::from_millis(20), "{used:?}");
    let stopped = run(WaiterKind::Pidfd, &["silent"], b"", STOPPED);
    let memory = stopped.peak_memory.unwrap();
    assert!((100_000..100_000_000).contains(&memory), "{memory}");
}

#[test]
fn every_reason_not_to_start_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let file = dir.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    };
    let plain = file("plain", "#!/bin/sh\n", 0o644);
    let bare = file("bare", "echo no interpreter line\n", 0o755);
    let odd = file("odd", "\0\0\0\0", 0o755);
    let orphan = file("orphan", "#!/none/interpreter -x\n", 0o755);
    let dos = file("dos", "#!/bin/sh\r\n", 0o755);
    for waiter in waiters() {
        let why = |program: &Path| {
            let run = run_spec(waiter, &exec(program.to_str().unwrap(), &[]), b"x", LIMITS);
            let End::NotStarted(error) = run.end else { panic!("{program:?} started: {run:?}") };
            assert_eq!(run.stdin_left, 1);
            error
        };
        let missing = why(Path::new("no-such-program"));
        assert_eq!(
            missing.to_string(),
            "no program `no-such-program` in PATH (searched /usr/local/bin:/usr/bin:/bin); \
             install it, or give its full path"
        );
        assert_eq!(why(&plain), StartError::NotExecutable { program: plain.clone() });
        assert_eq!(why(dir.path()), StartError::NotExecutable { program: dir.path().into() });
        assert_eq!(why(&bare), StartError::NoInterpreterLine { program: bare.clone() });
        assert_eq!(why(&odd), StartError::WrongFormat { program: odd.clone() });
        let interpreter = "/none/interpreter".to_owned();
        assert_eq!(why(&orphan), StartError::MissingInterpreter { program: orphan.clone(), interpreter });
        assert!(why(&dos).to_string().contains("CR LF"));
        let nul = why(Path::new("/bin/sh\0"));
        assert!(matches!(nul, StartError::Other { .. } | StartError::Missing { .. }), "{nul:?}");
        for (cwd, text) in [("/none/cwd".into(), "No such file"), (plain.clone(), "no directory")] {
            let spec = CommandSpec { cwd, ..exec("/bin/true", &[]) };
            let run = run_spec(waiter, &spec, b"", LIMITS);
            let End::NotStarted(error @ StartError::BadCwd { .. }) = run.end else { panic!("{run:?}") };
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}

#[test]
fn a_program_may_vanish_and_come_back_between_runs() {
    for waiter in waiters() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::os::unix::fs::symlink("/bin/true", &program).unwrap();
        let ready = prepared(&exec(program.to_str().unwrap(), &[]));
        let go = |ready| Runner::new(waiter).run(ready, b"", NO_ENV, &LIMITS, &Cancel::new()).end;
        assert_eq!(go(&ready), End::Exited(0));
        fs::remove_file(&program).unwrap();
        assert!(matches!(go(&ready), End::NotStarted(StartError::Missing { .. })));
        let unready = prepared(&exec(program.to_str().unwrap(), &[]));
        assert!(unready.problem().is_some());
        assert!(matches!(go(&unready), End::NotStarted(StartError::Missing { .. })));
        std::os::unix::fs::symlink("/bin/true", &program).unwrap();
        assert_eq!((go(&ready), go(&unready)), (End::Exited(0), End::Exited(0)));
    }
}

#[test]
fn limits_of_nothing_and_of_for_ever_are_fine() {
    for waiter in waiters() {
        let nothing = Limits { timeout: Duration::ZERO, grace: Duration::ZERO, max_output: 0, nice: 0 };
        let run = run(waiter, &["ignores_term"], b"", nothing);
        assert!(run.stopped.is_some(), "{waiter:?}: {run:?}");
        let ever = Limits { timeout: Duration::MAX, grace: Duration::MAX, max_output: usize::MAX, nice: 0 };
        let run = helpers::run(waiter, &["exits", "0"], b"", ever);
        assert!(run.succeeded(), "{waiter:?}: {run:?}");
    }
}

fn runs_rude(child: i32, behaviour: &str) -> bool {
    let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
    line.split('\0').nth(2) == Some(behaviour)
}

/// Ends a process that a test let live.
fn end(number: i32) {
    let number = rustix::process::Pid::from_raw(number).unwrap();
    let _ = rustix::process::kill_process(number, rustix::process::Signal::KILL);
}
