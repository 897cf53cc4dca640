//! Another configuration while jobs wait and run: who goes by which, what is kept, and what is an error.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::config::ConfigLoader;
use crate::handler::Call;
use crate::outcome::Outcome;
use crate::{HandlerProblem, Refusal};

fn config(toml: &str) -> Config {
    Config::from_toml(toml).unwrap_or_else(|error| panic!("{error}"))
}

fn submit(pool: &HookPool, json: &str) -> JobHandle {
    pool.submit(event(json)).admitted().next().expect("it is admitted").clone()
}

fn stop(pool: &HookPool) -> JobHandle {
    submit(pool, r#"{"event":"stop","session_id":"s"}"#)
}

fn printed(handle: &JobHandle) -> String {
    let outcome = handle.wait(LONG).expect("it ends");
    assert_eq!(outcome.kind, OutcomeKind::Succeeded, "{outcome}");
    outcome.process.as_ref().expect("it is a process").stdout.text().trim().to_owned()
}

fn echo(word: &str) -> String {
    format!("[hook.a]\non = ['stop']\nrun = 'echo {word}'\n")
}

#[test]
fn a_job_keeps_the_definition_that_it_was_admitted_with() {
    let pool = pool(&echo("one"));
    pool.pause("a");
    let first = stop(&pool);
    let reloaded = pool.reload_with(config(&echo("two"))).unwrap();
    assert_eq!(
        reloaded.to_string(),
        r#"hook.a.run: "echo one" -> "echo two" (hooks.toml:3:7), for new jobs"#
    );
    let second = stop(&pool);
    pool.resume("a");
    assert_eq!((printed(&first), printed(&second)), ("one".into(), "two".into()));
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn what_is_told_of_a_change_holds_no_secret() {
    let pool = pool(&(echo("one") + "env = { TOKEN = 'old-secret' }\n"));
    let new = echo("one")
        + "env = { TOKEN = 'new-secret' }\n[hook.b]\non = ['stop']\nrun = 'true'\nenv.KEY = 'secret'\n";
    let reloaded = pool.reload_with(config(&new)).unwrap();
    assert_eq!(
        reloaded.to_string(),
        "hook.a.env.TOKEN: changed (hooks.toml:4:17), for new jobs\nhook.b: new (hooks.toml:6:6), for new jobs"
    );
    assert_eq!(reloaded.changes[0].from.as_deref(), Some("\"old-secret\""), "who asks is told");
    let table = reloaded.changes[1].to.as_deref();
    assert_eq!(table, Some(r#"{ env.KEY = "secret", on = ["stop"], run = "true" }"#));
}

#[cfg(feature = "http")]
#[test]
fn what_is_told_of_a_web_service_holds_no_secret() {
    let service = |secret: &str| {
        format!(
            "[hook.a]\non = ['stop']\nurl = 'http://localhost/{secret}'\nheaders = {{ Token = '{secret}' }}\n"
        )
    };
    let pool = pool(&service("old-secret"));
    let reloaded = pool.reload_with(config(&service("new-secret"))).unwrap();
    assert_eq!(
        reloaded.to_string(),
        "hook.a.headers.Token: changed (hooks.toml:4:21), for new jobs\n\
         hook.a.url: changed (hooks.toml:3:7), for new jobs"
    );
}

#[test]
fn the_jobs_of_a_hook_that_is_gone_run_and_its_counts_stay() {
    let pool = pool(&echo("one"));
    pool.pause("a");
    let waiting = stop(&pool);
    let reloaded = pool.reload_with(config("")).unwrap();
    assert_eq!(reloaded.to_string(), "hook.a: gone; its jobs that wait still run");
    assert!(pool.submit(event(r#"{"event":"stop"}"#)).is_unmatched());
    let snapshot = pool.status();
    assert!(snapshot.hooks[0].removed && snapshot.total.queued() == 1);
    // A pause is one of the name, and goes on when the hook comes back.
    pool.reload_with(config(&echo("two"))).unwrap();
    let back = stop(&pool);
    assert!(!pool.status().hooks[0].removed);
    assert_eq!(pool.queue_size(), 2);
    assert!(pool.resume("a"));
    assert_eq!((printed(&waiting), printed(&back)), ("one".into(), "two".into()));
    pool.reload_with(config("")).unwrap();
    let ledger = pool.drain(LONG);
    assert!(ledger.is_balanced());
    assert_eq!(ledger.snapshot.hooks[0].counts.admitted(), 2);
    assert_eq!(ledger.snapshot.total.submitted(), 3);
}

/// The first is held, while others of its session come by three definitions, and the seats are plenty.
#[test]
fn a_session_stays_in_order_across_definitions() {
    let (told, seen) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let pool = HookPool::builder()
        .config(config("pool.workers = 8\n[hook.a]\non = ['stop']\n"))
        .register("a", move |call: &Call| {
            if call.job().0 == 1 {
                gate.lock().unwrap().recv().unwrap();
            }
            told.send(call.job().0).unwrap();
        })
        .build()
        .unwrap();
    for timeout in 20..60 {
        stop(&pool);
        pool.set("hook.a.timeout", &format!("{timeout}s")).unwrap();
        if timeout % 5 == 0 {
            pool.reload_with(config("pool.workers = 8\n")).unwrap();
            pool.reload_with(config("pool.workers = 8\n[hook.a]\non = ['stop']\n")).unwrap();
        }
    }
    assert!(seen.try_recv().is_err(), "nothing overtakes the first");
    open.send(()).unwrap();
    assert!(pool.drain(LONG).is_balanced());
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_batch_holds_jobs_of_one_definition_and_by_its_bounds() {
    let (told, seen) = mpsc::channel();
    let pool = HookPool::builder()
        .config(config("[hook.a]\non = ['stop']\nbatch = { size = 10, linger = '1h' }\n"))
        .register_batch("a", move |calls: &[Call]| {
            told.send(calls.iter().map(|call| call.job().0).collect::<Vec<_>>()).unwrap();
        })
        .build()
        .unwrap();
    let some = |n| (0..n).for_each(|_| drop(pool.submit(event(r#"{"event":"stop"}"#))));
    pool.pause("a");
    some(4);
    pool.set("hook.a.batch.size", "2").unwrap();
    some(3);
    pool.set("hook.a.order", "none").unwrap();
    some(2);
    pool.resume("a");
    let mut batches: Vec<_> = (0..4).map(|_| seen.recv_timeout(LONG).unwrap()).collect();
    batches.sort();
    // The first lingers no more: nobody can join it. The seventh waits with the new bounds, and not for the eighth.
    assert_eq!(batches, [vec![1, 2, 3, 4], vec![5, 6], vec![7], vec![8, 9]]);
    assert!(pool.drain(LONG).is_balanced());
}

fn loaded(file: &Path) -> HookPool {
    let loaded = ConfigLoader::new().file(file).load().unwrap();
    HookPool::builder().config(loaded.config).build().unwrap()
}

#[test]
fn an_invalid_file_changes_nothing_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hooks.toml");
    std::fs::write(&file, echo("one")).unwrap();
    let pool = loaded(&file);
    std::fs::write(&file, echo("two") + "timeout = 'soon'\n[pool]\nworkers = 9000\n").unwrap();
    let ReloadError::Config(error) = pool.reload().unwrap_err() else { panic!("of another kind") };
    let lines: Vec<_> = error.problems.iter().filter_map(crate::config::Problem::line).collect();
    assert_eq!(lines, [4, 6], "all of it, each at its place");
    assert_eq!(printed(&stop(&pool)), "one");
    assert_eq!(pool.config().pool.workers, 4);
    // What is set goes by what was read, whatever the file is now.
    pool.set("pool.workers", "5").unwrap();
    assert_eq!((pool.config().pool.workers, printed(&stop(&pool))), (5, "one".to_owned()));
    std::fs::write(&file, echo("three")).unwrap();
    assert_eq!(pool.reload().unwrap().changes.len(), 1);
    assert_eq!((pool.config().pool.workers, printed(&stop(&pool))), (5, "three".to_owned()));
    assert!(pool.drain(LONG).is_balanced());
    assert!(matches!(pool.reload(), Err(ReloadError::Closed)));
}

#[test]
fn what_was_set_survives_a_reload_and_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hooks.toml");
    std::fs::write(&file, echo("one")).unwrap();
    let pool = loaded(&file);
    pool.set("hook.a.run", "echo set").unwrap();
    pool.set_performance_mode(true);
    pool.resize(7, 2).unwrap();
    std::fs::write(&file, "pool = { workers = 3, standby = 0 }\n".to_owned() + &echo("two")).unwrap();
    assert_eq!(pool.reload().unwrap().to_string(), "");
    let seats = |pool: &HookPool| (pool.config().pool.workers, pool.config().pool.standby);
    assert_eq!(seats(&pool), (7, 2));
    assert!(pool.performance_mode() && pool.config().performance_mode);
    pool.unset("performance_mode").unwrap();
    assert_eq!(printed(&stop(&pool)), "set");
    // While its hook is gone, a setting of it does nothing, and it is not forgotten.
    std::fs::write(&file, "").unwrap();
    pool.reload().unwrap();
    assert!(pool.set("hook.a.timeout", "1s").is_err(), "there is no such hook to set something of");
    std::fs::write(&file, echo("three")).unwrap();
    pool.reload().unwrap();
    assert_eq!(printed(&stop(&pool)), "set");
    pool.unset("hook.a.run").unwrap();
    assert_eq!(printed(&stop(&pool)), "three");
    pool.unset("pool.workers").unwrap();
    assert_eq!(seats(&pool), (4, 2));
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn closures_are_there_for_hooks_that_come_later() {
    let pool = HookPool::builder()
        .config(config("[hook.a]\non = ['stop']\nrun = 'true'\n"))
        .register("later", |_: &Call| ())
        .build()
        .unwrap();
    let later = "[hook.later]\non = ['stop']\n";
    let error = pool.reload_with(config(&format!("{later}[hook.nobody]\non = ['stop']\n"))).unwrap_err();
    let ReloadError::Handlers(problems) = error else { panic!("{error}") };
    assert!(matches!(&problems[..], [HandlerProblem::Missing(hook)] if hook.as_str() == "nobody"));
    assert_eq!(pool.config().hooks[0].name.as_str(), "a", "nothing has changed");
    for _ in 0..2 {
        pool.reload_with(config(later)).unwrap();
        let outcome = stop(&pool).wait(LONG).unwrap();
        assert_eq!((outcome.kind, outcome.hook.as_str()), (OutcomeKind::Succeeded, "later"));
        pool.reload_with(config("")).unwrap();
    }
    assert!(pool.drain(LONG).is_balanced());
}

/// The watchdog goes by the deadline of the definition, and is there before the first hook is.
#[test]
fn a_closure_whose_hook_comes_later_is_timed_out() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let pool = HookPool::builder().register("a", move |_: &Call| gate.lock().unwrap().recv().unwrap());
    let pool = pool.build().unwrap();
    pool.reload_with(config("[hook.a]\non = ['stop']\ntimeout = '10ms'\n")).unwrap();
    let outcome = stop(&pool).wait(LONG).unwrap();
    assert_eq!(outcome.kind, OutcomeKind::TimedOut);
    open.send(()).unwrap();
    assert!(pool.drain(LONG).is_balanced());
}

#[test]
fn handlers_and_observers_may_change_the_pool_that_they_are_in() {
    let held: Arc<Mutex<Option<HookPool>>> = Arc::default();
    let use_pool = |held: &Arc<Mutex<Option<HookPool>>>, n: u64| {
        let pool = held.lock().unwrap().clone();
        let Some(pool) = pool else { return };
        pool.set("hook.a.max_wait", &format!("{}s", 100 + n)).unwrap();
        pool.resize(1 + u16::try_from(n % 4).unwrap(), 0).unwrap();
        pool.reload_with(config("[hook.a]\non = ['*']\n[hook.b]\non = ['stop']\nrun = 'true'\n")).unwrap();
    };
    let (in_handler, in_observer) = (Arc::clone(&held), Arc::clone(&held));
    let pool = HookPool::builder()
        .config(config("[hook.a]\non = ['*']\n"))
        .register("a", move |call: &Call| use_pool(&in_handler, call.job().0))
        .on_outcome(move |outcome: &Outcome| use_pool(&in_observer, outcome.job.0))
        .build()
        .unwrap();
    *held.lock().unwrap() = Some(pool.clone());
    // Some leave the queue while a change is made, on the thread that makes it.
    for n in 0..60 {
        let wait = if n % 3 == 0 { "1us" } else { "1h" };
        pool.set("hook.a.max_wait", wait).unwrap();
        pool.submit(event(r#"{"event":"stop"}"#));
    }
    let ledger = pool.drain(LONG);
    *held.lock().unwrap() = None;
    assert!(ledger.is_balanced(), "{ledger:?}");
}

#[test]
fn who_waits_for_room_is_told_of_more_and_of_never_enough() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let toml = "[queue]\nmax_bytes = '1kB'\n[hook.a]\non = ['*']\n";
    let pool = HookPool::builder().config(config(toml));
    let pool = pool.register("a", move |_: &Call| gate.lock().unwrap().recv().unwrap()).build().unwrap();
    let large = || event(&format!(r#"{{"event":"stop","x":"{}"}}"#, "x".repeat(600)));
    pool.submit(large());
    let waits = |end: fn(&Submission) -> bool, limit: &str| {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.submit_when_room(large()));
            while pool.inner.pool.waiting_for_room() == 0 {
                std::thread::yield_now();
            }
            pool.set("queue.max_bytes", limit).unwrap();
            assert!(end(&waiting.join().unwrap()));
        });
    };
    waits(|answer| answer.refused().next().is_some_and(|(_, why)| why == Refusal::TooLarge), "500B");
    pool.set("queue.max_bytes", "1kB").unwrap();
    waits(|answer| answer.admitted().count() == 1, "2kB");
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert!(pool.drain(LONG).is_balanced());
}

/// One worker: it gives a process back before it takes the next event.
const RESIDENT: &str = r#"
pool = { workers = 1, standby = 0 }
[hook.a]
on = ['stop']
mode = 'resident'
order = 'none'
instances = 2
run = '''while read line; do
  id=${line#*'"id":"'}
  echo "{\"id\":\"${id%%'"'*}\",\"ok\":true,\"message\":\"$$\"}"
done
echo gone > "$MARK"'''
"#;

/// The same processes serve a hook whose handler is the same; others are let go when the last of their jobs has ended.
#[test]
fn resident_processes_go_when_the_last_job_of_their_definition_has() {
    let folder = tempfile::tempdir().unwrap();
    let mark = |n: u32| folder.path().join(n.to_string());
    let toml = |n: u32, more: &str| config(&format!("{RESIDENT}env.MARK = '{}'\n{more}", mark(n).display()));
    let pool = HookPool::builder().config(toml(1, "")).build().unwrap();
    let process = |handle: &JobHandle| handle.wait(LONG).unwrap().message.clone().expect("its process");
    let first = process(&stop(&pool));
    pool.reload_with(toml(1, "timeout = '20s'\npriority = 'high'\nwindow = 3\n")).unwrap();
    assert_eq!(process(&stop(&pool)), first, "the same handler is the very same");
    pool.pause("a");
    let old = stop(&pool);
    pool.reload_with(toml(2, "")).unwrap();
    assert!(!mark(1).exists(), "a job is left that is for it");
    let new = stop(&pool);
    pool.resume("a");
    assert_eq!(process(&old), first, "by the definition that it was admitted with");
    let second = process(&new);
    assert_ne!(second, first);
    // It is asked to go by the end of its input, and says so.
    await_state("the old process has gone", || mark(1).exists());
    pool.reload_with(config("")).unwrap();
    await_state("that of a hook that is gone has gone", || mark(2).exists());
    let gone: BTreeSet<_> = [first, second].into_iter().collect();
    await_state("no process is left", || gone.iter().all(|id| !Path::new("/proc").join(id).exists()));
    assert!(pool.drain(LONG).is_balanced());
}

fn await_state(what: &str, is_so: impl Fn() -> bool) {
    let until = std::time::Instant::now() + LONG;
    while !is_so() {
        assert!(std::time::Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}
