//! The end of a pool: its drain, the end of the processes that stay, and the sweep of what left the handlers' groups.
//!
//! Apart from the pool's handle, so that another thread can do it when the last handle is dropped where nobody can wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::engine::Engine;
use crate::handler::Residents;
use crate::hook::Hook;
use crate::pool::Pool;
use crate::process::Sweeper;

#[derive(Debug)]
pub(super) struct End {
    pub(super) pool: Arc<Pool<Engine>>,
    pub(super) residents: Arc<Residents>,
    pub(super) sweeper: Option<Sweeper>,
    pub(super) engine: Arc<Engine>,
    /// The thread of the engine's watchdog, if it has one and nobody has joined it.
    pub(super) watchdog: Mutex<Option<JoinHandle<()>>>,
    /// After the first drain nothing runs any more, so nothing new can escape.
    pub(super) last_sweep: Once,
    /// The longest grace of any hook that there was, in milliseconds.
    pub(super) longest_grace: AtomicU64,
}

impl End {
    /// Beside its grace, a handler that was stopped has a moment to die, to be swept after, and to be reaped.
    const DEATH: Duration = Duration::from_secs(4);

    /// Jobs of these hooks may have to be waited for.
    pub(super) fn allow_for(&self, hooks: &[Arc<Hook>]) {
        let longest = hooks.iter().map(|hook| hook.grace.as_millis()).max().unwrap_or(0);
        let longest = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
        self.longest_grace.fetch_max(longest, Ordering::SeqCst);
    }

    /// Drains the pool. Gives back how many workers it had to leave behind.
    pub(super) fn drain(&self, deadline: Duration) -> usize {
        let grace = Duration::from_millis(self.longest_grace.load(Ordering::SeqCst));
        let remainder = self.pool.drain(deadline, grace.saturating_add(Self::DEATH));
        self.engine.watchdog.close();
        // Held to the end: of two drains at once neither returns before all is told and written.
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        if watchdog.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the watchdog of handlers panicked");
        }
        self.engine.subscribers.close();
        self.residents.close();
        self.engine.letters.close();
        if let Some(sweeper) = &self.sweeper {
            self.last_sweep.call_once(|| {
                let swept = sweeper.sweep_all();
                if swept.killed > 0 || swept.remaining {
                    tracing::warn!(
                        killed = swept.killed,
                        remaining = swept.remaining,
                        "handlers had left their groups"
                    );
                }
            });
        }
        remainder.leaked
    }
}
