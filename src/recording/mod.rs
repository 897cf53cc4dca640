//! Recordings: what was submitted in a run, job by job, and what became of it, without any event's content.
//!
//! | file | owns |
//! |---|---|
//! | `row.rs` | the lines of the file |
//! | `read.rs` | a file as a [`Recording`], within limits |
//! | `write.rs` | a [`Recorder`]: from a pool that runs to a file, on a thread of its own |
//!
//! Invariant: nothing of an event is written but its size. Session ids and fields are numbers that mean something within
//! one recording only: hashes under a key that is forgotten with it.

mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::read::read;
pub use self::write::{Recorded, Recorder};

use self::row::Row;
use crate::class::PriorityClass;
use crate::config::ConfigError;
use crate::hook::HookName;
use crate::outcome::{OutcomeKind, Refusal, Skip};

/// A run, job by job: written by a pool ([`Recorder`]) or a simulation
/// ([`Simulation::run_recorded`](crate::Simulation::run_recorded)), and a [`Load`](crate::Load) for simulations.
///
/// ```
/// use hookpool::{Config, Load, Simulation};
///
/// let config = Config::from_toml("[hook.audit]\non = ['*']\nrun = 'cat'\n")?;
/// let load = Load::typical(&config);
/// let (_, recording) = Simulation::new(&config, &load)?.jobs(100).run_recorded();
/// assert_eq!(recording.jobs.len(), 100);
/// assert!(recording.jobs.iter().all(|job| job.hook.as_str() == "audit" && !job.runs.is_empty()));
/// # Ok::<(), hookpool::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// Everything that was submitted, in the order of arrival.
    pub jobs: Vec<RecordedJob>,
    /// The pool was one for replays: only a `max_wait` that is configured counts.
    pub replay: bool,
    /// Lines that are known to be missing.
    pub lost: u64,
    /// The end is there: nobody killed the run, and its disk did not fill up.
    pub is_whole: bool,
}

/// One hook bound to one event: what a recording knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedJob {
    /// When it came, since the beginning of the run.
    pub at: Duration,
    /// The hook.
    pub hook: HookName,
    /// Its class.
    pub class: PriorityClass,
    /// Its session, as a number within the recording. `None`: its event has none.
    pub session: Option<u64>,
    /// What it had in common with others of a batch, where that is a field of the event; a number as well.
    pub batch: Option<u64>,
    /// Size of its event.
    pub bytes: u32,
    /// Its submitter waited for room, and would have gone on waiting.
    pub waits: bool,
    /// What became of it.
    pub fate: Fate,
    /// Every attempt that came to its own end, in order.
    pub runs: Vec<RecordedRun>,
}

/// What became of a recorded job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was admitted, and had that outcome. `None`: the recording ends before that.
    Admitted(Option<OutcomeKind>),
    /// It was refused.
    Refused(Refusal),
    /// It was skipped.
    Skipped(Skip),
}

/// One attempt of a recorded job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRun {
    /// How it ended.
    pub end: RunEnd,
    /// How long it ran.
    pub time: Duration,
}

/// How an attempt can end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// The handler did its work.
    Succeeded,
    /// It failed.
    Failed,
    /// It works, and refused the event with exit status 2: not tried again, and no failure for a breaker.
    SaidNo,
    /// It was stopped when its time was over.
    TimedOut,
    /// It panicked.
    Panicked,
    /// It could not be started.
    NotStarted,
}

impl RunEnd {
    /// `None`: the attempt did not come to an end of its own.
    pub(crate) fn of(kind: OutcomeKind, says_no: bool) -> Option<Self> {
        match kind {
            OutcomeKind::Succeeded => Some(Self::Succeeded),
            OutcomeKind::Failed if says_no => Some(Self::SaidNo),
            OutcomeKind::Failed => Some(Self::Failed),
            OutcomeKind::TimedOut => Some(Self::TimedOut),
            OutcomeKind::Panicked => Some(Self::Panicked),
            OutcomeKind::NotStarted => Some(Self::NotStarted),
            OutcomeKind::Displaced
            | OutcomeKind::Expired
            | OutcomeKind::Cancelled
            | OutcomeKind::Abandoned => None,
        }
    }

    /// The outcome of a job whose last attempt ended like this.
    pub(crate) fn outcome(self) -> OutcomeKind {
        match self {
            Self::Succeeded => OutcomeKind::Succeeded,
            Self::Failed | Self::SaidNo => OutcomeKind::Failed,
            Self::TimedOut => OutcomeKind::TimedOut,
            Self::Panicked => OutcomeKind::Panicked,
            Self::NotStarted => OutcomeKind::NotStarted,
        }
    }
}

impl Recording {
    /// Largest file, in bytes. A [`Recorder`] stops there.
    pub const MOST_BYTES: u64 = 1 << 30;

    /// Reads a recording from a file.
    ///
    /// # Errors
    /// The file cannot be read, is larger than [`Recording::MOST_BYTES`], or has a line that is none of a recording: which
    /// one, and why.
    ///
    /// ```
    /// assert!(hookpool::Recording::read("/no/such/file").is_err());
    /// ```
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let (found, problems) = read::open(&path);
        problems.finish()?;
        Ok(found.expect("a recording that could not be read has left a problem"))
    }

    /// Writes it as a file that [`Recording::read`] understands.
    ///
    /// # Errors
    /// Those of the writer.
    ///
    /// ```
    /// let mut text = Vec::new();
    /// hookpool::Recording::default().write(&mut text)?;
    /// assert!(text.starts_with(b"{\"hookpool_recording\":1"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let mut put = |row: Row<'_>| row.write(&mut to).map(drop);
        put(Row::first(self.replay))?;
        for (number, job) in (1_u64..).zip(&self.jobs) {
            put(Row::arrival(job, number))?;
            if let Fate::Admitted(Some(outcome)) = job.fate {
                put(Row::end(number, outcome, &job.runs))?;
            }
        }
        if self.is_whole { put(Row::last(self.lost)) } else { Ok(()) }
    }
}
