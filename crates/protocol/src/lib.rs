//! What two Causeway processes, or a process and a browser, must agree on.
//!
//! Pure: no clock, no socket, no runtime. Randomness and time are passed in. Every message has a JSON
//! fixture under `fixtures/` that this crate's tests and `@causeway/client` both read.

#![forbid(unsafe_code)]

pub mod bus;
pub mod code;
mod epoch;
pub mod ids;
pub mod message;
mod network;
pub mod node;
pub mod record;
pub mod rest;
pub mod secret;
pub mod time;
pub mod token;

pub use code::{CloseCode, ErrorCode};
pub use epoch::Epoch;
pub use ids::{NodeId, PeerId, RoomId};
pub use network::{Network, NetworkError};
pub use time::{Moment, Now, UnixSeconds};

/// The version of the signaling protocol: the WebSocket subprotocol is `causeway.v1`.
pub const PROTOCOL_VERSION: u16 = 1;

/// The WebSocket subprotocol that a client asks for and the server confirms.
pub const SUBPROTOCOL: &str = "causeway.v1";

/// A client may send its join token as a second subprotocol with this prefix instead of in `hello`:
/// browsers cannot set headers on a WebSocket, and a token in a URL ends up in logs.
pub const TOKEN_SUBPROTOCOL_PREFIX: &str = "causeway.token.";
