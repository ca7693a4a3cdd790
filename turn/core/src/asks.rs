//! Requests for peers that are not known to belong to the room, and may be in a moment.
//!
//! Two peers allocate at about the same time on two nodes, and one may ask for the other before its own relay has heard
//! of it. Such a request waits: it is answered as soon as the room's addresses say so, or refused when its time is over.
//! Its retransmissions find it waiting; over TCP there are none, so the answer has to come by itself.

use std::collections::VecDeque;
use std::time::Duration;

use causeway_protocol::{Moment, Now};
use causeway_stun::{Message, TransactionId};

use crate::address::ClientAddr;
use crate::auth::check::Authenticated;
use crate::counters::RequestMethod;
use crate::dropped::DropReason;
use crate::relay::Relay;
use crate::reply::Answer;
use crate::request::{Outcome, Refusal, Request};
use crate::rooms::RoomPeers;

/// How long a request waits. Design: longer than it takes an address to cross the Bus, shorter than ICE's patience.
const WAIT: Duration = Duration::from_secs(2);
/// Requests that wait at a time; a guess: a hundred browsers that begin at once on a node that knows nothing yet.
const ASKS: usize = 1024;
/// Requests of one client that wait at a time, so that none takes it all; a guess: a browser's candidates of one call.
const ASKS_PER_CLIENT: usize = 32;
/// A longer request is dropped, and has to be sent again. The longest that clients send have 508 bytes of username and
/// a handful of peers.
const MAX_LENGTH: usize = 1400;

/// A request that waits.
#[derive(Debug)]
struct Ask {
    deadline: Moment,
    /// The room's number among [`Rooms`](crate::rooms::Rooms).
    room: u32,
    from: ClientAddr,
    transaction: TransactionId,
    method: RequestMethod,
    answer: Answer,
    sender: Authenticated,
    request: Box<[u8]>,
}

/// The requests that wait, first come, first over.
#[derive(Debug, Default)]
pub(crate) struct Asks(VecDeque<Ask>);

impl Asks {
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.0.front().map(|ask| ask.deadline)
    }

    /// Nobody is left to answer.
    pub(crate) fn forget(&mut self, client: ClientAddr) {
        self.0.retain(|ask| ask.from != client);
    }

    fn has(&self, from: ClientAddr, transaction: TransactionId) -> bool {
        self.0.iter().any(|ask| ask.from == from && ask.transaction == transaction)
    }

    fn is_full(&self, from: ClientAddr) -> bool {
        self.0.len() >= ASKS || self.0.iter().filter(|ask| ask.from == from).count() >= ASKS_PER_CLIENT
    }

    fn pop_due(&mut self, now: Moment) -> Option<Ask> {
        self.0.front().filter(|ask| ask.deadline <= now)?;
        self.0.pop_front()
    }

    fn take_of(&mut self, room: u32) -> VecDeque<Ask> {
        let (taken, rest) = std::mem::take(&mut self.0).into_iter().partition(|ask| ask.room == room);
        self.0 = rest;
        taken
    }
}

impl Relay {
    /// Keeps a request that cannot be answered yet.
    pub(crate) fn wait(
        &mut self,
        method: RequestMethod,
        request: &Request<'_>,
        sender: &Authenticated,
        room: u32,
    ) -> Result<(), DropReason> {
        let transaction = request.message.transaction_id();
        if self.asks.has(request.from, transaction) {
            return Ok(());
        }
        let bytes = request.message.as_bytes();
        if self.asks.is_full(request.from) || bytes.len() > MAX_LENGTH {
            return Err(DropReason::TooManyAsks);
        }
        self.asks.0.push_back(Ask {
            deadline: request.now.moment.plus(WAIT),
            room,
            from: request.from,
            transaction,
            method,
            answer: request.answer,
            sender: sender.clone(),
            request: bytes.into(),
        });
        Ok(())
    }

    /// The control plane's word about a room: whoever waits for it may have an answer.
    pub(crate) fn on_room_peers(&mut self, now: Now, peers: RoomPeers) {
        let Some(room) = self.rooms.update(peers) else { return };
        for ask in self.asks.take_of(room) {
            if let Some(ask) = self.ask_again(now, ask) {
                self.asks.0.push_back(ask);
            }
        }
        // Those that were asked again went to the end.
        self.asks.0.make_contiguous().sort_by_key(|ask| ask.deadline);
    }

    /// Refuses what has waited long enough.
    pub(crate) fn refuse_overdue(&mut self, now: Now) {
        while let Some(ask) = self.asks.pop_due(now.moment) {
            if let Some(ask) = self.ask_again(now, ask) {
                self.deny_unknown_peers(now, &ask);
                let refused =
                    self.refuse(ask.from, now, &ask.answer, ask.sender.answer_seal(), &Refusal::Forbidden);
                self.settle(refused);
            }
        }
    }

    /// Handles a request as if it came now; gives it back if it still cannot be answered.
    fn ask_again(&mut self, now: Now, ask: Ask) -> Option<Ask> {
        let message = Message::decode(&ask.request).ok()?;
        let request = Request { message, from: ask.from, now, answer: ask.answer };
        let outcome = self.handle(ask.method, &request, &ask.sender);
        if matches!(outcome, Ok(Outcome::AfterRoom(_))) {
            return Some(ask);
        }
        let finished = self.finish(&request, ask.sender.answer_seal(), &outcome);
        self.settle(finished.map(|_handled| ()));
        None
    }

    fn deny_unknown_peers(&mut self, now: Now, ask: &Ask) {
        let Ok(message) = Message::decode(&ask.request) else { return };
        self.deny_peers_outside(now, ask.from, &message);
    }
}
