//! The messages on the signaling WebSocket, one JSON object a text frame, told apart by `type`.

mod client;
mod server;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::TokenId;
use crate::token::{Grants, RoomRole};
use crate::{Epoch, PeerId, RoomId, UnixSeconds};

pub use client::ClientMessage;
pub use server::{EntryGrant, Greeting, ServerMessage};

/// The largest text message that is read, in bytes. An SDP with many candidates is 8 kB; this leaves room for
/// the worst seen, and is the frame limit too.
pub const MAX_MESSAGE_LEN: usize = 64 * 1024;

/// The longest key of a room's state, in bytes. A guess: a word with a peer's id behind it fits.
pub const MAX_STATE_KEY_LEN: usize = 64;
/// The longest value of a room's state, in bytes of JSON. A guess: state is small, or it belongs on a data channel.
pub const MAX_STATE_VALUE_LEN: usize = 8 * 1024;
/// Keys that a room's state has at most. A guess: two for each member of the largest room.
pub const MAX_STATE_KEYS: usize = 128;
/// Keys and values of a room's state together, in bytes. A snapshot of it has to fit into one message to everybody.
pub const MAX_STATE_LEN: usize = 64 * 1024;
/// The longest reason that a kick gives, in bytes. A guess: a sentence.
pub const MAX_REASON_LEN: usize = 256;

/// How far a client has come with a room's events: it has seen this one and everything before that was meant for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which owner of the room numbered what the client was greeted with.
    pub epoch: Epoch,
    /// The event's number.
    pub seq: u64,
}

/// How a room stands for one of its members: everything that the events up to `seq` led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The room.
    pub room: RoomId,
    /// Your own id.
    pub peer: PeerId,
    /// What you are in the room.
    pub role: RoomRole,
    /// Which owner numbers what follows.
    pub epoch: Epoch,
    /// The number of the latest event that this snapshot contains.
    pub seq: u64,
    /// Who else is there, those who are away for a moment too.
    pub peers: Vec<PeerInfo>,
    /// The room's state, in the order of its keys.
    pub state: Vec<StateEntry>,
    /// Whether nobody new comes in.
    pub locked: bool,
    /// Whether guests wait until a host admits them.
    pub lobby: bool,
    /// Who waits; for hosts alone, empty for others.
    pub waiting: Vec<Knocker>,
    /// When the room ends.
    pub expires_at: UnixSeconds,
}

/// One key of a room's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateEntry {
    /// Its name.
    pub key: String,
    /// What was set; passed on with the same meaning.
    pub value: Value,
    /// Who set it.
    pub by: PeerId,
    /// When it goes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixSeconds>,
}

/// Somebody who waits in the lobby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Knocker {
    /// The id that it will have in the room.
    pub id: PeerId,
    /// The name it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A member's right to come back: what its resume token says of it. Every greeting brings another token of the same series,
/// and a token older than one that was used is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Whose it is.
    #[serde(rename = "sub")]
    pub peer: PeerId,
    /// The name that the others see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the peer is in the room.
    pub role: RoomRole,
    /// What it may do there.
    #[serde(default, skip_serializing_if = "Grants::are_usual")]
    pub grants: Grants,
    /// The join token that the stay began with.
    #[serde(rename = "jti")]
    pub token: TokenId,
    /// The stay in the room, from one join to the end of it, over all its connections.
    pub series: TokenId,
    /// Counts the tokens of a series from 1.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// The token with which the count of `received` began anew; 0: it began with the stay. Who shows an older one has not heard
    /// that nobody knows how much of what it said before was taken, and is told again.
    #[serde(rename = "cnt", default, skip_serializing_if = "is_zero")]
    pub counted_from: u64,
    /// The event by which the peer joined: of two peers the one who came later is polite.
    #[serde(rename = "at")]
    pub joined: Position,
    /// The ownership of the room under which the token was given out. A node that is shown a later one than its own is not the
    /// owner any more.
    pub epoch: Epoch,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Another peer, seen from the receiver of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerInfo {
    /// Its id.
    pub id: PeerId,
    /// The name it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is in the room.
    pub role: RoomRole,
    /// How *you* behave towards it when offers collide.
    pub you_are: Politeness,
}

/// Who gives way in perfect negotiation (W3C WebRTC §10.7). Between two peers, one is each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Politeness {
    /// Gives way: rolls its own offer back. The one who came later.
    Polite,
    /// Ignores the colliding offer. The one who was there.
    Impolite,
}

/// Why a peer is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaveReason {
    /// It said so.
    Left,
    /// Its connection ended, and it did not come back in time.
    Disconnected,
    /// No sign of life.
    TimedOut,
    /// It read too slowly.
    Stalled,
    /// The server closed it for what it sent.
    Refused,
    /// It connected again; a `peer-joined` follows.
    Displaced,
    /// Somebody who may sent it away.
    Kicked,
}

/// The members of the browser's `RTCIceCandidateInit`, which keep their browser names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IceCandidate {
    /// The candidate line (RFC 8839 §5.1).
    pub candidate: String,
    /// The media section by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// The media section by index.
    #[serde(default, rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    pub sdp_m_line_index: Option<u16>,
    /// The ICE generation (RFC 8445 §5.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<String>,
}

/// The browser's `RTCIceServer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// The relay credential's username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The relay credential's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}
