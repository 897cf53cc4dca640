//! The atomics, locks and threads of the two hand-written protocols, admission and parking: those of the standard
//! library, or loom's, which tries every order in which they can meet (`tests/loom.rs`).

#[cfg(not(loom))]
pub(super) use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current, park, park_timeout},
};

#[cfg(loom)]
pub(super) use loom::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
    sync::{Mutex, MutexGuard},
    thread::{Thread, current, park},
};

/// Models have no clock: a sleep that would end by itself is one that somebody ends.
#[cfg(loom)]
pub(super) fn park_timeout(_left: std::time::Duration) {
    park();
}
