//! What a recording is told of a job: once when it comes or does not, once when it has its outcome.

use std::sync::Arc;

use super::engine::Engine;
use super::hooks::{HookEntry, field_key};
use crate::class::PriorityClass;
use crate::event::Event;
use crate::outcome::{Attempt, Ending, JobId};
use crate::recording::{Fate, RecordedJob, RecordedRun, Recorder, RunEnd};
use crate::time::Time;

/// An event that is submitted for one hook.
pub(super) struct Submitted<'a> {
    pub(super) entry: &'a Arc<HookEntry>,
    pub(super) event: &'a Event,
    pub(super) class: PriorityClass,
    /// Its submitter waits for room.
    pub(super) waits: bool,
}

impl Engine {
    /// `id`: of one that was admitted. To be called before the job can have its outcome. Without a recording, nothing.
    #[inline]
    pub(super) fn record_arrival(
        &self,
        submitted: &Submitted<'_>,
        fate: Fate,
        at: Option<Time>,
        id: Option<JobId>,
    ) {
        if let Some(recorder) = &self.recorder {
            self.write_arrival(recorder, submitted, fate, at, id);
        }
    }

    /// Cold, as few pools record: what it needs is not to be in the way of a submit.
    #[cold]
    fn write_arrival(
        &self,
        recorder: &Recorder,
        submitted: &Submitted<'_>,
        fate: Fate,
        at: Option<Time>,
        id: Option<JobId>,
    ) {
        let Submitted { entry, event, class, waits } = *submitted;
        let job = RecordedJob {
            at: at.unwrap_or_else(|| self.clock.now()).since(Time::default()),
            hook: entry.hook.name.clone(),
            class,
            session: event.session_key().map(|key| recorder.number(key)),
            batch: field_key(&entry.hook, event).map(|key| recorder.number(key)),
            bytes: u32::try_from(event.payload().len()).unwrap_or(u32::MAX),
            waits,
            fate,
            runs: Vec::new(),
        };
        recorder.arrived(job, id);
    }

    /// `started`: the last attempt was one, and no word about a job that waited.
    pub(super) fn record_end(&self, id: JobId, started: bool, before: &[Attempt], ending: &Ending) {
        let Some(recorder) = &self.recorder else { return };
        let run = |kind, says_no, time: Option<_>| {
            RunEnd::of(kind, says_no).map(|end| RecordedRun { end, time: time.unwrap_or_default() })
        };
        let mut runs: Vec<_> =
            before.iter().filter_map(|attempt| run(attempt.kind, false, attempt.run)).collect();
        if started {
            runs.extend(run(ending.kind, ending.says_no, ending.run));
        }
        recorder.ended(id, ending.kind, runs);
    }
}
