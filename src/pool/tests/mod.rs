//! Proof of the pool: what it promises, compared with a shell that is obviously right, and under stress.
//!
//! Nothing here waits for time to pass: tests wait for states, each wait with a generous limit after which it fails
//! with what the host has seen. Schedules and scripts come from seeds, which a failure names.

mod behaviour;
mod combining;
#[path = "../../../tests/helpers/dice.rs"]
mod dice;
mod differential;
mod drain;
mod hosts;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(loom)]
mod loom;
mod resize;
mod stress;
mod wakes;
