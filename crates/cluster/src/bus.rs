//! What every Bus offers.

use causeway_protocol::bus::BusMessage;
use tokio::sync::mpsc;

/// What a message is about; subscribers choose by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// [`BusMessage::RelayUsage`]: relays to whoever shows it.
    RelayUsage,
    /// [`BusMessage::RelayOrder`] and [`BusMessage::RoomLimits`]: rooms and admins to every relay.
    RelayOrders,
    /// [`BusMessage::RoomAddresses`]: relays and signaling to every relay.
    RoomAddresses,
    /// [`BusMessage::RoomQuery`]: relays to whoever sends the former.
    RoomQueries,
    /// [`BusMessage::RelayNode`]: relays to relays.
    RelayNodes,
}

impl Topic {
    /// Every topic.
    pub const ALL: &[Self] =
        &[Self::RelayUsage, Self::RelayOrders, Self::RoomAddresses, Self::RoomQueries, Self::RelayNodes];

    /// The topic that a message belongs to.
    #[must_use]
    pub const fn of(message: &BusMessage) -> Self {
        match message {
            BusMessage::RelayUsage(_) => Self::RelayUsage,
            BusMessage::RelayOrder(_) | BusMessage::RoomLimits(_) => Self::RelayOrders,
            BusMessage::RoomAddresses(_) => Self::RoomAddresses,
            BusMessage::RoomQuery(_) => Self::RoomQueries,
            BusMessage::RelayNode(_) => Self::RelayNodes,
        }
    }
}

/// Why a message did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The way out is full; the message is lost.
    #[error("the bus is congested; the message was dropped")]
    Congested,
    /// There is no way out now; the message is lost for other processes.
    #[error("the bus is not connected; the message was dropped")]
    Disconnected,
}

/// What a subscriber receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Message(BusMessage),
    /// Messages were lost, not necessarily right here: whoever keeps state asks for it again.
    Gap,
}

/// A way to reach all other processes, and oneself.
pub trait Bus: Send + Sync + 'static {
    /// Sends to every subscriber of the message's topic, in this process and elsewhere. Never blocks.
    ///
    /// # Errors
    /// [`PublishError`]: the message is lost.
    fn publish(&self, message: BusMessage) -> Result<(), PublishError>;

    /// Everything about `topic` that is published from now on.
    fn subscribe(&self, topic: Topic) -> Subscription;
}

/// A bounded queue of deliveries. Dropping it unsubscribes.
pub struct Subscription {
    pub(crate) queue: mpsc::Receiver<Delivery>,
    pub(crate) lost: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Subscription {
    /// The next delivery; `None` after the Bus is gone. Cancel safe: a delivery is lost only with the
    /// subscription.
    pub async fn next(&mut self) -> Option<Delivery> {
        if self.lost.swap(false, std::sync::atomic::Ordering::AcqRel) {
            return Some(Delivery::Gap);
        }
        self.queue.recv().await
    }
}
