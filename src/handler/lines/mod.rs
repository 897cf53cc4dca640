//! The line protocol: events as lines in, answers as lines out.
//!
//! This is the pure part, without processes or clocks: [`splice`] makes the line of an event, [`answers`] takes the
//! handler's output apart as it comes. Batches of commands and resident handlers both speak it.

pub(super) mod answers;
pub(super) mod splice;
