//! The Bus within one process: no network, no serialization.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use causeway_protocol::bus::BusMessage;
use tokio::sync::mpsc;

use crate::bus::{Bus, Delivery, PublishError, Subscription, Topic};

/// Messages that wait for one subscriber. A guess: some seconds of usage reports of a busy relay.
const QUEUE: usize = 4096;

struct Subscriber {
    queue: mpsc::Sender<Delivery>,
    lost: Arc<AtomicBool>,
}

/// Joins the parts of one process: no network, no serialization. A slow subscriber loses messages and is told.
#[derive(Default)]
pub struct MemoryBus {
    subscribers: Mutex<HashMap<Topic, Vec<Subscriber>>>,
}

impl MemoryBus {
    /// A Bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl MemoryBus {
    /// Tells the subscribers of a topic that they have missed something.
    pub(crate) fn gap(&self, topic: Topic) {
        self.deliver(topic, &Delivery::Gap);
    }

    fn deliver(&self, topic: Topic, delivery: &Delivery) {
        let mut topics = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subscribers) = topics.get_mut(&topic) {
            subscribers.retain(|subscriber| match subscriber.queue.try_send(delivery.clone()) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    subscriber.lost.store(true, Ordering::Release);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            });
        }
    }
}

impl Bus for MemoryBus {
    fn publish(&self, message: BusMessage) -> Result<(), PublishError> {
        self.deliver(Topic::of(&message), &Delivery::Message(message));
        Ok(())
    }

    fn subscribe(&self, topic: Topic) -> Subscription {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let mut topics = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic).or_default().push(Subscriber { queue: sender, lost: Arc::clone(&lost) });
        Subscription { queue: receiver, lost }
    }
}

#[cfg(test)]
mod tests {
    use causeway_protocol::UnixSeconds;
    use causeway_protocol::bus::{RelayFacts, RelayOrder, RelayUsage, Revocation};

    use super::*;

    #[tokio::test]
    async fn every_subscriber_of_the_topic_gets_the_message_and_no_other() {
        let bus = MemoryBus::new();
        let (mut one, mut two) = (bus.subscribe(Topic::RelayOrders), bus.subscribe(Topic::RelayOrders));
        let mut other = bus.subscribe(Topic::RelayUsage);
        bus.publish(order()).unwrap();
        bus.publish(usage(7)).unwrap();
        assert_eq!(one.next().await, Some(Delivery::Message(order())));
        assert_eq!(two.next().await, Some(Delivery::Message(order())));
        assert_eq!(other.next().await, Some(Delivery::Message(usage(7))));
    }

    #[tokio::test]
    async fn a_subscriber_that_falls_behind_is_told_and_goes_on() {
        let bus = MemoryBus::new();
        let mut slow = bus.subscribe(Topic::RelayUsage);
        for sent in 0..=QUEUE as u64 {
            bus.publish(usage(sent)).unwrap();
        }
        assert_eq!(slow.next().await, Some(Delivery::Gap));
        assert_eq!(slow.next().await, Some(Delivery::Message(usage(0))));
    }

    #[tokio::test]
    async fn a_dropped_subscription_is_forgotten() {
        let bus = MemoryBus::new();
        drop(bus.subscribe(Topic::RelayOrders));
        bus.publish(order()).unwrap();
        assert!(bus.subscribers.lock().unwrap()[&Topic::RelayOrders].is_empty());
    }

    #[tokio::test]
    async fn the_subscription_ends_with_the_bus() {
        let bus = MemoryBus::new();
        let mut subscription = bus.subscribe(Topic::RelayOrders);
        drop(bus);
        assert_eq!(subscription.next().await, None);
    }

    fn order() -> BusMessage {
        BusMessage::RelayOrder(RelayOrder {
            revoke: Revocation::Room { room: "kitchen".parse().unwrap() },
            until: UnixSeconds(1_800_000_000),
        })
    }

    fn usage(sent_bytes: u64) -> BusMessage {
        BusMessage::RelayUsage(RelayUsage {
            node: "n".parse().unwrap(),
            room: "kitchen".parse().unwrap(),
            peer: "alice".parse().unwrap(),
            allocations: 1,
            sent_bytes,
            received_bytes: 0,
            facts: RelayFacts::default(),
        })
    }
}
