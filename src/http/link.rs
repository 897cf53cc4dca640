//! One connection: a socket that never blocks, bare or with TLS on it.
//!
//! Reading and writing do what they can at once and say `WouldBlock` else; whoever uses it waits, for the socket and for
//! the end of its patience at the same time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::PollFlags;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

#[derive(Debug)]
pub(super) struct Link {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// It has carried a request before.
    pub(super) used: bool,
}

impl Link {
    /// A connection on a socket that is connected and does not block. With TLS it has to shake hands first.
    ///
    /// # Errors
    /// TLS cannot begin.
    pub(super) fn new(
        socket: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<Self, rustls::Error> {
        let tls = tls.map(|(config, name)| ClientConnection::new(config, name)).transpose()?;
        Ok(Self { socket, tls: tls.map(Box::new), used: false })
    }

    /// Goes on shaking hands. True when it is done.
    pub(super) fn shake_hands(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        loop {
            flush(tls, &mut self.socket)?;
            if !tls.is_handshaking() {
                return Ok(true);
            }
            match tls.read_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if let Err(error) = tls.process_new_packets() {
                // The server is told why, as far as that can be done at once.
                let _ = flush(tls, &mut self.socket);
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }

    /// Takes some of the bytes; with none it only sees to it that what was taken before goes on its way.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return if bytes.is_empty() { Ok(0) } else { self.socket.write(bytes) };
        };
        flush(tls, &mut self.socket)?;
        let taken = tls.writer().write(bytes)?;
        flush(tls, &mut self.socket)?;
        if taken == 0 && !bytes.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    /// Reads what is there. Nothing: the server has closed it.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            tls.read_tls(&mut self.socket)?;
            tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
    }

    /// What to wait for. `writes`: there is more to send.
    pub(super) fn wants(&self, writes: bool) -> PollFlags {
        if writes || self.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
            PollFlags::IN | PollFlags::OUT
        } else {
            PollFlags::IN
        }
    }

    /// True when nothing has come of a connection that rests: neither its end, nor anything that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        // Tickets for later sessions may come at any time, and are no data.
        matches!(self.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends what the socket takes.
fn flush(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
