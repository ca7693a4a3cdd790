//! STUN and TURN codec: borrows what it decodes, writes into the caller's buffer, allocates nothing.
//!
//! ```
//! use causeway_stun::attributes::{Software, XorMappedAddress};
//! use causeway_stun::{Class, Message, MessageWriter, Method, TransactionId};
//!
//! let mut buffer = [0; 128];
//! let mut writer = MessageWriter::new(&mut buffer, Class::Success, Method::Binding, TransactionId([7; 12]))?;
//! writer.put(&XorMappedAddress("192.0.2.1:32853".parse()?))?;
//! writer.put(&Software::new("example")?)?;
//! writer.put_fingerprint()?;
//! let length = writer.finish();
//!
//! let message = Message::decode(buffer.get(..length).unwrap_or_default())?;
//! assert_eq!(message.fingerprint(), Ok(()));
//! assert_eq!(message.get::<XorMappedAddress>()?, Some(XorMappedAddress("192.0.2.1:32853".parse()?)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it covers
//!
//! RFC 8489 (STUN), 8656 (TURN), 6062 (TURN-TCP), 8016 (mobility), 5780 (NAT behaviour discovery), 7635
//! (third-party authorization) and the four attributes of RFC 8445 (ICE). RFC 3489's messages without a magic
//! cookie are refused.
//!
//! # How it is used
//!
//! [`classify`] tells STUN from ChannelData by the first byte. [`Message::decode`] checks a datagram's whole framing
//! once; everything after it is lookup. Attribute *values* are decoded only when asked for ([`Message::get`]), so a
//! malformed attribute that nobody reads costs nothing. On a byte stream, [`Frame::at_start`] says how long the next
//! message is.
//!
//! # What it does not do
//!
//! No sockets, no clock, no randomness, no transactions, no policy: which attributes a method needs and what to
//! answer belong to its callers.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod attribute;
pub mod attributes;
mod channel_data;
mod fingerprint;
mod framing;
pub mod fuzzing;
mod header;
mod integrity;
mod key;
mod message;
mod nonce_cookie;
#[cfg(test)]
mod testing;
mod unknown;
mod writer;

pub use attribute::{Attribute, AttributeError, AttributeType, Attributes, Encode, RawAttribute};
pub use channel_data::{ChannelData, ChannelDataError, ChannelNumber};
pub use fingerprint::FingerprintError;
pub use framing::{Frame, Kind, classify};
pub use header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId};
pub use integrity::IntegrityError;
pub use key::IntegrityKey;
pub use message::{DecodeError, Message};
pub use nonce_cookie::SecurityFeatures;
pub use unknown::UnknownAttributes;
pub use writer::{EncodeError, MessageWriter, ValueWriter};
