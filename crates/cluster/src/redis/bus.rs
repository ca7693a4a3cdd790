//! The Bus over Redis: one channel for each topic, and the subscribers of this process at its end.
//!
//! A message is `version · tag · JSON`, sealed like the letters between nodes, with the secret that rooms and relays share. A receiver
//! takes each sender's messages in their order, once, and none whose date is far from its own: nobody can replay what
//! was true yesterday.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use causeway_protocol::bus::BusMessage;
use causeway_protocol::secret::{Purpose, Secret};
use causeway_protocol::{NodeId, UnixSeconds};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Redis;
use super::keys;
use super::listener::Heard;
use crate::bus::{Bus, PublishError, Subscription, Topic};
use crate::memory::MemoryBus;
use crate::metrics::{self, Refused};
use crate::seal::{self, TAG};

const VERSION: u8 = 1;
/// Messages that wait to leave. A guess: some seconds of a busy relay's reports.
const MOST_WAITING: usize = 4096;
/// Messages that leave with one command.
const AT_ONCE: usize = 256;
/// How far a sender's wall clock may be from ours in seconds, and how long a message may take.
const TOLERATED: u64 = 120;
/// Senders that are remembered; those that said nothing for long are forgotten first.
const MOST_SENDERS: usize = 4096;

#[derive(Serialize)]
struct Outgoing<'a> {
    from: &'a NodeId,
    number: u64,
    sent: UnixSeconds,
    message: &'a BusMessage,
}

#[derive(Deserialize)]
struct Incoming {
    from: NodeId,
    number: u64,
    sent: UnixSeconds,
    message: serde_json::Value,
}

/// Joins processes over Redis. What is published reaches this process's own subscribers without it.
pub struct RedisBus {
    redis: Arc<Redis>,
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<(String, Bytes)>,
    task: AbortHandle,
    topics: Mutex<Vec<Topic>>,
}

struct Shared {
    node: NodeId,
    key: Secret,
    local: MemoryBus,
    number: AtomicU64,
    /// By sender and topic: the highest number, and when it was sent.
    heard: Mutex<HashMap<(NodeId, Topic), (u64, UnixSeconds)>>,
}

impl RedisBus {
    /// Publishes and subscribes over `redis`. `secret` is what rooms and relays share. Wants a tokio runtime around it.
    #[must_use]
    pub fn new(redis: Arc<Redis>, secret: &Secret) -> Arc<Self> {
        let (outgoing, waiting) = mpsc::channel(MOST_WAITING);
        let shared = Arc::new(Shared {
            node: redis.node.clone(),
            key: secret.derive(Purpose::Bus),
            local: MemoryBus::new(),
            number: AtomicU64::new(0),
            heard: Mutex::default(),
        });
        let task = tokio::spawn(send(Arc::clone(&redis), waiting)).abort_handle();
        Arc::new(Self { redis, shared, outgoing, task, topics: Mutex::default() })
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(redis: Arc<Redis>, mut waiting: mpsc::Receiver<(String, Bytes)>) {
    let mut messages = Vec::with_capacity(AT_ONCE);
    while waiting.recv_many(&mut messages, AT_ONCE).await > 0 {
        match redis.commands.publish(&messages).await {
            Ok(()) => metrics::sent(messages.len()),
            // Whoever listens loses its connection as well, and asks for what it needs when it is back.
            Err(error) => tracing::debug!(%error, messages = messages.len(), "lost on the way to Redis"),
        }
        messages.clear();
    }
}

impl Bus for RedisBus {
    fn publish(&self, message: BusMessage) -> Result<(), PublishError> {
        let topic = Topic::of(&message);
        let sealed = self.shared.seal(topic, &message, (self.redis.clock)().unix);
        self.shared.local.publish(message)?;
        if !*self.redis.listening().borrow() {
            return Err(PublishError::Disconnected);
        }
        self.outgoing.try_send((keys::bus(topic), sealed)).map_err(|_full| PublishError::Congested)
    }

    fn subscribe(&self, topic: Topic) -> Subscription {
        let subscription = self.shared.local.subscribe(topic);
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if !topics.contains(&topic) {
            topics.push(topic);
            let shared = Arc::downgrade(&self.shared);
            let clock = Arc::clone(&self.redis.clock);
            let ear = Arc::new(move |heard| {
                let Some(shared) = shared.upgrade() else { return };
                match heard {
                    Heard::Message(bytes) => match shared.on_message(topic, &bytes, clock().unix) {
                        Ok(()) => metrics::received(),
                        Err(None) => {}
                        Err(Some(reason)) => metrics::refused(reason),
                    },
                    Heard::Interrupted => shared.local.gap(topic),
                }
            });
            let listens = self.redis.listener.listen(keys::bus(topic), ear);
            debug_assert!(listens, "there are more places than topics");
        }
        subscription
    }
}

impl Shared {
    fn seal(&self, topic: Topic, message: &BusMessage, sent: UnixSeconds) -> Bytes {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let outgoing = Outgoing { from: &self.node, number, sent, message };
        let json = serde_json::to_vec(&outgoing).expect("messages are plain JSON");
        let mut bytes = BytesMut::with_capacity(1 + TAG + json.len());
        bytes.put_u8(VERSION);
        bytes.put_slice(&seal::tag(&self.key, &[&[VERSION], keys::bus(topic).as_bytes(), &json]));
        bytes.put_slice(&json);
        bytes.freeze()
    }

    /// Hands a message on; `Err(None)`: it is this process's own.
    fn on_message(&self, topic: Topic, bytes: &Bytes, now: UnixSeconds) -> Result<(), Option<Refused>> {
        let Some((&[VERSION], rest)) = bytes.split_first_chunk::<1>() else {
            return Err(Some(Refused::Malformed));
        };
        let Some((tag, json)) = rest.split_first_chunk::<TAG>() else { return Err(Some(Refused::Malformed)) };
        if !seal::is_tag(&self.key, &[&[VERSION], keys::bus(topic).as_bytes(), json], tag) {
            return Err(Some(Refused::Forged));
        }
        let Ok(incoming) = serde_json::from_slice::<Incoming>(json) else {
            return Err(Some(Refused::Malformed));
        };
        if incoming.from == self.node {
            return Err(None);
        }
        self.remember(topic, &incoming, now)?;
        // Old and new processes run side by side during a deploy.
        let Ok(message) = serde_json::from_value(incoming.message) else {
            return Err(Some(Refused::Unknown));
        };
        // Here nothing is lost on the way; whoever is too slow is told so.
        self.local.publish(message).map_err(|_lost| Some(Refused::Full))
    }

    fn remember(&self, topic: Topic, incoming: &Incoming, now: UnixSeconds) -> Result<(), Refused> {
        if incoming.sent.since(now).max(now.since(incoming.sent)) > TOLERATED {
            return Err(Refused::Stale);
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (incoming.from.clone(), topic);
        if heard.get(&key).is_some_and(|(number, _)| *number >= incoming.number) {
            return Err(Refused::Stale);
        }
        if heard.len() >= MOST_SENDERS {
            // What they said is too old to be taken again.
            heard.retain(|_, (_, sent)| now.since(*sent) <= 2 * TOLERATED);
            if heard.len() >= MOST_SENDERS {
                return Err(Refused::Full);
            }
        }
        heard.insert(key, (incoming.number, incoming.sent));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use causeway_protocol::bus::RoomQuery;

    use super::*;
    use crate::bus::Delivery;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[tokio::test]
    async fn a_message_is_taken_once() {
        let (alice, bob) = (shared("a"), shared("b"));
        let mut heard = bob.local.subscribe(Topic::RoomQueries);
        let sealed = alice.seal(Topic::RoomQueries, &query(), NOW);
        assert_eq!(bob.on_message(Topic::RoomQueries, &sealed, NOW), Ok(()));
        assert_eq!(heard.next().await, Some(Delivery::Message(query())));
        assert_eq!(bob.on_message(Topic::RoomQueries, &sealed, NOW), Err(Some(Refused::Stale)));
        assert_eq!(alice.on_message(Topic::RoomQueries, &sealed, NOW), Err(None), "its own");
    }

    #[test]
    fn what_a_hostile_writer_publishes_is_refused() {
        let (alice, bob, eve) =
            (shared("a"), shared("b"), Shared { key: Secret::from_bytes([9; 32]), ..shared("a") });
        let topic = Topic::RelayOrders;
        let refused = |bytes: &[u8], now| bob.on_message(topic, &Bytes::copy_from_slice(bytes), now);
        for garbage in [&b""[..], b"\x01", b"\x02 of another version, long enough", b"{}"] {
            assert_eq!(refused(garbage, NOW), Err(Some(Refused::Malformed)), "{garbage:?}");
        }
        assert_eq!(refused(&eve.seal(topic, &query(), NOW), NOW), Err(Some(Refused::Forged)));
        let other_topic = alice.seal(Topic::RoomQueries, &query(), NOW);
        assert_eq!(refused(&other_topic, NOW), Err(Some(Refused::Forged)), "moved from its channel");
        let yesterday = alice.seal(topic, &query(), UnixSeconds(NOW.0 - 86_400));
        assert_eq!(refused(&yesterday, NOW), Err(Some(Refused::Stale)));
    }

    #[test]
    fn clocks_may_be_half_a_minute_apart() {
        let (alice, bob) = (shared("a"), shared("b"));
        for now in [NOW.plus(30), UnixSeconds(NOW.0 - 30)] {
            let sealed = alice.seal(Topic::RoomQueries, &query(), NOW);
            assert_eq!(bob.on_message(Topic::RoomQueries, &sealed, now), Ok(()));
        }
    }

    fn shared(node: &str) -> Shared {
        Shared {
            node: node.parse().unwrap(),
            key: Secret::from_bytes([7; 32]),
            local: MemoryBus::new(),
            number: AtomicU64::new(0),
            heard: Mutex::default(),
        }
    }

    fn query() -> BusMessage {
        BusMessage::RoomQuery(RoomQuery { room: "kitchen".parse().unwrap() })
    }
}
