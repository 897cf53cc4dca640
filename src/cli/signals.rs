//! INT (Ctrl-C), TERM, QUIT, and the terminal that goes away (HUP): the first asks for a drain, the second ends it at
//! once, without grace. In a run on a stream HUP asks for a reload instead.
//!
//! One thread waits for signals, and nothing else happens in a signal handler. It closes the pool, so that whoever
//! waits for room is refused, and makes a descriptor readable, so that whoever waits for input stops waiting. Then it
//! gives the drain its time: whoever drains need not know of the deadline.
//!
//! Watching SIGCHLD is part of it: a process that inherited it as ignored would have its children reaped by the
//! kernel, and never learn how they ended.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hookpool::HookPool;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::error::complain;
use super::reload::{Cause, Reloads};

/// Watches for signals from now on.
#[derive(Debug)]
pub(super) struct Signals {
    /// Readable for every signal that came.
    arrived: UnixStream,
    /// The last signal that came.
    which: Arc<AtomicUsize>,
    /// Readable when a reload is asked for, if HUP does that.
    reload: Option<UnixStream>,
}

/// What the thread was woken for.
enum Call {
    End,
    Reload(Cause),
    Watch,
}

/// So long nothing happens to a file before it is read: an editor is done with it.
const SETTLED: Duration = Duration::from_millis(50);

/// What the rest of the program sees of signals.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    signal: Arc<AtomicUsize>,
    /// At its end, thus readable, from the first signal on.
    asked: Arc<UnixStream>,
    /// Keeps `asked` from being at its end.
    _ask: Option<Arc<UnixStream>>,
}

impl Signals {
    /// `reloads`: HUP asks for a reload.
    pub(super) fn watch(reloads: bool) -> io::Result<Self> {
        let (arrived, sender) = UnixStream::pair()?;
        let which = Arc::new(AtomicUsize::new(0));
        let mut reload = None;
        if reloads {
            let (asked, ask) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(SIGHUP, ask)?;
            reload = Some(asked);
        }
        for signal in [SIGINT, SIGTERM, SIGQUIT].into_iter().chain((!reloads).then_some(SIGHUP)) {
            // In this order: who reads the stream finds the number.
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(&which), number)?;
            signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
        }
        signal_hook::flag::register(SIGCHLD, Arc::default())?;
        Ok(Self { arrived, which, reload })
    }

    /// Serves the pool: the first signal closes it, the end of the drain's time stops it, the second signal kills. Until
    /// then its configuration is reloaded when it is asked for or has changed, if it is one that `reloads`.
    pub(super) fn serve(self, pool: &HookPool, mut reloads: Option<Reloads>) -> io::Result<Stop> {
        let (asked, ask) = UnixStream::pair()?;
        let stop = Stop { signal: Arc::default(), asked: Arc::new(asked), _ask: None };
        let (pool, signal) = (pool.clone(), Arc::clone(&stop.signal));
        std::thread::Builder::new().name("hookpool-signals".to_owned()).spawn(move || {
            loop {
                match (self.next(reloads.as_mut()), &mut reloads) {
                    (Call::Reload(cause), Some(reloads)) => reloads.reload(&pool, cause),
                    (Call::Watch, Some(reloads)) => reloads.begin_watch(&pool),
                    (Call::End, _) | (_, None) => break,
                }
            }
            let drain = pool.config().shutdown.drain;
            signal.store(self.which.load(Ordering::SeqCst), Ordering::SeqCst);
            pool.close();
            drop(ask);
            tell(format!(
                "hookpool: stopping: what was admitted runs on for {drain:?}, a second signal ends it at once"
            ));
            if !self.wait(Some(drain)) {
                pool.stop();
                self.wait(None);
            }
            pool.kill();
            tell("hookpool: killing what runs".to_owned());
            // Whoever is stuck now, with a standard error that nobody reads for example, ends by the third one.
            self.wait(None);
            let last = i32::try_from(self.which.load(Ordering::SeqCst)).unwrap_or(SIGTERM);
            let _ = signal_hook::low_level::emulate_default_handler(last);
        })?;
        Ok(stop)
    }

    /// Waits for something to do.
    fn next(&self, reloads: Option<&mut Reloads>) -> Call {
        let watch_from = reloads.as_ref().and_then(|reloads| reloads.watch_from);
        let mut watch = reloads.and_then(|reloads| reloads.watch.as_mut());
        loop {
            let asked = self.reload.as_ref().unwrap_or(&self.arrived).as_fd();
            let files = watch.as_ref().map_or(self.arrived.as_fd(), |watch| watch.as_fd());
            let until_watch = watch_from.map(|from| from.saturating_duration_since(Instant::now()));
            if !wait_readable([self.arrived.as_fd(), asked, files], until_watch) {
                return Call::Watch;
            }
            if self.wait(Some(Duration::ZERO)) {
                return Call::End;
            }
            if let Some(asked) = &self.reload
                && wait_readable([asked.as_fd()], Some(Duration::ZERO))
            {
                // Many at once are one.
                let _ = (&*asked).read(&mut [0; 64]);
                return Call::Reload(Cause::Asked);
            }
            if let Some(watch) = &mut watch
                && watch.has_changed()
            {
                // Until it is quiet for a moment, or there is something else to do.
                while wait_readable([watch.as_fd()], Some(SETTLED)) && !self.is_called() {
                    watch.has_changed();
                }
                return Call::Reload(Cause::File);
            }
        }
    }

    fn is_called(&self) -> bool {
        wait_readable([self.arrived.as_fd()], Some(Duration::ZERO))
    }

    /// Waits for the next signal, at most that long. True: it came.
    fn wait(&self, at_most: Option<Duration>) -> bool {
        let came = wait_readable([self.arrived.as_fd()], at_most);
        if came {
            // One byte for each signal: the second of two that come together is the second all the same.
            let _ = (&self.arrived).read(&mut [0; 1]);
        }
        came
    }
}

impl Stop {
    /// One that no signal comes to: signals do what they do by default.
    pub(super) fn never() -> io::Result<Self> {
        let (asked, ask) = UnixStream::pair()?;
        Ok(Self { signal: Arc::default(), asked: Arc::new(asked), _ask: Some(Arc::new(ask)) })
    }

    /// The signal that came first, if one came.
    pub(super) fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }

    /// Waits that long, or until a signal comes. True: one has come.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        wait_readable([self.asked.as_fd()], Some(at_most))
    }

    /// Waits until the source can be read or a signal comes. True: a signal has come.
    fn wait_for(&self, source: BorrowedFd<'_>) -> bool {
        wait_readable([self.asked.as_fd(), source], None);
        self.wait(Duration::ZERO)
    }
}

/// A source that ends when a signal comes, even if it is silent.
#[derive(Debug)]
pub(super) struct UntilStopped<R> {
    pub(super) source: R,
    pub(super) stop: Stop,
}

impl<R: Read + AsFd> Read for UntilStopped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.wait_for(self.source.as_fd()) {
                return Ok(0);
            }
            match self.source.read(buffer) {
                // Somebody else reads it too, and was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

/// Waits until one of them can be read, or is at its end. False: the time came first.
fn wait_readable<const N: usize>(sources: [BorrowedFd<'_>; N], at_most: Option<Duration>) -> bool {
    let until = at_most.and_then(|at_most| Instant::now().checked_add(at_most));
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut watched = sources.map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN));
        match poll(&mut watched, timeout.as_ref()) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return false,
            // Interrupted, or a poll that ended early: once more.
            Ok(0) | Err(_) => {}
            Ok(_) => return true,
        }
    }
}

/// Says it without waiting for whoever reads standard error: this thread must go on.
pub(super) fn tell(words: String) {
    let _ = std::thread::Builder::new().spawn(move || complain(&words));
}
