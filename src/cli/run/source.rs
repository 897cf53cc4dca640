//! The input of a run: files one after the other, standard input, or the bundled recording.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::vec;

use hookpool::text::escape;
use hookpool::{DeadLetter, Event, EventError};
use rustix::fs::OFlags;

use super::demo;
use crate::cli::args::RunArgs;
use crate::cli::error::CliError;
use crate::cli::input::{DocumentReader, Item};
use crate::cli::signals::{Stop, UntilStopped};

/// So many bytes are read beyond the largest event that is admitted: an event somewhat too large is still seen for what
/// it is, and refused by the hooks that want it. What is longer than that is not held in memory, and is invalid.
const BEYOND_LIMIT: u64 = 16 * 1024 * 1024;

/// One piece of input.
#[derive(Debug)]
pub(super) enum Found {
    Event(Event),
    /// An event that failed for this hook before.
    DeadLetter(String, Event),
    /// Something that is no event: where, and why, in words.
    Invalid(String),
}

/// Where events come from, in order.
pub(super) struct Sources {
    waiting: vec::IntoIter<PathBuf>,
    open: Option<Open>,
    /// Longest document, in bytes.
    limit: usize,
    /// Name of events that have none.
    fallback: Option<String>,
    stop: Stop,
}

struct Open {
    path: PathBuf,
    reader: DocumentReader<Box<dyn Read>>,
}

impl Sources {
    /// `limit`: bytes of the largest event that is admitted.
    pub(super) fn new(args: &RunArgs, limit: u64, stop: &Stop) -> Self {
        let limit = usize::try_from(limit.saturating_add(BEYOND_LIMIT)).unwrap_or(usize::MAX);
        let open = args.files.is_empty().then(|| {
            let path = PathBuf::from("the bundled recording");
            Open { reader: DocumentReader::new(Box::new(demo::RECORDING), limit), path }
        });
        Self {
            waiting: args.files.clone().into_iter(),
            open,
            limit,
            fallback: args.event.clone(),
            stop: stop.clone(),
        }
    }

    /// The next piece of input. `None`: there is no more.
    pub(super) fn next(&mut self) -> Result<Option<Found>, CliError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(path) = self.waiting.next() else { return Ok(None) };
                self.open = Some(self.open(path)?);
                continue;
            };
            let item =
                open.reader.next().map_err(|source| CliError::Input { path: open.path.clone(), source })?;
            let name = open.path.to_string_lossy();
            let name = escape(&name);
            return Ok(Some(match item {
                None => {
                    self.open = None;
                    if self.stop.signal().is_some() {
                        return Ok(None);
                    }
                    continue;
                }
                Some(Item::Bad { line, problem }) => Found::Invalid(format!("{name}:{line}: {problem}")),
                Some(Item::Document { bytes, line }) => match DeadLetter::from_json(&bytes) {
                    Err(error) => Found::Invalid(format!("{name}:{line}: {error}")),
                    Ok(Some(letter)) => {
                        let (hook, event) = letter.into_parts();
                        Found::DeadLetter(hook, event)
                    }
                    Ok(None) => match Event::from_json_named(bytes, self.fallback.as_deref()) {
                        Ok(event) => Found::Event(event),
                        Err(error @ EventError::NoName) => {
                            Found::Invalid(format!("{name}:{line}: {error}, with --event NAME"))
                        }
                        Err(error) => Found::Invalid(format!("{name}:{line}: {error}")),
                    },
                },
            }));
        }
    }

    fn open(&self, path: PathBuf) -> Result<Open, CliError> {
        let (path, source): (PathBuf, io::Result<Box<dyn Read>>) = if path == Path::new("-") {
            let source = UntilStopped { source: io::stdin(), stop: self.stop.clone() };
            ("standard input".into(), Ok(Box::new(source)))
        } else {
            let source = open_file(&path).map(|(source, length)| -> Box<dyn Read> {
                Box::new(UntilStopped { source, stop: self.stop.clone() }.take(length))
            });
            (path, source)
        };
        match source {
            Ok(source) => Ok(Open { reader: DocumentReader::new(source, self.limit), path }),
            Err(source) => Err(CliError::Input { path, source }),
        }
    }
}

/// A folder can be opened, and only fails when it is read: say so at once. A named pipe is opened without waiting for
/// its writer, since no signal would end that; it is waited for where it is read.
///
/// A file counts as it is now, so its length comes with it: this very run may write to it, as when dead letters are
/// replayed that fail again. Pipes have none, nor have the files in which the kernel tells of itself.
fn open_file(path: &Path) -> io::Result<(File, u64)> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let length = Some(about.len()).filter(|length| about.is_file() && *length > 0);
    Ok((file, length.unwrap_or(u64::MAX)))
}
