//! From a configuration to the scheduler core's plain numbers.
//!
//! The real pool and the simulation both get them here, so what is simulated is what would run.

use crate::class::PerClass;
use crate::config::{Config, OnFull, PickMode};
use crate::hook::Hook;
use crate::scheduler::{AdmissionRule, BatchParams, CoreParams, HookParams, PickParams, SeatParams};

/// Everything but the hooks.
pub(crate) fn core_params(config: &Config) -> CoreParams {
    let near = f64::from(config.queue.capacity) * config.queue.warn_at;
    CoreParams {
        rule: AdmissionRule {
            capacity: config.queue.capacity,
            guarantee: PerClass::from_fn(|class| config.classes[class].guarantee),
            ceiling: PerClass::from_fn(|class| config.classes[class].ceiling),
        },
        displace: config.queue.on_full == OnFull::Displace,
        seats: SeatParams {
            workers: config.pool.workers.into(),
            standby: config.pool.standby.into(),
            standby_for: config.pool.standby_for,
            per_class: PerClass::from_fn(|class| config.classes[class].seats.into()),
        },
        pick: PickParams {
            weighted: config.scheduler.mode == PickMode::Weighted,
            weights: config.scheduler.weights,
            bypass: config.scheduler.bypass,
        },
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a u32 fits a u32"
        )]
        pressure: near.ceil() as u32,
    }
}

/// One hook.
pub(crate) fn hook_params(hook: &Hook) -> HookParams {
    HookParams { max_concurrency: hook.max_concurrency }
}

/// The bounds of one hook's batches. `takes_many`: its handler can be given several events at once.
pub(crate) fn batch_params(hook: &Hook, takes_many: bool) -> Option<BatchParams> {
    let policy = hook.batch.as_ref().filter(|_| takes_many)?;
    Some(BatchParams { size: policy.size, bytes: policy.bytes, linger: policy.linger })
}
