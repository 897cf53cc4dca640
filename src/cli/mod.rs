//! What only the program has: its input, its commands, its words to people.
//!
//! Nothing in the library depends on this tree.

#[expect(unused_imports, reason = "no command reads input yet")]
#[cfg_attr(not(test), expect(dead_code, reason = "no command reads input yet"))]
mod input;
#[expect(dead_code, reason = "no command shows its progress yet")]
mod progress;
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "no command reports yet"))]
mod report;
