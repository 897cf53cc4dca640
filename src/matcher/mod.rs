//! From an event to the hooks that want it.

mod selector;

pub use selector::{FieldIs, Selector, SelectorError, SelectorPart, ToolPattern};
