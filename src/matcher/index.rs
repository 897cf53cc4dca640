//! Which hooks may want an event, without looking at those that do not.
//!
//! Hooks are put into buckets, one for each kind and group, each raw name, and `"*"`; an event looks into the few
//! buckets that are its own. Inside a bucket a hook is found by one key: the rarest of the things that it asks for, a
//! field with a value, a tool by name, or a tool by pattern; only hooks that ask for nothing are always proposed.
//!
//! Patterns are matched all together, and the answer for a tool name is remembered, since tools are few. What is
//! remembered is bounded, whatever names come in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use regex::{Regex, RegexSet, RegexSetBuilder};

use crate::event::{Scalar, Subject, ValueKey};
use crate::kind::KindSet;

use super::{Entry, ToolPattern};

/// The buckets of all hooks.
#[derive(Debug)]
pub(super) struct Index {
    /// `None`: no hook wants everything.
    any: Option<Bucket>,
    /// By [`KindSet::slot`].
    kinds: Box<[Bucket]>,
    /// Those that have a hook: an event belongs to several kinds and groups, and most are nobody's.
    held: KindSet,
    names: HashMap<Box<str>, Bucket>,
}

impl Index {
    pub(super) fn new(entries: &[Entry]) -> Self {
        let mut any = Vec::new();
        let mut kinds = vec![Vec::new(); KindSet::SLOTS];
        let mut held = KindSet::EMPTY;
        let mut names: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for (hook, entry) in (0..).zip(entries) {
            if entry.selector.any {
                // Every event looks here, so no other bucket needs the hook.
                any.push(hook);
                continue;
            }
            held = held.union(entry.selector.kinds);
            for kind in entry.selector.kinds.members() {
                kinds.get_mut(kind.slot()).expect("there is a bucket for each slot").push(hook);
            }
            for name in &entry.selector.names {
                names.entry(name.clone()).or_default().push(hook);
            }
        }
        let bucket = |hooks: Vec<u32>| Bucket::new(&hooks, entries);
        Self {
            any: (!any.is_empty()).then(|| bucket(any)),
            kinds: kinds.into_iter().map(bucket).collect(),
            held,
            names: names.into_iter().map(|(name, hooks)| (name, bucket(hooks))).collect(),
        }
    }

    /// Adds every hook that may want the event, in any order, some perhaps twice. `fields` are the event's fields
    /// that hooks ask for; they are asked for only if they can matter.
    pub(super) fn propose<'f, 'e: 'f>(
        &self,
        event: &impl Subject,
        patterns: &Patterns,
        hooks: &mut Vec<u32>,
        fields: impl Fn() -> &'f [(usize, Scalar<'e>)],
    ) {
        let mut ask = |bucket: &Bucket| bucket.propose(event, patterns, hooks, &fields);
        if let Some(any) = &self.any {
            ask(any);
        }
        for kind in event.kinds().intersection(self.held).members() {
            ask(self.kinds.get(kind.slot()).expect("there is a bucket for each slot"));
        }
        // A name is hashed only if it can be somebody's.
        if !self.names.is_empty()
            && let Some(bucket) = self.names.get(event.name())
        {
            ask(bucket);
        }
    }
}

/// Hooks that ask for the same kind, or name.
#[derive(Debug)]
struct Bucket {
    /// Those that ask for no more than that.
    always: Vec<u32>,
    /// By the tool's name.
    tools: HashMap<Box<str>, Vec<u32>>,
    /// By the pattern's number.
    patterns: HashMap<usize, Vec<u32>>,
    /// By the path's place, then by the value.
    fields: HashMap<usize, Values>,
    /// What `patterns` gave for a tool.
    seen: RwLock<HashMap<Box<str>, Arc<[u32]>>>,
}

/// How many tools' answers a bucket remembers, and how long their names may be.
const SEEN_TOOLS: usize = 1024;
const SEEN_TOOL_BYTES: usize = 256;

/// What a hook can be found by. Ordered by use: how many share a key decides first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'a> {
    Field(usize, ValueKey<'a>),
    Tool(&'a str),
    Pattern(usize),
}

impl Bucket {
    fn new(hooks: &[u32], entries: &[Entry]) -> Self {
        let entry =
            |hook: &u32| entries.get(*hook as usize).expect("hooks are places in the list of entries");
        let mut shares: HashMap<Key<'_>, usize> = HashMap::new();
        for entry in hooks.iter().map(entry) {
            for key in field_keys(entry).chain(tool_keys(entry)) {
                *shares.entry(key).or_default() += 1;
            }
        }

        let mut bucket = Self {
            always: Vec::new(),
            tools: HashMap::new(),
            patterns: HashMap::new(),
            fields: HashMap::new(),
            seen: RwLock::default(),
        };
        for hook in hooks {
            let entry = entry(hook);
            let share = |key: &Key<'_>| shares.get(key).copied().unwrap_or_default();
            let field = field_keys(entry).min_by_key(share);
            // Several names are one key: an event has one of them.
            let tool = tool_keys(entry).map(|key| share(&key) + cost_of_search(&key)).max();
            match (field, tool) {
                (Some(field), tool) if tool.is_none_or(|tool| share(&field) <= tool) => {
                    bucket.add(field, *hook);
                }
                (_, Some(_)) => tool_keys(entry).for_each(|key| bucket.add(key, *hook)),
                _ => bucket.always.push(*hook),
            }
        }
        bucket
    }

    fn add(&mut self, key: Key<'_>, hook: u32) {
        match key {
            Key::Field(place, value) => self.fields.entry(place).or_default().add(value, hook),
            Key::Tool(name) => self.tools.entry(name.into()).or_default().push(hook),
            Key::Pattern(number) => self.patterns.entry(number).or_default().push(hook),
        }
    }

    fn propose<'f, 'e: 'f>(
        &self,
        event: &impl Subject,
        patterns: &Patterns,
        hooks: &mut Vec<u32>,
        fields: impl Fn() -> &'f [(usize, Scalar<'e>)],
    ) {
        hooks.extend_from_slice(&self.always);
        if (!self.tools.is_empty() || !self.patterns.is_empty())
            && let Some(tool) = event.tool()
        {
            if let Some(named) = self.tools.get(tool) {
                hooks.extend_from_slice(named);
            }
            if !self.patterns.is_empty() {
                self.add_by_pattern(tool, patterns, hooks);
            }
        }
        if !self.fields.is_empty() {
            for (place, value) in fields() {
                let Some(values) = self.fields.get(place) else { continue };
                hooks.extend(values.get(&value.key()).into_iter().flatten());
            }
        }
    }

    fn add_by_pattern(&self, tool: &str, patterns: &Patterns, hooks: &mut Vec<u32>) {
        // A panic while it is held leaves a valid table behind.
        if let Some(seen) = self.seen.read().unwrap_or_else(PoisonError::into_inner).get(tool) {
            hooks.extend_from_slice(seen);
            return;
        }
        let fresh: Arc<[u32]> = patterns
            .matching(tool)
            .filter_map(|number| self.patterns.get(&number))
            .flatten()
            .copied()
            .collect();
        hooks.extend_from_slice(&fresh);
        if tool.len() <= SEEN_TOOL_BYTES {
            let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= SEEN_TOOLS {
                seen.clear();
            }
            seen.insert(tool.into(), fresh);
        }
    }
}

/// Hooks by the value that a field must have.
#[derive(Debug, Default)]
struct Values {
    texts: HashMap<Box<str>, Vec<u32>>,
    others: HashMap<(u8, i128), Vec<u32>>,
}

impl Values {
    fn get(&self, value: &ValueKey<'_>) -> Option<&Vec<u32>> {
        match value {
            ValueKey::Text(text) => self.texts.get(*text),
            ValueKey::Other(form, bits) => self.others.get(&(*form, *bits)),
        }
    }

    fn add(&mut self, value: ValueKey<'_>, hook: u32) {
        match value {
            ValueKey::Text(text) => self.texts.entry(text.into()).or_default().push(hook),
            ValueKey::Other(form, bits) => self.others.entry((form, bits)).or_default().push(hook),
        }
    }
}

fn field_keys(entry: &Entry) -> impl Iterator<Item = Key<'_>> {
    entry.fields.iter().map(|(place, value)| Key::Field(*place, value.key()))
}

fn tool_keys(entry: &Entry) -> impl Iterator<Item = Key<'_>> {
    let tool = entry.selector.tool.as_ref();
    let names = tool.and_then(ToolPattern::names).unwrap_or_default();
    names.iter().map(|name| Key::Tool(name)).chain(entry.pattern.map(Key::Pattern))
}

/// Another pattern may match the same tools, so one that nobody shares is still not as rare as a value.
const fn cost_of_search(key: &Key<'_>) -> usize {
    match key {
        Key::Pattern(_) => 8,
        Key::Field(..) | Key::Tool(_) => 0,
    }
}

/// Every distinct expression of all hooks, with its number, matched together.
pub(super) struct Patterns {
    numbers: HashMap<Box<str>, usize>,
    regexes: Vec<Regex>,
    /// `None`: there are none, or all together are too large; then they are matched one by one.
    set: Option<RegexSet>,
}

impl Patterns {
    /// Largest compiled form of all together, and of the states kept while matching. In bytes.
    const MAX_COMPILED: usize = 64 << 20;
    const MAX_STATES: usize = 8 << 20;

    pub(super) fn new<'p>(tools: impl Iterator<Item = &'p ToolPattern>) -> Self {
        let mut numbers = HashMap::new();
        let mut regexes: Vec<Regex> = Vec::new();
        for tool in tools {
            let Some(text) = tool.anchored().filter(|text| !numbers.contains_key(*text)) else { continue };
            numbers.insert(text.into(), regexes.len());
            // Compiled here, once for all that are alike, so that no submit has to wait for it.
            regexes.extend(tool.regex().cloned());
        }
        let set = RegexSetBuilder::new(regexes.iter().map(Regex::as_str))
            .size_limit(Self::MAX_COMPILED)
            .dfa_size_limit(Self::MAX_STATES)
            .build();
        Self { numbers, set: set.ok().filter(|_| regexes.len() > 1), regexes }
    }

    pub(super) fn number(&self, tool: &ToolPattern) -> Option<usize> {
        self.numbers.get(tool.anchored()?).copied()
    }

    /// True when the one of that number matches the tool.
    pub(super) fn is_match(&self, number: usize, tool: &str) -> bool {
        self.regexes.get(number).is_some_and(|regex| regex.is_match(tool))
    }

    /// The numbers of those that match the tool.
    fn matching(&self, tool: &str) -> impl Iterator<Item = usize> {
        let together = self.set.as_ref().map(|set| set.matches(tool).into_iter());
        let alone = self.regexes.iter().enumerate().filter(|_| self.set.is_none());
        let alone = alone.filter(move |(_, regex)| regex.is_match(tool)).map(|(number, _)| number);
        together.into_iter().flatten().chain(alone)
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.regexes).finish()
    }
}
