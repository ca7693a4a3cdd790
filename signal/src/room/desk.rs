//! What the two roles of a room's actor need beside the room: the cluster to write letters to, and the mint of credentials.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use causeway_cluster::{Cluster, SaveError};
use causeway_protocol::bus::{BusMessage, RelayOrder, Revocation};
use causeway_protocol::message::{ClientMessage, EntryGrant, Greeting, Pass, ServerMessage};
use causeway_protocol::node::{RoomLetter, Say};
use causeway_protocol::record::RoomRecord;
use causeway_protocol::token::{IssueError, ResumeClaims, ResumeTokens};
use causeway_protocol::{Epoch, ErrorCode, NodeId, Now, PeerId, RoomId, UnixSeconds};

use causeway_service::clock;
use causeway_signal_core::Ending;
use tokio::time::timeout;

use crate::ice::{self, Holder, IceGrant, IceUrls, RelayAllowance};
use crate::metrics;
use crate::state::Signal;

/// Between two tries to remove what was kept of a room, first and at most.
const FORGET_AGAIN: Duration = Duration::from_millis(250);
const FORGET_AT_LEAST_EVERY: Duration = Duration::from_secs(15);

/// A room's desk on this node.
pub(crate) struct Desk {
    pub(crate) signal: Arc<Signal>,
    pub(crate) room: RoomId,
}

impl Desk {
    /// Writes to another node. A letter that does not fit resets the link between the two nodes, and both then
    /// compare what they know.
    pub(crate) fn post(&self, to: &NodeId, epoch: Epoch, say: Say) {
        let letter = RoomLetter { room: self.room.clone(), epoch, say };
        let bytes = match serde_json::to_vec(&letter) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                tracing::error!(room = %self.room, %error, "a letter cannot be written");
                return;
            }
        };
        if let Err(error) = self.signal.cluster.post(to, bytes) {
            metrics::letter_refused("not-posted");
            tracing::warn!(room = %self.room, node = %to, %error, "a letter was not posted");
        }
    }

    /// Keeps what a room is made of. What cannot be kept now is kept at the next change, or when the cluster is back.
    pub(crate) fn save(&self, record: &RoomRecord, epoch: Epoch) {
        let saving = save(Arc::clone(&self.signal.cluster), record, epoch);
        let room = self.room.clone();
        actix::spawn(async move {
            if let Err(error) = saving.await {
                tracing::warn!(%room, %error, "what a room is made of was not kept");
            }
        });
    }

    /// Nobody owns the room any more. Of one that is over nothing is kept; as long as that cannot be had, this node remembers
    /// that it is over, and tries again.
    pub(crate) fn give_up(&self, epoch: Epoch, ending: Ending, ends: UnixSeconds) {
        let (signal, room) = (Arc::clone(&self.signal), self.room.clone());
        actix::spawn(async move {
            let (mut wait, mut connection) = (FORGET_AGAIN, signal.connection.clone());
            while ending.revokes()
                && let Err(SaveError::Cluster(error)) = signal.cluster.remove(&room, epoch).await
                && clock::now().unix < ends
            {
                tracing::debug!(%room, %error, "what was kept of a room that is over is still there");
                let _sooner_if_it_is_back = timeout(wait, connection.changed()).await;
                wait = (wait * 2).min(FORGET_AT_LEAST_EVERY);
            }
            if let Err(error) = signal.cluster.release(&room, epoch).await {
                tracing::debug!(%room, %error, "a room that is over keeps its owner until that node's lease ends");
            }
            signal.rooms.set_gone(&room);
        });
    }

    /// Whether a token is the host token of this room.
    pub(crate) fn verify_host(&self, token: &str, now: Now) -> Result<(), ErrorCode> {
        match self.signal.hosts.check(token, now.unix) {
            Ok(claims) if claims.room == self.room => Ok(()),
            Ok(_) => Err(ErrorCode::NotAllowed),
            Err(error) => Err(error.code()),
        }
    }

    /// Relays end what this peer relays for the room, and refuse its credentials.
    pub(crate) fn revoke_peer(&self, peer: PeerId, room_ends: UnixSeconds, now: Now) {
        self.revoke(Revocation::Peer { room: self.room.clone(), peer }, room_ends, now);
    }

    /// Relays end everything of the room.
    pub(crate) fn revoke_room(&self, room_ends: UnixSeconds, now: Now) {
        self.revoke(Revocation::Room { room: self.room.clone() }, room_ends, now);
    }

    fn revoke(&self, revoke: Revocation, room_ends: UnixSeconds, now: Now) {
        // Credentials end with the room at the latest, and none lives longer than this.
        let until = now.unix.plus(self.signal.longest_credential_ttl()).min(room_ends);
        if let Err(error) = self.signal.bus.publish(BusMessage::RelayOrder(RelayOrder { revoke, until })) {
            tracing::warn!(room = %self.room, %error, "relays were not told that credentials are void");
        }
    }

    /// The message that a greeting becomes for a socket here.
    pub(crate) fn greet(
        &self,
        pass: Pass,
        greeting: Greeting,
        urls: &IceUrls,
        room_ends: UnixSeconds,
        now: Now,
    ) -> Result<ServerMessage, IssueError> {
        let ice = self.mint(&pass, urls, room_ends, now)?;
        metrics::greeted(&greeting);
        let resume_token = self.signal.resumes.sign(&ResumeClaims {
            aud: ResumeTokens::AUDIENCE.to_owned(),
            room: self.room.clone(),
            exp: room_ends,
            pass,
        });
        Ok(greeting.with(EntryGrant {
            resume_token,
            resume_seconds: self.signal.settings().timing.resume_seconds,
            ice_servers: ice.servers,
            ice_expires_at: ice.expires_at,
        }))
    }

    /// The answer to `refresh-ice` of a socket here.
    pub(crate) fn fresh_ice(
        &self,
        pass: &Pass,
        urls: &IceUrls,
        room_ends: UnixSeconds,
        now: Now,
    ) -> ServerMessage {
        match self.mint(pass, urls, room_ends, now) {
            Ok(ice) => ServerMessage::IceServers { ice_servers: ice.servers, ice_expires_at: ice.expires_at },
            Err(error) => {
                tracing::error!(room = %self.room, %error, "no relay credential");
                let code = ErrorCode::Internal;
                ServerMessage::Error {
                    code,
                    message: code.sentence().to_owned(),
                    refused: Some(ClientMessage::RefreshIce {}.kind().to_owned()),
                }
            }
        }
    }

    /// ICE servers with a fresh credential for a peer of this room.
    fn mint(
        &self,
        pass: &Pass,
        urls: &IceUrls,
        room_ends: UnixSeconds,
        now: Now,
    ) -> Result<IceGrant, IssueError> {
        let relay = RelayAllowance { budget: pass.grants.relay, token: pass.token.clone() };
        let holder = Holder { room: &self.room, peer: &pass.peer, room_ends, relay: &relay };
        ice::grant(urls, &holder, &self.signal.issuer, &self.signal.settings(), now.unix)
    }
}

/// Keeps what a room is made of.
pub(crate) fn save(
    cluster: Arc<dyn Cluster>,
    record: &RoomRecord,
    epoch: Epoch,
) -> impl Future<Output = Result<(), SaveError>> + use<> {
    let (room, expires_at) = (record.id.clone(), record.expires_at);
    let bytes = serde_json::to_vec(record).expect("a record is plain JSON with string keys");
    async move { cluster.save(&room, epoch, bytes.into(), expires_at).await }
}
