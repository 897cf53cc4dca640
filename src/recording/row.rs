//! The lines of a recording. Each is a JSON object, and one of four:
//!
//! ```text
//! {"hookpool_recording":1,"replay":true}                             the first
//! {"job":7,"at_ns":1200345,"hook":"audit","class":"low","session":81,"bytes":812}      a job comes …
//! {"at_ns":1200400,"hook":"audit","class":"low","bytes":812,"refused":"full"}          … or does not
//! {"job":7,"end":"succeeded","runs":[["failed",52000],["succeeded",48000]]}            its outcome; nanoseconds
//! {"end_of_recording":true,"lost":0}                                 the last
//! ```
//!
//! Members that nobody knows are ignored: a later version may have more.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fate, RecordedJob, RecordedRun, RunEnd};
use crate::outcome::OutcomeKind;
use crate::time::nanos;

/// What this version writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;

/// Any line. What it is follows from the members that are there.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hookpool_recording: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) replay: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_ns: Option<u64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) hook: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) batch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) waits: bool,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) runs: Vec<(RunEnd, u64)>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) end_of_recording: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl<'a> Row<'a> {
    pub(super) fn first(replay: bool) -> Self {
        Self { hookpool_recording: Some(VERSION), replay, ..Self::default() }
    }

    /// `number`: that of the job, if it was admitted.
    pub(super) fn arrival(job: &'a RecordedJob, number: u64) -> Self {
        let mut row = Self {
            at_ns: Some(nanos(job.at)),
            hook: Some(job.hook.as_str().into()),
            class: Some(job.class.name().into()),
            session: job.session,
            batch: job.batch,
            bytes: Some(job.bytes),
            waits: job.waits,
            ..Self::default()
        };
        match job.fate {
            Fate::Admitted(_) => row.job = Some(number),
            Fate::Refused(why) => row.refused = Some(why.name().into()),
            Fate::Skipped(why) => row.skipped = Some(why.name().into()),
        }
        row
    }

    pub(super) fn end(number: u64, outcome: OutcomeKind, runs: &[RecordedRun]) -> Self {
        let runs = runs.iter().map(|run| (run.end, nanos(run.time))).collect();
        Self { job: Some(number), end: Some(outcome.name().into()), runs, ..Self::default() }
    }

    pub(super) fn last(lost: u64) -> Self {
        Self { end_of_recording: true, lost: Some(lost), ..Self::default() }
    }

    /// Answers with how many bytes that were.
    pub(super) fn write(&self, mut to: impl Write) -> io::Result<u64> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        to.write_all(&line)?;
        Ok(line.len() as u64)
    }

    pub(super) fn runs(&self) -> Vec<RecordedRun> {
        let run = |&(end, time)| RecordedRun { end, time: Duration::from_nanos(time) };
        self.runs.iter().map(run).collect()
    }
}
