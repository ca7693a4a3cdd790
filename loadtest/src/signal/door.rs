//! Gets each member its ticket. Ours are sold over HTTP, by a thread of its own, so that who waits for an answer there delays
//! no message; the others' are made up on the spot.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use mio::Waker;
use serde::Deserialize;
use serde_json::json;

use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::signal::dialect::{Dialect, Ticket};
use crate::signal::http::Client;

/// Members that may wait for a ticket: more than one address has ports.
const LONGEST_QUEUE: usize = 1 << 16;

/// A member wants in.
#[derive(Clone, Copy, Debug)]
struct Wish {
    member: u32,
    room: u32,
    node: usize,
}

/// A member's ticket, or why there is none.
pub(crate) struct Sold {
    pub(crate) member: u32,
    pub(crate) ticket: Result<Ticket, Failure>,
}

/// The way to tickets.
pub(crate) struct Door {
    dialect: Dialect,
    wishes: Option<SyncSender<Wish>>,
    sold: Receiver<Sold>,
    /// Of servers that sell nothing.
    made_up: VecDeque<Sold>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// `waker` is woken when a ticket is there. Rooms are made with room for `capacity` members.
    pub(crate) fn open(
        dialect: Dialect,
        nodes: &[SocketAddr],
        capacity: usize,
        cores: Cores,
        waker: &Arc<Waker>,
    ) -> Result<Self, Failure> {
        let (selling, sold) = sync_channel(LONGEST_QUEUE);
        let (wishes, thread) = match dialect {
            Dialect::PeerJs | Dialect::SocketIo => (None, None),
            Dialect::Causeway => {
                let (wishes, wished) = sync_channel(LONGEST_QUEUE);
                let seller = Seller {
                    nodes: nodes.iter().copied().map(Client::new).collect(),
                    rooms: HashMap::new(),
                    capacity,
                    sold: selling,
                    waker: Arc::clone(waker),
                };
                let thread = thread::Builder::new().name("door".to_owned()).spawn(move || {
                    // On a machine without that core it runs where it may.
                    let _ = cores.pin_receiver();
                    seller.run(&wished);
                });
                (Some(wishes), Some(thread.doing("starting a thread")?))
            }
        };
        Ok(Self { dialect, wishes, sold, made_up: VecDeque::new(), thread })
    }

    /// Asks for a ticket; [`Self::sold`] has it later.
    pub(crate) fn wish(&mut self, member: u32, room: u32, node: usize) -> Result<(), Failure> {
        match &self.wishes {
            Some(wishes) => match wishes.try_send(Wish { member, room, node }) {
                // A seller that is gone has left its last words in `sold`.
                Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
                Err(TrySendError::Full(_)) => Err(Failure::Usage("the server is too slow for so many joins")),
            },
            None => {
                let ticket = Ok(self.dialect.ticket(&format!("p{member}"), &format!("r{room}"), ""));
                self.made_up.push_back(Sold { member, ticket });
                Ok(())
            }
        }
    }

    /// The next ticket, if there is one.
    pub(crate) fn sold(&mut self) -> Option<Sold> {
        self.made_up.pop_front().or_else(|| self.sold.try_recv().ok())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.wishes = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the seller has been printed.
            let _ = thread.join();
        }
    }
}

/// Makes rooms and joins them.
struct Seller {
    nodes: Vec<Client>,
    /// Ids by number.
    rooms: HashMap<u32, String>,
    capacity: usize,
    sold: SyncSender<Sold>,
    waker: Arc<Waker>,
}

#[derive(Deserialize)]
struct RoomCreated {
    room: String,
}

#[derive(Deserialize)]
struct Joined {
    token: String,
    peer: String,
}

impl Seller {
    fn run(mut self, wishes: &Receiver<Wish>) {
        while let Ok(wish) = wishes.recv() {
            let ticket = self.sell(wish);
            let failed = ticket.is_err();
            let told = self.sold.send(Sold { member: wish.member, ticket }).is_ok();
            // Somebody who polls needs no waking.
            let _ = self.waker.wake();
            if failed || !told {
                return;
            }
        }
    }

    fn sell(&mut self, Wish { member: _, room, node }: Wish) -> Result<Ticket, Failure> {
        let node = self.nodes.get_mut(node).ok_or(Failure::Usage("a node that does not exist"))?;
        let id = match self.rooms.get(&room) {
            Some(id) => id,
            None => {
                let made: RoomCreated = node.post("/api/v1/rooms", &json!({"capacity": self.capacity}))?;
                self.rooms.entry(room).or_insert(made.room)
            }
        };
        let Joined { token, peer } = node.post(&format!("/api/v1/rooms/{id}/join"), &json!({}))?;
        Ok(Dialect::Causeway.ticket(&peer, id, &token))
    }
}
