//! Runs a script on the core and on the model, compares them after every step, and keeps the trace.
//!
//! Time is exact: the world stops at each deadline of the core, asks for it right before (nothing may happen) and right
//! then (something must). Each step also takes a little time of its own, never the same, so that two deadlines do not
//! fall together by accident: what happens then would depend on the order in which they were set.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::class::{PerClass, PriorityClass};
use crate::outcome::{OutcomeKind, Refusal, WaitSplit};
use crate::scheduler::job::Picked;
use crate::scheduler::tests::model::{Id, Job, Model, State, Unit};
use crate::scheduler::tests::script::{Again, Definition, MS, Setup, Step};
use crate::scheduler::{Arrival, Core, HookSlot, JobKey, Retry, RunKey};
use crate::time::Time;

/// What happened, in order.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Offered(Id),
    Refused(Refusal),
    /// A unit got a seat; the classes that could have.
    Picked {
        run: usize,
        class: PriorityClass,
        jobs: Vec<Id>,
        could: PerClass<bool>,
    },
    NothingToPick,
    /// A run gave its seat back. These of its jobs shall run again.
    Completed {
        run: usize,
        again: Vec<Id>,
    },
    Ended(Id, OutcomeKind),
    /// The numbers after a step: waiting of each class, and jobs that run.
    Counted {
        waiting: PerClass<u32>,
        running: usize,
    },
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) core: Core<Id>,
    pub(super) model: Model,
    pub(super) trace: Vec<Happening>,
    now: u64,
    steps: u64,
    keys: BTreeMap<Id, JobKey>,
    runs: Vec<Running>,
    runs_so_far: usize,
    late: u64,
}

#[derive(Debug)]
struct Running {
    number: usize,
    key: RunKey,
    since: u64,
    jobs: Vec<Picked<Id>>,
}

/// Runs the script, and ends what is left.
pub(super) fn run(setup: &Setup, script: &[Step]) -> World {
    let mut world = World::new(setup.clone());
    for step in script {
        world.step(*step);
    }
    world.step(Step::Close);
    world.step(Step::Abandon);
    while !world.runs.is_empty() {
        world.step(Step::Complete { nth: 0, retry: None });
    }
    assert!(world.core.next_deadline().is_none(), "nothing is left to do");
    world
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let mut core = Core::new(setup.core);
        for hook in &setup.hooks {
            core.add_hook(hook.params());
        }
        Self {
            core,
            model: Model::new(setup.clone()),
            trace: Vec::new(),
            now: 0,
            steps: 0,
            keys: BTreeMap::new(),
            runs: Vec::new(),
            runs_so_far: 0,
            late: 0,
            setup,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.steps += 1;
        let own_time = self.steps.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 26;
        let span = if let Step::Advance { ms } = step { ms * MS } else { 1 + own_time };
        self.advance_to(self.now + span);
        let now = Time(self.now);
        match step {
            Step::Offer { hook, class, session, key, bytes, max_wait_ms } => {
                self.offer(hook, class, session, key, bytes, max_wait_ms);
            }
            Step::Pick => self.pick(),
            Step::Complete { nth, retry } => self.complete(nth, retry),
            Step::Advance { .. } => {}
            Step::Late(by) => self.late = by,
            Step::Cancel { nth } => self.cancel(nth),
            Step::Close => {
                self.core.close(now);
                self.model.close();
            }
            Step::Abandon => {
                self.core.abandon_waiting(now);
                for id in self.model.waiting() {
                    self.model.end(id, OutcomeKind::Abandoned);
                }
            }
            Step::Change(params) => {
                self.core.set_params(params, now);
                self.model.set_params(params);
                self.setup.core = params;
            }
            Step::Define(hook, to) => {
                let number = self.setup.hooks[hook].number + 1;
                self.setup.hooks[hook] = Definition { number, ..to };
                self.core.set_hook(slot(hook), to.params(), now);
                self.model.define(hook, self.setup.hooks[hook]);
            }
            Step::PauseHook(hook) => {
                self.core.pause_hook(slot(hook), now);
                self.model.pause_hook(hook, true);
            }
            Step::ResumeHook(hook) => {
                self.core.resume_hook(slot(hook), now);
                self.model.pause_hook(hook, false);
            }
            Step::PauseClass(class) => {
                self.core.pause_class(class, now);
                self.model.pause_class(class, true);
            }
            Step::ResumeClass(class) => {
                self.core.resume_class(class, now);
                self.model.pause_class(class, false);
            }
        }
        self.compare();
        let running = self.runs.iter().map(|run| run.jobs.len()).sum();
        self.trace.push(Happening::Counted { waiting: *self.core.waiting(), running });
    }

    /// Ids of the jobs of the runs that hold a seat, the oldest run first.
    pub(super) fn running(&self) -> Vec<Vec<Id>> {
        self.runs.iter().map(|run| run.jobs.iter().map(|job| job.body).collect()).collect()
    }

    /// Picks until there is nothing, and answers with the jobs that were picked.
    pub(super) fn pick_all(&mut self) -> Vec<Id> {
        let before = self.runs.len();
        loop {
            let runs = self.runs.len();
            self.step(Step::Pick);
            if self.runs.len() == runs {
                return self.running().into_iter().skip(before).flatten().collect();
            }
        }
    }

    /// How the job ended without having been picked.
    pub(super) fn end_of(&self, id: Id) -> Option<OutcomeKind> {
        self.trace.iter().find_map(|happening| match happening {
            Happening::Ended(ended, outcome) if *ended == id => Some(*outcome),
            _ => None,
        })
    }

    fn offer(
        &mut self,
        hook: usize,
        class: PriorityClass,
        session: Option<u64>,
        key: u64,
        bytes: u32,
        max_wait_ms: Option<u64>,
    ) {
        let definition = self.setup.hooks[hook];
        let job = Job {
            hook,
            definition,
            class,
            session,
            key,
            bytes: u64::from(bytes),
            max_wait: max_wait_ms.map(|ms| ms * MS),
            age: 0,
            started: false,
            state: State::Waiting,
        };
        let late = std::mem::take(&mut self.late);
        let admitted = if max_wait_ms.is_some() { self.now } else { self.now.saturating_sub(late) };
        let expected = self.model.admission(class);
        let id = match expected {
            Ok(victim) => {
                if let Some(victim) = victim {
                    self.model.end(victim, OutcomeKind::Displaced);
                }
                Ok(self.model.arrive(job, admitted))
            }
            Err(why) => Err(why),
        };
        let arrival = Arrival {
            hook: slot(hook),
            class,
            session,
            batching: definition.batching(key),
            bytes,
            admitted: Time(admitted),
            max_wait: max_wait_ms.map(|ms| Duration::from_nanos(ms * MS)),
            body: id.unwrap_or(Id::MAX),
        };
        match self.core.offer(arrival, Time(self.now)) {
            Ok(key) => {
                let id = id.expect("the core admitted what the model refuses");
                self.keys.insert(id, key);
                self.trace.push(Happening::Offered(id));
            }
            Err(refused) => {
                assert_eq!(Err(refused.why), id, "why the core refused");
                self.trace.push(Happening::Refused(refused.why));
            }
        }
    }

    fn pick(&mut self) {
        let allowed = self.model.picks();
        assert_eq!(self.core.has_eligible(), !allowed.is_empty(), "whether something could be picked");
        let eligible = self.model.eligible();
        let Some(dispatch) = self.core.pick(Time(self.now)) else {
            assert!(allowed.is_empty(), "the core picks nothing; the model allows {allowed:?}");
            self.trace.push(Happening::NothingToPick);
            return;
        };
        let jobs: Vec<_> = std::iter::once(dispatch.first).chain(dispatch.rest).collect();
        let members: Vec<_> = jobs.iter().map(|job| job.body).collect();
        let is_it = |unit: &&Unit| unit.class == dispatch.class && unit.members == members;
        let Some(unit) = allowed.iter().find(is_it) else {
            panic!("the core picks {members:?} as {}; the model allows {allowed:?}", dispatch.class);
        };
        for job in &jobs {
            let waited = if self.model.job(job.body).started {
                WaitSplit::default()
            } else {
                self.model.waited(job.body)
            };
            assert_eq!(job.waited, waited, "what {} waited for when it was picked", job.body);
            let wait = if waited == WaitSplit::default() {
                Duration::ZERO
            } else {
                Time(self.now).since(job.admitted)
            };
            assert_eq!(waited.total(), wait, "the parts make up the wait");
        }
        self.model.start(unit);
        let could = PerClass::from_fn(|class| eligible.iter().any(|unit| unit.class == class));
        self.runs_so_far += 1;
        let number = self.runs_so_far;
        let picked = Happening::Picked { run: number, class: dispatch.class, jobs: members, could };
        self.trace.push(picked);
        self.runs.push(Running { number, key: dispatch.run, since: self.now, jobs });
    }

    fn complete(&mut self, nth: usize, retry: Option<Again>) {
        if self.runs.is_empty() {
            return;
        }
        let run = self.runs.remove(nth % self.runs.len());
        let at = |index: usize| {
            let again = retry.filter(|again| again.members >> (index % 8) & 1 == 1)?;
            Some(self.now + again.after_ms * MS)
        };
        let ids: Vec<_> = run.jobs.iter().enumerate().map(|(index, job)| (job.body, at(index))).collect();
        let mut retries = Vec::new();
        for (index, job) in run.jobs.into_iter().enumerate() {
            if let Some(at) = at(index) {
                retries.push(Retry { job, at: Time(at) });
            }
        }
        let again: Vec<_> = ids.iter().filter(|(_, at)| at.is_some()).map(|(id, _)| *id).collect();
        self.model.complete(&ids);
        let elapsed = Duration::from_nanos(self.now - run.since);
        let keys = self.core.complete(run.key, elapsed, retries, Time(self.now));
        assert_eq!(keys.len(), again.len(), "a key for each retry");
        let mut by_age = again.clone();
        by_age.sort_unstable();
        self.keys.extend(by_age.into_iter().zip(keys));
        self.trace.push(Happening::Completed { run: run.number, again });
    }

    fn cancel(&mut self, nth: usize) {
        let waiting = self.model.waiting();
        if waiting.is_empty() {
            return;
        }
        let id = waiting[nth % waiting.len()];
        let key = self.keys[&id];
        assert!(self.core.cancel(key, Time(self.now)), "a waiting job can be cancelled");
        assert!(!self.core.cancel(key, Time(self.now)), "a cancelled job cannot");
        self.model.end(id, OutcomeKind::Cancelled);
    }

    fn advance_to(&mut self, target: u64) {
        loop {
            let next = self.core.next_deadline();
            assert_eq!(next.map(|time| time.0), self.model.next_deadline(), "the next deadline");
            let Some(Time(next)) = next.filter(|time| time.0 <= target) else { break };
            if next > self.now {
                let before = self.core.picture();
                self.core.tick(Time(next - 1));
                self.model.pass_time(next - 1);
                assert_eq!(before, self.core.picture(), "nothing happens before the deadline");
            }
            let before = self.core.picture();
            self.core.tick(Time(next));
            assert_ne!(before, self.core.picture(), "something happens at the deadline");
            self.now = self.now.max(next);
            self.model.tie_order = self.core.resolved.iter().map(|job| job.body).collect();
            self.model.pass_time(self.now);
            self.compare();
        }
        self.core.tick(Time(target));
        self.model.pass_time(target);
        self.now = target;
    }

    /// Core and model agree on everything that can be seen.
    fn compare(&mut self) {
        let mut ended: Vec<_> =
            self.core.take_resolved().into_iter().map(|job| (job.body, (job.outcome, job.waited))).collect();
        let waited =
            |id| if self.model.job(id).started { WaitSplit::default() } else { self.model.waited(id) };
        let expected = self.model.ended.iter().map(|(id, outcome)| (*id, (*outcome, waited(*id))));
        let mut expected: Vec<_> = expected.collect();
        self.model.ended.clear();
        ended.sort_by_key(|(id, _)| *id);
        expected.sort_by_key(|(id, _)| *id);
        assert_eq!(ended, expected, "jobs that left without being picked");
        self.trace.extend(ended.into_iter().map(|(id, (outcome, _))| Happening::Ended(id, outcome)));
        for class in PriorityClass::ALL {
            assert_eq!(self.core.waiting()[class], self.model.waiting_of(class), "waiting jobs of {class}");
        }
        let can_pick = !self.model.picks().is_empty();
        assert_eq!(self.core.has_eligible(), can_pick, "whether something could be picked");
        self.core.assert_consistent();
    }
}

fn slot(hook: usize) -> HookSlot {
    HookSlot(u32::try_from(hook).unwrap())
}
