//! What must hold whatever comes in from outside: for each door one property, as a function of the bytes that come.
//!
//! A property panics when it does not hold. `cargo fuzz` looks for bytes that break one (`fuzz/`); `tests.rs` gives each
//! what was found to lead somewhere, whole and damaged, in every run of the tests. Not part of any other build.
//!
//! A new door is a function, an entry in [`DOORS`], a target in `fuzz/Cargo.toml`, and seeds in `tests/fuzz.sh`.

mod answers;
mod config;
mod dead_letters;
mod event;
mod load;
mod redaction;
mod selector;
#[cfg(test)]
mod tests;

pub use self::answers::answers;
pub use self::config::{configuration, variables};
pub use self::dead_letters::dead_letters;
pub use self::event::event;
pub use self::load::{recording, simulation};
pub use self::redaction::redaction;
pub use self::selector::selector;

/// A property of a door.
pub type Property = fn(&[u8]);

/// Each door with the name of its target, which is also that of its folder in `fuzz/corpus`.
pub const DOORS: &[(&str, Property)] = &[
    ("answers", answers),
    ("configuration", configuration),
    ("dead_letters", dead_letters),
    ("event", event),
    ("recording", recording),
    ("redaction", redaction),
    ("selector", selector),
    ("simulation", simulation),
    ("variables", variables),
];

/// Fails for text that is too long for a message, or could move a cursor or imitate what stands around it.
fn check_text(text: &str, longest: usize) {
    assert!(!text.is_empty(), "an empty message");
    assert!(text.len() <= longest, "a message of {} bytes: {}", text.len(), text.escape_debug());
    if let Some(bad) = text.chars().find(|c| crate::text::is_unsafe(*c) && *c != '\n') {
        panic!("{bad:?} in a message: {}", text.escape_debug());
    }
}
