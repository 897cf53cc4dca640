//! A run on a stream goes by its configuration as that changes: on HUP, and when a file of it has.
//!
//! What has changed, or what is wrong, is told on standard error, by a thread of its own: whoever reloads must go on
//! though nobody reads it.

use std::time::{Duration, Instant};

use hookpool::{HookPool, ReloadError};

use super::logging::Level;
use super::signals::tell;
use super::watch::Watch;

/// See the module's description.
pub(super) struct Reloads {
    level: Level,
    /// `None`: files are not watched yet, or cannot be here.
    pub(super) watch: Option<Watch>,
    /// When watching begins, until it has. It costs milliseconds to begin and to end, which a short stream is spared.
    pub(super) watch_from: Option<Instant>,
}

/// Why it is looked at the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody asked for it, and wants an answer.
    Asked,
    /// A file may have changed.
    File,
}

/// How long a stream goes on before the files are watched.
const WATCH_AFTER: Duration = Duration::from_millis(300);

impl Reloads {
    pub(super) fn new(level: Level) -> Self {
        Self { level, watch: None, watch_from: Instant::now().checked_add(WATCH_AFTER) }
    }

    /// Watches the files from now on, and reads what has changed until now.
    pub(super) fn begin_watch(&mut self, pool: &HookPool) {
        self.watch_from = None;
        match Watch::new(&pool.config().sources()) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => {
                tracing::warn!("configuration files are not watched, HUP reloads them: {error}");
            }
        }
        self.reload(pool, Cause::File);
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
