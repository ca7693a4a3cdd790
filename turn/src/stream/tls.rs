//! TLS on a connection (RFC 8446, RFC 5246), through rustls, without a runtime.
//!
//! What rustls holds is bounded: a flight or a record of the client, and about as much of ours as one record, since
//! it is fed from the connection's own queue only when what it had is gone.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::crypto::aws_lc_rs;
use rustls::{AlertDescription, Error, ServerConfig, ServerConnection};

use crate::certificates::Certificates;
use crate::labels::labels;
use crate::stream::connection::Fill;
use crate::stream::counters::CloseReason;
use crate::stream::queue::Queue;

/// RFC 7443 §3: TURN, and STUN NAT discovery.
const PROTOCOLS: [&[u8]; 2] = [b"stun.turn", b"stun.nat-discovery"];
/// Reads of the socket before another connection gets its turn.
const ROUNDS: usize = 8;
/// RFC 8446 §5.1: the longest plaintext of a record.
const RECORD: usize = 16 << 10;

labels! {
    /// Why TLS failed, during its handshake or after.
    TlsFailure {
        /// It began like TLS and is not.
        NotTls = "not_tls",
        /// No common version, cipher suite, group or signature scheme.
        Incompatible = "incompatible",
        /// The client speaks another protocol than TURN on top of it.
        WrongProtocol = "wrong_protocol",
        /// The client refused to go on, most likely because of our certificate.
        ClientAlert = "client_alert",
        /// The client broke the rules, or somebody changed its bytes on the way.
        Misbehaved = "misbehaved",
        /// The handshake took too long.
        TimedOut = "timed_out",
        /// The client left during the handshake.
        Disconnected = "disconnected",
        /// Anything else.
        Other = "other",
    }
}

/// The server's side of TLS, for all connections.
pub(crate) fn config(certificates: Certificates) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    // Clients that ask for no protocol are served all the same.
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Tickets carry the session, so that workers share nothing and nothing is kept for clients that never return.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// TLS on one connection.
pub(crate) struct Tls {
    session: Box<ServerConnection>,
    failure: Option<TlsFailure>,
}

impl Tls {
    /// A session that awaits its ClientHello.
    pub(crate) fn new(config: &Arc<ServerConfig>) -> Result<Self, CloseReason> {
        // rustls refuses configurations that contradict themselves, which ours does not.
        let session = ServerConnection::new(Arc::clone(config)).map_err(|_refused| CloseReason::Tls)?;
        Ok(Self { session: Box::new(session), failure: None })
    }

    /// Takes the bytes that told that it is TLS.
    pub(crate) fn begin(&mut self, mut first: &[u8], socket: &mut TcpStream) -> Result<(), CloseReason> {
        while !first.is_empty() {
            self.session.read_tls(&mut first).map_err(|_full| self.fail(TlsFailure::Misbehaved))?;
            self.process(socket)?;
        }
        Ok(())
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether rustls has bytes for the client.
    pub(crate) fn waits(&self) -> bool {
        self.session.wants_write()
    }

    pub(crate) fn failure(&self) -> Option<TlsFailure> {
        self.failure
    }

    pub(crate) fn fail(&mut self, failure: TlsFailure) -> CloseReason {
        self.failure.get_or_insert(failure);
        CloseReason::Tls
    }

    /// Reads what the client says, decrypted.
    pub(crate) fn read(&mut self, socket: &mut TcpStream, room: &mut [u8]) -> Result<Fill, CloseReason> {
        for _ in 0..ROUNDS {
            match self.session.reader().read(room) {
                Ok(0) => return Err(CloseReason::Client),
                Ok(count) => return Ok(Fill::Bytes(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The end without close_notify: frames tell their length, so nothing is missed.
                Err(_) => return Err(self.ended()),
            }
            match self.session.read_tls(socket) {
                Ok(0) => return Err(self.ended()),
                Ok(_) => self.process(socket)?,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(Fill::Blocked),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(CloseReason::Broken),
                },
            }
        }
        Ok(Fill::Later)
    }

    /// Encrypts and sends as much of `queue` as the kernel takes, and says whether anything moved.
    pub(crate) fn flush(&mut self, socket: &mut TcpStream, queue: &mut Queue) -> Result<bool, CloseReason> {
        let mut moved = false;
        loop {
            while self.session.wants_write() {
                match self.session.write_tls(socket) {
                    Ok(_) => moved = true,
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => return Ok(moved),
                        io::ErrorKind::Interrupted => {}
                        _ => return Err(CloseReason::Broken),
                    },
                }
            }
            let [front, _] = queue.front();
            let record = front.get(..front.len().min(RECORD)).unwrap_or_default();
            if record.is_empty() || self.session.is_handshaking() {
                return Ok(moved);
            }
            let taken = self.session.writer().write(record).map_err(|_broken| CloseReason::Broken)?;
            if taken == 0 {
                return Ok(moved);
            }
            queue.consume(taken);
        }
    }

    /// Says goodbye, if the kernel takes it.
    pub(crate) fn close(&mut self, socket: &mut TcpStream) {
        self.session.send_close_notify();
        // Best effort: the connection is closed either way.
        let _ = self.session.write_tls(socket);
    }

    fn process(&mut self, socket: &mut TcpStream) -> Result<(), CloseReason> {
        match self.session.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => {
                // The alert that says why, if the kernel takes it.
                let _ = self.session.write_tls(socket);
                Err(self.fail(failure(&error)))
            }
        }
    }

    fn ended(&mut self) -> CloseReason {
        if self.session.is_handshaking() { self.fail(TlsFailure::Disconnected) } else { CloseReason::Client }
    }
}

fn failure(error: &Error) -> TlsFailure {
    match error {
        Error::InvalidMessage(_) => TlsFailure::NotTls,
        Error::PeerIncompatible(_) => TlsFailure::Incompatible,
        Error::NoApplicationProtocol => TlsFailure::WrongProtocol,
        Error::AlertReceived(AlertDescription::CloseNotify) => TlsFailure::Disconnected,
        Error::AlertReceived(_) => TlsFailure::ClientAlert,
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => TlsFailure::Misbehaved,
        // The enum may grow.
        _ => TlsFailure::Other,
    }
}
