//! Handlers in Rust, by the name of their hook, and what is wrong with the names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::config::nearest;
use crate::handler::RustHandler;
use crate::hook::{HandlerSpec, Hook, HookName};

/// What was registered, in the order of names.
#[derive(Debug, Default)]
pub(super) struct Registered {
    handlers: BTreeMap<String, Arc<RustHandler>>,
    twice: BTreeSet<String>,
}

/// Why a hook and a registered handler do not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerProblem {
    /// The hook has no `run`, and nothing is registered for it.
    Missing(HookName),
    /// The hook has a `run`, and a handler is registered for it.
    Both(HookName),
    /// A handler is registered under that name, and there is no such hook, but one of a similar name.
    NoSuchHook {
        /// What was registered.
        name: String,
        /// The hook without `run` that was probably meant.
        nearest: HookName,
    },
    /// Two handlers are registered under that name.
    Twice(String),
}

impl fmt::Display for HandlerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(hook) => {
                write!(f, "hook `{hook}` has no `run`, and no handler is registered for it")
            }
            Self::Both(hook) => {
                write!(f, "hook `{hook}` has a `run`, and a handler is registered for it as well")
            }
            Self::NoSuchHook { name, nearest } => {
                write!(
                    f,
                    "a handler is registered for `{name}`, and there is no such hook; did you mean `{nearest}`?"
                )
            }
            Self::Twice(name) => write!(f, "two handlers are registered for `{name}`"),
        }
    }
}

impl Registered {
    pub(super) fn add(&mut self, name: String, handler: RustHandler) {
        if self.handlers.insert(name.clone(), Arc::new(handler)).is_some() {
            self.twice.insert(name);
        }
    }

    /// The handler for the hook of that name.
    pub(super) fn get(&self, name: &str) -> Option<Arc<RustHandler>> {
        self.handlers.get(name).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    /// Whether each enabled hook has a handler and none has two. Otherwise everything that is wrong. A handler without a
    /// hook waits for one to be configured, unless a name looks as if it was meant.
    pub(super) fn check(&self, hooks: &[Arc<Hook>]) -> Result<(), Vec<HandlerProblem>> {
        let mut problems = Vec::new();
        let wants_one = |hook: &Hook| matches!(hook.handler, HandlerSpec::Registered);
        for hook in hooks {
            let has_one = self.handlers.contains_key(hook.name.as_str());
            if wants_one(hook) && !has_one && hook.enabled {
                problems.push(HandlerProblem::Missing(hook.name.clone()));
            } else if !wants_one(hook) && has_one {
                problems.push(HandlerProblem::Both(hook.name.clone()));
            }
        }
        let bare = || hooks.iter().filter(|hook| wants_one(hook)).map(|hook| hook.name.as_str());
        for name in self.handlers.keys() {
            if !hooks.iter().any(|hook| hook.name.as_str() == name)
                && let Some(nearest) = nearest(name, bare()).and_then(|nearest| HookName::new(nearest).ok())
            {
                problems.push(HandlerProblem::NoSuchHook { name: name.clone(), nearest });
            }
        }
        problems.extend(self.twice.iter().cloned().map(HandlerProblem::Twice));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
