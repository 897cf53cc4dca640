//! Whole lives of a `HookPool` from a seed, one after the other: threads submit, cancel and wait while others change
//! every live key, reload, resize, pause and hold up handlers, and the end comes in any way at any moment. Whatever
//! happens, each submit has one answer and each job one outcome, the books balance to the last hook and word, bounds and
//! order hold, nothing runs after the end, and no thread is left. Alone in its process, since it counts threads.
//!
//! A seed is a life's script; what the threads make of it is theirs. Here a slice; `LIFE_SECONDS` asks for more, and
//! `LIFE_SEED` for another first life. A failure says what brings it back.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

#[path = "../helpers/dice.rs"]
mod dice;
mod load;
mod meddle;
mod plan;
mod witness;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hookpool::{Call, Config, Event, HookPool, Ledger, OutcomeKind, Outcomes, Refusal, ReloadError, Skip};

use self::meddle::Script;
use self::plan::{BATCH, HOOKS, OWNER, Plan, SUBMITTERS, Way};
use self::witness::{Books, Witness};

/// For everything that happens at once on an idle machine. Half of what a life may take.
const AMPLE: Duration = Duration::from_mins(2);
/// As many outcomes as a life can have.
const ALL_OUTCOMES: usize = 20_000;
/// Between two looks at what nobody tells of.
const GLANCE: Duration = Duration::from_micros(100);
const SLICE: Duration = Duration::from_secs(2);
/// Lives that have seen everything that can happen.
const LIVES: u64 = 50;

/// What came of some lives.
#[derive(Default)]
struct Sum {
    lives: u64,
    events: u64,
    /// Changes that were tried, and those that were made.
    tried: u64,
    changes: u64,
    holds: u64,
    words: BTreeMap<&'static str, u64>,
}

fn build(witness: &Arc<Witness>) -> HookPool {
    let text = witness.plan.config(&mut witness.plan.dice(OWNER), true);
    let config = Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut builder = HookPool::builder().config(config);
    if witness.plan.heard {
        let observer = Arc::clone(witness);
        builder = builder.on_outcome(move |outcome| observer.end(outcome));
    }
    for hook in HOOKS {
        let witness = Arc::clone(witness);
        builder = if hook == BATCH {
            builder.register_batch(hook, move |calls: &[Call]| witness.handle(calls))
        } else {
            builder.register(hook, move |call: &Call| witness.handle(std::slice::from_ref(call)).remove(0))
        };
    }
    builder.build().unwrap()
}

fn until(what: &str, is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < AMPLE, "never came true: {what}");
        thread::park_timeout(GLANCE);
    }
}

/// Threads of a pool. One that has been joined may still be seen for a moment.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("hookpool")).collect()
}

/// Ends the pool. `None`: nobody is told how.
fn end(pool: HookPool, witness: &Witness, script: &Script) -> Option<Ledger> {
    let Plan { way, deadline, .. } = witness.plan;
    let mut dice = witness.plan.dice(OWNER);
    script.step(format!("the end: {way:?}, {deadline:?}"));
    if !witness.plan.ends_by_itself() {
        witness.may_stop.store(true, Ordering::SeqCst);
    }
    let close = || {
        pool.close();
        witness.is_closed.store(true, Ordering::SeqCst);
    };
    let ledger = match way {
        Way::Drain => pool.drain(deadline),
        Way::CloseAndDrain => {
            close();
            pool.drain(deadline)
        }
        Way::TwoDrains => thread::scope(|scope| {
            let other = scope.spawn(|| pool.drain(Duration::MAX));
            let ledger = pool.drain(deadline);
            assert!(other.join().unwrap().is_balanced());
            ledger
        }),
        Way::StopAndDrain => {
            pool.stop();
            pool.drain(deadline)
        }
        Way::KillAndDrain => {
            pool.kill();
            close();
            pool.drain(deadline)
        }
        Way::KillInDrain => thread::scope(|scope| {
            let drain = scope.spawn(|| pool.drain(Duration::MAX));
            (0..dice.below(300)).for_each(|_| thread::yield_now());
            pool.kill();
            drain.join().unwrap()
        }),
        Way::Drop => {
            drop(witness.door.lock().unwrap().take());
            drop(pool);
            return None;
        }
    };
    witness.is_closed.store(true, Ordering::SeqCst);
    witness.is_over.store(true, Ordering::SeqCst);
    script.step("the end has come");
    Some(ledger)
}

/// What a ledger says, in the words of the witness.
fn books(ledger: &Ledger) -> Books {
    let mut books = Books::new();
    for hook in &ledger.snapshot.hooks {
        let counts = &hook.counts;
        let refused = Refusal::ALL.iter().map(|why| (why.name(), counts.refused(*why)));
        let skipped = Skip::ALL.iter().map(|why| (why.name(), counts.skipped(*why)));
        let ended = OutcomeKind::ALL.iter().map(|kind| (kind.name(), counts.outcome(*kind)));
        let all = refused.chain(skipped).chain(ended).chain([("admitted", counts.admitted())]);
        books.extend(all.filter(|(_, n)| *n > 0).map(|(word, n)| ((hook.name.clone(), word), n)));
    }
    books
}

/// The pool is at rest, says so, and takes nothing any more.
fn at_rest(pool: &HookPool, first: &Ledger, witness: &Witness) -> Ledger {
    let plan = &witness.plan;
    assert!(first.is_balanced() && first.lost == 0, "{first:?}");
    assert!(plan.is_hasty() || first.leaked == 0, "{first:?}");
    let event = Event::from_json(r#"{"hook_event_name":"Stop","n":0,"do":"ok"}"#).unwrap();
    let submission = witness.submit(|| pool.submit_when_room(event));
    let is_no_room = |why: Refusal| why.is_for_room();
    assert!(submission.refused().all(|(_, why)| !is_no_room(why)), "{submission:?}");
    assert!(matches!(pool.set("debug", "false"), Err(ReloadError::Closed)));
    until("handlers that did not stop are back", || pool.drain(Duration::ZERO).leaked == 0);
    let ledger = pool.drain(Duration::ZERO);
    let (total, gauges) = (&ledger.snapshot.total, &ledger.snapshot.pool);
    assert!(ledger.is_balanced() && ledger.lost == 0 && ledger.still_queued() == 0, "{ledger:?}");
    assert_eq!(total.admitted(), first.snapshot.total.admitted(), "nothing was admitted after the end");
    assert_eq!((gauges.bytes, gauges.threads), (0, 0), "{gauges:?}");
    assert!(gauges.lanes.values().all(|lane| (lane.waiting, lane.busy) == (0, 0)), "{gauges:?}");
    assert!(!plan.ends_by_itself() || total.outcome(OutcomeKind::Abandoned) == 0, "{ledger:?}");
    let unmatched = witness.unmatched.load(Ordering::SeqCst);
    assert_eq!(total.skipped(Skip::NoMatch), unmatched);
    let (mut counted, mut told) = (books(&ledger), witness.seen().books.clone());
    if !plan.heard {
        // Outcomes that nobody has heard of are counted all the same.
        let is_outcome = |word: &str| OutcomeKind::ALL.iter().any(|kind| kind.name() == word);
        told.retain(|key, n| !is_outcome(key.1) || counted.get(key).is_none_or(|all| *n > *all));
        counted.retain(|key, _| !is_outcome(key.1));
    }
    assert_eq!(counted, told, "what was counted, and what was told");
    let parts: u64 = ledger.snapshot.classes().map(|(_, counts)| counts.submitted()).sum();
    assert_eq!(total.submitted(), parts + unmatched, "by class");
    let parts: u64 = ledger.snapshot.kinds.iter().map(|(_, counts)| counts.submitted()).sum();
    assert_eq!(total.submitted(), parts, "by kind");
    ledger
}

/// The subscriptions have ended, and have told of each job once.
fn read(all: Outcomes, few: &mut Outcomes, witness: &Witness) {
    let mut told = BTreeMap::new();
    assert_eq!(all.lost(), 0);
    for outcome in all {
        assert!(told.insert(outcome.job, outcome.kind).is_none(), "told twice of {outcome:?}");
    }
    let read = few.by_ref().count() as u64;
    let seen = witness.seen();
    assert_eq!(told.len(), seen.ends.len());
    assert!(told.iter().all(|(job, kind)| seen.ends.get(job) == Some(kind)));
    assert_eq!(read + few.lost(), seen.ends.len() as u64, "what a slow reader loses is counted");
}

fn life(seed: u64, script: &Arc<Script>, sum: &mut Sum) {
    let plan = Plan::new(seed);
    script.step(format!("{plan:?}"));
    let witness = Witness::new(plan);
    let pool = build(&witness);
    *witness.door.lock().unwrap() = Some(pool.clone());
    let subscriptions = plan.heard.then(|| (pool.outcomes(ALL_OUTCOMES), pool.outcomes(3)));
    let is_ending = AtomicBool::new(false);
    let keeps = (plan.way != Way::Drop).then(|| pool.clone());
    let (ledger, handles) = thread::scope(|scope| {
        let (witness, is_ending, script) = (&*witness, &is_ending, &**script);
        let submitters: Vec<_> = (0..SUBMITTERS)
            .map(|who| {
                let pool = pool.clone();
                scope.spawn(move || load::submit(&pool, witness, who))
            })
            .collect();
        let (changed, held) = (pool.clone(), pool.clone());
        scope.spawn(move || meddle::change(&changed, witness, script, is_ending));
        scope.spawn(move || meddle::hold(&held, witness, script, is_ending));
        while witness.events.load(Ordering::SeqCst) < plan.ends_at
            && !submitters.iter().all(thread::ScopedJoinHandle::is_finished)
        {
            thread::park_timeout(GLANCE);
        }
        is_ending.store(true, Ordering::SeqCst);
        let ledger = end(pool, witness, script);
        let handles: Vec<_> = submitters.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (ledger, handles)
    });
    for handle in &handles {
        // Without a drain somebody else ends the pool, and takes a while.
        let limit = if ledger.is_some() { Duration::ZERO } else { AMPLE };
        let outcome = handle.wait(limit).unwrap_or_else(|| panic!("job {} has no outcome", handle.id()));
        if !plan.heard {
            witness.end(&outcome);
        }
        assert_eq!(witness.seen().ends.get(&handle.id()), Some(&outcome.kind));
        assert!(!handle.cancel(), "it has its outcome");
    }
    if let (Some(pool), Some(ledger)) = (keeps, ledger) {
        at_rest(&pool, &ledger, &witness);
        drop(witness.door.lock().unwrap().take());
    }
    script.step("the books are read");
    until("no thread is left", || threads().is_empty());
    if let Some((all, mut few)) = subscriptions {
        read(all, &mut few, &witness);
    }
    settle(&witness, sum);
    sum.tried += script.tried.load(Ordering::Relaxed);
    sum.changes += script.made.load(Ordering::Relaxed);
    sum.holds += script.holds.load(Ordering::Relaxed);
}

/// Nobody has seen what must not be, and each job has its outcome.
fn settle(witness: &Witness, sum: &mut Sum) {
    let mut seen = witness.seen();
    let faults = seen.faults.len();
    assert!(faults == 0, "{faults} faults: {:#?}", &seen.faults[..faults.min(20)]);
    let ended = seen.ends.keys().filter(|job| seen.admitted.contains(job)).count();
    assert_eq!(ended, seen.ends.len(), "no other job has an outcome");
    assert!(!witness.plan.heard || ended == seen.admitted.len(), "each job has one");
    for ((_, word), n) in std::mem::take(&mut seen.books) {
        *sum.words.entry(word).or_default() += n;
    }
    sum.lives += 1;
    sum.events += witness.events.load(Ordering::SeqCst);
}

/// One life, in a time that is ample. What goes wrong is told past the test's own output, which is lost when it hangs.
fn guarded(seed: u64, sum: &mut Sum) {
    let script = Arc::<Script>::default();
    let tell = |what: &str| {
        let again = format!("LIFE_SEED={seed} LIFE_SECONDS=0 cargo test --test life_random");
        let _ = writeln!(
            std::io::stderr(),
            "life {seed} {what}; its last steps:\n{script}threads: {:?}\nuntil it fails again:\n  while {again}; do :; done",
            threads(),
        );
    };
    let (is_done, done) = mpsc::channel::<()>();
    let answer = thread::scope(|scope| {
        let tell = &tell;
        scope.spawn(move || {
            if done.recv_timeout(AMPLE * 2) == Err(mpsc::RecvTimeoutError::Timeout) {
                tell("hangs");
                std::process::abort();
            }
        });
        let answer = catch_unwind(AssertUnwindSafe(|| life(seed, &script, sum)));
        drop(is_done);
        answer
    });
    if let Err(panic) = answer {
        tell("has failed");
        resume_unwind(panic);
    }
}

#[expect(clippy::disallowed_methods, reason = "a long run is asked for by a script")]
fn asked_for(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whatever_a_life_brings_the_books_balance_and_nothing_is_left() {
    // Panics are part of it; they are nobody's to see.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.to_string().contains("as asked") {
            report(panic);
        }
    }));
    let (begun, first) = (Instant::now(), asked_for("LIFE_SEED"));
    let time = asked_for("LIFE_SECONDS").map(Duration::from_secs);
    let least = if time.is_none() { LIVES } else { 1 };
    let mut sum = Sum::default();
    while sum.lives < least || begun.elapsed() < time.unwrap_or(SLICE) {
        guarded(first.unwrap_or_default() + sum.lives, &mut sum);
    }
    let Sum { lives, events, tried, changes, holds, words } = sum;
    let time = begun.elapsed();
    println!("{lives} lives in {time:.1?}: {events} events, {changes} changes, {holds} holds: {words:?}");
    let missing: Vec<_> = OutcomeKind::ALL.iter().filter(|kind| !words.contains_key(kind.name())).collect();
    assert!(lives < LIVES || missing.is_empty(), "no job ended like that: {missing:?}");
    assert!(lives < LIVES || changes * 2 > tried, "{changes} changes of {tried}");
}
