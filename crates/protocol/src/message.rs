//! The messages on the signaling WebSocket, one JSON object a text frame, told apart by `type`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::token::RoomRole;
use crate::{ErrorCode, NodeId, PeerId, RoomId, UnixSeconds};

/// The largest text message that is read, in bytes. An SDP with many candidates is 8 kB; this leaves room for
/// the worst seen, and is the frame limit too.
pub const MAX_MESSAGE_LEN: usize = 64 * 1024;

/// What a client says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ClientMessage {
    /// The first message, unless the token came as a subprotocol.
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// The join token.
        token: String,
    },
    /// An SDP offer for one peer (RFC 8829).
    Offer {
        /// Whom it is for.
        to: PeerId,
        /// The session description, unchanged.
        sdp: String,
    },
    /// An SDP answer for one peer.
    Answer {
        /// Whom it is for.
        to: PeerId,
        /// The session description, unchanged.
        sdp: String,
    },
    /// A trickled ICE candidate for one peer (RFC 8838).
    Candidate {
        /// Whom it is for.
        to: PeerId,
        /// The candidate as the browser gave it.
        candidate: IceCandidate,
    },
    /// No more candidates for this generation (RFC 8838 §13).
    EndOfCandidates {
        /// Whom it is for.
        to: PeerId,
    },
    /// The application's own data for one peer, or for all others.
    App {
        /// Whom it is for; absent: every other peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<PeerId>,
        /// Any JSON; passed on with the same meaning (the order of members and the spelling of numbers may change).
        data: Value,
    },
    /// Asks for fresh ICE servers, because credentials run out or the network changed.
    RefreshIce {},
    /// A sign of life; browsers cannot send WebSocket pings.
    Ping {
        /// Comes back in `pong`.
        nonce: u32,
    },
    /// Goes for good; the room forgets the peer at once.
    Leave {},
}

impl ClientMessage {
    /// The message's `type` on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Offer { .. } => "offer",
            Self::Answer { .. } => "answer",
            Self::Candidate { .. } => "candidate",
            Self::EndOfCandidates { .. } => "end-of-candidates",
            Self::App { .. } => "app",
            Self::RefreshIce {} => "refresh-ice",
            Self::Ping { .. } => "ping",
            Self::Leave {} => "leave",
        }
    }
}

/// What the server says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// The first message: you are in.
    Welcome {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// The room.
        room: RoomId,
        /// Your own id.
        peer: PeerId,
        /// What you are in the room.
        role: RoomRole,
        /// Which owner numbered what follows.
        epoch: u64,
        /// The number of the latest event that this snapshot contains.
        seq: u64,
        /// Who else is there.
        peers: Vec<PeerInfo>,
        /// For `RTCPeerConnection`.
        ice_servers: Vec<IceServer>,
        /// When the credentials among them run out; ask `refresh-ice` before.
        ice_expires_at: UnixSeconds,
        /// When the room ends.
        expires_at: UnixSeconds,
    },
    /// Somebody came.
    PeerJoined {
        /// The event's number in the room.
        seq: u64,
        /// Who.
        peer: PeerInfo,
    },
    /// Somebody went.
    PeerLeft {
        /// The event's number in the room.
        seq: u64,
        /// Who.
        peer: PeerId,
        /// Why.
        reason: LeaveReason,
    },
    /// An SDP offer from a peer.
    Offer {
        /// Who made it.
        from: PeerId,
        /// The session description.
        sdp: String,
    },
    /// An SDP answer from a peer.
    Answer {
        /// Who made it.
        from: PeerId,
        /// The session description.
        sdp: String,
    },
    /// A candidate of a peer.
    Candidate {
        /// Whose.
        from: PeerId,
        /// The candidate.
        candidate: IceCandidate,
    },
    /// A peer has no more candidates.
    EndOfCandidates {
        /// Whose.
        from: PeerId,
    },
    /// Data of the application.
    App {
        /// Who sent it.
        from: PeerId,
        /// As it was sent.
        data: Value,
    },
    /// The answer to `refresh-ice`.
    IceServers {
        /// For `RTCPeerConnection.setConfiguration`.
        ice_servers: Vec<IceServer>,
        /// When the credentials among them run out.
        ice_expires_at: UnixSeconds,
    },
    /// What the relay itself counted for a peer of this room; at most once a second and only when it changed.
    RelayUsage {
        /// Whose credential was used.
        peer: PeerId,
        /// The node that relays.
        node: NodeId,
        /// Allocations alive on that node.
        allocations: u32,
        /// Application bytes from the peer's client on to others, since the room began, on that node.
        sent_bytes: u64,
        /// Application bytes from others on to the peer's client.
        received_bytes: u64,
    },
    /// The answer to `ping`.
    Pong {
        /// As it was sent.
        nonce: u32,
    },
    /// A message of yours was refused; the connection goes on.
    Error {
        /// For programs.
        code: ErrorCode,
        /// One sentence for people.
        message: String,
        /// The `type` of the message that was refused, if it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// The last message before the server closes the socket with the code of the same name.
    Closing {
        /// [`crate::CloseCode::number`].
        code: u16,
        /// [`crate::CloseCode::as_str`].
        reason: String,
        /// Whether connecting again makes sense.
        reconnect: bool,
    },
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
    /// Its connection ended.
    Disconnected,
    /// No sign of life.
    TimedOut,
    /// It read too slowly.
    Stalled,
    /// The server closed it for what it sent.
    Refused,
    /// It connected again; a `peer-joined` follows.
    Displaced,
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
