//! What the handlers, the observer and the submitters of one life see. What must not be is written down as a fault: a
//! panic in a handler would be no more than its job's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookpool::{Answer, Call, Decision, Event, HookName, HookPool, JobId, Outcome, OutcomeKind, Submission};

use crate::plan::{BATCH, Plan, RUDE, SINGLE, UNORDERED};

/// How often each hook was given each answer, and how often its jobs ended like that.
pub(crate) type Books = BTreeMap<(HookName, &'static str), u64>;

pub(crate) struct Witness {
    pub(crate) plan: Plan,
    pub(crate) gate: Gate,
    /// Handlers submit through it.
    pub(crate) door: Mutex<Option<HookPool>>,
    /// Events that were handed over, and those that no hook wanted.
    pub(crate) events: AtomicU64,
    pub(crate) unmatched: AtomicU64,
    /// From here on the pool may stop what runs.
    pub(crate) may_stop: AtomicBool,
    /// The pool has said that it is closed.
    pub(crate) is_closed: AtomicBool,
    /// The pool has said that all is over.
    pub(crate) is_over: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) faults: Vec<String>,
    pub(crate) books: Books,
    pub(crate) admitted: HashSet<JobId>,
    pub(crate) ends: HashMap<JobId, OutcomeKind>,
    /// Jobs that somebody is about to cancel, and those that were told that they will be.
    pub(crate) asked: HashSet<JobId>,
    cancelled: HashSet<JobId>,
    running: Vec<Arc<[Call]>>,
    /// How often a handler was given each job.
    calls: HashMap<JobId, u32>,
    /// The last event of each hook and session.
    last: HashMap<(HookName, String), u64>,
}

/// Where handlers wait until somebody opens it, or until they are told to stop.
#[derive(Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn set(&self, open: bool) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = open;
        self.changed.notify_all();
    }

    /// `may_pass` is given whether it is open.
    fn pass(&self, may_pass: impl Fn(bool) -> bool) {
        let mut is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        while !may_pass(*is_open) {
            // A token cannot be waited for: it is looked at now and then.
            let answer = self.changed.wait_timeout(is_open, Duration::from_millis(1));
            is_open = answer.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A dispatch of a handler, until it returns.
struct Visit<'a>(&'a Witness, Arc<[Call]>);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.seen().running.retain(|other| !Arc::ptr_eq(other, &self.1));
    }
}

/// A field of an event of `load.rs`: a text or a number.
fn field<'a>(event: &'a Event, name: &str) -> &'a str {
    let text = std::str::from_utf8(event.payload()).unwrap_or_default();
    let rest = text.split_once(&format!("\"{name}\":")).map_or("", |(_, rest)| rest);
    rest.split([',', '}']).next().unwrap_or_default().trim_matches('"')
}

fn number(event: &Event) -> u64 {
    field(event, "n").parse().unwrap_or_default()
}

fn is_live(dispatch: &Arc<[Call]>) -> bool {
    dispatch.iter().any(|call| !call.is_cancelled())
}

impl Witness {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            plan,
            gate: Gate::default(),
            door: Mutex::default(),
            events: AtomicU64::new(0),
            unmatched: AtomicU64::new(0),
            may_stop: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault(&self, text: String) {
        self.seen().faults.push(text);
    }

    /// Hands an event over, and writes down what the answer was.
    pub(crate) fn submit(&self, submit: impl FnOnce() -> Submission) -> Submission {
        let was_closed = self.is_closed.load(Ordering::SeqCst);
        let submission = submit();
        self.events.fetch_add(1, Ordering::SeqCst);
        if submission.is_unmatched() {
            self.unmatched.fetch_add(1, Ordering::SeqCst);
        }
        let mut seen = self.seen();
        let mut hooks = HashSet::new();
        for part in submission.hooks() {
            let word = match &part.decision {
                Decision::Admitted(handle) => {
                    if was_closed {
                        seen.faults.push(format!("{}: admitted after the close", part.hook));
                    }
                    if !seen.admitted.insert(handle.id()) {
                        seen.faults.push(format!("job {}: its number was given twice", handle.id()));
                    }
                    "admitted"
                }
                Decision::Refused(why) => why.name(),
                Decision::Skipped(why) => why.name(),
                _ => "?",
            };
            *seen.books.entry((part.hook.clone(), word)).or_default() += 1;
            if !hooks.insert(part.hook.clone()) {
                seen.faults.push(format!("{}: answered twice for one event", part.hook));
            }
        }
        drop(seen);
        submission
    }

    /// What a handler does with a dispatch. It is called with the number of each job, and answers in that order.
    pub(crate) fn handle(&self, calls: &[Call]) -> Vec<Answer> {
        let dispatch = Arc::from(calls);
        let _visit = self.enter(&dispatch);
        calls.iter().map(|call| self.act(call)).collect()
    }

    fn act(&self, call: &Call) -> Answer {
        let is_rude = call.hook().as_str() == RUDE;
        match field(call.event(), "do") {
            "fail" => return Answer::failed("as asked"),
            "panic" => panic!("as asked"),
            // Its time is over in any case, and only then.
            "wait" if is_rude => self.gate.pass(|is_open| is_open && call.is_cancelled()),
            "wait" => self.gate.pass(|is_open| is_open || call.is_cancelled()),
            "echo" => {
                let pool = self.door.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let event = Event::from_json(r#"{"hook_event_name":"Stop","n":0,"do":"ok"}"#);
                if let (Some(pool), Ok(event)) = (pool, event) {
                    self.submit(|| pool.submit(event));
                }
            }
            _ => {}
        }
        if call.is_cancelled() { Answer::failed("it was told to stop") } else { Answer::ok() }
    }

    fn enter(&self, dispatch: &Arc<[Call]>) -> Visit<'_> {
        let mut seen = self.seen();
        // Its thread may have got no processor for as long as it had: then it was given up, and comes too late.
        let may_be_late = self.plan.is_hasty() && !is_live(dispatch);
        if self.is_over.load(Ordering::SeqCst) && !may_be_late {
            seen.faults.push(format!("{dispatch:?}: started after the end"));
        }
        for call in dispatch.iter() {
            let (job, hook) = (call.job(), call.hook());
            let times = seen.calls.entry(job).or_default();
            *times += 1;
            if *times != call.attempt() {
                let fault = format!("job {job} of {hook}: call {times} is attempt {}", call.attempt());
                seen.faults.push(fault);
            }
            if call.is_cancelled() {
                let is_asked = seen.asked.contains(&job) || self.may_stop.load(Ordering::SeqCst);
                if !is_asked && !self.plan.rude {
                    seen.faults.push(format!("job {job} of {hook}: cancelled, and nobody asked"));
                }
                continue;
            }
            if seen.cancelled.contains(&job) {
                seen.faults.push(format!("job {job} of {hook}: started, though cancelled"));
            }
            let Some(session) = call.session().filter(|_| !UNORDERED.contains(&hook.as_str())) else {
                continue;
            };
            let of_session = |other: &Call| other.hook() == hook && other.session() == Some(session);
            if seen.running.iter().any(|other| is_live(other) && other.iter().any(of_session)) {
                seen.faults.push(format!("job {job} of {hook}: two at once of session {session}"));
            }
            let number = number(call.event());
            let last = seen.last.insert((hook.clone(), session.to_owned()), number);
            if last.is_some_and(|last| last > number || (last == number && call.attempt() == 1)) {
                seen.faults.push(format!("{hook}, session {session}: {number} after {last:?}"));
            }
        }
        seen.running.push(Arc::clone(dispatch));
        let live = seen.running.iter().filter(|other| is_live(other));
        let of_single = live.clone().filter(|other| other.iter().any(|call| call.hook().as_str() == SINGLE));
        let (all, singles) = (live.count(), of_single.count());
        if all > self.plan.most_seats {
            seen.faults.push(format!("{all} handlers at once, with {} seats at most", self.plan.most_seats));
        }
        if singles > 1 {
            seen.faults.push(format!("{singles} handlers of `{SINGLE}` at once"));
        }
        drop(seen);
        Visit(self, Arc::clone(dispatch))
    }

    /// Cancels a job. What has its outcome cannot be cancelled, and what was cancelled does not start.
    pub(crate) fn cancel(&self, job: &hookpool::JobHandle) {
        self.seen().asked.insert(job.id());
        if job.cancel() {
            self.seen().cancelled.insert(job.id());
        } else if job.outcome().is_none() {
            self.fault(format!("job {}: neither cancelled nor ended", job.id()));
        }
    }

    /// The observer of outcomes; where there is none, whoever has a handle tells.
    pub(crate) fn end(&self, outcome: &Outcome) {
        let mut seen = self.seen();
        let Outcome { job, hook, kind, .. } = outcome;
        let mut faults = Vec::new();
        if seen.ends.insert(*job, *kind).is_some() {
            faults.push("a second outcome".to_owned());
        }
        if self.plan.heard && self.is_over.load(Ordering::SeqCst) {
            faults.push("an outcome after the end".to_owned());
        }
        if outcome.wait != outcome.waited_for.total() {
            faults.push(format!("waited {:?}, for {:?}", outcome.wait, outcome.waited_for));
        }
        let calls = seen.calls.get(job).copied().unwrap_or_default() as usize;
        let tries = outcome.attempts.len();
        let is_possible = match kind {
            OutcomeKind::Succeeded | OutcomeKind::Failed | OutcomeKind::Panicked => calls == tries + 1,
            OutcomeKind::TimedOut | OutcomeKind::Cancelled => calls == tries || calls == tries + 1,
            _ => calls == tries,
        };
        if !is_possible {
            faults.push(format!("given {calls} times to its handler, after {tries} other attempts"));
        }
        let asked = field(&outcome.event, "do");
        let is_deserved = match kind {
            OutcomeKind::Succeeded => asked != "fail" && asked != "panic",
            OutcomeKind::Failed => asked == "fail",
            // Of a batch all panic.
            OutcomeKind::Panicked => asked == "panic" || hook.as_str() == BATCH,
            OutcomeKind::TimedOut => self.plan.is_hasty(),
            OutcomeKind::Cancelled => seen.asked.contains(job) || self.may_stop.load(Ordering::SeqCst),
            OutcomeKind::Displaced => self.plan.displaces,
            OutcomeKind::Abandoned => self.may_stop.load(Ordering::SeqCst),
            _ => true,
        };
        if !is_deserved {
            faults.push(format!("not what `{asked}` asks for"));
        }
        seen.faults.extend(faults.into_iter().map(|fault| format!("job {job} of {hook}, {kind}: {fault}")));
        *seen.books.entry((hook.clone(), kind.name())).or_default() += 1;
        drop(seen);
        // An observer that panics is nobody's fault but its own.
        assert!(!self.plan.heard || !job.to_string().ends_with("77"), "as asked");
    }
}
