//! The recording of a simulated run, if somebody wants one.

use std::time::Duration;

use super::feed::Coming;
use crate::hook::HookName;
use crate::recording::{Fate, RecordedJob, RecordedRun, Recording, RunEnd};

/// Numbers of jobs are their places in it.
#[derive(Debug, Default)]
pub(super) struct Tape(Option<Recording>);

impl Tape {
    pub(super) fn running() -> Self {
        Self(Some(Recording { is_whole: true, ..Recording::default() }))
    }

    pub(super) fn comes(&mut self, coming: &Coming, hook: &HookName, now: u64) {
        let Some(recording) = &mut self.0 else { return };
        recording.jobs.push(RecordedJob {
            at: Duration::from_nanos(now),
            hook: hook.clone(),
            class: coming.class,
            session: coming.session,
            batch: coming.batch,
            bytes: coming.job.bytes,
            waits: coming.waits,
            fate: Fate::Admitted(None),
            runs: Vec::new(),
        });
    }

    pub(super) fn becomes(&mut self, number: u64, fate: Fate) {
        if let Some(job) = self.job(number) {
            job.fate = fate;
        }
    }

    pub(super) fn runs(&mut self, number: u64, end: RunEnd, time: Duration) {
        if let Some(job) = self.job(number) {
            job.runs.push(RecordedRun { end, time });
        }
    }

    pub(super) fn end(self) -> Recording {
        self.0.unwrap_or_default()
    }

    fn job(&mut self, number: u64) -> Option<&mut RecordedJob> {
        self.0.as_mut()?.jobs.get_mut(usize::try_from(number).ok()?)
    }
}
