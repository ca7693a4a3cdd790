//! The Bus: how the processes of one installation tell one another things.
//!
//! [`MemoryBus`] joins the parts of one process. A Bus loses messages rather than block or grow: a subscriber
//! that falls behind is told so by [`Delivery::Gap`] and asks again for what it needs.

#![forbid(unsafe_code)]

mod bus;
mod memory;

pub use bus::{Bus, Delivery, PublishError, Subscription, Topic};
pub use memory::MemoryBus;
