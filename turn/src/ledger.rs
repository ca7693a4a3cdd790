//! What each peer of each room has relayed through this node, summed over workers and allocations.

use std::collections::HashMap;
use std::time::Duration;

use causeway_protocol::bus::{RelayDrops, RelayFacts, RelayTransport, RelayUsage};
use causeway_protocol::{Moment, NodeId, PeerId, RoomId, UnixSeconds};
use causeway_turn_core::{Loss, Traffic, Transport, Usage};

/// How long a pair's totals outlive its last allocation: a peer that comes back meanwhile goes on counting where
/// it was. A guess: longer than any reconnect, short enough to forget a busy day's rooms.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// Pairs that are remembered. Beyond it those without an allocation go first, and then nothing new is counted.
const MAX_PAIRS: usize = 65_536;

/// A peer in a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) room: RoomId,
    pub(crate) peer: PeerId,
}

/// An allocation of this process: the worker that holds it, and the number it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AllocationKey {
    pub(crate) worker: usize,
    pub(crate) allocation: u64,
}

/// What is known of an allocation that is alive.
#[derive(Clone, Copy, Debug)]
struct Live {
    usage: Usage,
    transport: Option<Transport>,
    since: UnixSeconds,
}

#[derive(Default)]
struct Account {
    /// Of allocations that are over.
    ended: Usage,
    live: HashMap<AllocationKey, Live>,
    changed: bool,
    /// Since when no allocation is left.
    idle_since: Option<Moment>,
}

/// The totals, and which of them nobody has been told yet.
pub(crate) struct Ledger {
    node: NodeId,
    accounts: HashMap<Pair, Account>,
    max_pairs: usize,
}

impl Ledger {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, accounts: HashMap::new(), max_pairs: MAX_PAIRS }
    }

    /// `allocation` of `pair` begins.
    pub(crate) fn on_created(
        &mut self,
        now: UnixSeconds,
        pair: Pair,
        allocation: AllocationKey,
        transport: Transport,
    ) {
        let Some(account) = self.account(pair) else { return };
        let live = Live { usage: Usage::default(), transport: Some(transport), since: now };
        account.live.insert(allocation, live);
        account.changed = true;
        account.idle_since = None;
    }

    /// `allocation` of `pair` is alive and has relayed so much in all. Its beginning may have been lost.
    pub(crate) fn on_usage(&mut self, now: UnixSeconds, pair: Pair, allocation: AllocationKey, usage: Usage) {
        let Some(account) = self.account(pair) else { return };
        let live = account.live.entry(allocation).or_insert(Live { usage, transport: None, since: now });
        live.usage = usage;
        account.changed = true;
        account.idle_since = None;
    }

    /// `allocation` of `pair` is over and has relayed so much in all.
    pub(crate) fn on_ended(&mut self, now: Moment, pair: Pair, allocation: AllocationKey, usage: Usage) {
        let Some(account) = self.account(pair) else { return };
        account.live.remove(&allocation);
        account.ended = plus(account.ended, usage);
        account.changed = true;
        if account.live.is_empty() {
            account.idle_since = Some(now);
        }
    }

    /// A worker is gone and its allocations with it: what they had relayed stays counted.
    pub(crate) fn on_worker_gone(&mut self, now: Moment, worker: usize) {
        for account in self.accounts.values_mut() {
            let before = account.live.len();
            let ended = &mut account.ended;
            account.live.retain(|key, live| {
                let stays = key.worker != worker;
                if !stays {
                    *ended = plus(*ended, live.usage);
                }
                stays
            });
            if account.live.len() < before {
                account.changed = true;
                if account.live.is_empty() {
                    account.idle_since = Some(now);
                }
            }
        }
    }

    /// The totals of every pair that changed since the last call. Pairs that have been idle for long are forgotten.
    pub(crate) fn take_changed(&mut self, now: Moment) -> Vec<RelayUsage> {
        let node = &self.node;
        let changed = self
            .accounts
            .iter_mut()
            .filter_map(|(pair, account)| {
                std::mem::take(&mut account.changed).then(|| account.total(node.clone(), pair))
            })
            .collect();
        self.accounts.retain(|_, account| {
            account.idle_since.is_none_or(|idle_since| now.since(idle_since) < FORGET_AFTER)
        });
        changed
    }

    /// The last total of `pair` did not get through: it counts as changed again.
    pub(crate) fn tell_again(&mut self, pair: &Pair) {
        if let Some(account) = self.accounts.get_mut(pair) {
            account.changed = true;
        }
    }

    fn account(&mut self, pair: Pair) -> Option<&mut Account> {
        if self.accounts.len() >= self.max_pairs && !self.accounts.contains_key(&pair) {
            self.accounts.retain(|_, account| account.idle_since.is_none() || account.changed);
            if self.accounts.len() >= self.max_pairs {
                return None;
            }
        }
        Some(self.accounts.entry(pair).or_default())
    }
}

impl Account {
    fn total(&self, node: NodeId, pair: &Pair) -> RelayUsage {
        let total = self.live.values().fold(self.ended, |sum, live| plus(sum, live.usage));
        let mut transports: Vec<_> =
            self.live.values().filter_map(|live| live.transport).map(transport).collect();
        transports.sort_unstable();
        transports.dedup();
        let facts = RelayFacts {
            sent_packets: total.sent.packets,
            received_packets: total.received.packets,
            dropped: drops(total),
            transports,
            since: self.live.values().map(|live| live.since).min(),
        };
        RelayUsage {
            node,
            room: pair.room.clone(),
            peer: pair.peer.clone(),
            allocations: u32::try_from(self.live.len()).unwrap_or(u32::MAX),
            sent_bytes: total.sent.bytes,
            received_bytes: total.received.bytes,
            facts,
        }
    }
}

fn plus(one: Usage, other: Usage) -> Usage {
    let traffic = |one: Traffic, other: Traffic| Traffic {
        packets: one.packets.saturating_add(other.packets),
        bytes: one.bytes.saturating_add(other.bytes),
    };
    let mut lost = one.lost;
    for (sum, more) in lost.iter_mut().zip(other.lost) {
        *sum = sum.saturating_add(more);
    }
    Usage { sent: traffic(one.sent, other.sent), received: traffic(one.received, other.received), lost }
}

fn drops(usage: Usage) -> RelayDrops {
    let of = |loss: Loss| usage.lost.get(loss.index()).copied().unwrap_or(0).into();
    RelayDrops {
        no_permission: of(Loss::NoPermission),
        no_channel: of(Loss::NoChannel),
        forbidden: of(Loss::Forbidden),
        allocation_rate: of(Loss::AllocationRate),
        room_rate: of(Loss::RoomRate),
        node_share: of(Loss::NodeShare),
        other: of(Loss::Other),
    }
}

const fn transport(transport: Transport) -> RelayTransport {
    match transport {
        Transport::Udp => RelayTransport::Udp,
        Transport::Tcp => RelayTransport::Tcp,
        Transport::Tls => RelayTransport::Tls,
        Transport::Dtls => RelayTransport::Dtls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_origin(Duration::ZERO);
    const UNIX: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_total_says_over_what_since_when_and_what_was_lost() {
        let mut ledger = ledger();
        ledger.on_created(UNIX, pair("alice"), key(0, 1), Transport::Tls);
        ledger.on_created(UNIX.plus(5), pair("alice"), key(1, 1), Transport::Udp);
        let mut lost = [0; Loss::ALL.len()];
        lost[Loss::RoomRate.index()] = 7;
        ledger.on_usage(UNIX.plus(6), pair("alice"), key(0, 1), Usage { lost, ..bytes(10, 1) });
        ledger.on_usage(UNIX.plus(6), pair("alice"), key(1, 1), Usage { lost, ..bytes(20, 2) });
        let [usage] = &ledger.take_changed(START)[..] else { panic!("one pair") };
        let expected = RelayFacts {
            sent_packets: 2,
            received_packets: 2,
            dropped: RelayDrops { room_rate: 14, ..RelayDrops::default() },
            transports: vec![RelayTransport::Udp, RelayTransport::Tls],
            since: Some(UNIX),
        };
        assert_eq!(usage.facts, expected);
        ledger.on_ended(START, pair("alice"), key(0, 1), bytes(10, 1));
        let usage = &ledger.take_changed(START)[0];
        assert_eq!(usage.facts.transports, [RelayTransport::Udp]);
        assert_eq!(usage.facts.since, Some(UNIX.plus(5)));
    }

    #[test]
    fn workers_and_allocations_add_up() {
        let mut ledger = ledger();
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(10, 1));
        ledger.on_usage(UNIX, pair("alice"), key(1, 1), bytes(20, 2));
        check(&mut ledger, START, &[("alice", 2, 30, 3)]);
    }

    #[test]
    fn what_has_not_changed_is_told_once() {
        let mut ledger = ledger();
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(10, 1));
        check(&mut ledger, START, &[("alice", 1, 10, 1)]);
        check(&mut ledger, START, &[]);
    }

    #[test]
    fn an_ended_allocation_stays_in_the_total() {
        let mut ledger = ledger();
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(10, 1));
        ledger.on_ended(START, pair("alice"), key(0, 1), bytes(15, 1));
        ledger.on_usage(UNIX, pair("alice"), key(0, 2), bytes(1, 0));
        check(&mut ledger, START, &[("alice", 1, 16, 1)]);
    }

    #[test]
    fn a_pair_is_forgotten_some_minutes_after_its_last_allocation() {
        let mut ledger = ledger();
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(10, 1));
        ledger.on_ended(START, pair("alice"), key(0, 1), bytes(10, 1));
        let almost = START.plus(FORGET_AFTER - Duration::from_secs(1));
        check(&mut ledger, almost, &[("alice", 0, 10, 1)]);
        assert_eq!(ledger.accounts.len(), 1);
        check(&mut ledger, START.plus(FORGET_AFTER), &[]);
        assert_eq!(ledger.accounts.len(), 0);
    }

    #[test]
    fn a_pair_with_an_allocation_is_never_forgotten() {
        let mut ledger = ledger();
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(10, 1));
        ledger.take_changed(START.plus(FORGET_AFTER * 10));
        assert_eq!(ledger.accounts.len(), 1);
    }

    #[test]
    fn a_full_ledger_gives_up_idle_pairs_and_then_new_ones() {
        let mut ledger = Ledger { max_pairs: 2, ..ledger() };
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(1, 1));
        ledger.on_usage(UNIX, pair("bob"), key(0, 2), bytes(1, 1));
        ledger.on_ended(START, pair("bob"), key(0, 2), bytes(1, 1));
        ledger.take_changed(START);
        ledger.on_usage(UNIX, pair("carol"), key(0, 3), bytes(3, 3));
        ledger.on_usage(UNIX, pair("dave"), key(0, 4), bytes(4, 4));
        check(&mut ledger, START, &[("carol", 1, 3, 3)]);
    }

    #[test]
    fn a_worker_that_is_gone_takes_its_allocations_along() {
        let mut ledger = ledger();
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(10, 1));
        ledger.on_usage(UNIX, pair("alice"), key(1, 1), bytes(20, 2));
        ledger.on_worker_gone(START, 0);
        check(&mut ledger, START, &[("alice", 1, 30, 3)]);
    }

    #[test]
    fn a_total_that_did_not_get_through_is_told_again() {
        let mut ledger = ledger();
        ledger.on_usage(UNIX, pair("alice"), key(0, 1), bytes(10, 1));
        ledger.take_changed(START);
        ledger.tell_again(&pair("alice"));
        check(&mut ledger, START, &[("alice", 1, 10, 1)]);
    }

    fn check(ledger: &mut Ledger, now: Moment, expected: &[(&str, u32, u64, u64)]) {
        let usage = ledger.take_changed(now);
        let found: Vec<_> = usage
            .iter()
            .map(|usage| (usage.peer.as_str(), usage.allocations, usage.sent_bytes, usage.received_bytes))
            .collect();
        assert_eq!(found, expected);
    }

    fn ledger() -> Ledger {
        Ledger::new("node".parse().unwrap())
    }

    fn pair(peer: &str) -> Pair {
        Pair { room: "kitchen".parse().unwrap(), peer: peer.parse().unwrap() }
    }

    fn key(worker: usize, allocation: u64) -> AllocationKey {
        AllocationKey { worker, allocation }
    }

    fn bytes(sent: u64, received: u64) -> Usage {
        let traffic = |bytes| Traffic { packets: 1, bytes };
        Usage { sent: traffic(sent), received: traffic(received), ..Usage::default() }
    }
}
