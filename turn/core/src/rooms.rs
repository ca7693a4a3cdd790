//! Which addresses belong to a room: all that a credential with `peers=room` may exchange data with.
//!
//! The control plane says which; a relay keeps the rooms that it has allocations in, and no others.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use causeway_protocol::RoomId;
use causeway_protocol::token::PeerPolicy;
use foldhash::fast::FixedState;

use crate::address::PeerAddr;
use crate::event::Subject;
use crate::relay::Relay;
use crate::slab::Slab;

/// Everything that is known of a room, in place of what was known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPeers {
    /// The room. One in which the relay has no allocation is ignored.
    pub room: RoomId,
    /// The relayed addresses of its peers, on every node, as others know them. A peer is reached at exactly these.
    pub relayed: Vec<SocketAddr>,
    /// Where our own servers saw its peers' packets come from. Such a peer is reached at every port.
    pub observed: Vec<IpAddr>,
}

/// A room with allocations here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    /// How many allocations.
    allocations: u32,
    /// Sorted: a look-up per datagram, and a room has few.
    relayed: Vec<PeerAddr>,
    /// Sorted.
    observed: Vec<IpAddr>,
}

impl Room {
    /// Whether this is the relayed address of a peer.
    pub(crate) fn has_relayed(&self, address: PeerAddr) -> bool {
        self.relayed.binary_search(&address).is_ok()
    }

    /// Whether a peer has a relayed address on this IP.
    pub(crate) fn relays_on(&self, ip: IpAddr) -> bool {
        let first = PeerAddr::new(SocketAddr::new(ip, 0));
        let at = self.relayed.partition_point(|address| *address < first);
        self.relayed.get(at).is_some_and(|address| address.socket().ip() == ip)
    }

    /// Whether a peer was seen at this IP.
    pub(crate) fn has_observed(&self, ip: IpAddr) -> bool {
        self.observed.binary_search(&ip).is_ok()
    }
}

/// The rooms that the allocations of one relay are in. Their number is bounded by that of the allocations.
#[derive(Debug)]
pub(crate) struct Rooms {
    by_name: HashMap<RoomId, u32, FixedState>,
    rooms: Slab<(RoomId, Room)>,
}

impl Rooms {
    pub(crate) const fn new(hasher: FixedState) -> Self {
        Self { by_name: HashMap::with_hasher(hasher), rooms: Slab::new() }
    }

    /// The room under this number.
    pub(crate) fn get(&self, number: u32) -> Option<&Room> {
        self.rooms.get(number).map(|(_, room)| room)
    }

    /// An allocation begins. What it brings along belongs to the room at once: the control plane, which tells the
    /// others, repeats it.
    pub(crate) fn enter(
        &mut self,
        name: &RoomId,
        relayed: impl Iterator<Item = SocketAddr>,
        observed: IpAddr,
    ) -> u32 {
        let number = match self.by_name.get(name) {
            Some(number) => *number,
            None => {
                let number = self.rooms.insert((name.clone(), Room::default()));
                self.by_name.insert(name.clone(), number);
                number
            }
        };
        if let Some((_, room)) = self.rooms.get_mut(number) {
            room.allocations = room.allocations.saturating_add(1);
            for address in relayed.map(PeerAddr::new) {
                insert_sorted(&mut room.relayed, address);
            }
            insert_sorted(&mut room.observed, observed.to_canonical());
        }
        number
    }

    /// An allocation is over; the room is forgotten with the last.
    pub(crate) fn leave(&mut self, number: u32) {
        let Some((name, room)) = self.rooms.get_mut(number) else { return };
        room.allocations = room.allocations.saturating_sub(1);
        if room.allocations == 0 {
            self.by_name.remove(name);
            self.rooms.remove(number);
        }
    }

    /// Takes the control plane's word; says for which room, if there is one.
    pub(crate) fn update(&mut self, peers: RoomPeers) -> Option<u32> {
        let number = *self.by_name.get(&peers.room)?;
        let (_, room) = self.rooms.get_mut(number)?;
        room.relayed = peers.relayed.into_iter().map(PeerAddr::new).collect();
        room.relayed.sort_unstable();
        room.observed = peers.observed.into_iter().map(|ip| ip.to_canonical()).collect();
        room.observed.sort_unstable();
        Some(number)
    }
}

impl Relay {
    /// An allocation that has begun goes by its room, if its credential is for the room's peers only.
    pub(crate) fn enter_room(&mut self, number: u32, relayed: &[SocketAddr]) {
        let Some(allocation) = self.allocations.get_mut(number) else { return };
        match (&allocation.credential.grant.subject, allocation.credential.grant.peers) {
            (Subject::RoomPeer { room, .. }, PeerPolicy::Room) => {
                let seen_at = allocation.client.source.ip();
                allocation.room = Some(self.rooms.enter(room, relayed.iter().copied(), seen_at));
            }
            (Subject::RoomPeer { .. } | Subject::Rest(_) | Subject::Static(_) | Subject::Token(_), _) => {}
        }
    }
}

fn insert_sorted<T: Ord>(sorted: &mut Vec<T>, thing: T) {
    if let Err(at) = sorted.binary_search(&thing) {
        sorted.insert(at, thing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_knows_its_relayed_addresses_by_port_and_its_observed_ones_by_ip() {
        let (mut rooms, number) = one_room();
        assert_eq!(rooms.update(peers(&["51.0.0.2:7", "51.0.0.1:9"], &["8.8.8.8"])), Some(number));
        let room = rooms.get(number).unwrap();
        assert!(room.has_relayed(address("51.0.0.1:9")) && !room.has_relayed(address("51.0.0.1:8")));
        assert!(room.relays_on(ip("51.0.0.1")) && room.relays_on(ip("51.0.0.2")));
        assert!(!room.relays_on(ip("51.0.0.0")) && !room.relays_on(ip("51.0.0.3")));
        assert!(!room.relays_on(ip("::1")));
        assert!(room.has_observed(ip("8.8.8.8")) && !room.has_observed(ip("8.8.8.9")));
    }

    #[test]
    fn an_allocation_belongs_to_its_room_before_the_control_plane_says_so() {
        let (rooms, number) = one_room();
        assert!(rooms.get(number).unwrap().has_relayed(address("51.0.0.1:1")));
        assert!(rooms.get(number).unwrap().has_observed(ip("1.1.1.1")));
    }

    #[test]
    fn a_room_is_forgotten_with_its_last_allocation_and_not_before() {
        let (mut rooms, number) = one_room();
        rooms.enter(&"kitchen".parse().unwrap(), std::iter::empty(), ip("2.2.2.2"));
        rooms.leave(number);
        assert!(rooms.get(number).is_some());
        rooms.leave(number);
        assert!(rooms.get(number).is_none());
        assert_eq!(rooms.update(peers(&["51.0.0.2:7"], &[])), None);
        assert!(rooms.by_name.is_empty());
    }

    fn one_room() -> (Rooms, u32) {
        let mut rooms = Rooms::new(FixedState::default());
        let relayed = std::iter::once("51.0.0.1:1".parse().unwrap());
        let number = rooms.enter(&"kitchen".parse().unwrap(), relayed, ip("1.1.1.1"));
        (rooms, number)
    }

    fn peers(relayed: &[&str], observed: &[&str]) -> RoomPeers {
        RoomPeers {
            room: "kitchen".parse().unwrap(),
            relayed: relayed.iter().map(|address| address.parse().unwrap()).collect(),
            observed: observed.iter().map(|address| ip(address)).collect(),
        }
    }

    fn address(text: &str) -> PeerAddr {
        PeerAddr::new(text.parse().unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
