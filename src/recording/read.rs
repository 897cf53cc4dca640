//! A recording from a file: line by line, within limits, and the first line that is wrong told with its number.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use super::row::{Row, VERSION};
use super::{Fate, RecordedJob, Recording};
use crate::class::PriorityClass;
use crate::config::{Origin, Position, Problems, cannot_read, shown};
use crate::hook::HookName;
use crate::outcome::{OutcomeKind, Refusal, Skip};

/// Longest line. One of a job with a hundred attempts has some thousand bytes.
const LONGEST_LINE: u64 = 64 * 1024;

pub(super) fn open(path: &Path) -> (Option<Recording>, Problems) {
    let mut problems = Problems::default();
    let found = match File::open(path) {
        Ok(file) => read(path, BufReader::new(file), &mut problems),
        Err(error) => {
            cannot_read(path, &error, &mut problems);
            None
        }
    };
    (found, problems)
}

/// `None`, with a problem, when it is no recording.
pub(crate) fn read(path: &Path, from: impl BufRead, problems: &mut Problems) -> Option<Recording> {
    let mut reader = Reader::default();
    match reader.read(from.take(Recording::MOST_BYTES + 1)) {
        Ok(()) => Some(reader.finish()),
        Err(message) => {
            let position = (reader.line > 0).then(|| {
                let text = shown(&String::from_utf8_lossy(&reader.text));
                Position { line: reader.line, column: 1, text, caret: 0 }
            });
            problems.error(Origin::File { path: path.to_owned(), position }, "", message);
            None
        }
    }
}

#[derive(Default)]
struct Reader {
    recording: Recording,
    /// Names that were there before.
    names: HashMap<String, HookName>,
    /// Where the jobs are that have no end yet.
    open: HashMap<u64, usize>,
    line: usize,
    text: Vec<u8>,
    bytes: u64,
}

impl Reader {
    fn read(&mut self, mut from: impl BufRead) -> Result<(), String> {
        loop {
            self.text.clear();
            let mut line = from.by_ref().take(LONGEST_LINE);
            let read = line.read_until(b'\n', &mut self.text);
            let length = read.map_err(|error| format!("the file cannot be read: {error}"))? as u64;
            if length == 0 {
                return if self.line == 0 { Err("the file is empty".to_owned()) } else { Ok(()) };
            }
            self.line += 1;
            self.bytes += length;
            if self.bytes > Recording::MOST_BYTES {
                return Err(format!("the file is larger than {} bytes", Recording::MOST_BYTES));
            }
            if self.recording.is_whole {
                return Err("the recording ended in the line before".to_owned());
            }
            if !self.text.ends_with(b"\n") && length < LONGEST_LINE && self.line > 1 {
                // Whoever wrote it was stopped in the middle of the line.
                return Ok(());
            }
            let text = std::mem::take(&mut self.text);
            let done = self.take(&text);
            self.text = text;
            done?;
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), String> {
        let row: Row<'_> = serde_json::from_slice(text)
            .map_err(|error| format!("no line of a recording: {}", shown(&error.to_string())))?;
        if self.line == 1 {
            return match row.hookpool_recording {
                Some(VERSION) => {
                    self.recording.replay = row.replay;
                    Ok(())
                }
                Some(other) => Err(format!("a recording of version {other}; this hookpool reads {VERSION}")),
                None => Err("no recording: its first line has no `hookpool_recording`".to_owned()),
            };
        }
        if row.end_of_recording {
            self.recording.is_whole = true;
            self.recording.lost += row.lost.unwrap_or_default();
        } else if let Some(at) = row.at_ns {
            self.arrival(&row, at)?;
        } else if let (Some(job), Some(end)) = (row.job, &row.end) {
            let outcome = known(OutcomeKind::ALL, |kind| kind.name(), "end", end)?;
            // The line of its arrival may be one of those that were lost.
            if let Some(job) = self.open.remove(&job).and_then(|at| self.recording.jobs.get_mut(at)) {
                job.fate = Fate::Admitted(Some(outcome));
                job.runs = row.runs();
            }
        } else {
            return Err("no line of a recording: it has neither `at_ns` nor `job` and `end`".to_owned());
        }
        Ok(())
    }

    fn arrival(&mut self, row: &Row<'_>, at: u64) -> Result<(), String> {
        let missing = |name: &str| format!("the line of a job has no `{name}`");
        let hook = row.hook.as_deref().ok_or_else(|| missing("hook"))?;
        let class = row.class.as_deref().ok_or_else(|| missing("class"))?;
        let fate = match (row.job, &row.refused, &row.skipped) {
            (Some(job), None, None) => {
                if self.open.insert(job, self.recording.jobs.len()).is_some() {
                    return Err(format!("a second job of the number {job}"));
                }
                Fate::Admitted(None)
            }
            (None, Some(why), None) => Fate::Refused(known(Refusal::ALL, |why| why.name(), "refused", why)?),
            (None, None, Some(why)) => Fate::Skipped(known(Skip::ALL, |why| why.name(), "skipped", why)?),
            _ => return Err("the line of a job has one of `job`, `refused` and `skipped`".to_owned()),
        };
        let hook = if let Some(name) = self.names.get(hook) {
            name.clone()
        } else {
            let name = HookName::new(hook).map_err(|error| shown(&error))?;
            self.names.insert(hook.to_owned(), name.clone());
            name
        };
        self.recording.jobs.push(RecordedJob {
            at: Duration::from_nanos(at),
            hook,
            class: known(&PriorityClass::ALL, |class| class.name(), "class", class)?,
            session: row.session,
            batch: row.batch,
            bytes: row.bytes.ok_or_else(|| missing("bytes"))?,
            waits: row.waits,
            fate,
            runs: Vec::new(),
        });
        Ok(())
    }

    fn finish(self) -> Recording {
        let mut recording = self.recording;
        // Submitters that come at the same time may be written in another order.
        recording.jobs.sort_by_key(|job| job.at);
        recording
    }
}

fn known<T: Copy>(
    all: &[T],
    name: impl Fn(&T) -> &'static str,
    member: &str,
    text: &str,
) -> Result<T, String> {
    let found = all.iter().find(|one| name(one) == text);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = all.iter().map(name).collect();
        format!("`{member}` is `{}`; it can be {}", shown(text), names.join(", "))
    })
}
