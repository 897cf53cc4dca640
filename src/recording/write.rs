//! From a pool that runs to a file: submitters and workers hand lines over and go on; one thread writes them.
//!
//! Invariant: nobody waits for the file. What comes while [`WAITING`] lines wait is counted as lost, and the last line
//! says so. An error of the file ends the recording, never the run: it is logged when it happens, and
//! [`Recorder::finish`] answers with it.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::row::Row;
use super::{RecordedJob, RecordedRun, Recording};
use crate::outcome::{JobId, OutcomeKind};

/// Lines that wait to be written, at most.
const WAITING: usize = 16 * 1024;

/// Session ids and fields become numbers below 2^53, which every reader of JSON keeps exactly.
const NUMBERS: u64 = (1 << 53) - 1;

/// Records what a pool does into a file, as a load for simulations: for each job when it came, its hook, class, session
/// (a number), size, attempts and outcome; nothing of what events hold.
///
/// Recording holds nobody up. The file is `PATH.part` until [`Recorder::finish`] gives it its name, so a file of that
/// name is always whole; what a killed program leaves can be read, too. It ends at [`Recording::MOST_BYTES`].
///
/// ```
/// use hookpool::{Config, Event, HookPool, Recorder, Recording};
/// use std::time::Duration;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("recording.jsonl");
/// let config = Config::from_toml("[hook.greet]\non = ['*']\nrun = 'true'\n")?;
/// let recorder = Recorder::create(&path)?;
/// let pool = HookPool::builder().config(config).record(&recorder).build()?;
/// pool.submit(Event::from_json(r#"{"event": "hello"}"#)?);
/// pool.drain(Duration::from_secs(10));
/// recorder.finish()?;
/// assert_eq!(Recording::read(&path)?.jobs.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lines: SyncSender<Line>,
    /// Nothing more is written.
    is_over: Arc<AtomicBool>,
    lost: AtomicU64,
    key: RandomState,
    writer: Mutex<Option<JoinHandle<io::Result<File>>>>,
    /// Where it is written, and how it is called in the end.
    place: Place,
}

#[derive(Debug)]
struct Place {
    part: PathBuf,
    whole: PathBuf,
}

/// What a finished recording has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Lines that came too fast for the file and are missing. The file's last line says so, too.
    pub lost: u64,
}

#[derive(Debug)]
enum Line {
    First {
        replay: bool,
    },
    /// The job's number, if it was admitted.
    Arrival(Box<RecordedJob>, u64),
    End(JobId, OutcomeKind, Vec<RecordedRun>),
    Last {
        lost: u64,
    },
}

impl Recorder {
    /// Starts a recording. What is no regular file (a pipe, a device) is written to as it is.
    ///
    /// # Errors
    /// The file cannot be made, or the system refused a thread.
    ///
    /// ```
    /// assert!(hookpool::Recorder::create("/no/such/folder/recording.jsonl").is_err());
    /// ```
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let place = Place::of(path.as_ref());
        let mut options = File::options();
        options.write(true).truncate(true).create(true);
        let file = options.open(&place.part)?;
        let (lines, waiting) = sync_channel(WAITING);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let writer = thread::Builder::new().name("hookpool-record".to_owned()).spawn(move || {
            let written = write(file, &waiting);
            over.store(true, Ordering::Relaxed);
            written.inspect_err(|error| tracing::error!("the recording ends here: {error}"))
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                lines,
                is_over,
                lost: AtomicU64::new(0),
                key: RandomState::new(),
                writer: Mutex::new(Some(writer)),
                place,
            }),
        })
    }

    /// Writes what is left, and gives the file its name. To be called when the pool has been drained; a second call does
    /// nothing.
    ///
    /// # Errors
    /// The first error of the file. What was written by then stays in `PATH.part`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let recorder = hookpool::Recorder::create(folder.path().join("empty.jsonl"))?;
    /// assert_eq!(recorder.finish()?.lost, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn finish(&self) -> io::Result<Recorded> {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // If nobody takes it the writer is gone, and says why.
            let _ = self.shared.lines.send(Line::Last { lost });
            let file = writer.join().map_err(|_| io::Error::other("the writing thread panicked"))??;
            let Place { part, whole } = &self.shared.place;
            if part != whole {
                file.sync_all()?;
                fs::rename(part, whole)?;
            }
        }
        Ok(Recorded { lost })
    }

    pub(crate) fn begin(&self, replay: bool) {
        self.put(Line::First { replay });
    }

    /// Something that has an id, as a number of this recording.
    pub(crate) fn number(&self, key: u64) -> u64 {
        self.shared.key.hash_one(key) & NUMBERS
    }

    /// `id`: of one that was admitted.
    pub(crate) fn arrived(&self, job: RecordedJob, id: Option<JobId>) {
        self.put(Line::Arrival(Box::new(job), id.map_or(0, |id| id.0)));
    }

    pub(crate) fn ended(&self, id: JobId, outcome: OutcomeKind, runs: Vec<RecordedRun>) {
        self.put(Line::End(id, outcome, runs));
    }

    fn put(&self, line: Line) {
        if !self.shared.is_over.load(Ordering::Relaxed) && self.shared.lines.try_send(line).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Place {
    fn of(path: &Path) -> Self {
        // Through a link to what it points to: the rename would replace the link.
        let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_special = fs::metadata(&whole).is_ok_and(|found| !found.is_file());
        let mut part = whole.clone().into_os_string();
        if !is_special {
            part.push(".part");
        }
        Self { part: part.into(), whole }
    }
}

/// Writes lines until the last one, or until nobody is left who could send one.
fn write(file: File, waiting: &Receiver<Line>) -> io::Result<File> {
    let mut file = BufWriter::with_capacity(64 * 1024, file);
    let mut bytes = 0;
    loop {
        let line = match waiting.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Empty) => {
                // Who looks at the file sees all that there was.
                file.flush()?;
                match waiting.recv() {
                    Ok(line) => line,
                    Err(_) => break,
                }
            }
            Err(TryRecvError::Disconnected) => break,
        };
        let is_last = matches!(line, Line::Last { .. });
        bytes += match &line {
            Line::First { replay } => Row::first(*replay).write(&mut file),
            Line::Arrival(job, number) => Row::arrival(job, *number).write(&mut file),
            Line::End(id, outcome, runs) => Row::end(id.0, *outcome, runs).write(&mut file),
            Line::Last { lost } => Row::last(*lost).write(&mut file),
        }?;
        if is_last {
            break;
        }
        // The last line has to fit, too.
        if bytes > Recording::MOST_BYTES - 4096 {
            file.flush()?;
            return Err(io::Error::other(format!(
                "it has {} bytes, the most that it may",
                Recording::MOST_BYTES
            )));
        }
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)
}
