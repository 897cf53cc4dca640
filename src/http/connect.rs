//! From a host's name to a connection, without ever being stuck: what the system only does while it blocks (asking for
//! addresses) is done by a thread of its own, and all else by a socket that does not block.
//!
//! Invariant: at most one thread for each client asks for addresses, whoever waits for it, and none when nobody
//! connects. It cannot be stopped; who gives up leaves it to end by itself.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, connect};

use super::{Fault, Patience, Phase};

/// No connection is waited for longer, however long the request may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Asks for the addresses of one host.
#[derive(Debug, Default)]
pub(super) struct Lookup(Mutex<Option<Arc<Pending>>>);

/// A question that is being asked.
#[derive(Debug)]
struct Pending {
    found: OnceLock<Result<Vec<SocketAddr>, String>>,
    /// Ends when the answer is there.
    over: UnixStream,
}

impl Lookup {
    fn addresses(&self, host: &str, port: u16, patience: &Patience<'_>) -> Result<Vec<SocketAddr>, Fault> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let pending = self.pending(host, port).map_err(|error| {
            Fault::NotStarted(format!("the addresses of `{host}` cannot be asked for: {error}"))
        })?;
        loop {
            if let Some(found) = pending.found.get() {
                self.0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take_if(|now| Arc::ptr_eq(now, &pending));
                return found.clone().map_err(Fault::NotStarted);
            }
            patience.wait(pending.over.as_fd(), PollFlags::IN, Phase::Connecting)?;
            // A thread that panicked has no answer and never will.
            let is_over = !matches!((&pending.over).read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if is_over {
                let _ = pending.found.set(Err(format!("the addresses of `{host}` cannot be asked for")));
            }
        }
    }

    fn pending(&self, host: &str, port: u16) -> io::Result<Arc<Pending>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = &*slot {
            return Ok(Arc::clone(pending));
        }
        let (over, end) = UnixStream::pair()?;
        over.set_nonblocking(true)?;
        let pending = Arc::new(Pending { found: OnceLock::new(), over });
        let (answer, host) = (Arc::clone(&pending), host.to_owned());
        std::thread::Builder::new().name("hookpool-lookup".into()).spawn(move || {
            let found = match (host.as_str(), port).to_socket_addrs() {
                Ok(found) => Ok(found.collect::<Vec<_>>()),
                Err(error) => Err(format!("the host `{host}` was not found: {error}")),
            };
            let _ = answer.found.set(found);
            drop(end);
        })?;
        *slot = Some(Arc::clone(&pending));
        Ok(pending)
    }
}

/// A connected socket that does not block. Addresses are tried in the system's order, each for its share of the time.
pub(super) fn open(
    lookup: &Lookup,
    host: &str,
    port: u16,
    patience: &Patience<'_>,
) -> Result<TcpStream, Fault> {
    let begun = Instant::now();
    let addresses = lookup.addresses(host, port, patience)?;
    let mut failures: Vec<String> = Vec::new();
    let mut left = addresses.len();
    for address in addresses {
        let now = Instant::now();
        let until = patience.until.min(begun + LONGEST);
        let share = until.saturating_duration_since(now) / u32::try_from(left.max(1)).unwrap_or(u32::MAX);
        left -= 1;
        match try_one(address, now + share, patience)? {
            Ok(socket) => return Ok(socket),
            Err(error) => failures.push(format!("{address}: {}", words(&error))),
        }
    }
    if failures.is_empty() {
        failures.push("the host has no address".to_owned());
    }
    patience.check(Phase::Connecting)?;
    Err(Fault::NotStarted(format!("no connection: {}", failures.join("; "))))
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused; is the service running?".to_owned(),
        io::ErrorKind::TimedOut => "nothing answers".to_owned(),
        _ => error.to_string(),
    }
}

/// The outer error ends the request, the inner one only this address.
fn try_one(
    address: SocketAddr,
    until: Instant,
    patience: &Patience<'_>,
) -> Result<io::Result<TcpStream>, Fault> {
    let socket = match socket_for(address) {
        Ok(socket) => socket,
        Err(error) => return Ok(Err(error)),
    };
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => {
            let own = Patience { until, ..*patience };
            match own.wait_connected(socket.as_fd()) {
                Ok(()) => {}
                // Its share of the time is over, and maybe all of it: that is for the next look.
                Err(Fault::Late(_)) if patience.check(Phase::Connecting).is_ok() => {
                    return Ok(Err(io::ErrorKind::TimedOut.into()));
                }
                Err(fault) => return Err(fault),
            }
            match rustix::net::sockopt::socket_error(&socket) {
                Ok(Ok(())) => {}
                Ok(Err(error)) | Err(error) => return Ok(Err(error.into())),
            }
        }
        Err(error) => return Ok(Err(error.into())),
    }
    let socket = TcpStream::from(socket);
    // A small request must not wait for the answer to the one before it.
    let _ = socket.set_nodelay(true);
    Ok(Ok(socket))
}

fn socket_for(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    #[cfg(target_os = "linux")]
    {
        use rustix::net::SocketFlags;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&socket, rustix::fs::OFlags::NONBLOCK)?;
        Ok(socket)
    }
}

impl Patience<'_> {
    /// Waits until a socket is connected, or cannot be.
    fn wait_connected(&self, socket: std::os::fd::BorrowedFd<'_>) -> Result<(), Fault> {
        use rustix::event::{PollFd, Timespec, poll};
        loop {
            self.wait(socket, PollFlags::OUT, Phase::Connecting)?;
            // A wait may end early; an unconnected socket has no error yet.
            let mut look = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
            if poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0) {
                return Ok(());
            }
        }
    }
}
