//! What the server says: events, which carry their number in the room, and what is for one connection alone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{IceCandidate, IceServer, Knocker, LeaveReason, PeerInfo, Position, Snapshot};
use crate::token::RoomRole;
use crate::{Epoch, ErrorCode, NodeId, PROTOCOL_VERSION, PeerId, UnixSeconds};

/// What the server says.
///
/// Everything with a `seq` is an event: the room numbers events from 1, each member gets those that are meant for it in
/// the order of their numbers, and those that it missed while it was away when it comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// The first message: you are in.
    Welcome {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// How the room stands.
        #[serde(flatten)]
        snapshot: Box<Snapshot>,
        /// What the connection is given.
        #[serde(flatten)]
        grant: EntryGrant,
    },
    /// The answer to `resume`: nothing was lost, and the missed events follow.
    Resumed {
        /// The epoch to name from here on.
        epoch: Epoch,
        /// The number of the room's latest event; those up to it that were missed follow at once. A client that breaks off again
        /// before it has read them names what it has seen, not this.
        seq: u64,
        /// How many of the client's messages the room has taken in this series; the client sends the rest again.
        received: u64,
        /// What the connection is given.
        #[serde(flatten)]
        grant: EntryGrant,
    },
    /// Something may be lost, and this is how it stands. The answer to a `resume` that came too late, and what everybody
    /// is told when the room had to be set up again.
    Resync {
        /// As in `resumed`. Absent: not known, and what the client sent and saw no effect of may be lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        received: Option<u64>,
        /// How the room stands.
        #[serde(flatten)]
        snapshot: Box<Snapshot>,
        /// What the connection is given.
        #[serde(flatten)]
        grant: EntryGrant,
    },
    /// You are in the lobby. `welcome` follows, or the end.
    Waiting {},
    /// Somebody came.
    PeerJoined {
        /// The event's number.
        seq: u64,
        /// Who.
        peer: PeerInfo,
    },
    /// Somebody went.
    PeerLeft {
        /// The event's number.
        seq: u64,
        /// Who.
        peer: PeerId,
        /// Why.
        reason: LeaveReason,
    },
    /// Somebody, or you, became something else in the room.
    PeerRole {
        /// The event's number.
        seq: u64,
        /// Who.
        peer: PeerId,
        /// What.
        role: RoomRole,
    },
    /// An SDP offer from a peer.
    Offer {
        /// The event's number.
        seq: u64,
        /// Who made it.
        from: PeerId,
        /// The session description.
        sdp: String,
    },
    /// An SDP answer from a peer.
    Answer {
        /// The event's number.
        seq: u64,
        /// Who made it.
        from: PeerId,
        /// The session description.
        sdp: String,
    },
    /// A candidate of a peer.
    Candidate {
        /// The event's number.
        seq: u64,
        /// Whose.
        from: PeerId,
        /// The candidate.
        candidate: IceCandidate,
    },
    /// A peer has no more candidates.
    EndOfCandidates {
        /// The event's number.
        seq: u64,
        /// Whose.
        from: PeerId,
    },
    /// Data of the application.
    App {
        /// The event's number.
        seq: u64,
        /// Who sent it.
        from: PeerId,
        /// As it was sent.
        data: Value,
    },
    /// One key of the room's state was set, deleted, or went by itself. Its author hears of it, too.
    State {
        /// The event's number.
        seq: u64,
        /// Which.
        key: String,
        /// What it is; absent: it is no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
        /// Who set or deleted it.
        by: PeerId,
        /// When it goes by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<UnixSeconds>,
    },
    /// The room was closed to newcomers, or opened again.
    Locked {
        /// The event's number.
        seq: u64,
        /// Which of the two.
        locked: bool,
        /// By whom.
        by: PeerId,
    },
    /// To hosts: somebody waits in the lobby.
    Knock {
        /// The event's number.
        seq: u64,
        /// Who.
        peer: Knocker,
    },
    /// To hosts: somebody waits no more, whether it was let in, sent away, or went.
    KnockGone {
        /// The event's number.
        seq: u64,
        /// Who.
        peer: Knocker,
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
        /// As in `resumed`: what was counted need not be kept for sending again.
        received: u64,
    },
    /// The nodes that this room needs cannot reach one another: what is said waits, or is refused by name.
    Degraded {
        /// Since when.
        since: UnixSeconds,
    },
    /// They can again, and nothing was lost that was not refused.
    Recovered {},
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

/// What a connection is given with its greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryGrant {
    /// For `resume`, should the connection break; it replaces the one before.
    pub resume_token: String,
    /// How long the room waits for a member whose connection broke.
    pub resume_seconds: u64,
    /// For `RTCPeerConnection`.
    pub ice_servers: Vec<IceServer>,
    /// When the credentials among them run out; ask `refresh-ice` before.
    pub ice_expires_at: UnixSeconds,
}

/// How a room greets a connection. It becomes a message where the connection is: that node mints the ICE servers and signs
/// the resume token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "greeting", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Greeting {
    /// A new member.
    Welcome {
        /// How the room stands.
        snapshot: Box<Snapshot>,
    },
    /// A member that came back and missed nothing that cannot be sent again.
    Resumed {
        /// The room's epoch.
        epoch: Epoch,
        /// The number of the room's latest event.
        seq: u64,
        /// How many of its messages the room has taken.
        received: u64,
    },
    /// A member that may have missed something.
    Resync {
        /// How many of its messages the room has taken, if that is known.
        received: Option<u64>,
        /// How the room stands.
        snapshot: Box<Snapshot>,
    },
}

impl Greeting {
    /// The last event that the client knows of once it has been greeted.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Welcome { snapshot } | Self::Resync { snapshot, .. } => {
                Position { epoch: snapshot.epoch, seq: snapshot.seq }
            }
            Self::Resumed { epoch, seq, .. } => Position { epoch: *epoch, seq: *seq },
        }
    }

    /// How many of the client's messages the room has taken, if that is known.
    #[must_use]
    pub const fn received(&self) -> Option<u64> {
        match self {
            Self::Welcome { .. } => Some(0),
            Self::Resumed { received, .. } => Some(*received),
            Self::Resync { received, .. } => *received,
        }
    }

    /// The message for the client.
    #[must_use]
    pub fn with(self, grant: EntryGrant) -> ServerMessage {
        match self {
            Self::Welcome { snapshot } => {
                ServerMessage::Welcome { version: PROTOCOL_VERSION, snapshot, grant }
            }
            Self::Resumed { epoch, seq, received } => ServerMessage::Resumed { epoch, seq, received, grant },
            Self::Resync { received, snapshot } => ServerMessage::Resync { received, snapshot, grant },
        }
    }
}
