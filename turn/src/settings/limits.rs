//! How much clients may hold at a time, and how fast they may relay.

use causeway_turn_core::Limits;
use serde::{Deserialize, Serialize};

use super::Problems;

/// The limits on what clients hold and relay, over all workers of this process. They can be changed while the relay runs; what is
/// there already stays, even beyond a limit that was lowered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Allocations in all, then 508. Default: 16,000, a guess below the 16,384 ports of one address.
    pub allocations: usize,
    /// Allocations of one user or one peer of a room, then 486. A room credential that carries its own number overrides
    /// this. Default: 64, a guess: a browser makes one per ICE server URL and network interface.
    pub allocations_per_user: u32,
    /// Allocations of one room, then 486; 0: no limit. Default: 1,000, a guess: a call of 250 with four each.
    pub allocations_per_room: u32,
    /// Allocations from one IPv4 address or one IPv6 /64, then 486; 0: no limit. Default: 4,000, a guess: an office
    /// behind one address is served, and no source takes more than a quarter of the relay.
    pub allocations_per_source: u32,
    /// Application bytes per second of one allocation, each way; 0: no limit. A room credential that carries its own number
    /// (`bps`) overrides this. What exceeds it is dropped, as a slow link would. Default: 0, since a transfer should be
    /// as fast as the network is.
    pub allocation_bytes_per_second: u64,
    /// Application bytes per second of all allocations of one room, both ways together; 0: no limit. A room can be told
    /// its own. Default: 0, for the same reason.
    pub room_bytes_per_second: u64,
    /// Application bytes per second of all allocations of this process, both ways together; 0: no limit. While they want
    /// more, each room gets what it needs up to an equal share, and so does each user that is in no room. What
    /// passes between two allocations of this process counts twice, once for each. Set it below what the link carries, so
    /// that the relay decides who waits and not a router. Default: 0, since nobody but the operator knows the link.
    pub node_bytes_per_second: u64,
    /// Permissions of one allocation, then 508. Default: 128, a guess: a mesh of 30 peers with four addresses each.
    pub permissions_per_allocation: usize,
    /// Channels of one allocation, then 508. Default: 128, for the same reason.
    pub channels_per_allocation: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        let core = Limits::default();
        Self {
            allocations: 16_000,
            allocations_per_user: core.allocations_per_user,
            allocations_per_room: core.allocations_per_room,
            allocations_per_source: core.allocations_per_source,
            allocation_bytes_per_second: core.allocation_bytes_per_second,
            room_bytes_per_second: core.room_bytes_per_second,
            node_bytes_per_second: core.node_bytes_per_second,
            permissions_per_allocation: core.permissions,
            channels_per_allocation: core.channels,
        }
    }
}

impl LimitSettings {
    /// A number that is too large is no mistake: it is no limit.
    pub(super) fn check(&self, problems: &mut Problems) {
        for (key, value) in [
            ("limits.allocations", self.allocations),
            ("limits.allocations_per_user", self.allocations_per_user as usize),
            ("limits.permissions_per_allocation", self.permissions_per_allocation),
            ("limits.channels_per_allocation", self.channels_per_allocation),
        ] {
            if value == 0 {
                problems.add(key, "use at least 1: with 0 the relay would serve nobody");
            }
        }
    }

    /// As the cores take them.
    pub(crate) fn core(&self) -> Limits {
        Limits {
            allocations: self.allocations,
            allocations_per_user: self.allocations_per_user,
            allocations_per_room: self.allocations_per_room,
            allocations_per_source: self.allocations_per_source,
            allocation_bytes_per_second: self.allocation_bytes_per_second,
            room_bytes_per_second: self.room_bytes_per_second,
            node_bytes_per_second: self.node_bytes_per_second,
            permissions: self.permissions_per_allocation,
            channels: self.channels_per_allocation,
            ..Limits::default()
        }
    }
}
