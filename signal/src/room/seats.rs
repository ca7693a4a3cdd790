//! The sockets of this node that are in one room.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytestring::ByteString;
use causeway_protocol::message::{Greeting, Pass, Position, ServerMessage};
use causeway_protocol::{CloseCode, Now, PeerId, RoomId, UnixSeconds};
use causeway_signal_core::{Announce, SessionId};

use super::desk::Desk;
use crate::farewell::Farewell;
use crate::ice::IceUrls;
use crate::outbox::{Frame, Full, Outbox};
use crate::state::Signal;
use crate::text;
use crate::whereabouts;

/// The way to one socket that is in the room.
pub(crate) struct Seat {
    pub(crate) outbox: Outbox,
    pub(crate) ice_urls: Arc<IceUrls>,
    pub(crate) peer: PeerId,
    /// Where we see the socket.
    pub(crate) seen_at: IpAddr,
    /// Once it has been greeted.
    pub(crate) stay: Option<Stay>,
}

/// What this node knows of a member's stay.
pub(crate) struct Stay {
    /// What it may come back with.
    pass: Pass,
    /// The last event that it was sent.
    position: Position,
    /// How many of its messages have been passed on.
    received: u64,
}

/// A seat that is dropped without a word belonged to a room that panicked.
impl Drop for Seat {
    fn drop(&mut self) {
        self.outbox.close(Farewell::Say(CloseCode::Internal));
    }
}

/// All seats of one room on this node. Relays hear of each where it is.
pub(crate) struct Seats {
    signal: Arc<Signal>,
    room: RoomId,
    /// Boxed: a table is mostly empty, and most are of small rooms.
    seats: HashMap<SessionId, Box<Seat>>,
}

impl Seats {
    pub(crate) fn new(signal: Arc<Signal>, room: RoomId) -> Self {
        Self { signal, room, seats: HashMap::new() }
    }

    pub(crate) fn give(&mut self, session: SessionId, seat: Seat) {
        self.seats.insert(session, Box::new(seat));
    }

    pub(crate) fn of(&self, session: SessionId) -> Option<&Seat> {
        self.seats.get(&session).map(|seat| &**seat)
    }

    /// `None`: no such seat here.
    pub(crate) fn push(
        &mut self,
        session: SessionId,
        seq: Option<u64>,
        text: ByteString,
    ) -> Option<Result<(), Full>> {
        let seat = self.seats.get_mut(&session)?;
        if let (Some(seq), Some(stay)) = (seq, &mut seat.stay) {
            stay.position.seq = seq;
        }
        Some(seat.outbox.push(Frame::Text(text)))
    }

    /// Greets a socket with ICE servers and a resume token. `None`: no such seat here, or any more.
    pub(crate) fn greet(
        &mut self,
        session: SessionId,
        pass: Pass,
        greeting: Greeting,
        room_ends: UnixSeconds,
        desk: &Desk,
        now: Now,
    ) -> Option<Result<(), Full>> {
        let seat = self.seats.get_mut(&session)?;
        // What a socket that stands says meanwhile crosses the greeting: its own node has counted it.
        let standing = seat.stay.as_ref().map(|stay| stay.received);
        let received = standing.or(greeting.received()).unwrap_or_default();
        seat.stay = Some(Stay { pass: pass.clone(), position: greeting.position(), received });
        match desk.greet(pass, greeting, &seat.ice_urls, room_ends, now) {
            Ok(message) => Some(seat.outbox.push(Frame::Text(text::of(&message)))),
            Err(error) => {
                tracing::error!(room = %self.room, %error, "no relay credential");
                self.close(session, CloseCode::Internal);
                None
            }
        }
    }

    /// The answer to `refresh-ice` of a socket that was greeted.
    pub(crate) fn fresh_ice(
        &self,
        session: SessionId,
        room_ends: UnixSeconds,
        desk: &Desk,
        now: Now,
    ) -> Option<ServerMessage> {
        let seat = self.seats.get(&session)?;
        let stay = seat.stay.as_ref()?;
        Some(desk.fresh_ice(&stay.pass, &seat.ice_urls, room_ends, now))
    }

    /// A message of a socket has been passed on.
    pub(crate) fn count(&mut self, session: SessionId) {
        if let Some(stay) = self.seats.get_mut(&session).and_then(|seat| seat.stay.as_mut()) {
            stay.received += 1;
        }
    }

    fn each(&self) -> impl Iterator<Item = (&SessionId, &Seat)> {
        self.seats.iter().map(|(session, seat)| (session, &**seat))
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.seats.keys().copied()
    }

    /// Sockets that no owner has greeted yet.
    pub(crate) fn not_greeted(&self) -> Vec<SessionId> {
        self.seats.iter().filter(|(_, seat)| seat.stay.is_none()).map(|(session, _)| *session).collect()
    }

    /// What this node knows of each socket that was greeted.
    pub(crate) fn announcements(&self) -> Vec<Announce> {
        let announce = |(session, seat): (&SessionId, &Seat)| {
            let stay = seat.stay.as_ref()?;
            Some(Announce {
                session: *session,
                pass: stay.pass.clone(),
                position: stay.position,
                received: stay.received,
            })
        };
        self.each().filter_map(announce).collect()
    }

    /// Tells all sockets.
    pub(crate) fn tell_all(&mut self, message: &ServerMessage) -> Vec<SessionId> {
        let text = text::of(message);
        let full = |(session, seat): (&SessionId, &Seat)| {
            seat.outbox.push(Frame::Text(text.clone())).is_err().then_some(*session)
        };
        self.each().filter_map(full).collect()
    }

    /// Takes a seat away. Its peer may have taken another meanwhile.
    pub(crate) fn vacate(&mut self, session: SessionId) -> Option<Box<Seat>> {
        let seat = self.seats.remove(&session)?;
        let peer = &seat.peer;
        let other = self.seats.values().find(|other| other.peer == *peer).map(|other| other.seen_at);
        whereabouts::tell(&self.signal, &self.room, peer, other);
        Some(seat)
    }

    /// Ends the socket after what it was sent, with this code.
    pub(crate) fn close(&mut self, session: SessionId, code: CloseCode) {
        if let Some(seat) = self.vacate(session) {
            seat.outbox.close(Farewell::Say(code));
        }
    }

    /// Ends all sockets.
    pub(crate) fn close_all(&mut self, code: CloseCode) {
        let sessions: Vec<_> = self.seats.keys().copied().collect();
        for session in sessions {
            self.close(session, code);
        }
    }

    /// Tells relays where the member of this seat is.
    pub(crate) fn tell_whereabouts_of(&self, session: SessionId) {
        if let Some(seat) = self.seats.get(&session) {
            whereabouts::tell(&self.signal, &self.room, &seat.peer, Some(seat.seen_at));
        }
    }

    /// Tells relays where every member is.
    pub(crate) fn tell_whereabouts(&self) {
        for seat in self.seats.values() {
            whereabouts::tell(&self.signal, &self.room, &seat.peer, Some(seat.seen_at));
        }
    }
}
