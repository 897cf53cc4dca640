//! The scheduler once more, as naive as can be: one list of all jobs that ever came, searched from end to end for
//! every question. No queue, no counter that could be wrong, no timer: what is due is found by looking.
//!
//! Kept as different from the core as possible. It shares the words and the parameters, and nothing else.

use crate::class::PriorityClass;
use crate::outcome::{OutcomeKind, Refusal};
use crate::scheduler::tests::causes::Causes;
use crate::scheduler::tests::script::{Definition, Setup};
use crate::scheduler::{BatchParams, CoreParams};

/// A job, by the order of arrival.
pub(super) type Id = usize;

#[derive(Debug)]
pub(super) struct Model {
    pub(super) setup: Setup,
    pub(super) now: u64,
    jobs: Vec<Job>,
    pub(super) batches: Vec<Batch>,
    /// Jobs that hold a seat together, with the class in which they were picked.
    pub(super) runs: Vec<(PriorityClass, Vec<Id>)>,
    pub(super) paused_hooks: Vec<bool>,
    pub(super) paused_classes: [bool; 4],
    passed_over: [u32; 4],
    /// Classes whose turn it is, the first to be served first.
    due: Vec<PriorityClass>,
    closing: bool,
    /// Jobs that waited through a pause may expire at once. Their order is free, and decides who joins which batch: the
    /// model follows the core.
    pub(super) tie_order: Vec<Id>,
    /// Jobs that left without being picked, since this was last taken.
    pub(super) ended: Vec<(Id, OutcomeKind)>,
    pub(super) causes: Causes,
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) hook: usize,
    /// What its hook was defined as when it came.
    pub(super) definition: Definition,
    pub(super) class: PriorityClass,
    pub(super) session: Option<u64>,
    pub(super) key: u64,
    pub(super) bytes: u64,
    /// Nanoseconds, as everything here.
    pub(super) max_wait: Option<u64>,
    /// How long it has waited while its clock ran.
    pub(super) age: u64,
    pub(super) started: bool,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    /// Waits, and cannot be picked before that time.
    DelayedUntil(u64),
    Running,
    Gone,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) members: Vec<Id>,
    open: bool,
    /// `None`: it can be picked.
    pub(super) lingers_until: Option<u64>,
}

/// What can be picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) class: PriorityClass,
    key: Id,
    pub(super) members: Vec<Id>,
}

impl Model {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            now: 0,
            jobs: Vec::new(),
            batches: Vec::new(),
            runs: Vec::new(),
            paused_hooks: vec![false; setup.hooks.len()],
            paused_classes: [false; 4],
            passed_over: [0; 4],
            due: Vec::new(),
            closing: false,
            tie_order: Vec::new(),
            ended: Vec::new(),
            causes: Causes::default(),
            setup,
        }
    }

    pub(super) fn job(&self, id: Id) -> &Job {
        &self.jobs[id]
    }

    pub(super) fn waits(&self, id: Id) -> bool {
        matches!(self.jobs[id].state, State::Waiting | State::DelayedUntil(_))
    }

    /// Jobs that wait, the oldest first.
    pub(super) fn waiting(&self) -> Vec<Id> {
        (0..self.jobs.len()).filter(|id| self.waits(*id)).collect()
    }

    pub(super) fn waiting_of(&self, class: PriorityClass) -> u32 {
        let of_class = self.waiting().into_iter().filter(|id| self.jobs[*id].class == class).count();
        u32::try_from(of_class).unwrap()
    }

    /// What admission must answer: a place is there if it would still leave every class room for its guarantee.
    pub(super) fn admission(&self, class: PriorityClass) -> Result<Option<Id>, Refusal> {
        let rule = &self.setup.core.rule;
        if self.closing {
            return Err(Refusal::Closed);
        }
        let own = self.waiting_of(class);
        let has_ceiling = rule.ceiling[class] < rule.capacity;
        if has_ceiling && own + 1 > rule.ceiling[class] {
            return Err(Refusal::ClassFull);
        }
        let taken = self.waiting().len();
        let kept: u32 =
            PriorityClass::ALL.map(|c| rule.guarantee[c].saturating_sub(self.waiting_of(c))).iter().sum();
        let from_guarantee = own < rule.guarantee[class];
        if from_guarantee || taken + (kept as usize) < rule.capacity as usize {
            return Ok(None);
        }
        if !self.setup.core.displace {
            return Err(Refusal::Full);
        }
        for victim_class in [PriorityClass::Low, PriorityClass::Normal, PriorityClass::High] {
            let above_guarantee = self.waiting_of(victim_class) > rule.guarantee[victim_class];
            let oldest = self
                .waiting()
                .into_iter()
                .find(|id| self.jobs[*id].class == victim_class && !self.jobs[*id].started);
            if let Some(oldest) = oldest
                && class.is_more_important_than(victim_class)
                && above_guarantee
            {
                return Ok(Some(oldest));
            }
        }
        Err(Refusal::Full)
    }

    pub(super) fn arrive(&mut self, job: Job, admitted: u64) -> Id {
        let id = self.jobs.len();
        self.jobs.push(job);
        // It joins a batch if the job in front of it is a member: room further in front is not looked for.
        let in_front = self.chain(id).into_iter().rfind(|other| *other != id);
        if in_front.is_none_or(|other| self.batch_of(other).is_some()) {
            self.settle(id);
        }
        self.attribute_before(id, admitted);
        self.relax();
        id
    }

    pub(super) fn end(&mut self, id: Id, outcome: OutcomeKind) {
        assert!(self.waits(id));
        self.jobs[id].state = State::Gone;
        self.ended.push((id, outcome));
        for batch in &mut self.batches {
            batch.members.retain(|member| *member != id);
        }
        self.batches.retain(|batch| !batch.members.is_empty());
        self.settle(id);
        self.relax();
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
        self.relax();
    }

    pub(super) fn set_params(&mut self, params: CoreParams) {
        self.setup.core = params;
        if params.pick.bypass.is_none() {
            self.due.clear();
        }
        self.relax();
    }

    /// Another definition of the hook: nobody comes to its batches any more.
    pub(super) fn define(&mut self, hook: usize, to: Definition) {
        self.setup.hooks[hook] = to;
        for batch in &mut self.batches {
            if self.jobs[batch.members[0]].hook == hook {
                batch.lingers_until = None;
            }
        }
    }

    pub(super) fn pause_hook(&mut self, hook: usize, to: bool) {
        self.paused_hooks[hook] = to;
    }

    pub(super) fn pause_class(&mut self, class: PriorityClass, to: bool) {
        self.paused_classes[class.index()] = to;
        self.relax();
    }

    /// The unit was picked.
    pub(super) fn start(&mut self, unit: &Unit) {
        let eligible = self.eligible();
        for class in PriorityClass::ALL {
            let could = eligible.iter().any(|unit| unit.class == class);
            let may_pass = !self.setup.core.pick.weighted || unit.class == PriorityClass::Critical;
            let passes = may_pass && unit.class.is_more_important_than(class);
            if class == unit.class {
                self.passed_over[class.index()] = 0;
                self.due.retain(|due| *due != class);
            } else if could && passes {
                self.passed_over[class.index()] += 1;
                let bound = self.setup.core.pick.bypass.map_or(u32::MAX, |bound| bound[class].max(1));
                if self.passed_over[class.index()] >= bound && !self.due.contains(&class) {
                    self.due.push(class);
                }
            }
        }
        self.batches.retain(|batch| !unit.members.contains(&batch.members[0]));
        for id in &unit.members {
            self.jobs[*id].started = true;
            self.jobs[*id].state = State::Running;
        }
        self.runs.push((unit.class, unit.members.clone()));
    }

    /// The run of these jobs is over. Those with a time wait again until then.
    pub(super) fn complete(&mut self, members: &[(Id, Option<u64>)]) {
        self.runs.retain(|(_, run)| run[0] != members[0].0);
        for (id, again) in members {
            self.jobs[*id].state = again.map_or(State::Gone, State::DelayedUntil);
        }
        for (id, _) in members {
            self.settle(*id);
        }
        self.relax();
        self.do_what_is_due();
    }

    /// When something happens by itself.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let expiries =
            self.waiting().into_iter().filter_map(|id| self.expires_in(id)).map(|left| self.now + left);
        let delays = self.jobs.iter().filter_map(|job| match job.state {
            State::DelayedUntil(time) => Some(time),
            _ => None,
        });
        let lingers = self.batches.iter().filter_map(|batch| batch.lingers_until);
        expiries.chain(delays).chain(lingers).min()
    }

    /// Lets time pass, up to the next deadline at most.
    pub(super) fn pass_time(&mut self, to: u64) {
        self.attribute(to);
        for id in self.waiting() {
            if !self.clock_stands_still(id) {
                self.jobs[id].age += to - self.now;
            }
        }
        self.now = to;
        self.do_what_is_due();
    }

    fn do_what_is_due(&mut self) {
        let rank = |id: &Id| self.tie_order.iter().position(|other| other == id);
        let mut over = self.waiting();
        over.retain(|id| self.expires_in(*id) == Some(0));
        over.sort_by_key(rank);
        for id in over {
            self.end(id, OutcomeKind::Expired);
        }
        let now = self.now;
        for batch in self.batches.iter_mut().filter(|batch| batch.lingers_until.is_some_and(|t| t <= now)) {
            batch.lingers_until = None;
        }
        for id in self.waiting() {
            if let State::DelayedUntil(time) = self.jobs[id].state
                && time <= now
            {
                self.jobs[id].state = State::Waiting;
                self.settle(id);
                self.relax();
            }
        }
    }

    fn expires_in(&self, id: Id) -> Option<u64> {
        let job = &self.jobs[id];
        let limit = job.max_wait.filter(|_| !job.started && !self.clock_stands_still(id))?;
        Some(limit.saturating_sub(job.age))
    }

    fn clock_stands_still(&self, id: Id) -> bool {
        self.paused_hooks[self.jobs[id].hook] || self.paused_classes[self.jobs[id].class.index()]
    }

    /// The chain of a job: everything of it that has not ended, in order.
    fn chain(&self, id: Id) -> Vec<Id> {
        let of = &self.jobs[id];
        match of.session {
            None => vec![id],
            Some(_) => (0..self.jobs.len())
                .filter(|other| self.jobs[*other].state != State::Gone)
                .filter(|other| self.jobs[*other].hook == of.hook && self.jobs[*other].session == of.session)
                .collect(),
        }
    }

    fn runs(&self, id: Id) -> bool {
        self.jobs[id].state == State::Running
    }

    /// True when nothing of its chain is in the way of the job.
    pub(super) fn is_head(&self, id: Id) -> bool {
        let chain = self.chain(id);
        !chain.iter().any(|other| self.runs(*other))
            && chain.first() == Some(&id)
            && self.jobs[id].state == State::Waiting
    }

    /// Puts the front of the job's chain into batches.
    fn settle(&mut self, id: Id) {
        let chain = self.chain(id);
        let Some(head) = chain.first().copied().filter(|head| self.is_head(*head)) else { return };
        let Some(limits) = self.jobs[head].definition.batch else { return };
        if self.batch_of(head).is_none() {
            self.join_or_open(head, limits);
        }
        let mut last = head;
        for next in chain.into_iter().skip(1) {
            let batch = self.batch_of(last).expect("the job in front is a member");
            let is_member = self.batch_of(next) == Some(batch);
            if !is_member && (self.jobs[next].state != State::Waiting || !self.join(batch, next, limits)) {
                return;
            }
            last = next;
        }
    }

    pub(super) fn batch_of(&self, id: Id) -> Option<usize> {
        self.batches.iter().position(|batch| batch.members.contains(&id))
    }

    fn join_or_open(&mut self, id: Id, limits: BatchParams) {
        let open = (0..self.batches.len()).find(|batch| self.batches[*batch].open && self.shares(*batch, id));
        if let Some(open) = open {
            if self.join(open, id, limits) {
                return;
            }
            self.batches[open].open = false;
        }
        let linger = u64::try_from(limits.linger.as_nanos()).unwrap();
        let until = (linger > 0).then_some(self.now + linger);
        self.batches.push(Batch { members: vec![id], open: true, lingers_until: until });
        self.seal_if_full(self.batches.len() - 1, limits);
    }

    fn shares(&self, batch: usize, id: Id) -> bool {
        let kind = |id: Id| {
            let job = &self.jobs[id];
            (job.hook, job.definition.number, job.class, job.key)
        };
        kind(self.batches[batch].members[0]) == kind(id)
    }

    fn join(&mut self, batch: usize, id: Id, limits: BatchParams) -> bool {
        let joins = self.batches[batch].open
            && self.shares(batch, id)
            && self.bytes(batch) + self.jobs[id].bytes <= limits.bytes;
        if joins {
            self.batches[batch].members.push(id);
            self.seal_if_full(batch, limits);
        }
        joins
    }

    fn bytes(&self, batch: usize) -> u64 {
        self.batches[batch].members.iter().map(|id| self.jobs[*id].bytes).sum()
    }

    fn seal_if_full(&mut self, batch: usize, limits: BatchParams) {
        if self.batches[batch].members.len() >= limits.size as usize || self.bytes(batch) >= limits.bytes {
            self.batches[batch].open = false;
        }
    }

    /// Ends the linger of every batch that has no reason to linger.
    fn relax(&mut self) {
        let pressed = self.waiting().len() >= self.setup.core.pressure as usize;
        for index in 0..self.batches.len() {
            let batch = &self.batches[index];
            let lent = batch.members.iter().any(|id| self.standing(*id).0 != self.jobs[*id].class);
            if !batch.open || self.closing || pressed || lent {
                self.batches[index].lingers_until = None;
            }
        }
    }

    /// Where the first of a chain stands: as high as the most important one that waits in it, unless that is paused.
    pub(super) fn standing(&self, id: Id) -> (PriorityClass, Id) {
        let own = self.jobs[id].class;
        for class in PriorityClass::ALL.into_iter().filter(|class| class.is_more_important_than(own)) {
            let lender = self
                .chain(id)
                .into_iter()
                .find(|other| self.waits(*other) && self.jobs[*other].class == class);
            if let Some(lender) = lender
                && !self.paused_classes[class.index()]
            {
                return (class, lender);
            }
        }
        (own, id)
    }

    /// Everything that may start now, the first of each class first.
    pub(super) fn eligible(&self) -> Vec<Unit> {
        let mut units = self.units();
        units.retain(|unit| self.may_start(unit));
        units
    }

    /// Everything that stands in a queue, the first of each class first.
    pub(super) fn units(&self) -> Vec<Unit> {
        let singles =
            self.waiting().into_iter().filter(|id| self.is_head(*id) && self.batch_of(*id).is_none());
        let batches = self.batches.iter().filter(|batch| batch.lingers_until.is_none());
        let all = singles.map(|id| vec![id]).chain(batches.map(|batch| batch.members.clone()));
        let mut units: Vec<_> = all
            .map(|members| {
                let standings = members.iter().map(|id| self.standing(*id));
                let (class, key) = standings.min_by_key(|(class, key)| (class.index(), *key)).unwrap();
                Unit { class, key, members }
            })
            .collect();
        units.sort_by_key(|unit| (unit.class.index(), unit.key));
        units
    }

    fn may_start(&self, unit: &Unit) -> bool {
        let hook = self.jobs[unit.members[0]].hook;
        self.hook_has_room(hook)
            && !self.paused_hooks[hook]
            && !self.paused_classes[unit.class.index()]
            && self.seat_is_free(unit.class)
    }

    pub(super) fn hook_has_room(&self, hook: usize) -> bool {
        let most = self.setup.hooks[hook].max_concurrency.unwrap_or(u32::MAX) as usize;
        self.runs.iter().filter(|(_, members)| self.jobs[members[0]].hook == hook).count() < most
    }

    pub(super) fn seat_is_free(&self, class: PriorityClass) -> bool {
        let seats = self.setup.core.seats;
        let taken =
            |by: &dyn Fn(PriorityClass) -> bool| self.runs.iter().filter(|(class, _)| by(*class)).count();
        let is_ordinary = |class: PriorityClass| class.index() > seats.standby_for.index();
        taken(&|other| other == class) < seats.per_class[class] as usize
            && taken(&|_| true) < (seats.workers + seats.standby) as usize
            && (!is_ordinary(class) || taken(&is_ordinary) < seats.workers as usize)
    }

    /// What `pick` may answer: exactly one unit, or in weighted mode one of several.
    pub(super) fn picks(&self) -> Vec<Unit> {
        let mut best = self.eligible();
        best.dedup_by_key(|unit| unit.class);
        let pick = self.setup.core.pick;
        let due = self.due.iter().find_map(|due| best.iter().find(|unit| unit.class == *due));
        match (due, best.first()) {
            (Some(due), _) => vec![due.clone()],
            (None, Some(first)) if !pick.weighted || first.class == PriorityClass::Critical => {
                vec![first.clone()]
            }
            _ => best,
        }
    }
}
