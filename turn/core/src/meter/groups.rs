//! All groups of a node: what each may relay, and the node's bandwidth divided among them.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_protocol::bus::RoomLimits;
use causeway_protocol::{Moment, Now, RoomId, UnixSeconds};
use foldhash::fast::FixedState;

use super::bucket::Rate;
use super::group::{Group, GroupKey};
use super::share;
use crate::event::Subject;

/// Rooms with an order that is remembered. A guess that bounds the memory; beyond it the order that ends first goes.
const MAX_ORDERS: usize = 10_000;

/// The groups that have an allocation, and the rooms that were told a rate.
#[derive(Debug)]
pub(super) struct Groups {
    groups: HashMap<GroupKey, Entry, FixedState>,
    orders: HashMap<RoomId, Order, FixedState>,
    /// Of a room that was told nothing.
    room_rate: Rate,
    /// Of the node; `None`: not limited.
    node_rate: Option<u64>,
    /// What each group may have of it.
    level: Option<Rate>,
    shared_at: Moment,
    /// Kept between the passes, so that they do not allocate.
    demands: Vec<u64>,
}

#[derive(Debug)]
struct Entry {
    group: Arc<Group>,
    allocations: u32,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    rate: Rate,
    until: UnixSeconds,
}

impl Groups {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self {
            groups: HashMap::with_hasher(hasher.clone()),
            orders: HashMap::with_hasher(hasher),
            room_rate: Rate::UNLIMITED,
            node_rate: None,
            level: None,
            shared_at: Moment::default(),
            demands: Vec::new(),
        }
    }

    /// The group of a subject, for one more allocation.
    pub(super) fn enter(&mut self, subject: &Subject) -> Arc<Group> {
        let key = GroupKey::of(subject);
        let limit = self.limit(&key);
        let level = self.level;
        let entry = self
            .groups
            .entry(key)
            .or_insert_with(|| Entry { group: Arc::new(Group::new(limit, level)), allocations: 0 });
        entry.allocations = entry.allocations.saturating_add(1);
        Arc::clone(&entry.group)
    }

    /// One allocation of it is gone; with the last one the group is forgotten.
    pub(super) fn leave(&mut self, subject: &Subject) {
        let key = GroupKey::of(subject);
        let Some(entry) = self.groups.get_mut(&key) else { return };
        entry.allocations = entry.allocations.saturating_sub(1);
        if entry.allocations == 0 {
            self.groups.remove(&key);
        }
    }

    /// What a room may relay until further notice.
    pub(super) fn tell(
        &mut self,
        RoomLimits { room, bytes_per_second, until }: RoomLimits,
        now: UnixSeconds,
    ) {
        match bytes_per_second {
            Some(rate) if now < until => {
                if self.orders.len() >= MAX_ORDERS && !self.orders.contains_key(&room) {
                    self.make_room();
                }
                self.orders.insert(room.clone(), Order { rate: Rate::exactly(rate), until });
            }
            Some(_) | None => {
                self.orders.remove(&room);
            }
        }
        self.apply_limit(&GroupKey::Room(room));
    }

    fn make_room(&mut self) {
        if let Some((first, _)) = self.orders.iter().min_by_key(|(_, order)| order.until) {
            let first = first.clone();
            self.forget_order(first);
        }
    }

    fn forget_order(&mut self, room: RoomId) {
        self.orders.remove(&room);
        self.apply_limit(&GroupKey::Room(room));
    }

    /// The rates of the settings; 0 is none.
    pub(super) fn set_rates(&mut self, room: u64, node: u64) {
        let room = Rate::of_setting(room);
        if self.room_rate != room {
            self.room_rate = room;
            for (key, entry) in &self.groups {
                entry.group.set_limit(self.limit(key));
            }
        }
        let node = (node != 0).then_some(node);
        if self.node_rate != node {
            self.node_rate = node;
            // Until the first pass any group may use all of it.
            self.set_level(node.map(Rate::exactly));
        }
    }

    /// Once in [`Meters::SHARE_EVERY`](super::Meters::SHARE_EVERY).
    pub(super) fn share(&mut self, now: Now) {
        let over: Vec<RoomId> = self
            .orders
            .iter()
            .filter(|(_, order)| order.until <= now.unix)
            .map(|(room, _)| room.clone())
            .collect();
        over.into_iter().for_each(|room| self.forget_order(room));

        let elapsed = now.moment.since(self.shared_at);
        self.shared_at = now.moment;
        let Some(capacity) = self.node_rate else { return };
        if elapsed.is_zero() {
            return;
        }
        let mut demands = std::mem::take(&mut self.demands);
        demands.clear();
        demands.extend(
            self.groups.values().map(|entry| entry.group.take_demand(elapsed)).filter(|demand| *demand > 0),
        );
        self.set_level(Some(Rate::exactly(share::level(&mut demands, capacity))));
        self.demands = demands;
    }

    fn set_level(&mut self, level: Option<Rate>) {
        self.level = level;
        for entry in self.groups.values() {
            entry.group.set_share(level);
        }
    }

    fn apply_limit(&self, key: &GroupKey) {
        if let Some(entry) = self.groups.get(key) {
            entry.group.set_limit(self.limit(key));
        }
    }

    fn limit(&self, key: &GroupKey) -> Rate {
        match key {
            GroupKey::Room(room) => self.orders.get(room).map_or(self.room_rate, |order| order.rate),
            GroupKey::User(_) => Rate::UNLIMITED,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dropped::DropReason;

    const MB: u64 = 1_000_000;
    const UNIX: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_full_node_gives_each_room_what_it_needs_or_an_equal_share() {
        let mut test = Test::new(0, 30 * MB, 3);
        test.check(0..5_000, &[MB, 10 * MB, 100 * MB], &[MB, 10 * MB, 19 * MB]);
    }

    #[test]
    fn a_room_that_begins_to_need_its_share_gets_it_from_the_next_pass_on() {
        let mut test = Test::new(0, 30 * MB, 3);
        test.check(0..5_000, &[MB, 10 * MB, 100 * MB], &[MB, 10 * MB, 19 * MB]);
        test.check(5_000..10_000, &[20 * MB, 10 * MB, 100 * MB], &[10 * MB, 10 * MB, 10 * MB]);
        test.check(10_000..15_000, &[0, 10 * MB, 100 * MB], &[0, 10 * MB, 20 * MB]);
    }

    #[test]
    fn a_node_with_room_to_spare_slows_nobody() {
        let mut test = Test::new(0, 30 * MB, 3);
        test.check(0..5_000, &[MB, 10 * MB, 15 * MB], &[MB, 10 * MB, 15 * MB]);
    }

    #[test]
    fn a_rooms_own_limit_holds_below_its_share_and_leaves_the_rest_to_others() {
        let mut test = Test::new(0, 30 * MB, 2);
        test.tell(1, Some(5 * MB), 3_600, 0);
        test.check(0..5_000, &[100 * MB, 100 * MB], &[25 * MB, 5 * MB]);
    }

    #[test]
    fn a_told_rate_holds_until_its_time_and_then_the_setting_does() {
        let mut test = Test::new(10 * MB, 0, 1);
        test.check(0..5_000, &[100 * MB], &[10 * MB]);
        test.tell(0, Some(MB), 5, 5);
        test.check(5_000..10_000, &[100 * MB], &[MB]);
        test.check(10_000..15_000, &[100 * MB], &[10 * MB]);
        test.tell(0, Some(100 * MB), 100, 15);
        test.check(15_000..20_000, &[50 * MB], &[50 * MB]);
        test.tell(0, None, 100, 20);
        test.check(20_000..25_000, &[100 * MB], &[10 * MB]);
    }

    #[test]
    fn what_is_in_the_way_has_a_name() {
        let mut test = Test::new(10 * MB, 0, 1);
        assert_eq!(test.refusal(), DropReason::RoomRate);
        test.groups.set_rates(10 * MB, MB);
        assert_eq!(test.refusal(), DropReason::NodeShare);
        test.groups.set_rates(0, 0);
        assert_eq!(test.rooms[0].take(usize::MAX >> 16, at(0)), Ok(()));
    }

    #[test]
    fn a_room_that_was_told_before_it_came_is_limited() {
        let mut groups = Groups::new(FixedState::default());
        groups.tell(order(0, Some(0), 60), UNIX);
        let group = groups.enter(&subject(0));
        assert_eq!(group.take(1, at(0)), Err(DropReason::RoomRate));
        groups.leave(&subject(0));
        assert!(groups.groups.is_empty());
    }

    #[test]
    fn orders_are_bounded_and_the_one_that_ends_first_goes() {
        let mut groups = Groups::new(FixedState::default());
        for room in 0..=MAX_ORDERS {
            groups.tell(order(room, Some(1), 100 + room as u64), UNIX);
        }
        assert_eq!(groups.orders.len(), MAX_ORDERS);
        assert!(
            !groups.orders.contains_key(order(0, None, 0).room.as_str().parse::<RoomId>().as_ref().unwrap())
        );
    }

    struct Test {
        groups: Groups,
        rooms: Vec<Arc<Group>>,
    }

    impl Test {
        fn new(room_rate: u64, node_rate: u64, rooms: usize) -> Self {
            let mut groups = Groups::new(FixedState::default());
            groups.set_rates(room_rate, node_rate);
            let rooms = (0..rooms).map(|room| groups.enter(&subject(room))).collect();
            Self { groups, rooms }
        }

        fn tell(&mut self, room: usize, bytes_per_second: Option<u64>, seconds: u64, at: u64) {
            self.groups.tell(order(room, bytes_per_second, at + seconds), UNIX.plus(at));
        }

        /// Every room offers its demand in batches of a millisecond, with a pass each 100; what came through is within 3 %.
        #[track_caller]
        fn check(&mut self, millis: std::ops::Range<u64>, demands: &[u64], expected: &[u64]) {
            const DATAGRAM: u64 = 1_000;
            let seconds = (millis.end - millis.start) / 1_000;
            let mut owed = vec![0; demands.len()];
            let mut passed = vec![0; demands.len()];
            for now in millis {
                for (room, group) in self.rooms.iter().enumerate() {
                    owed[room] += demands[room] / 1_000;
                    while owed[room] >= DATAGRAM {
                        owed[room] -= DATAGRAM;
                        passed[room] += group.take(1_000, at(now)).map_or(0, |()| DATAGRAM);
                    }
                }
                if (now + 1) % 100 == 0 {
                    let unix = UNIX.plus((now + 1) / 1_000);
                    self.groups.share(Now { moment: at(now + 1), unix });
                }
            }
            for (passed, expected) in passed.iter().zip(expected) {
                let off = passed.abs_diff(expected * seconds);
                assert!(
                    off * 100 <= 3 * expected * seconds,
                    "{passed} of {expected} × {seconds}: {passed:?}"
                );
            }
        }

        fn refusal(&self) -> DropReason {
            (0..1_000_000).find_map(|_| self.rooms[0].take(1_000, at(0)).err()).expect("a limit")
        }
    }

    fn subject(room: usize) -> Subject {
        Subject::RoomPeer { room: format!("r{room}").parse().unwrap(), peer: "p".parse().unwrap() }
    }

    fn order(room: usize, bytes_per_second: Option<u64>, until: u64) -> RoomLimits {
        RoomLimits { room: format!("r{room}").parse().unwrap(), bytes_per_second, until: UNIX.plus(until) }
    }

    fn at(millis: u64) -> Moment {
        Moment::from_origin(Duration::from_millis(millis))
    }
}
