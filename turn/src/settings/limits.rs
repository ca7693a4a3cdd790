//! How much clients may hold at a time.

use causeway_turn_core::Limits;
use serde::{Deserialize, Serialize};

use super::Problems;

/// The limits on what clients hold, over all workers of this process. They can be changed while the relay runs; what is
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
            permissions: self.permissions_per_allocation,
            channels: self.channels_per_allocation,
            ..Limits::default()
        }
    }
}
