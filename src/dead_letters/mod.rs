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
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;

pub(crate) use self::line::written;
pub use self::line::{DeadLetter, DeadLetterError};

use self::file::LetterFile;
use crate::config::DeadLetterSettings;
use crate::outcome::{Outcome, OutcomeKind};
use crate::redact::Redactor;
use crate::telemetry;

/// Outcomes that may wait to be written.
const MOST_WAITING: usize = 1024;
/// Bytes of outcomes that may wait to be written, with their events and output; one outcome may always.
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
    /// Bytes of outcomes that wait.
    waiting: AtomicU64,
}

/// The way to the file. Without one, it costs an outcome one look.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    settings: ArcSwapOption<DeadLetterSettings>,
    /// The kinds of outcomes that are kept, a bit for each: most jobs succeed, and then this is all that is looked at.
    kinds: AtomicU32,
    counts: Arc<Counts>,
    /// From the first file on, whatever the file is later.
    thread: Mutex<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    letters: SyncSender<Letter>,
    /// Says nothing, and ends when everything is written.
    done: Receiver<()>,
}

#[derive(Debug)]
struct Letter {
    /// Where it belongs.
    settings: Arc<DeadLetterSettings>,
    /// `None`: the file is only to be opened, so that what is wrong with it is said at once.
    failure: Option<(Arc<Outcome>, Redactor)>,
}

impl DeadLetters {
    /// Starts the thread, if there is a file and none yet. Nothing else is changed.
    ///
    /// # Errors
    /// The system refused a thread.
    pub(crate) fn prepare(&self, settings: Option<&DeadLetterSettings>) -> std::io::Result<()> {
        let mut thread = self.thread();
        if settings.is_none() || thread.is_some() {
            return Ok(());
        }
        let (letters, incoming) = sync_channel::<Letter>(MOST_WAITING);
        let (ends, done) = sync_channel::<()>(0);
        let counts = Arc::clone(&self.counts);
        std::thread::Builder::new().name("hookpool-letters".to_owned()).spawn(move || {
            let _ends = ends;
            let mut writer = Writer { place: None, counts, is_failing: false };
            for letter in incoming {
                writer.take(&letter);
            }
            writer.sync();
        })?;
        *thread = Some(Thread { letters, done });
        Ok(())
    }

    /// Goes by these settings from now on, for which it was prepared. What waits goes where it belonged. A file that
    /// cannot be opened is said so, and tried again for each letter.
    pub(crate) fn set(&self, settings: Option<&DeadLetterSettings>) {
        if self.settings.load().as_deref() == settings {
            return;
        }
        let settings = settings.cloned().map(Arc::new);
        let kinds =
            settings.iter().flat_map(|settings| &settings.on).fold(0, |kinds, kind| kinds | bit(*kind));
        self.settings.store(settings.clone());
        self.kinds.store(kinds, Ordering::Release);
        if let Some(settings) = settings
            && let Some(thread) = &*self.thread()
        {
            // If there is no room, the first letter opens it.
            let _ = thread.letters.try_send(Letter { settings, failure: None });
        }
    }

    /// True if outcomes of that kind are kept.
    pub(crate) fn keeps(&self, kind: OutcomeKind) -> bool {
        self.kinds.load(Ordering::Acquire) & bit(kind) != 0
    }

    /// Hands the outcome over, if it is one that is kept. Never waits for the file.
    pub(crate) fn offer(&self, outcome: &Arc<Outcome>, redactor: &Redactor) {
        let settings = self.settings.load();
        let Some(settings) = settings.as_ref().filter(|settings| settings.on.contains(&outcome.kind)) else {
            return;
        };
        let bytes = outcome.bytes();
        let before = self.counts.waiting.fetch_add(bytes, Ordering::Relaxed);
        let redactor = if settings.redact { redactor.clone() } else { Redactor::off() };
        let failure = Some((Arc::clone(outcome), redactor));
        let letter = Letter { settings: Arc::clone(settings), failure };
        let has_room = before == 0 || before.saturating_add(bytes) <= MOST_BYTES;
        let letters = self.thread().as_ref().filter(|_| has_room).map(|thread| thread.letters.clone());
        if letters.is_none_or(|letters| letters.try_send(letter).is_err()) {
            self.counts.waiting.fetch_sub(bytes, Ordering::Relaxed);
            if self.counts.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                telemetry::letters_dropped();
            }
        }
    }

    pub(crate) fn counts(&self) -> DeadLetterCounts {
        let Counts { written, dropped, failed, .. } = &*self.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DeadLetterCounts { written: of(written), dropped: of(dropped), failed: of(failed) }
    }

    /// Takes nothing more, and waits until everything is written, for a bounded time.
    pub(crate) fn close(&self) {
        let Some(Thread { letters, done }) = self.thread().take() else { return };
        drop(letters);
        if done.recv_timeout(LAST) == Err(RecvTimeoutError::Timeout) {
            telemetry::letters_unfinished();
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<Thread>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bit(kind: OutcomeKind) -> u32 {
    1 << kind.index()
}

/// The thread's side.
struct Writer {
    place: Option<(Arc<DeadLetterSettings>, LetterFile)>,
    counts: Arc<Counts>,
    /// It has been said that the file cannot be written.
    is_failing: bool,
}

impl Writer {
    fn take(&mut self, Letter { settings, failure }: &Letter) {
        if !self.place.as_ref().is_some_and(|(current, _)| Arc::ptr_eq(current, settings)) {
            self.sync();
            let file = LetterFile::new(settings.file.clone(), settings.max_bytes, settings.keep);
            (self.place, self.is_failing) = (Some((Arc::clone(settings), file)), false);
            self.note(None);
        }
        if let Some((outcome, redactor)) = failure {
            let is_written = self.note(Some(&written(outcome, redactor)));
            let count = if is_written { &self.counts.written } else { &self.counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
            self.counts.waiting.fetch_sub(outcome.bytes(), Ordering::Relaxed);
        }
    }

    fn sync(&mut self) {
        if let Some((_, file)) = &mut self.place {
            file.sync();
        }
    }

    /// Writes the line, or only opens the file. What goes wrong is said once, until something goes well.
    fn note(&mut self, line: Option<&[u8]>) -> bool {
        let Some((_, file)) = &mut self.place else { return false };
        let done = match line {
            Some(line) => file.append(line),
            None => file.open(),
        };
        match done {
            Ok(lax) => {
                if let Some(mode) = lax {
                    telemetry::letters_readable(file.path(), mode);
                }
                self.is_failing = false;
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    telemetry::letters_failed(file.path(), &error);
                }
                false
            }
        }
    }
}
