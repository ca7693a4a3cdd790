//! TLS on a connection (RFC 8446, RFC 5246), through rustls, without a runtime.
//!
//! What rustls holds is bounded: a flight or a record of the client, and about as much of ours as one record, since
//! it is fed from the connection's own queue only when what it had is gone.

use std::io::{self, IoSlice, Read, Write};
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
            if self.session.is_handshaking() || self.encrypt(queue)? == 0 {
                return Ok(moved);
            }
        }
    }

    /// Encrypts what waits, up to the length of one record, and says how much. Each message has a record of its own:
    /// a client that reads record by record, as coturn's does, may take one for the other.
    fn encrypt(&mut self, queue: &mut Queue) -> Result<usize, CloseReason> {
        let mut encrypted = 0;
        while encrypted < RECORD {
            let record = queue.first(RECORD).map(IoSlice::new);
            if record.iter().all(|piece| piece.is_empty()) {
                break;
            }
            let taken =
                self.session.writer().write_vectored(&record).map_err(|_broken| CloseReason::Broken)?;
            if taken == 0 {
                break;
            }
            queue.consume(taken);
            encrypted += taken;
        }
        Ok(encrypted)
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

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;
    use crate::settings::TurnSettings;
    use crate::stream::queue::Load;

    const NAME: &str = "relay.example";

    #[test]
    fn every_message_has_a_record_of_its_own() {
        let (mut tls, _client) = connected();
        let mut queue = Queue::new(1 << 20);
        for _ in 0..100 {
            queue.push([b"head", b"data", b""], Load::Relayed).unwrap();
        }
        assert_eq!(tls.encrypt(&mut queue).unwrap(), 800);
        let mut sent = Vec::new();
        while tls.session.wants_write() {
            tls.session.write_tls(&mut sent).unwrap();
        }
        assert_eq!(records(&sent), 100);
    }

    #[test]
    fn no_more_is_encrypted_at_once_than_a_record_can_hold() {
        let (mut tls, _client) = connected();
        let mut queue = Queue::new(1 << 20);
        queue.push([&[0; 3 * RECORD], b"", b""], Load::Relayed).unwrap();
        for _ in 0..3 {
            assert_eq!(tls.encrypt(&mut queue).unwrap(), RECORD);
            tls.session.write_tls(&mut Vec::new()).unwrap();
        }
        assert_eq!(tls.encrypt(&mut queue).unwrap(), 0);
    }

    /// How many records these bytes are: type, version, length, fragment.
    fn records(mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while let [_, _, _, l0, l1, rest @ ..] = bytes {
            bytes = &rest[usize::from(u16::from_be_bytes([*l0, *l1]))..];
            count += 1;
        }
        count
    }

    /// Both ends after their handshake.
    fn connected() -> (Tls, ClientConnection) {
        let settings = TurnSettings { realm: NAME.to_owned(), ..TurnSettings::default() };
        let certificates = Certificates::of(&settings).unwrap();
        let mut roots = RootCertStore::empty();
        for certificate in &certificates.current().chain {
            roots.add(certificate.clone()).unwrap();
        }
        let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client =
            ClientConnection::new(Arc::new(client), ServerName::try_from(NAME).unwrap()).unwrap();
        let mut tls = Tls::new(&config(certificates).unwrap()).unwrap();
        while client.wants_write() || tls.session.wants_write() {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            client.write_tls(&mut there).unwrap();
            let mut there = &there[..];
            while !there.is_empty() {
                tls.session.read_tls(&mut there).unwrap();
                tls.session.process_new_packets().unwrap();
            }
            tls.session.write_tls(&mut back).unwrap();
            let mut back = &back[..];
            while !back.is_empty() {
                client.read_tls(&mut back).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        assert!(!tls.is_handshaking() && !client.is_handshaking());
        (tls, client)
    }
}
