//! What is kept of a room: the record that survives every process, and the state that one owner hands to the next.

use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, TokenId};
use crate::message::{ClientMessage, Pass, StateEntry};
use crate::token::JoinClaims;
use crate::{Epoch, PeerId, RoomId, UnixSeconds};

/// What a room is made of, without who is in it, what was said, or what its members keep in it. Processes of different versions
/// read one another's: a field that is added has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomRecord {
    /// The room's name.
    pub id: RoomId,
    /// Which owner wrote this. Whoever takes the room up from here numbers its events with a higher one.
    pub epoch: Epoch,
    /// How many peers it holds.
    pub capacity: u16,
    /// When it was made.
    pub created: UnixSeconds,
    /// When it ends.
    pub expires_at: UnixSeconds,
    /// Whether guests need an invite.
    #[serde(default)]
    pub invite_only: bool,
    /// Whether guests wait until a host admits them.
    #[serde(default)]
    pub lobby: bool,
    /// Whether nobody new comes in.
    #[serde(default)]
    pub locked: bool,
    /// Who made it, and on which terms.
    #[serde(default)]
    pub made: Made,
    /// Who may not come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bans: Vec<Ban>,
    /// Invites that opened the room already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_invites: Vec<Revoked>,
    /// Join tokens and stays that were ended before their time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Revoked>,
}

/// Who made a room, and on which terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Made {
    /// The hash that a password has to fit, as a PHC string; absent: no password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The key of the app that made it; absent: people did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<ApiKeyId>,
}

/// A peer that was sent away for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Whom.
    pub peer: PeerId,
    /// By whom.
    pub by: PeerId,
    /// When.
    pub at: UnixSeconds,
}

/// A token that is refused although it is genuine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Which.
    pub id: TokenId,
    /// Until when it has to be remembered.
    pub until: UnixSeconds,
}

/// A room as it stands, for its next owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomState {
    /// What it is made of.
    pub record: RoomRecord,
    /// The number of its latest event.
    pub seq: u64,
    /// The epochs of whose events this numbering is the continuation, the latest last.
    pub lineage: Vec<Epoch>,
    /// Who is in it, in the order of their arrival.
    pub members: Vec<MemberState>,
    /// Who waits in the lobby.
    pub waiting: Vec<WaitingState>,
    /// The roll call that is not over yet, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll_call: Option<RollCallState>,
    /// For how many milliseconds somebody may come back whom no owner has seen; absent: nobody may. It is so after a failover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts_ms: Option<u64>,
    /// What its members keep in it.
    pub state: Vec<StateEntry>,
    /// The latest events, in order.
    pub events: Vec<EventState>,
}

/// What waits for the end of a roll call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollCallState {
    /// How many milliseconds it goes on.
    pub left_ms: u64,
    /// What members said meanwhile, in order. It is counted already.
    pub messages: Vec<HeldMessage>,
}

/// Something that a member said during a roll call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldMessage {
    /// How many of those who wait to come in were there before it.
    pub after: usize,
    /// Who.
    pub from: PeerId,
    /// What.
    pub message: ClientMessage,
}

/// A member in [`RoomState`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberState {
    /// Its connection, by the old owner's number; absent: it is away. The new owner puts a number of its own here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// For how many milliseconds more it is waited for, if it is away.
    #[serde(default)]
    pub away_ms: u64,
    /// What will be said of it when it does not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_why: Option<crate::message::LeaveReason>,
    /// Who it is, with the number of its latest resume token.
    pub pass: Pass,
    /// When the join token of its stay expires.
    pub token_expires: UnixSeconds,
    /// The oldest resume token that is still good.
    pub confirmed: u64,
    /// How many of its messages the room has taken.
    pub received: u64,
    /// The highest number of an event for it that is not among the latest any more.
    pub missed: u64,
}

/// Somebody in the lobby, or who waits for the end of a roll call, in [`RoomState`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingState {
    /// Its connection, as in [`MemberState`].
    pub session: u64,
    /// What its join token says.
    pub claims: JoinClaims,
    /// The name of the stay that may begin.
    pub series: TokenId,
    /// Whether it waits for the end of a roll call, and not in the lobby.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// An event in [`RoomState`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventState {
    /// Its number.
    pub seq: u64,
    /// As it travels to clients.
    pub text: String,
    /// Whom it is for.
    #[serde(flatten)]
    pub to: EventAudience,
    /// How old it is.
    pub age_ms: u64,
}

/// Whom an event is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", content = "peers", rename_all = "kebab-case")]
pub enum EventAudience {
    /// Everybody in the room.
    All,
    /// Everybody but this one.
    AllBut(PeerId),
    /// These.
    Only(Vec<PeerId>),
}

impl EventAudience {
    /// Whether the event is for this peer.
    #[must_use]
    pub fn includes(&self, peer: &PeerId) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(other) => peer != other,
            Self::Only(peers) => peers.contains(peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_first_version_is_read() {
        let text = r#"{"id":"kitchen","epoch":3,"capacity":8,"created":1700000000,"expiresAt":1800000000}"#;
        let record: RoomRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.made, record.invite_only, record.bans.len()), (Made::default(), false, 0));
    }

    #[test]
    fn an_event_says_whom_it_is_for() {
        for (to, text) in [
            (EventAudience::All, r#"{"to":"all"}"#),
            (EventAudience::AllBut("a".parse().unwrap()), r#"{"to":"all-but","peers":"a"}"#),
            (EventAudience::Only(vec!["a".parse().unwrap()]), r#"{"to":"only","peers":["a"]}"#),
        ] {
            assert_eq!(serde_json::to_string(&to).unwrap(), text);
            assert_eq!(serde_json::from_str::<EventAudience>(text).unwrap(), to);
        }
    }
}
