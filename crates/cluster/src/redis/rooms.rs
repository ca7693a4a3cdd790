//! Owners, records and buckets in Redis. Each script touches the keys of one room.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use causeway_protocol::{Epoch, NodeId, RoomId, UnixSeconds};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use redis::{Script, Value};

use super::commands::Commands;
use super::keys;
use super::lease::LeaseKeeper;
use crate::clock::Clock;
use crate::cluster::ClusterError;
use crate::ownership::{Claim, HandOverError, Owner, Standing};
use crate::rate::{SharedRate, Taken};
use crate::records::SaveError;

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/claim.lua")));
static HAND_OVER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/hand_over.lua")));
static REASSERT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/reassert.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));
static SAVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/save.lua")));
static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/take.lua")));

/// How long it is known who owned a room that nobody has said anything of; a record that lasts longer prolongs it.
const OWNER_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long the epoch of a room that was given up is remembered. Longer than anybody may think to own it still.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How often a claim looks again when owners change while it looks.
const LOOKS: u32 = 4;
/// Rooms that are reasserted at once.
const AT_ONCE: usize = 64;

/// Rooms, as this node may ask about them.
pub(crate) struct Rooms {
    pub(crate) node: NodeId,
    pub(crate) commands: Arc<Commands>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) clock: Clock,
}

/// What stands in Redis about a room's owner, alive or not.
struct Seen {
    owner: Owner,
    term: String,
}

impl Rooms {
    pub(crate) async fn owner(&self, room: &RoomId) -> Result<Option<Owner>, ClusterError> {
        let ask = redis::cmd("HMGET").arg(keys::owner(room)).arg(&["node", "term", "epoch"]).clone();
        let fields: Vec<Option<String>> = self.commands.command(&ask).await?;
        let [Some(node), Some(term), Some(epoch)] =
            <[Option<String>; 3]>::try_from(fields).unwrap_or_default()
        else {
            return Ok(None);
        };
        self.if_alive(seen(&node, term, &epoch)?).await
    }

    async fn if_alive(&self, seen: Seen) -> Result<Option<Owner>, ClusterError> {
        let Seen { owner, .. } = seen;
        Ok(self.lease.is_alive(&owner.node).await?.then_some(owner))
    }

    pub(crate) async fn claim(&self, room: &RoomId, known: Epoch) -> Result<Claim, ClusterError> {
        let key = [keys::owner(room)];
        let kept = OWNER_KEPT.as_millis().to_string();
        let known = known.to_string();
        let mut dead = [String::new(), String::new(), String::new()];
        for _ in 0..LOOKS {
            let term = self.lease.term()?.to_string();
            let settling = if self.lease.is_settling() { "1" } else { "0" };
            let arguments =
                [self.node.as_str(), &term, &known, settling, &kept, &dead[0], &dead[1], &dead[2]];
            let answer: Vec<Value> =
                self.commands.script(&CLAIM, &key, &arguments.map(str::as_bytes)).await?;
            match said(&answer)? {
                Said::Yes(epoch) => return Ok(Claim::Mine(epoch.ok_or(ClusterError::Unreadable)?)),
                Said::Other => return Err(ClusterError::Settling),
                Said::No(None) => return Err(ClusterError::Unreadable),
                Said::No(Some(Seen { owner, term })) => {
                    if self.lease.is_alive(&owner.node).await? {
                        return Ok(Claim::Theirs(owner));
                    }
                    dead = [owner.node.to_string(), term, owner.epoch.to_string()];
                }
            }
        }
        Err(ClusterError::TimedOut)
    }

    pub(crate) async fn hand_over(
        &self,
        room: &RoomId,
        mine: Epoch,
        to: &NodeId,
    ) -> Result<Epoch, HandOverError> {
        // Only the living own rooms; whoever dies in this moment has owned it.
        let takes = self.lease.is_alive(to).await?;
        let (mine, term) = (mine.to_string(), self.lease.term_of(to).to_string());
        let kept = OWNER_KEPT.as_millis().to_string();
        // A room that is not this node's is told before a node that is not there.
        let to = if takes { to.as_str() } else { "" };
        let script: &Script = if takes { &HAND_OVER } else { &OWNS };
        let arguments = [self.node.as_str(), &mine, to, &term, &kept].map(str::as_bytes);
        let answer: Vec<Value> = self.commands.script(script, &[keys::owner(room)], &arguments).await?;
        match said(&answer)? {
            Said::Yes(_) if !takes => Err(HandOverError::UnknownNode),
            Said::Yes(Some(epoch)) => Ok(epoch),
            Said::No(Some(seen)) => Err(HandOverError::NotOwner(self.if_alive(seen).await?)),
            Said::No(None) => Err(HandOverError::NotOwner(None)),
            Said::Yes(None) | Said::Other => Err(ClusterError::Unreadable.into()),
        }
    }

    pub(crate) async fn reassert(
        &self,
        rooms: Vec<(RoomId, Epoch)>,
    ) -> Result<Vec<(RoomId, Standing)>, ClusterError> {
        let term = &self.lease.term()?.to_string();
        let all = rooms.into_iter().map(|(room, epoch)| async move {
            let standing = self.stands(&room, epoch, term).await?;
            Ok((room, standing))
        });
        stream::iter(all).buffered(AT_ONCE).try_collect().await
    }

    async fn stands(&self, room: &RoomId, epoch: Epoch, term: &str) -> Result<Standing, ClusterError> {
        let (epoch, kept) = (epoch.to_string(), OWNER_KEPT.as_millis().to_string());
        let arguments = [self.node.as_str(), term, &epoch, &kept].map(str::as_bytes);
        let answer: Vec<Value> = self.commands.script(&REASSERT, &[keys::owner(room)], &arguments).await?;
        Ok(match said(&answer)? {
            Said::Yes(_) => Standing::Kept,
            Said::Other => Standing::Restored,
            Said::No(None) => Standing::Lost(None),
            Said::No(Some(seen)) => Standing::Lost(self.if_alive(seen).await?),
        })
    }

    pub(crate) async fn release(&self, room: &RoomId, mine: Epoch) -> Result<(), ClusterError> {
        let (mine, remembered) = (mine.to_string(), REMEMBERED.as_millis().to_string());
        let arguments = [self.node.as_str(), &mine, &remembered].map(str::as_bytes);
        self.commands.script(&RELEASE, &[keys::owner(room)], &arguments).await
    }

    pub(crate) async fn load(&self, room: &RoomId) -> Result<Option<Bytes>, ClusterError> {
        let ask = redis::cmd("HGET").arg(keys::record(room)).arg("data").clone();
        let found: Option<Vec<u8>> = self.commands.command(&ask).await?;
        Ok(found.map(Bytes::from))
    }

    pub(crate) async fn save(
        &self,
        room: &RoomId,
        epoch: Epoch,
        record: &[u8],
        expires_at: UnixSeconds,
    ) -> Result<(), SaveError> {
        self.write(room, epoch, expires_at, b"save", record).await
    }

    pub(crate) async fn remove(&self, room: &RoomId, epoch: Epoch) -> Result<(), SaveError> {
        let remembered_until = (self.clock)().unix.plus(REMEMBERED.as_secs());
        self.write(room, epoch, remembered_until, b"remove", b"").await
    }

    async fn write(
        &self,
        room: &RoomId,
        epoch: Epoch,
        until: UnixSeconds,
        what: &[u8],
        record: &[u8],
    ) -> Result<(), SaveError> {
        let (epoch, until) = (epoch.to_string(), until.0.saturating_mul(1000).to_string());
        let keys = [keys::owner(room), keys::record(room)];
        let arguments = [epoch.as_bytes(), until.as_bytes(), what, record];
        let answer: Vec<Value> = self.commands.script(&SAVE, &keys, &arguments).await?;
        match said(&answer)? {
            Said::Yes(_) => Ok(()),
            Said::No(None) => Err(SaveError::Fenced(None)),
            Said::No(Some(seen)) => Err(SaveError::Fenced(self.if_alive(seen).await?)),
            Said::Other => Err(ClusterError::Unreadable.into()),
        }
    }

    pub(crate) async fn take(&self, bucket: &str, rate: SharedRate) -> Result<Taken, ClusterError> {
        let (refill, whole) = (rate.refill.as_micros().to_string(), rate.whole().as_micros().to_string());
        let arguments = [refill.as_bytes(), whole.as_bytes()];
        let wait: String = self.commands.script(&TAKE, &[keys::bucket(bucket)], &arguments).await?;
        match wait.parse() {
            Ok(0) => Ok(Taken::Yes),
            Ok(microseconds) => Ok(Taken::No { retry_after: Duration::from_micros(microseconds) }),
            Err(_) => Err(ClusterError::Unreadable),
        }
    }
}

/// Whether a node owns a room, in the words of the other scripts.
static OWNS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/owns.lua")));

/// The first number of an answer, and what follows it.
enum Said {
    /// 1, and a new epoch if there is one.
    Yes(Option<Epoch>),
    /// 0, and the owner if there is one.
    No(Option<Seen>),
    /// 2.
    Other,
}

fn said(answer: &[Value]) -> Result<Said, ClusterError> {
    let text = |value: &Value| {
        redis::from_redis_value_ref::<String>(value).map_err(|_not_text| ClusterError::Unreadable)
    };
    match answer {
        [Value::Int(1)] => Ok(Said::Yes(None)),
        [Value::Int(1), epoch] => Ok(Said::Yes(Some(number(&text(epoch)?)?))),
        [Value::Int(0)] => Ok(Said::No(None)),
        [Value::Int(0), node, term, epoch] => {
            Ok(Said::No(Some(seen(&text(node)?, text(term)?, &text(epoch)?)?)))
        }
        [Value::Int(2)] => Ok(Said::Other),
        _ => Err(ClusterError::Unreadable),
    }
}

fn seen(node: &str, term: String, epoch: &str) -> Result<Seen, ClusterError> {
    let node = node.parse().map_err(|_no_id| ClusterError::Unreadable)?;
    Ok(Seen { owner: Owner { node, epoch: number(epoch)? }, term })
}

fn number(text: &str) -> Result<Epoch, ClusterError> {
    text.parse().map(Epoch).map_err(|_no_number| ClusterError::Unreadable)
}
