//! Which addresses belong to which room: those of this process's allocations, and those that others tell of.
//!
//! Each speaker (a part of a node) says all it knows of a peer at a time, so that a message which is lost or comes
//! twice does no harm. What others say counts for 90 seconds by our clock; they repeat it every 30.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use causeway_protocol::bus::{AddressOrigin, BusMessage, RoomAddresses, RoomQuery};
use causeway_protocol::{Moment, NodeId, PeerId, RoomId};
use causeway_turn_core::RoomPeers;

use crate::ledger::{AllocationKey, Pair};

/// What is remembered of others, in peers. A guess: a busy installation's peers, in some tens of megabytes. Beyond it
/// nothing new is taken in, and peers whose addresses are missing connect by their relayed addresses or not at all.
const MAX_TOLD: usize = 65_536;
/// Addresses of one peer, of either kind, in one message. More than the allocations that a credential may have.
const MAX_ADDRESSES: usize = 64;
/// Repetitions of one second: half of what waits for one subscriber of a Bus.
const MAX_REPEATS: usize = 2048;
/// Questions of one second, after a gap.
const MAX_QUERIES: usize = 256;

/// What belongs to rooms, and what has to be said about it.
pub(crate) struct RoomBoard {
    node: NodeId,
    /// This process's allocations of room credentials.
    own: HashMap<Pair, HashMap<AllocationKey, Own>>,
    pairs: HashMap<AllocationKey, Pair>,
    rooms: HashMap<RoomId, Facts>,
    /// Whose a relayed address is. It is one allocation's at a time: who says so last is right.
    owners: HashMap<SocketAddr, (RoomId, Speaker)>,
    /// How many peers others have told of.
    told: usize,
    changed: HashSet<RoomId>,
    outgoing: Vec<BusMessage>,
    questions: VecDeque<RoomId>,
}

struct Own {
    relayed: Vec<SocketAddr>,
    seen_at: IpAddr,
}

/// Who says something, and about whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Speaker {
    node: NodeId,
    origin: AddressOrigin,
    peer: PeerId,
}

#[derive(Default)]
struct Facts {
    said: HashMap<Speaker, Said>,
    /// The allocations of each worker that are in the room.
    workers: HashMap<usize, usize>,
}

struct Said {
    relayed: Vec<SocketAddr>,
    observed: Vec<IpAddr>,
    /// For what we say ourselves: when to repeat it. For others: until when it counts.
    due: Moment,
}

impl RoomBoard {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            own: HashMap::new(),
            pairs: HashMap::new(),
            rooms: HashMap::new(),
            owners: HashMap::new(),
            told: 0,
            changed: HashSet::new(),
            outgoing: Vec::new(),
            questions: VecDeque::new(),
        }
    }

    /// An allocation of a room's credential has begun here.
    pub(crate) fn on_created(
        &mut self,
        now: Moment,
        key: AllocationKey,
        pair: Pair,
        relayed: Vec<SocketAddr>,
        seen_at: IpAddr,
    ) {
        let facts = self.rooms.entry(pair.room.clone()).or_default();
        if facts.workers.is_empty() {
            self.outgoing.push(BusMessage::RoomQuery(RoomQuery { room: pair.room.clone() }));
        }
        *facts.workers.entry(key.worker).or_default() += 1;
        let own = Own { relayed, seen_at: seen_at.to_canonical() };
        self.own.entry(pair.clone()).or_default().insert(key, own);
        self.pairs.insert(key, pair.clone());
        self.say(now, &pair);
        // Also if the same addresses were known before: this worker may not have been told.
        self.changed.insert(pair.room);
    }

    /// Its client is somewhere else.
    pub(crate) fn on_moved(&mut self, now: Moment, key: AllocationKey, seen_at: IpAddr) {
        let Some(pair) = self.pairs.get(&key).cloned() else { return };
        if let Some(own) = self.own.get_mut(&pair).and_then(|own| own.get_mut(&key)) {
            own.seen_at = seen_at.to_canonical();
        }
        self.say(now, &pair);
    }

    /// Others know its relayed addresses as these.
    pub(crate) fn on_renamed(&mut self, now: Moment, key: AllocationKey, relayed: Vec<SocketAddr>) {
        let Some(pair) = self.pairs.get(&key).cloned() else { return };
        if let Some(own) = self.own.get_mut(&pair).and_then(|own| own.get_mut(&key)) {
            own.relayed = relayed;
        }
        self.say(now, &pair);
    }

    /// It gave one of its relayed addresses back.
    pub(crate) fn on_released(&mut self, now: Moment, key: AllocationKey, address: SocketAddr) {
        let Some(pair) = self.pairs.get(&key).cloned() else { return };
        if let Some(own) = self.own.get_mut(&pair).and_then(|own| own.get_mut(&key)) {
            own.relayed.retain(|relayed| *relayed != address);
        }
        self.say(now, &pair);
    }

    /// It is over.
    pub(crate) fn on_ended(&mut self, now: Moment, key: AllocationKey) {
        let Some(pair) = self.pairs.remove(&key) else { return };
        if let Some(own) = self.own.get_mut(&pair) {
            own.remove(&key);
            if own.is_empty() {
                self.own.remove(&pair);
            }
        }
        if let Some(facts) = self.rooms.get_mut(&pair.room)
            && let Some(count) = facts.workers.get_mut(&key.worker)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                facts.workers.remove(&key.worker);
            }
        }
        self.say(now, &pair);
    }

    /// A worker is gone and its allocations with it.
    pub(crate) fn on_worker_gone(&mut self, now: Moment, worker: usize) {
        let gone: Vec<AllocationKey> =
            self.pairs.keys().filter(|key| key.worker == worker).copied().collect();
        for key in gone {
            self.on_ended(now, key);
        }
    }

    /// Somebody says which addresses a peer has.
    pub(crate) fn on_told(&mut self, now: Moment, told: RoomAddresses) {
        let RoomAddresses { node, origin, room, peer, mut relayed, mut observed } = told;
        // What comes back to us we knew before.
        if node == self.node && origin == AddressOrigin::Relay {
            return;
        }
        relayed.truncate(MAX_ADDRESSES);
        observed.truncate(MAX_ADDRESSES);
        let speaker = Speaker { node, origin, peer };
        let said = Said { relayed, observed, due: now.plus(RoomAddresses::LIFETIME) };
        let is_new =
            self.rooms.get(&room).is_none_or(|facts| !facts.said.contains_key(&speaker)) && !said.is_empty();
        if is_new && self.told >= MAX_TOLD {
            return;
        }
        self.put(&room, &speaker, said);
    }

    /// Somebody asks who is in a room.
    pub(crate) fn on_asked(&mut self, room: &RoomId) {
        let Some(facts) = self.rooms.get(room) else { return };
        let own = facts.said.iter().filter(|(speaker, _)| self.is_own(speaker));
        let answers: Vec<_> = own.map(|(speaker, said)| said.message(room, speaker)).collect();
        self.outgoing.extend(answers);
    }

    /// Messages were lost: everybody is asked again.
    pub(crate) fn on_gap(&mut self) {
        self.questions = self
            .rooms
            .iter()
            .filter(|(_, facts)| !facts.workers.is_empty())
            .map(|(room, _)| room.clone())
            .collect();
    }

    /// A second has passed: repeats what is due, forgets what was not repeated. While the Bus takes nothing nobody can be
    /// heard either, so then nothing is forgotten and those who talk to each other go on.
    pub(crate) fn on_tick(&mut self, now: Moment, bus: BusState) {
        let mut repeats = 0;
        let mut silent = Vec::new();
        for (room, facts) in &mut self.rooms {
            for (speaker, said) in &mut facts.said {
                let is_own = speaker.node == self.node && speaker.origin == AddressOrigin::Relay;
                if now < said.due {
                    continue;
                }
                match (is_own, bus) {
                    (true, _) if repeats < MAX_REPEATS => {
                        repeats += 1;
                        said.due = now.plus(RoomAddresses::REPEAT);
                        self.outgoing.push(said.message(room, speaker));
                    }
                    (true, _) => {}
                    (false, BusState::Gone) => said.due = now.plus(RoomAddresses::LIFETIME),
                    (false, BusState::Up) => silent.push((room.clone(), speaker.clone())),
                }
            }
        }
        for (room, speaker) in silent {
            self.put(&room, &speaker, Said::nothing(now));
        }
        for _ in 0..MAX_QUERIES {
            let Some(room) = self.questions.pop_front() else { break };
            self.outgoing.push(BusMessage::RoomQuery(RoomQuery { room }));
        }
    }

    /// What has to be published.
    pub(crate) fn take_outgoing(&mut self) -> Vec<BusMessage> {
        std::mem::take(&mut self.outgoing)
    }

    /// Rooms that changed, and the workers that have to know.
    pub(crate) fn take_changed(&mut self) -> Vec<(RoomPeers, Vec<usize>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|room| self.rooms.get(&room)?.peers(room)).collect()
    }

    fn is_own(&self, speaker: &Speaker) -> bool {
        speaker.node == self.node && speaker.origin == AddressOrigin::Relay
    }

    /// Puts together what we know of a peer of our own, and says so if it is news.
    fn say(&mut self, now: Moment, pair: &Pair) {
        let mut relayed = BTreeSet::new();
        let mut observed = BTreeSet::new();
        for own in self.own.get(pair).into_iter().flat_map(HashMap::values) {
            relayed.extend(own.relayed.iter().copied());
            observed.insert(own.seen_at);
        }
        let speaker =
            Speaker { node: self.node.clone(), origin: AddressOrigin::Relay, peer: pair.peer.clone() };
        let said = Said {
            relayed: relayed.into_iter().collect(),
            observed: observed.into_iter().collect(),
            due: now.plus(RoomAddresses::REPEAT),
        };
        self.outgoing.push(said.message(&pair.room, &speaker));
        self.put(&pair.room, &speaker, said);
    }

    fn put(&mut self, room: &RoomId, speaker: &Speaker, said: Said) {
        for address in &said.relayed {
            let owner = (room.clone(), speaker.clone());
            if let Some((other_room, other)) = self.owners.insert(*address, owner)
                && (other_room != *room || other != *speaker)
                && let Some(facts) = self.rooms.get_mut(&other_room)
                && let Some(other) = facts.said.get_mut(&other)
            {
                other.relayed.retain(|relayed| relayed != address);
                self.changed.insert(other_room);
            }
        }
        let is_own = self.is_own(speaker);
        let (is_empty, relayed) = (said.is_empty(), said.relayed.clone());
        let facts = self.rooms.entry(room.clone()).or_default();
        let before = match is_empty {
            true => facts.said.remove(speaker),
            false => facts.said.insert(speaker.clone(), said),
        };
        let after = facts.said.get(speaker);
        if before.as_ref().map(Said::addresses) != after.map(Said::addresses) {
            self.changed.insert(room.clone());
        }
        if !is_own {
            self.told = self.told + usize::from(after.is_some()) - usize::from(before.is_some());
        }
        if facts.said.is_empty() && facts.workers.is_empty() {
            self.rooms.remove(room);
        }
        for address in before.into_iter().flat_map(|before| before.relayed) {
            let is_ours = self.owners.get(&address).is_some_and(|(of, who)| of == room && who == speaker);
            if is_ours && !relayed.contains(&address) {
                self.owners.remove(&address);
            }
        }
    }
}

/// Whether others can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BusState {
    Up,
    Gone,
}

impl Said {
    const fn nothing(now: Moment) -> Self {
        Self { relayed: Vec::new(), observed: Vec::new(), due: now }
    }

    fn is_empty(&self) -> bool {
        self.relayed.is_empty() && self.observed.is_empty()
    }

    fn addresses(&self) -> (&[SocketAddr], &[IpAddr]) {
        (&self.relayed, &self.observed)
    }

    fn message(&self, room: &RoomId, speaker: &Speaker) -> BusMessage {
        BusMessage::RoomAddresses(RoomAddresses {
            node: speaker.node.clone(),
            origin: speaker.origin,
            room: room.clone(),
            peer: speaker.peer.clone(),
            relayed: self.relayed.clone(),
            observed: self.observed.clone(),
        })
    }
}

impl Facts {
    /// Everything about the room, if a worker has to know it.
    fn peers(&self, room: RoomId) -> Option<(RoomPeers, Vec<usize>)> {
        if self.workers.is_empty() {
            return None;
        }
        let relayed = self.said.values().flat_map(|said| &said.relayed).copied().collect();
        let observed: BTreeSet<IpAddr> =
            self.said.values().flat_map(|said| &said.observed).map(IpAddr::to_canonical).collect();
        let peers = RoomPeers { room, relayed, observed: observed.into_iter().collect() };
        Some((peers, self.workers.keys().copied().collect()))
    }
}

#[cfg(test)]
#[path = "room_board_tests.rs"]
mod tests;
