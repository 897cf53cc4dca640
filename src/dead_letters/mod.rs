//! Dead letters: what failed, with its event, as lines of a file that `hookpool run` replays.
//!
//! | file | owns |
//! |---|---|
//! | `line.rs` | the form of a line, written and read |
//! | `file.rs` | the file: opened with care, appended to in whole lines, rotated |
//!
//! A worker hands an outcome over and goes on; a thread redacts, writes and rotates. What waits is bounded in number and
//! bytes; what finds it full is lost and counted, and so is what cannot be written. Nothing here ever fails a job.
//!
//! Durability: a line is given to the system in one write as soon as the thread gets to it, so it survives the end of
//! this process, KILL included; the file is synced when it is rotated and at the end, so a power cut may cost lines.

mod file;
mod line;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use self::line::{DeadLetter, DeadLetterError};

use self::file::LetterFile;
use crate::config::DeadLetterSettings;
use crate::outcome::Outcome;
use crate::redact::Redactor;
use crate::telemetry;

/// Outcomes that may wait to be written.
const MOST_WAITING: usize = 1024;
/// Bytes of events that may wait to be written; one event may always.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// How long the end of a pool waits for what is still to be written.
const LAST: Duration = Duration::from_secs(10);

/// What became of the outcomes that were to be dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterCounts {
    /// Lines that are in the file.
    pub written: u64,
    /// Those that came faster than they could be written, and are not.
    pub dropped: u64,
    /// Those that could not be written: the disk is full, the file cannot be opened, …
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    /// Bytes of events that wait.
    waiting: AtomicU64,
}

/// The way to the file.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    settings: DeadLetterSettings,
    counts: Arc<Counts>,
    way: Mutex<Option<Way>>,
}

#[derive(Debug)]
struct Way {
    letters: SyncSender<Letter>,
    /// Says nothing, and ends when everything is written.
    done: Receiver<()>,
}

#[derive(Debug)]
struct Letter {
    outcome: Arc<Outcome>,
    redactor: Redactor,
}

impl DeadLetters {
    /// Opens the file and starts the thread. A file that cannot be opened is said so, and tried again for each letter.
    ///
    /// # Errors
    /// The system refused a thread.
    pub(crate) fn start(settings: DeadLetterSettings) -> std::io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let (letters, incoming) = sync_channel::<Letter>(MOST_WAITING);
        let (ends, done) = sync_channel::<()>(0);
        let mut writer = Writer {
            file: LetterFile::new(settings.file.clone(), settings.max_bytes, settings.keep),
            counts: Arc::clone(&counts),
            is_failing: false,
        };
        std::thread::Builder::new().name("hookpool-letters".to_owned()).spawn(move || {
            let _ends = ends;
            writer.note(None);
            for letter in incoming {
                writer.write(&letter);
            }
            writer.file.sync();
        })?;
        Ok(Self { settings, counts, way: Mutex::new(Some(Way { letters, done })) })
    }

    /// Hands the outcome over, if it is one that is kept. Never waits for the file.
    pub(crate) fn offer(&self, outcome: &Arc<Outcome>, redactor: &Redactor) {
        if !self.settings.on.contains(&outcome.kind) {
            return;
        }
        let bytes = outcome.event.payload().len() as u64;
        let before = self.counts.waiting.fetch_add(bytes, Ordering::Relaxed);
        let redactor = if self.settings.redact { redactor.clone() } else { Redactor::off() };
        let letter = Letter { outcome: Arc::clone(outcome), redactor };
        let has_room = before == 0 || before.saturating_add(bytes) <= MOST_BYTES;
        let sender = self.lock().as_ref().filter(|_| has_room).map(|way| way.letters.clone());
        let sent = sender.map(|sender| sender.try_send(letter));
        if !matches!(sent, Some(Ok(()))) {
            self.counts.waiting.fetch_sub(bytes, Ordering::Relaxed);
            if self.counts.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                telemetry::letters_dropped();
            }
        }
        debug_assert!(!matches!(sent, Some(Err(TrySendError::Disconnected(_)))), "the thread ends last");
    }

    pub(crate) fn counts(&self) -> DeadLetterCounts {
        let Counts { written, dropped, failed, .. } = &*self.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DeadLetterCounts { written: of(written), dropped: of(dropped), failed: of(failed) }
    }

    /// Takes nothing more, and waits until everything is written, for a bounded time.
    pub(crate) fn close(&self) {
        let Some(Way { letters, done }) = self.lock().take() else { return };
        drop(letters);
        if done.recv_timeout(LAST) == Err(RecvTimeoutError::Timeout) {
            telemetry::letters_unfinished();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Way>> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's side.
struct Writer {
    file: LetterFile,
    counts: Arc<Counts>,
    /// It has been said that the file cannot be written.
    is_failing: bool,
}

impl Writer {
    fn write(&mut self, Letter { outcome, redactor }: &Letter) {
        let line = line::written(outcome, redactor);
        let is_written = self.note(Some(&line));
        let count = if is_written { &self.counts.written } else { &self.counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        self.counts.waiting.fetch_sub(outcome.event.payload().len() as u64, Ordering::Relaxed);
    }

    /// Writes the line, or only opens the file. What goes wrong is said once, until something goes well.
    fn note(&mut self, line: Option<&[u8]>) -> bool {
        let done = match line {
            Some(line) => self.file.append(line),
            None => self.file.open(),
        };
        match done {
            Ok(lax) => {
                if let Some(mode) = lax {
                    telemetry::letters_readable(self.file.path(), mode);
                }
                self.is_failing = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    telemetry::letters_failed(self.file.path(), &error);
                }
                false
            }
        }
    }
}
