//! One line on the terminal that tells how far a run has come.
//!
//! It is refreshed by whoever calls [`Progress::tick`], at most ten times a second, and has no thread of its own. It
//! writes to standard error, and only when that is a terminal: the line can be wiped out there before anything else is
//! printed, so it is shown with every form of report. It appears only when a run takes long enough to wonder about.
//!
//! The cursor rests at the start of the line and only spaces wipe it out, so it needs nothing of a terminal but the
//! carriage return, and a log line of another thread that comes in between begins where it should.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::iter::repeat_n;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::report::units::{duration, some};

/// See the module's description. Shared by reference: a logger may clear it while another thread ticks.
pub(crate) struct Progress {
    started: Instant,
    display: Mutex<Option<Display>>,
}

/// What the line tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProgressCounts {
    /// Pieces of the input that were read.
    pub(crate) read: u64,
    /// Jobs that have their outcome.
    pub(crate) done: u64,
    /// Jobs that wait.
    pub(crate) queued: u64,
    /// Jobs that run.
    pub(crate) running: u64,
}

struct Display {
    out: Box<dyn Write + Send>,
    next: Instant,
    /// Characters that stand on the line.
    shown: usize,
}

impl Progress {
    /// Time before the line first appears.
    const FIRST: Duration = Duration::from_millis(300);
    const INTERVAL: Duration = Duration::from_millis(100);

    /// A line on standard error, or nothing when that is no terminal.
    pub(crate) fn on_stderr() -> Self {
        let stderr = io::stderr();
        let out: Option<Box<dyn Write + Send>> =
            if stderr.is_terminal() { Some(Box::new(stderr)) } else { None };
        Self::new(Instant::now(), out)
    }

    /// A run that shows nothing.
    pub(crate) fn hidden() -> Self {
        Self::new(Instant::now(), None)
    }

    fn new(started: Instant, out: Option<Box<dyn Write + Send>>) -> Self {
        let display = out.map(|out| Display { out, next: started + Self::FIRST, shown: 0 });
        Self { started, display: Mutex::new(display) }
    }

    /// Refreshes the line if it is time to; asks for the counts only then.
    pub(crate) fn tick(&self, now: Instant, counts: impl FnOnce() -> ProgressCounts) {
        self.with(|display| {
            if now < display.next {
                return Ok(());
            }
            display.next = now + Self::INTERVAL;
            let ProgressCounts { read, done, queued, running } = counts();
            let elapsed = duration(now.saturating_duration_since(self.started));
            let read = some(read, "event");
            display.show(&format!("{read} read, {done} done, {queued} queued, {running} running, {elapsed}"))
        });
    }

    /// Wipes the line out. To be called before anything else is printed on the terminal; a later tick shows it again.
    pub(crate) fn clear(&self) {
        self.with(|display| display.show(""));
    }

    fn with(&self, f: impl FnOnce(&mut Display) -> io::Result<()>) {
        let mut display = self.display.lock().unwrap_or_else(PoisonError::into_inner);
        // A terminal that is gone is no reason to stop the run, only to stop telling of it.
        if display.as_mut().is_some_and(|display| f(display).is_err()) {
            *display = None;
        }
    }
}

impl Display {
    fn show(&mut self, line: &str) -> io::Result<()> {
        let width = line.chars().count();
        if width == 0 && self.shown == 0 {
            return Ok(());
        }
        let mut text = line.to_owned();
        text.extend(repeat_n(' ', self.shown.saturating_sub(width)));
        text.push('\r');
        self.shown = width;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("started", &self.started).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Screen {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn counts(read: u64) -> ProgressCounts {
        ProgressCounts { read, done: 3, queued: 2, running: 1 }
    }

    #[test]
    fn the_line_is_refreshed_ten_times_a_second_at_most() {
        let (screen, start) = (Screen::default(), Instant::now());
        let progress = Progress::new(start, Some(Box::new(screen.clone())));
        let shown = (0..1000)
            .filter(|ms| {
                progress.tick(start + Duration::from_millis(*ms), || counts(1));
                !screen.take().is_empty()
            })
            .collect::<Vec<_>>();
        assert_eq!(shown, [300, 400, 500, 600, 700, 800, 900]);
    }

    #[test]
    fn counts_are_not_asked_for_when_nothing_is_shown() {
        let start = Instant::now();
        let progress = Progress::new(start, Some(Box::new(Screen::default())));
        progress.tick(start, || panic!("it is too early"));
        Progress::hidden().tick(start + Duration::from_secs(9), || panic!("nobody looks"));
    }

    #[test]
    fn a_shorter_line_and_a_cleared_one_leave_nothing_behind() {
        let (screen, start) = (Screen::default(), Instant::now());
        let progress = Progress::new(start, Some(Box::new(screen.clone())));
        progress.tick(start + Duration::from_secs(1), || counts(12));
        assert_eq!(screen.take(), "12 events read, 3 done, 2 queued, 1 running, 1.00s\r");
        progress.tick(start + Duration::from_secs(2), || counts(1));
        assert_eq!(screen.take(), "1 event read, 3 done, 2 queued, 1 running, 2.00s  \r");
        progress.clear();
        assert_eq!(screen.take(), format!("{}\r", " ".repeat(48)));
        progress.clear();
        drop(progress);
        assert_eq!(screen.take(), "");
    }

    #[test]
    fn the_line_is_gone_when_the_run_is() {
        let (screen, start) = (Screen::default(), Instant::now());
        let progress = Progress::new(start, Some(Box::new(screen.clone())));
        progress.tick(start + Duration::from_secs(1), || counts(1));
        screen.take();
        drop(progress);
        assert_eq!(screen.take().trim(), "");
    }

    #[test]
    fn a_terminal_that_is_gone_ends_the_display_and_not_the_run() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let start = Instant::now();
        let progress = Progress::new(start, Some(Box::new(Gone)));
        progress.tick(start + Duration::from_secs(1), || counts(1));
        progress.tick(start + Duration::from_secs(2), || panic!("the display has ended"));
    }
}
