//! `hookpool` as its users see it: the built program, real handlers, and what comes out.
//!
//! | file | behaviour |
//! |---|---|
//! | `check.rs` | the command `check` |
//! | `config.rs` | the command `config` |
//! | `dead_letters.rs` | failures in a file, and their replay |
//! | `report.rs` | the two reports |
//! | `input.rs` | what is an event, and what becomes of the rest |
//! | `options.rs` | options, exit codes, standard streams |
//! | `demo.rs` | a run without a file |
//! | `handlers.rs` | what handlers get, and how they end |
//! | `http.rs` | secrets of web services |
//! | `scheduling.rs` | order, importance, standby, pace |
//! | `limits.rs` | capacity, ceilings, bytes, expiry, skips |
//! | `retry.rs` | handlers that fail and are tried again |
//! | `breaker.rs` | handlers that fail and fail, and are left alone |
//! | `secrets.rs` | what is not written down |
//! | `signals.rs` | INT and TERM |
//! | `reload.rs` | a configuration that changes while it runs |
//! | `logging.rs` | log lines |
//! | `metrics.rs` | `--metrics` and `--metrics-listen` |
//! | `bench.rs` | the command `bench` |
//! | `record.rs` | recordings of runs, as loads of `simulate` |
//! | `simulate.rs` | the command `simulate` |
//!
//! Invariant: no test depends on the speed of the machine. Handlers wait for files, the harness waits for states.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod bench;
mod breaker;
mod check;
mod config;
mod dead_letters;
mod demo;
mod env;
mod handlers;
mod http;
mod input;
mod ledger;
mod limits;
mod logging;
mod metrics;
mod options;
mod record;
mod reload;
mod report;
mod retry;
mod scheduling;
mod secrets;
#[cfg(feature = "http")]
#[path = "../helpers/server.rs"]
mod server;
mod signals;
mod simulate;
