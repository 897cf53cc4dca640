//! Handlers in Rust, by the name of their hook, and what is wrong with the names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::config::nearest;
use crate::handler::RustHandler;
use crate::hook::{HandlerSpec, Hook, HookName};

/// What was registered, in the order of names.
#[derive(Default)]
pub(super) struct Registered {
    handlers: BTreeMap<String, RustHandler>,
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
    /// A handler is registered under that name, and there is no such hook.
    NoSuchHook {
        /// What was registered.
        name: String,
        /// The hook without `run` that was probably meant.
        nearest: Option<HookName>,
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
                write!(f, "a handler is registered for `{name}`, and there is no such hook")?;
                nearest.as_ref().map_or(Ok(()), |nearest| write!(f, "; did you mean `{nearest}`?"))
            }
            Self::Twice(name) => write!(f, "two handlers are registered for `{name}`"),
        }
    }
}

impl Registered {
    pub(super) fn add(&mut self, name: String, handler: RustHandler) {
        if self.handlers.insert(name.clone(), handler).is_some() {
            self.twice.insert(name);
        }
    }

    /// The handlers, if each has a hook of its own and each enabled hook a handler. Otherwise everything that is wrong.
    pub(super) fn check(
        self,
        hooks: &[Arc<Hook>],
    ) -> Result<BTreeMap<String, RustHandler>, Vec<HandlerProblem>> {
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
            if !hooks.iter().any(|hook| hook.name.as_str() == name) {
                let nearest = nearest(name, bare()).and_then(|nearest| HookName::new(nearest).ok());
                problems.push(HandlerProblem::NoSuchHook { name: name.clone(), nearest });
            }
        }
        problems.extend(self.twice.into_iter().map(HandlerProblem::Twice));
        if problems.is_empty() { Ok(self.handlers) } else { Err(problems) }
    }
}
