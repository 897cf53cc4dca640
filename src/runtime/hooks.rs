//! The hooks in force: what decides about the next event, immutable, and replaced as a whole by a change.
//!
//! A submit looks once and goes by what it saw. A job keeps its [`HookEntry`], so its hook's definition of that moment,
//! to its end. What belongs to a hook whatever it is defined as, its place in the scheduler and its counts, is its
//! [`HookRecord`], of which there is one for each name for as long as the pool lasts. So order and sums go on across
//! definitions, and for a hook that went and came back.
//!
//! Where a new definition has the same handler, it has the very same one, with the processes that it keeps. The handler
//! of a definition goes with the last job that goes by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::recent::Recent;
use super::registered::{HandlerProblem, Registered};
use crate::breaker::Breaker;
use crate::class::{PerClass, PriorityClass};
use crate::config::Config;
use crate::event::Event;
use crate::handler::{Handler, Surroundings};
use crate::hook::{BatchKey, HandlerSpec, Hook, HookName};
use crate::matcher::Matcher;
use crate::metrics::{HookCounters, HookSnapshot};
use crate::params::{batch_params, hook_params};
use crate::scheduler::{BatchParams, Batching, HookParams, HookSlot};
use crate::telemetry::Limiter;

/// See the module's description.
#[derive(Clone, Debug)]
pub(super) struct HookSet {
    pub(super) config: Arc<Config>,
    pub(super) matcher: Arc<Matcher>,
    /// In the order of the configuration, which is that of the matcher.
    pub(super) entries: Arc<[Arc<HookEntry>]>,
    /// Hooks that are configured no more.
    pub(super) removed: Vec<Arc<HookRecord>>,
}

/// What all definitions of one hook share.
#[derive(Debug)]
pub(super) struct HookRecord {
    pub(super) name: HookName,
    /// Its number in the scheduler.
    pub(super) slot: HookSlot,
    pub(super) counters: Arc<HookCounters>,
    /// Keeps a hook that always fails from flooding the log.
    pub(super) complaints: Limiter,
    pub(super) recent: Recent,
}

/// One definition of a hook, with everything that belongs to it at run time.
#[derive(Clone, Debug)]
pub(super) struct HookEntry {
    pub(super) record: Arc<HookRecord>,
    pub(super) hook: Arc<Hook>,
    pub(super) handler: Arc<Handler>,
    pub(super) breaker: Option<Arc<Breaker>>,
    /// Longest wait of its jobs from admission to the first start, by their class.
    pub(super) max_wait: PerClass<Option<Duration>>,
    /// Of all definitions of the pool's hooks.
    definition: u32,
    bounds: Option<BatchParams>,
}

impl HookSet {
    /// The largest event that is admitted, in bytes.
    pub(super) fn max_event_bytes(&self) -> u64 {
        self.config.queue.max_event_bytes.min(self.config.queue.max_bytes)
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Arc<HookEntry>> {
        self.entries.iter().find(|entry| entry.hook.name.as_str() == name)
    }

    /// From now on as many failures are kept of each hook as the configuration says.
    pub(super) fn limit_failures(&self) {
        for record in self.records() {
            record.recent.limit(self.config.failures);
        }
    }

    /// The records of all hooks that there are or were.
    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<HookRecord>> {
        self.entries.iter().map(|entry| &entry.record).chain(&self.removed)
    }
}

impl HookRecord {
    /// What has been counted of it.
    pub(super) fn snapshot(&self) -> HookSnapshot {
        HookSnapshot {
            runs: self.counters.run_counts(),
            ..HookSnapshot::of_parts(self.name.clone(), self.counters.parts())
        }
    }
}

impl HookEntry {
    /// How an event's job may share a batch: with those of its definition, class and key.
    pub(super) fn batching(&self, event: &Event) -> Option<Batching> {
        let bounds = self.bounds?;
        let key = match self.hook.batch.as_ref().map(|batch| &batch.key) {
            None | Some(BatchKey::Hook) => None,
            Some(BatchKey::Session) => event.session_key(),
            Some(BatchKey::Field(_)) => field_key(&self.hook, event),
        };
        Some(Batching { definition: self.definition, key: key.unwrap_or(0), bounds })
    }

    pub(super) fn params(&self) -> (HookSlot, HookParams) {
        (self.record.slot, hook_params(&self.hook))
    }
}

/// The value of the field that the events of a batch have in common.
pub(super) fn field_key(hook: &Hook, event: &Event) -> Option<u64> {
    match &hook.batch.as_ref()?.key {
        BatchKey::Field(path) => event.field_key(path),
        BatchKey::Hook | BatchKey::Session => None,
    }
}

/// Makes sets of hooks, one after the other, for one pool.
#[derive(Debug)]
pub(super) struct HookMaker {
    surroundings: Surroundings,
    registered: Registered,
    /// Of the hooks' counters.
    timings: bool,
    /// Only limits that somebody has set count.
    replay: bool,
    records: BTreeMap<HookName, Arc<HookRecord>>,
    definitions: u32,
}

/// A set of hooks that is not in force yet.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) set: HookSet,
    /// Hooks that the scheduler has no slot for yet: theirs are the next ones, in this order.
    pub(super) added: Vec<(HookSlot, HookParams)>,
    /// Hooks that the scheduler knows by another definition.
    pub(super) redefined: Vec<(HookSlot, HookParams)>,
    /// Handlers that will not start, with the reason.
    pub(super) faults: Vec<(HookName, String)>,
}

impl Made {
    /// Tells the log of handlers that will not start.
    pub(super) fn warn(&self) {
        for (hook, fault) in &self.faults {
            tracing::warn!(%hook, "the hook's handler will not start: {fault}");
        }
    }
}

impl HookMaker {
    pub(super) fn new(
        surroundings: Surroundings,
        registered: Registered,
        timings: bool,
        replay: bool,
    ) -> Self {
        Self { surroundings, registered, timings, replay, records: BTreeMap::new(), definitions: 0 }
    }

    /// The hooks of the configuration. What stays as it is `before` is the same afterwards.
    ///
    /// # Errors
    /// A hook has neither a command nor a registered handler, or both.
    pub(super) fn make(
        &mut self,
        config: Arc<Config>,
        before: Option<&HookSet>,
    ) -> Result<Made, Vec<HandlerProblem>> {
        self.registered.check(&config.hooks)?;
        let (mut added, mut redefined, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        let mut entries = Vec::with_capacity(config.hooks.len());
        for hook in &config.hooks {
            let old = before.and_then(|before| before.entry(hook.name.as_str()));
            let max_wait = PerClass::from_fn(|class| self.max_wait(&config, hook, class));
            if let Some(old) = old.filter(|old| old.hook == *hook && old.handler.fault().is_none()) {
                // The waits may be those of the queue, or of a class.
                let is_same = old.max_wait == max_wait;
                let with_waits = || Arc::new(HookEntry { max_wait, ..HookEntry::clone(old) });
                entries.push(if is_same { Arc::clone(old) } else { with_waits() });
                continue;
            }
            let is_known = self.records.contains_key(&hook.name);
            let entry = self.define(hook, max_wait, old);
            if is_known { &mut redefined } else { &mut added }.push(entry.params());
            // Once: each reload looks for what was missing.
            let told = old.filter(|old| old.hook.enabled).and_then(|old| old.handler.fault());
            let fault = entry.handler.fault().filter(|fault| hook.enabled && told.as_ref() != Some(fault));
            faults.extend(fault.map(|why| (hook.name.clone(), hook.redactor.text(&why).into_owned())));
            entries.push(Arc::new(entry));
        }
        let is_there = |record: &Arc<HookRecord>| config.hooks.iter().any(|hook| hook.name == record.name);
        let mut removed: Vec<_> = self.records.values().filter(|record| !is_there(record)).cloned().collect();
        removed.sort_by_key(|record| record.slot.0);
        let matcher = Arc::new(Matcher::new(config.hooks.iter().map(|hook| &hook.selector)));
        let set = HookSet { config, matcher, entries: entries.into(), removed };
        Ok(Made { set, added, redefined, faults })
    }

    fn max_wait(&self, config: &Config, hook: &Hook, class: PriorityClass) -> Option<Duration> {
        let max_wait = config.max_wait(hook, class);
        max_wait.limit.filter(|_| max_wait.explicit || !self.replay)
    }

    fn define(
        &mut self,
        hook: &Arc<Hook>,
        max_wait: PerClass<Option<Duration>>,
        old: Option<&Arc<HookEntry>>,
    ) -> HookEntry {
        let next = HookSlot(u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        let record = self.records.entry(hook.name.clone()).or_insert_with(|| {
            Arc::new(HookRecord {
                name: hook.name.clone(),
                slot: next,
                counters: Arc::new(HookCounters::new(self.timings)),
                complaints: Limiter::default(),
                recent: Recent::default(),
            })
        });
        let same = old.filter(|old| old.handler.fault().is_none() && has_same_handler(&old.hook, hook));
        let handler = same.map_or_else(
            || {
                let registered = self.registered.get(hook.name.as_str());
                Arc::new(Handler::prepare(hook, &self.surroundings, registered, &record.counters))
            },
            |old| Arc::clone(&old.handler),
        );
        // A handler that is another one has not failed yet.
        let breaker = same.filter(|old| old.hook.breaker == hook.breaker).map(|old| old.breaker.clone());
        let breaker = breaker.unwrap_or_else(|| hook.breaker.map(Breaker::new).map(Arc::new));
        self.definitions = self.definitions.wrapping_add(1);
        HookEntry {
            record: Arc::clone(record),
            bounds: batch_params(hook, handler.takes_many()),
            hook: Arc::clone(hook),
            handler,
            breaker,
            max_wait,
            definition: self.definitions,
        }
    }
}

/// Everything that a handler keeps of its hook is the same. The rest it is told with each job.
fn has_same_handler(one: &Hook, other: &Hook) -> bool {
    let keeps_processes = matches!(one.handler, HandlerSpec::Resident(_));
    one.handler == other.handler
        && (!keeps_processes || (one.grace, one.max_output) == (other.grace, other.max_output))
}
