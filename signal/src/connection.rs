//! The connection of one WebSocket, from the end of its opening handshake to its end. It begins on the HTTP thread that accepted
//! it, and goes on on the thread of its room as soon as it is known which room that is: what its client says, and what it hears,
//! then wakes no other thread.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::farewell::Farewell;
use crate::ice::IceUrls;
use crate::outbox::{Writer, outbox};
use crate::room::Enter;
use crate::session::{Entry, Sent, Session};
use crate::slots::Slot;
use crate::socket::Place;
use crate::state::Signal;
use crate::{metrics, socket};

/// A WebSocket that is about to open.
pub(crate) struct Opening {
    pub(crate) signal: Arc<Signal>,
    pub(crate) slot: Slot,
    pub(crate) ice_urls: IceUrls,
    /// Where we see the client.
    pub(crate) seen_at: IpAddr,
    /// The join token, if the handshake brought it.
    pub(crate) token: Option<String>,
}

/// The session, what writes for it, and the connection below both.
struct Connection {
    session: Session,
    writer: Writer,
    stream: TcpStream,
    /// Until the session is over.
    slot: Option<Slot>,
    /// Until the connection is gone.
    place: Place,
}

impl Opening {
    /// The handshake is over. `early` came together with it.
    pub(crate) fn begin(self, stream: TcpStream, early: &[u8], place: Place) {
        let Self { signal, slot, ice_urls, seen_at, token } = self;
        let settings = signal.settings();
        let (outbox, writer) = outbox(&settings.limits, &settings.timing);
        let session = Session::new(signal, outbox, ice_urls, seen_at, early);
        let connection = Connection { session, writer, stream, slot: Some(slot), place };
        actix_web::rt::spawn(Box::new(connection).at_the_door(token));
    }
}

impl Connection {
    /// Until there is a genuine token, or none will come.
    async fn at_the_door(mut self: Box<Self>, token: Option<String>) {
        let Self { session, writer, stream, .. } = &mut *self;
        let knocked = tokio::select! {
            biased;
            entry = session.knock(token, stream) => entry.ok_or(None),
            farewell = writer.run(stream) => Err(Some(farewell)),
        };
        match knocked {
            Ok(entry) => self.move_in(entry),
            Err(written) => self.part(written).await,
        }
    }

    /// Goes on on the room's thread.
    fn move_in(self: Box<Self>, entry: Entry) {
        let Self { session, writer, stream, slot, place } = *self;
        let Ok(stream) = stream.into_std() else { return };
        let (signal, room) = (session.signal(), entry.room_id().clone());
        let moved = signal.rooms.spawn_with(&room, move || match TcpStream::from_std(stream) {
            Ok(stream) => {
                let mut connection = Box::new(Self { session, writer, stream, slot, place });
                let entering = connection.session.enter(entry);
                actix::spawn(connection.inside(entering));
            }
            Err(error) => tracing::warn!(%error, "a connection could not be moved to its room's thread"),
        });
        if !moved {
            tracing::debug!(%room, "a connection came when its room's thread had ended");
        }
    }

    async fn inside(mut self: Box<Self>, entering: Sent<Enter>) {
        let Self { session, writer, stream, .. } = &mut *self;
        let written = tokio::select! {
            biased;
            () = session.stay(entering, stream) => None,
            farewell = writer.run(stream) => Some(farewell),
        };
        // Boxed: what a connection needs at its end it does not carry all the time.
        Box::pin(self.part(written)).await;
    }

    /// The end: the client hears of it, if that is still to be `written`, and the room.
    async fn part(&mut self, written: Option<Farewell>) {
        let Self { session, writer, stream, slot, place: _ } = self;
        let farewell = match written {
            Some(farewell) => farewell,
            None => {
                session.hang_up();
                writer.run(stream).await
            }
        };
        session.leave(farewell);
        metrics::closed(farewell.label());
        tracing::debug!(reason = farewell.label(), "session ended");
        *slot = None;
        let linger = Duration::from_millis(session.signal().settings().timing.linger_ms);
        socket::part(stream, linger).await;
    }
}
