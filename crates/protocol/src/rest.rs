//! The bodies of the HTTP API under `/api/v1`.

use serde::{Deserialize, Serialize};

use crate::token::RoomRole;
use crate::{ErrorCode, PeerId, RoomId, UnixSeconds};

/// `POST /api/v1/rooms`. Every field may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateRoom {
    /// Wanted from everybody but the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// How many peers at a time; absent: the server's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    /// How long the room lives, in seconds; absent: the server's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Whether the link alone does not suffice and guests need an invite.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub invite_only: bool,
    /// Whether guests wait until a host admits them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lobby: bool,
}

/// The answer: the room is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RoomCreated {
    /// The room's id.
    pub room: RoomId,
    /// The link for people, absolute.
    pub link: String,
    /// Proves that its holder made the room. Keep it; it is not shown again.
    pub host_token: String,
    /// When the room ends.
    pub expires_at: UnixSeconds,
    /// How many peers it holds.
    pub capacity: u16,
}

/// `GET /api/v1/rooms/{room}`: what one needs to know before joining.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RoomFacts {
    /// The room's id.
    pub room: RoomId,
    /// Whether `join` wants a password.
    pub password_required: bool,
    /// Whether `join` wants an invite.
    pub invite_required: bool,
    /// Whether guests wait until a host admits them. An older server says nothing of it.
    #[serde(default)]
    pub lobby: bool,
    /// Whether a host closed the room to newcomers.
    #[serde(default)]
    pub locked: bool,
    /// How many peers it holds.
    pub capacity: u16,
    /// How many are connected.
    pub peers: u16,
    /// When the room ends.
    pub expires_at: UnixSeconds,
}

/// `POST /api/v1/rooms/{room}/invites`, with the host token as bearer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateInvite {
    /// How long the invite lives, in seconds; absent or longer than the room: as long as the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// The answer: an invite for one join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct InviteCreated {
    /// What the guest sends in `join`.
    pub invite: String,
    /// When it runs out.
    pub expires_at: UnixSeconds,
}

/// `POST /api/v1/rooms/{room}/join`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JoinRoom {
    /// If the room has a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Instead of the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// Instead of all of them: a token that an app minted for this room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_token: Option<String>,
    /// Instead of both: joins as host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_token: Option<String>,
    /// What other peers see; 64 characters at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The answer: a token for the WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// For the WebSocket's `hello` or subprotocol.
    pub token: String,
    /// The peer that the token names.
    pub peer: PeerId,
    /// What the peer is in the room.
    pub role: RoomRole,
    /// When the token runs out; a connection that stands stays.
    pub expires_at: UnixSeconds,
}

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// For programs.
    pub code: ErrorCode,
    /// One sentence for people.
    pub message: String,
    /// When to try again, in seconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl ApiError {
    /// The code with its own sentence.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: code.sentence().to_owned(), retry_after_seconds: None }
    }
}

/// `POST /api/v1/app/rooms`: an app makes a room. Every field may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateAppRoom {
    /// The room's id; absent: the server draws one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// What guests need who come by the link; absent: nothing beyond `openToLink`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// How many peers at a time; absent: the key's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    /// How long the room lives, in seconds; absent: the key's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Whether the link alone lets people in. If not, they need a token of the app or an invite: ids that apps choose
    /// can be guessed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub open_to_link: bool,
    /// Whether whoever is no host waits until one lets it in, those with a token of the app among them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lobby: bool,
}

/// `POST /api/v1/app/rooms/{room}/kick`: a peer has to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KickPeer {
    /// Which.
    pub peer: PeerId,
    /// Whether it stays out.
    #[serde(default)]
    pub ban: bool,
    /// What it is told; absent: a sentence of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /api/v1/app/rooms`: the rooms of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AppRooms {
    /// By their ids.
    pub rooms: Vec<RoomFacts>,
}
