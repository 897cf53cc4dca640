//! Stands in for the sweeper on systems without child sub-reapers: nothing is adopted, nothing is swept.

use std::io;

use super::Runner;

/// Does nothing.
#[derive(Clone, Debug)]
pub struct Sweeper;

/// What a sweep did: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes that were killed.
    pub killed: usize,
    /// Adopted processes that were reaped.
    pub reaped: usize,
    /// Some were still found at the end.
    pub remaining: bool,
}

#[expect(clippy::unused_self, reason = "the same calls as where there is something to do")]
impl Sweeper {
    pub fn adopt(_: &Runner, _: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[must_use]
    pub fn for_pool(&self, _: &str) -> Self {
        Self
    }

    pub fn has_adopted(&self, _: &str) -> bool {
        false
    }

    pub fn has_adopted_of_instance(&self, _: &str) -> bool {
        false
    }

    pub fn reap_adopted(&self) {}

    pub fn sweep_job(&self, _: &str) -> Swept {
        Swept::default()
    }

    pub fn sweep_instance(&self, _: &str) -> Swept {
        Swept::default()
    }

    pub fn sweep_all(&self) -> Swept {
        Swept::default()
    }
}

/// Finds nothing.
pub fn sweep_dead_pools() -> Swept {
    Swept::default()
}
