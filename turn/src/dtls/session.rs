//! One DTLS session: dimpl's state machine, held so that what goes wrong in it stays in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_protocol::Moment;
use causeway_service::clock;
use causeway_turn_core::ClientAddr;
use dimpl::{Config, Dtls, DtlsCertificate, Error, Output};

use super::counts::Ending;

/// RFC 6347 §4.1: 2^14 bytes of plaintext in a record.
pub(super) const MAX_PLAINTEXT: usize = 1 << 14;
/// A record of that, with its header and the most that ciphers may add (RFC 6347 §4.1).
pub(super) const MAX_DATAGRAM: usize = 13 + MAX_PLAINTEXT + 2048;
/// Before the handshake is over a client sends a ClientHello and three short messages; none comes with a certificate.
/// Longer ones would only fill dimpl's queue.
const MAX_HANDSHAKE_DATAGRAM: usize = 2048;
/// Datagrams that dimpl holds back until those before them arrive. A client's longest flight has three.
const HELD_BACK: usize = 10;
/// Fits what every path carries (RFC 8200 §5) with room for tunnels; flights longer than this are cut.
const FLIGHT_MTU: usize = 1200;

/// What all sessions have in common.
pub(super) fn config(handshake: Duration) -> Result<Arc<Config>, Error> {
    Config::builder()
        .mtu(FLIGHT_MTU)
        .max_queue_rx(HELD_BACK)
        .require_client_certificate(false)
        .use_server_cookie(true)
        .handshake_timeout(handshake)
        .build()
        .map(Arc::new)
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Handshake,
    Established,
}

/// What a session wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send so many bytes at the front of the room.
    Send(usize),
    /// Plaintext: so many bytes at the front of the room.
    Plaintext(usize),
    /// The handshake is over.
    Connected,
    /// The client closed the session.
    Closed,
    /// Nothing until then.
    Wait(Moment),
}

/// A session and its client.
pub(super) struct Session {
    dtls: Dtls,
    pub(super) client: ClientAddr,
    pub(super) stage: Stage,
    pub(super) since: Moment,
    pub(super) last_heard: Moment,
    /// When its timer fires.
    pub(super) armed: Moment,
}

impl Session {
    /// A session that awaits its ClientHello. `None` if the certificate cannot be used.
    pub(super) fn new(
        config: &Arc<Config>,
        certificate: DtlsCertificate,
        client: ClientAddr,
        now: Moment,
    ) -> Option<Self> {
        let config = Arc::clone(config);
        let dtls = guarded(|| Ok(Dtls::new_auto(config, certificate, clock::instant(now)))).ok()?;
        Some(Self { dtls, client, stage: Stage::Handshake, since: now, last_heard: now, armed: NEVER })
    }

    /// Whether a datagram of this length can be of use.
    pub(super) fn accepts(&self, length: usize) -> bool {
        match self.stage {
            Stage::Handshake => length <= MAX_HANDSHAKE_DATAGRAM,
            Stage::Established => length <= MAX_DATAGRAM,
        }
    }

    /// Takes a datagram.
    pub(super) fn receive(&mut self, now: Moment, datagram: &[u8]) -> Result<(), Ending> {
        self.last_heard = now;
        guarded(|| {
            self.dtls.handle_timeout(clock::instant(now))?;
            self.dtls.handle_packet(datagram)
        })
    }

    /// Time has passed.
    pub(super) fn on_timeout(&mut self, now: Moment) -> Result<(), Ending> {
        guarded(|| self.dtls.handle_timeout(clock::instant(now)))
    }

    /// Takes plaintext of at most [`MAX_PLAINTEXT`] bytes for the client.
    pub(super) fn send(&mut self, plaintext: &[u8]) -> Result<(), Ending> {
        guarded(|| self.dtls.send_application_data(plaintext).map(drop))
    }

    /// Says goodbye, if the client is known so far.
    pub(super) fn close(&mut self) -> Result<(), Ending> {
        guarded(|| self.dtls.close())
    }

    /// What the session wants next. After each of the calls above ask until it is [`Step::Wait`].
    pub(super) fn poll(&mut self, now: Moment, room: &mut [u8]) -> Result<Step, Ending> {
        guarded(|| {
            loop {
                return Ok(match self.dtls.poll_output(room) {
                    Output::Packet(record) => Step::Send(record.len()),
                    Output::ApplicationData(data) => Step::Plaintext(data.len()),
                    Output::Connected => Step::Connected,
                    Output::CloseNotify => Step::Closed,
                    Output::Timeout(at) => Step::Wait(moment(at, now)),
                    // All that is held back fits into the room of a largest datagram.
                    Output::BufferTooSmall { needed: _ } => return Err(Error::ReceiveQueueFull),
                    // No certificate is asked of clients and no key is exported; dimpl may learn to say more.
                    _ => continue,
                });
            }
        })
    }
}

/// A timer that is not set.
pub(super) const NEVER: Moment = Moment::from_origin(Duration::MAX);

fn moment(at: Instant, now: Moment) -> Moment {
    now.plus(at.saturating_duration_since(clock::instant(now)))
}

/// dimpl is young and reads what strangers send. A panic in there ends one session and not the worker.
fn guarded<T>(call: impl FnOnce() -> Result<T, Error>) -> Result<T, Ending> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Error::Timeout(_))) => Err(Ending::TimedOut),
        Ok(Err(error)) => {
            tracing::debug!(?error, "a DTLS session failed");
            Err(Ending::Failed)
        }
        Err(_) => Err(Ending::Failed),
    }
}
