//! A run on a stream goes by its configuration as that changes: on HUP, and when a file of it has.
//!
//! What has changed, or what is wrong, is told on standard error, by a thread of its own: whoever reloads must go on
//! though nobody reads it.

use hookpool::{HookPool, ReloadError};

use super::logging::Level;
use super::signals::tell;
use super::watch::Watch;

/// See the module's description.
pub(super) struct Reloads {
    level: Level,
    /// `None`: files cannot be watched here.
    pub(super) watch: Option<Watch>,
}

/// Why it is looked at the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody asked for it, and wants an answer.
    Asked,
    /// A file may have changed.
    File,
}

impl Reloads {
    pub(super) fn new(pool: &HookPool, level: Level) -> Self {
        let watch = Watch::new(&pool.config().sources()).inspect_err(|error| {
            tracing::warn!("configuration files are not watched, HUP reloads them: {error}");
        });
        Self { level, watch: watch.ok() }
    }

    pub(super) fn reload(&mut self, pool: &HookPool, mut cause: Cause) {
        loop {
            self.read_again(pool, cause);
            // Folders may have come and gone, too, and something in them since they were looked at.
            let Some(watch) = &mut self.watch else { return };
            if !watch.set(&pool.config().sources()) {
                return;
            }
            cause = Cause::File;
        }
    }

    fn read_again(&self, pool: &HookPool, cause: Cause) {
        let said = match pool.reload() {
            Ok(reloaded) => {
                let debug = pool.config().debug;
                self.level.set_debug(debug);
                let text = reloaded.to_string().replace('\n', "\n  ");
                if !reloaded.changes.is_empty() {
                    Some(format!("hookpool: the configuration has changed\n  {text}"))
                } else if cause == Cause::Asked {
                    Some("hookpool: the configuration was read again, and is the same".to_owned())
                } else {
                    None
                }
            }
            // It is at its end.
            Err(ReloadError::Closed) => None,
            Err(error) => {
                Some(format!("{error}\nhookpool: nothing has changed: the last good configuration stays"))
            }
        };
        if let Some(said) = said {
            tell(said);
        }
    }
}
