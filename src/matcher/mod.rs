//! From an event to the hooks that want it.
//!
//! A [`Matcher`] answers for many selectors at once, and its cost follows the hooks that match, not those that exist:
//! the `index` proposes few candidates, each found by the rarest thing that it asks for, and this module checks them
//! in full. So the index may propose too many hooks, never too few.
//!
//! It knows hooks by their place in the list that it was made from. Whether a hook is enabled, and which class its
//! job gets, is decided by whoever asks.

mod index;
mod selector;
mod size;
mod tool;

use std::cell::{Cell, OnceCell};

pub use selector::{FieldIs, Selector, SelectorError, SelectorPlace, SelectorProblem};
pub use tool::ToolPattern;

use crate::event::{Event, PathTrie, Scalar, Subject};
use crate::kind::KindSet;

use index::{Index, Patterns};

/// The selectors of all hooks, compiled together. Immutable, and shared by threads.
#[derive(Debug)]
pub struct Matcher {
    entries: Vec<Entry>,
    paths: PathTrie,
    patterns: Patterns,
    index: Index,
}

/// How a hook matched an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// The kinds and groups by which it matched: for a raw name in `on` the event's own kind, for `"*"` all that the
    /// event belongs to. Never empty.
    pub ways: KindSet,
    /// The enabled ones of them. Empty: it matched by disabled ways alone.
    pub open: KindSet,
}

/// A selector with its pattern's number, and its fields' places in the trie of all paths.
#[derive(Debug)]
struct Entry {
    selector: Selector,
    /// `None`: its tools are names, or it asks for none.
    pattern: Option<usize>,
    fields: Box<[(usize, Scalar<'static>)]>,
}

impl Matcher {
    /// Compiles the selectors; the hook of the first one is hook 0.
    pub fn new<'s>(selectors: impl IntoIterator<Item = &'s Selector>) -> Self {
        let selectors: Vec<Selector> = selectors.into_iter().cloned().collect();
        let fields = || selectors.iter().flat_map(|selector| &selector.fields);
        let longest = fields().map(|field| match &field.value {
            Scalar::Text(text) => text.len(),
            _ => 0,
        });
        let paths =
            PathTrie::new(fields().map(|field| field.path.clone()).collect(), longest.max().unwrap_or(0));
        let patterns = Patterns::new(selectors.iter().filter_map(|selector| selector.tool.as_ref()));
        let entries: Vec<Entry> = selectors
            .into_iter()
            .map(|selector| {
                let place = |path| paths.place(path).expect("the trie was made of these paths");
                let fields =
                    selector.fields.iter().map(|field| (place(&field.path), field.value.clone())).collect();
                let pattern = selector.tool.as_ref().and_then(|tool| patterns.number(tool));
                Entry { selector, pattern, fields }
            })
            .collect();
        let index = Index::new(&entries);
        Self { entries, paths, patterns, index }
    }

    /// Calls `each` with every hook that wants the event, in ascending order, each once.
    pub fn find(&self, event: &Event, enabled: KindSet, each: impl FnMut(usize, Matched)) {
        self.find_for(event, enabled, each);
    }

    /// Like [`Matcher::find`], also for an event that is not written yet: it is asked for only where a field of it can
    /// matter. One that cannot be written has no fields.
    pub(crate) fn find_for(
        &self,
        event: &impl Subject,
        enabled: KindSet,
        mut each: impl FnMut(usize, Matched),
    ) {
        thread_local! {
            /// Room for candidates, kept from call to call.
            static CANDIDATES: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
        }
        let mut candidates = CANDIDATES.take();
        candidates.clear();
        let once = OnceCell::new();
        let found = || once.get_or_init(|| self.fields(event)).as_slice();
        self.index.propose(event, &self.patterns, &mut candidates, found);
        candidates.sort_unstable();
        candidates.dedup();

        for hook in &candidates {
            let hook = *hook as usize;
            let Some(entry) = self.entries.get(hook) else { continue };
            let ways = entry.selector.ways(event);
            if ways.is_empty() || !entry.wants_tool(event, &self.patterns) {
                continue;
            }
            if !entry.fields.iter().all(|field| holds(found(), field)) {
                continue;
            }
            each(hook, Matched { ways, open: ways.intersection(enabled) });
        }
        CANDIDATES.set(candidates);
    }

    fn fields<'e>(&self, event: &'e impl Subject) -> Vec<(usize, Scalar<'e>)> {
        event.event().map(|event| self.paths.find(event.object())).unwrap_or_default()
    }
}

impl Selector {
    /// The kinds and groups by which `on` wants the event; none when it does not.
    fn ways(&self, event: &impl Subject) -> KindSet {
        let kinds = event.kinds();
        let mut ways = if self.any { kinds } else { self.kinds.intersection(kinds) };
        if self.names.iter().any(|name| **name == *event.name()) {
            ways = ways.union(event.kind().as_set());
        }
        ways
    }
}

impl Entry {
    fn wants_tool(&self, event: &impl Subject, patterns: &Patterns) -> bool {
        let Some(pattern) = &self.selector.tool else { return true };
        event.tool().is_some_and(|tool| match self.pattern {
            Some(number) => patterns.is_match(number, tool),
            None => pattern.is_match(tool),
        })
    }
}

/// `found` is ascending by place.
fn holds(found: &[(usize, Scalar<'_>)], (place, value): &(usize, Scalar<'static>)) -> bool {
    found
        .binary_search_by_key(place, |(place, _)| *place)
        .ok()
        .and_then(|at| found.get(at))
        .is_some_and(|(_, there)| there == value)
}

#[cfg(test)]
mod tests;
