//! The merged values as types: the shape that `compile` reads.
//!
//! Every value has been normalised and checked on its own by the registry. Durations are nanoseconds, sizes bytes.
//! Settings that nothing uses yet are not here.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct RawConfig {
    pub(super) performance_mode: bool,
    pub(super) debug: bool,
    pub(super) pool: RawPool,
    pub(super) queue: RawQueue,
    pub(super) scheduler: RawScheduler,
    pub(super) class: BTreeMap<String, RawClass>,
    pub(super) defaults: RawDefaults,
    pub(super) kinds: BTreeMap<String, bool>,
    pub(super) priority: BTreeMap<String, String>,
    pub(super) batching: RawBatching,
    pub(super) shutdown: RawShutdown,
    pub(super) redact: RawRedact,
    pub(super) failures: RawFailures,
    pub(super) dead_letters: RawDeadLetters,
    #[serde(default)]
    pub(super) hook: BTreeMap<String, RawHook>,
}

/// A number, or the one word that is also allowed.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum NumberOr {
    Number(u64),
    Word(#[expect(dead_code, reason = "there is only one word that it can be")] String),
}

impl NumberOr {
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Word(_) => None,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct RawPool {
    pub(super) workers: NumberOr,
    pub(super) standby: u16,
    pub(super) standby_for: String,
    pub(super) max_overrun: u16,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawQueue {
    pub(super) capacity: u32,
    pub(super) max_bytes: u64,
    pub(super) max_event_bytes: u64,
    pub(super) on_full: String,
    pub(super) max_wait: NumberOr,
    pub(super) warn_at: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawScheduler {
    pub(super) mode: String,
    pub(super) bypass: RawBypass,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawBypass {
    Table(BTreeMap<String, u32>),
    Off(#[expect(dead_code, reason = "there is only one word that it can be")] String),
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawClass {
    pub(super) guarantee: u32,
    pub(super) ceiling: Option<u32>,
    pub(super) seats: Option<u16>,
    pub(super) max_wait: Option<NumberOr>,
    pub(super) nice: Option<u8>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawDefaults {
    pub(super) timeout: u64,
    pub(super) grace: u64,
    pub(super) priority: String,
    pub(super) order: String,
    pub(super) max_output: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawBatching {
    pub(super) enabled: bool,
    pub(super) size: u32,
    pub(super) bytes: u64,
    pub(super) linger: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawShutdown {
    pub(super) drain: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawFailures {
    pub(super) keep: u32,
    pub(super) max_bytes: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawDeadLetters {
    pub(super) file: Option<String>,
    pub(super) max_bytes: u64,
    pub(super) keep: u32,
    pub(super) on: Vec<String>,
    pub(super) redact: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawRedact {
    pub(super) enabled: bool,
    pub(super) defaults: bool,
    #[serde(default)]
    pub(super) patterns: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawHook {
    pub(super) on: Option<Vec<String>>,
    #[serde(rename = "match")]
    pub(super) matches: RawMatch,
    #[serde(rename = "where")]
    pub(super) fields: BTreeMap<String, serde_json::Value>,
    pub(super) run: Option<RawCommand>,
    pub(super) url: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) tls: RawTls,
    pub(super) enabled: Option<bool>,
    pub(super) priority: Option<String>,
    pub(super) timeout: Option<u64>,
    pub(super) grace: Option<u64>,
    pub(super) order: Option<String>,
    pub(super) max_concurrency: Option<u32>,
    pub(super) max_wait: Option<NumberOr>,
    pub(super) max_output: Option<u64>,
    pub(super) cwd: Option<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) env_clear: Option<RawEnvClear>,
    pub(super) leftovers: Option<String>,
    pub(super) batch: Option<RawBatch>,
    pub(super) on_batch_failure: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) instances: Option<u32>,
    pub(super) idle_timeout: Option<NumberOr>,
    pub(super) max_events: Option<u32>,
    pub(super) max_age: Option<NumberOr>,
    pub(super) window: Option<u32>,
    pub(super) retry: Option<RawRetry>,
    pub(super) breaker: Option<RawBreaker>,
    pub(super) limits: Option<RawLimits>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLimits {
    pub(super) memory: Option<u64>,
    pub(super) cpu: Option<u64>,
    pub(super) files: Option<u64>,
    pub(super) output: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawBreaker {
    pub(super) failures: Option<u32>,
    pub(super) rate: Option<f64>,
    pub(super) cooldown: Option<u64>,
    pub(super) max_cooldown: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawRetry {
    pub(super) attempts: Option<u32>,
    pub(super) backoff: Option<u64>,
    pub(super) on: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawBatch {
    pub(super) size: Option<u32>,
    pub(super) bytes: Option<u64>,
    pub(super) linger: Option<u64>,
    pub(super) key: Option<String>,
    pub(super) timeout_per_item: Option<u64>,
    pub(super) timeout_max: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMatch {
    pub(super) tool: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawTls {
    pub(super) ca: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawCommand {
    Shell(String),
    Exec(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawEnvClear {
    All(bool),
    Names(Vec<String>),
}
