//! A member's life: it joins its room over HTTP on one node, stays over many sockets, and joins again when a stay is over.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_service::clock;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::book::{Book, Greeting, Violation};
use crate::doors::Doors;
use crate::http;
use crate::line::Line;
use crate::said::Stay;
use crate::socket::{Heard, Socket};
use crate::wire::{Message, Snapshot};

/// How long an attempt to join or to resume may take: less than a lease, so that a frozen node costs one attempt.
pub const ATTEMPT: Duration = Duration::from_secs(5);

/// What a member is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Say one thing to all and one to each.
    SayToEverybody,
    /// The socket ends, without a close frame.
    Break,
    /// The socket goes silent; the member comes back on another one, which has to displace it.
    GoSilent,
}

/// What a member has all its life.
pub struct Life {
    pub member: usize,
    pub room: String,
    pub book: Arc<Mutex<Book>>,
    pub doors: Arc<Doors>,
    /// The one node that it uses.
    pub home: Option<usize>,
    /// The node of the latest attempt.
    pub node: Option<usize>,
    pub random: StdRng,
    pub orders: mpsc::Receiver<Order>,
    /// Whether it talks by itself.
    pub talking: watch::Receiver<bool>,
}

/// Why a join did not succeed.
enum NotIn {
    RoomGone(String),
    Passing(String),
}

impl Life {
    /// Lives until the task is aborted.
    pub async fn live(mut self) {
        loop {
            let (socket, snapshot) = self.enter().await;
            Line::new(&mut self, &snapshot).hold(socket).await;
        }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// The node for the next attempt.
    pub fn pick(&mut self) -> usize {
        let node = self.home.unwrap_or_else(|| self.doors.another(self.node, &mut self.random));
        self.node = Some(node);
        node
    }

    async fn enter(&mut self) -> (Socket, Snapshot) {
        let mut backoff = Backoff::default();
        loop {
            backoff.wait(&mut self.random).await;
            let node = self.pick();
            let why = match timeout(ATTEMPT, self.try_to_enter(node)).await {
                Ok(Ok(entered)) => return entered,
                Ok(Err(NotIn::RoomGone(answer))) => {
                    self.book().find(now(), Violation::RoomGone { answer });
                    "the room is gone".to_owned()
                }
                Ok(Err(NotIn::Passing(why))) => why,
                Err(_elapsed) => "no answer in time".to_owned(),
            };
            self.book().note(now(), format_args!("member {} cannot join at node {node}: {why}", self.member));
        }
    }

    async fn try_to_enter(&mut self, node: usize) -> Result<(Socket, Snapshot), NotIn> {
        let door = self.doors.of(node);
        let path = format!("/api/v1/rooms/{}/join", self.room);
        let answer = http::post(door, &path, &json!({})).await;
        let answer = answer.map_err(|error| NotIn::Passing(error.to_string()))?;
        if answer.status == 404 {
            return Err(NotIn::RoomGone(format!("node {node} answered a join with {}", answer.body)));
        }
        let joined = answer.json();
        let (Some(token), Some(peer)) = (joined["token"].as_str(), joined["peer"].as_str()) else {
            return Err(NotIn::Passing(format!("{} {}", answer.status, answer.body)));
        };
        let mut socket = Socket::open(door, Some(token)).await.map_err(NotIn::Passing)?;
        let snapshot = match socket.next().await {
            Heard::Message(Message::Welcome { snapshot }) => snapshot,
            Heard::Message(other) => return Err(NotIn::Passing(format!("{other:?} instead of a welcome"))),
            Heard::Garbage(text) | Heard::Broken(text) => return Err(NotIn::Passing(text)),
            Heard::Closed(code @ (4404 | 4410)) => {
                return Err(NotIn::RoomGone(format!("node {node} closed with {code}")));
            }
            Heard::Closed(code) => return Err(NotIn::Passing(format!("closed with {code}"))),
        };
        if snapshot.peer != peer {
            return Err(NotIn::Passing(format!("welcomed as {} instead of {peer}", snapshot.peer)));
        }
        let Snapshot { epoch, seq, .. } = snapshot;
        let greeting = Greeting::Welcome { epoch, seq, peers: names(&snapshot) };
        self.book().greeted(now(), self.member, &Stay::from(peer), greeting);
        Ok((socket, snapshot))
    }
}

/// Who else is there.
pub fn names(snapshot: &Snapshot) -> std::collections::BTreeSet<Stay> {
    snapshot.peers.iter().map(|peer| peer.id.as_str().into()).collect()
}

pub fn now() -> Moment {
    clock::now().moment
}

/// Waits between attempts: none, then anything up to a bound that doubles. The bound is lower than that of
/// `@causeway/client`, because the test measures servers and not patience.
#[derive(Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub async fn wait(&mut self, random: &mut StdRng) {
        if self.attempts > 0 {
            let bound = 100 << self.attempts.min(4);
            sleep(Duration::from_millis(random.random_range(0..bound))).await;
        }
        self.attempts += 1;
    }
}
