//! Workers, while the pool runs.

use super::HookPool;
use crate::config::PoolSettings;
use crate::pool::MOST_WORKERS;

// The pool knows nothing of the configuration, and must have a bed for every worker that this allows.
const _: () =
    assert!(MOST_WORKERS == PoolSettings::MAX_WORKERS as usize + PoolSettings::MAX_STANDBY as usize);

/// Why a pool was not resized. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// A number that `pool.workers` would not take either.
    #[error("{0} workers: between 1 and {max} are possible", max = PoolSettings::MAX_WORKERS)]
    Workers(u16),
    /// A number that `pool.standby` would not take either.
    #[error("{0} standby seats: at most {max} are possible", max = PoolSettings::MAX_STANDBY)]
    Standby(u16),
    /// The system refused a thread.
    #[error("cannot start a worker thread: {0}; fewer workers need fewer threads")]
    Thread(#[source] std::io::Error),
}

impl HookPool {
    /// Changes the number of workers and of standby seats, from now on and until the pool ends. It returns at once: a
    /// pool that grows starts waiting jobs, and one that shrinks lets what runs end and starts less. No job is lost or
    /// started again for it.
    ///
    /// It stands above the configuration, whose [`PoolSettings`] stay as they were read. Without effect once the pool is
    /// closed.
    ///
    /// # Errors
    /// [`ResizeError`]: a number is out of range, or a thread could not be started.
    ///
    /// ```
    /// use hookpool::HookPool;
    /// let pool = HookPool::builder().build()?;
    /// pool.resize(8, 2)?;
    /// assert!(pool.resize(0, 1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resize(&self, workers: u16, standby: u16) -> Result<(), ResizeError> {
        if !(1..=PoolSettings::MAX_WORKERS).contains(&workers) {
            return Err(ResizeError::Workers(workers));
        }
        if standby > PoolSettings::MAX_STANDBY {
            return Err(ResizeError::Standby(standby));
        }
        let seats = (workers.into(), standby.into());
        let change = self.inner.pool.change(|params| (params.seats.workers, params.seats.standby) = seats);
        change.map_err(ResizeError::Thread)
    }
}
