//! The proof of the core.
//!
//! | file | what |
//! |---|---|
//! | `script.rs` | what can be done to a core, as data; strategies that generate it |
//! | `model.rs` | the same scheduler, naive: what must happen |
//! | `causes.rs` | why its jobs wait |
//! | `invariants.rs` | what must be true inside the core between two calls |
//! | `world.rs` | runs a script on both, compares them after every step, and keeps the trace |
//! | `properties.rs` | each promise, checked on the traces of random scripts |
//! | `examples.rs` | each rule in one short story |
//! | `due.rs` | what is due comes first, whatever is asked |
//! | `sharing.rs` | bypass and weights over long runs |
//! | `virtual_time.rs` | a million jobs through a simulated pool |
//! | `cost.rs` | what operations cost beside thirty thousand jobs |

mod causes;
mod cost;
mod due;
mod examples;
mod invariants;
mod model;
mod properties;
mod script;
mod sharing;
mod virtual_time;
mod world;
