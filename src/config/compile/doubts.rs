//! What is right and yet does nothing, or has a price: warnings that `check` gives and a run does not, since most of it may be meant.

use super::super::layer::Key;
use super::super::merge::Merged;
use super::super::problem::{Problems, Severity};
use super::super::settings::{Config, QueueSettings};
use crate::class::PriorityClass;
use crate::hook::Hook;
use crate::kind::KindSet;

/// Warns of everything.
pub(super) fn tell(config: &Config, merged: &Merged<'_>, problems: &mut Problems) {
    let mut doubts = Doubts { config, merged, problems };
    doubts.performance_mode();
    doubts.limits();
    doubts.large_queue();
    doubts.standby();
    doubts.batching();
    for hook in config.hooks.iter().filter(|hook| hook.enabled) {
        doubts.kinds(hook);
        doubts.batch(hook);
    }
}

struct Doubts<'a> {
    config: &'a Config,
    merged: &'a Merged<'a>,
    problems: &'a mut Problems,
}

impl Doubts<'_> {
    fn warn(&mut self, key: &Key, message: String) {
        self.problems.push(self.merged.spot(key).origin(), key, Severity::Warning, message, None);
    }

    fn performance_mode(&mut self) {
        if self.config.performance_mode {
            let message = "`performance_mode` is on: every hook is skipped".to_owned();
            self.warn(&Key::new(&["performance_mode"]), message);
        }
    }

    /// Limits of a class or hook beyond those of the pool.
    fn limits(&mut self) {
        let capacity = u64::from(self.config.queue.capacity);
        let seats = u64::from(self.config.pool.workers) + u64::from(self.config.pool.standby);
        let at = |key: &[&str]| self.merged.spot(&Key::new(key)).origin();
        let of_queue = format!("`queue.capacity`, which is {capacity} ({})", at(&["queue", "capacity"]));
        let of_pool = format!("the number of seats, which is {seats} (`pool.workers` and `pool.standby`)");
        let classes = PriorityClass::ALL.map(PriorityClass::name);
        let keys =
            classes
                .iter()
                .flat_map(|class| {
                    [
                        (Key::new(&["class", class, "ceiling"]), capacity, &of_queue),
                        (Key::new(&["class", class, "seats"]), seats, &of_pool),
                    ]
                })
                .chain(self.config.hooks.iter().map(|hook| {
                    (Key::new(&["hook", hook.name.as_str(), "max_concurrency"]), seats, &of_pool)
                }));
        for (key, most, what) in keys {
            if self.merged.number(&key).is_some_and(|number| number > most) {
                self.warn(&key, format!("`{key}` has no effect: it is above {what}"));
            }
        }
    }

    fn large_queue(&mut self) {
        const MOST: u32 = QueueSettings::WITHOUT_LOCK;
        if self.config.queue.capacity > MOST {
            let message = format!(
                "`queue.capacity` is above {MOST}: while more jobs of one class than that wait, submits take turns at a \
                 lock"
            );
            self.warn(&Key::new(&["queue", "capacity"]), message);
        }
    }

    /// Standby seats that somebody asked for, and that no job may take.
    fn standby(&mut self) {
        let keys = ["standby_for", "standby"].map(|name| Key::new(&["pool", name]));
        let Some(key) = keys.into_iter().find(|key| self.merged.is_set(key)) else { return };
        let (pool, hooks) = (&self.config.pool, &self.config.hooks);
        let least = pool.standby_for;
        let serves = |hook: &Hook| self.classes_of(hook).any(|class| class.index() <= least.index());
        if pool.standby == 0 || hooks.is_empty() || hooks.iter().any(|hook| serves(hook)) {
            return;
        }
        let classes = PriorityClass::ALL.iter().take(least.index() + 1).rev();
        let classes = classes.map(|class| format!("`{class}`")).collect::<Vec<_>>().join(" or ");
        self.warn(&key, format!("`{key}` has no effect: no job of any hook is {classes}"));
    }

    /// The classes that jobs of the hook can have.
    fn classes_of(&self, hook: &Hook) -> impl Iterator<Item = PriorityClass> {
        let takes_any_kind = hook.selector.any || !hook.selector.names.is_empty();
        let kinds = if takes_any_kind { KindSet::all() } else { hook.selector.kinds };
        let without_kind = takes_any_kind.then_some(KindSet::EMPTY);
        let own = hook.priority;
        let of_kinds = kinds.members().chain(without_kind).filter(move |_| own.is_none());
        own.into_iter().chain(of_kinds.map(|kind| self.config.priority.class_of(kind)))
    }

    fn batching(&mut self) {
        let takes_lines = |hook: &str| self.mode(hook) != "single";
        let key = Key::new(&["batching", "enabled"]);
        if self.config.batching.enabled
            && !self.config.hooks.iter().any(|hook| takes_lines(hook.name.as_str()))
        {
            self.problems.withdraw_warnings(&key.to_string());
            self.warn(&key, format!("`{key}` has no effect: every hook takes single events (`mode`)"));
        }
    }

    fn mode(&self, hook: &str) -> &str {
        self.merged.text(&Key::new(&["hook", hook, "mode"])).unwrap_or("single")
    }

    /// A batch for a hook that takes one event at a time.
    fn batch(&mut self, hook: &Hook) {
        let key = Key::new(&["hook", hook.name.as_str(), "batch"]);
        if self.merged.has(&key) && self.mode(hook.name.as_str()) == "single" {
            self.problems.withdraw_warnings(&key.to_string());
            let spot = self.merged.first_spot(&key).map_or_else(|| self.merged.spot(&key), Clone::clone);
            let message = format!("`{key}` batches nothing in mode \"single\"");
            self.problems.push(spot.origin(), &key, Severity::Warning, message, None);
        }
    }

    /// Kinds that the hook wants and that `[kinds]` switches off.
    fn kinds(&mut self, hook: &Hook) {
        let on = Key::new(&["hook", hook.name.as_str(), "on"]);
        let words = self.merged.texts(&on);
        let is_off =
            |word: &str| KindSet::from_name(word).is_some_and(|kind| !self.config.kinds.intersects(kind));
        let end = if words.iter().all(|word| is_off(word)) { ": the hook never runs" } else { "" };
        let off: Vec<_> = words.iter().enumerate().filter(|(_, word)| is_off(word)).collect();
        for (index, word) in off {
            let switch = Key::new(&["kinds", word]);
            let origin = self.merged.spot(&switch).origin();
            let message = format!("`{word}` is switched off by `{switch}` ({origin}){end}");
            self.warn(&on.child(&index.to_string()), message);
        }
    }
}
