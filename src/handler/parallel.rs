//! A batch spread over threads of its own: rayon, inside of one handler.
//!
//! These threads are beside the pool's seats on purpose, and few: they are for work that keeps processors busy. Nothing
//! of rayon shows outside of this file.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::panic_text;
use super::rust::{BatchAnswer, BatchHandler, Call};
use crate::outcome::Answer;

/// A [`BatchHandler`] that handles the events of a batch at once, on a few threads of its own.
///
/// It pays when one event is some 100 µs of computing or more, and batches are large. It does not for work that waits
/// (for a disk, a network, a process): there a hook without batches and more `pool.workers` do better, and are counted
/// as seats. All calls of a batch share its deadline; the hook's `batch.timeout_per_item` can make it longer.
///
/// A panic ends the job of its event as `panicked`, and not those of the others. A call that never returns keeps one of
/// the threads.
///
/// ```
/// use hookpool::{Call, Config, HookPool, Parallel};
///
/// let config = Config::from_toml("[hook.digest]\non = ['*']\nbatch = { size = 100, linger = '20ms' }\n")?;
/// let digest = Parallel::new(2.try_into()?, |call: &Call| {
///     let sum = call.event().payload().iter().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
///     if sum == 0 { Err("empty") } else { Ok(()) }
/// })?;
/// let pool = HookPool::builder().config(config).register_batch("digest", digest).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Parallel<F> {
    threads: ThreadPool,
    each: F,
}

impl<F, R> Parallel<F>
where
    F: Fn(&Call) -> R + Send + Sync + 'static,
    R: Into<Answer>,
{
    /// Most threads of one of these.
    pub const MAX_THREADS: usize = 256;

    /// Starts so many threads (at most [`MAX_THREADS`](Self::MAX_THREADS)), which call `each` for one event at a time.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn new(threads: NonZero<usize>, each: F) -> std::io::Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get().min(Self::MAX_THREADS))
            .thread_name(|n| format!("hookpool-fan-{n}"))
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Self { threads, each })
    }
}

impl<F, R> BatchHandler for Parallel<F>
where
    F: Fn(&Call) -> R + Send + Sync + 'static,
    R: Into<Answer>,
{
    fn handle(&self, calls: &[Call]) -> BatchAnswer {
        let answer = |call: &Call| {
            catch_unwind(AssertUnwindSafe(|| (self.each)(call).into()))
                .unwrap_or_else(|panic| Answer::panicked(panic_text(&*panic)))
        };
        BatchAnswer::Each(self.threads.install(|| calls.par_iter().map(answer).collect()))
    }
}

impl<F> std::fmt::Debug for Parallel<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parallel")
            .field("threads", &self.threads.current_num_threads())
            .finish_non_exhaustive()
    }
}
