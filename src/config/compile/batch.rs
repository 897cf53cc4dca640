//! How a hook's events are put together: its own `batch` over `[batching]`, for handlers that can take many.

use std::time::Duration;

use super::super::raw::{RawBatch, RawHook};
use super::hook::HookCompiler;
use crate::hook::{BatchKey, BatchPolicy, OnBatchFailure};

impl HookCompiler<'_> {
    /// The policy of a hook whose handler takes many events at once: its own, key by key over `[batching]`, or that
    /// alone if it is enabled.
    pub(super) fn batch(&self, raw: &RawHook) -> Option<BatchPolicy> {
        let common = self.batching;
        if raw.batch.is_none() && !common.enabled {
            return None;
        }
        let none = RawBatch::default();
        let own = raw.batch.as_ref().unwrap_or(&none);
        let key = match own.key.as_deref() {
            Some("session") => BatchKey::Session,
            // The registry has checked the path.
            Some(field) => match field.strip_prefix("field:").and_then(|path| path.parse().ok()) {
                Some(path) => BatchKey::Field(path),
                None => BatchKey::Hook,
            },
            None => BatchKey::Hook,
        };
        Some(BatchPolicy {
            size: own.size.unwrap_or(common.size),
            bytes: own.bytes.unwrap_or(common.bytes),
            linger: own.linger.map_or(common.linger, Duration::from_nanos),
            key,
            timeout_per_item: Duration::from_nanos(own.timeout_per_item.unwrap_or(0)),
            timeout_max: own.timeout_max.map(Duration::from_nanos),
            on_failure: match raw.on_batch_failure.as_deref() {
                Some("split") => OnBatchFailure::Split,
                _ => OnBatchFailure::Fail,
            },
        })
    }
}
