//! The snapshot of a pool: the hooks' counters, and how everything stands.

use std::sync::atomic::Ordering;

use super::Inner;
use super::hooks::HookRecord;
use crate::class::PerClass;
use crate::metrics::{HookSnapshot, LaneGauges, Ledger, PoolGauges, Snapshot};
use crate::pool::PoolStatus;

impl Inner {
    pub(super) fn status(&self) -> Snapshot {
        let (now, pool) = (self.engine.clock.now(), self.pool.status());
        let hooks = self.hooks.load();
        let of = |record: &HookRecord| HookSnapshot {
            paused: pool.paused_hooks.contains(&record.slot),
            ..record.snapshot()
        };
        let configured = hooks.entries.iter().map(|entry| HookSnapshot {
            breaker: entry.breaker.as_ref().map(|breaker| breaker.status(now)),
            ..of(&entry.record)
        });
        let removed = hooks.removed.iter().map(|record| HookSnapshot { removed: true, ..of(record) });
        let snapshot = Snapshot::new(configured.chain(removed), self.unmatched.by_kind());
        Snapshot { pool: self.gauges(&pool), reloads: self.reloads.load(Ordering::Relaxed), ..snapshot }
    }

    pub(super) fn ledger(&self, leaked: usize) -> Ledger {
        Ledger {
            snapshot: self.status(),
            lost: self.engine.accounts.lost.load(Ordering::Relaxed),
            leaked,
            still_admitted: self.pool.waiting().values().map(|n| u64::from(*n)).sum(),
        }
    }

    fn gauges(&self, pool: &PoolStatus) -> PoolGauges {
        PoolGauges {
            workers: pool.seats.workers,
            standby: pool.seats.standby,
            threads: pool.threads,
            asleep: pool.asleep,
            capacity: pool.capacity,
            bytes: self.engine.accounts.bytes.used(),
            max_bytes: self.engine.accounts.bytes.limit(),
            lanes: PerClass::from_fn(|class| LaneGauges {
                waiting: pool.waiting[class],
                oldest: pool.oldest[class],
                busy: pool.busy[class],
                paused: pool.paused.contains(class),
            }),
        }
    }
}
