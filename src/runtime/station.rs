//! A station: what a worker's thread keeps from one run to the next.
//!
//! References that the next run most likely has again are kept instead of counted: each count is a locked instruction, and
//! that of a hook's definition is changed by whoever submits, too, on another processor. Invariant: a thread that rests
//! keeps no definition, with its processes, and one that runs keeps none but that of its run.

use std::sync::Arc;

use smallvec::SmallVec;

use super::flight::Flights;
use super::hooks::HookEntry;
use crate::process::Cancel;

/// References to one definition that are given up together.
const SPENT: usize = 16;

/// See the module's description.
pub(super) struct Station {
    pub(super) flights: Arc<Flights>,
    /// Stops what the worker runs.
    pub(super) stop: Cancel,
    /// The same for the next call, while nobody has that.
    pub(super) stop_for_call: Option<Cancel>,
    /// What the worker runs by.
    pub(super) entry: Option<Arc<HookEntry>>,
    pub(super) spent: Spent,
}

/// References of jobs to the definition that they ran by.
#[derive(Default)]
pub(super) struct Spent(SmallVec<[Arc<HookEntry>; SPENT]>);

impl Station {
    pub(super) fn new(flights: Arc<Flights>, stop: Cancel) -> Self {
        Self { flights, stop, stop_for_call: None, entry: None, spent: Spent::default() }
    }

    /// Another token stops the worker from now on.
    pub(super) fn renew(&mut self, stop: Cancel) {
        self.flights.stop_by(stop.clone());
        (self.stop, self.stop_for_call) = (stop, None);
    }

    /// A run by this definition begins.
    pub(super) fn go_by(&mut self, entry: &Arc<HookEntry>) {
        if self.entry.as_ref().is_some_and(|current| !Arc::ptr_eq(current, entry)) {
            self.clear();
        }
    }

    /// Keeps no definition.
    pub(super) fn clear(&mut self) {
        drop(self.flights.unload());
        self.entry = None;
        self.spent = Spent::default();
    }
}

impl Spent {
    /// A job needs its reference no more.
    pub(super) fn push(&mut self, entry: Arc<HookEntry>) {
        if self.0.len() == SPENT {
            self.0.clear();
        }
        self.0.push(entry);
    }
}
