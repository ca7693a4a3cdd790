//! What an allocation lost: the datagrams dropped on its way, by kind. Only drops have to search for their allocation.

use causeway_protocol::{Moment, Now};

use crate::address::{ClientAddr, RelayPort};
use crate::counters::labels;
use crate::dropped::DropReason;
use crate::event::Subject;
use crate::ports::PortUse;
use crate::relay::{Holder, Relay};

labels! {
    /// Why a datagram of an allocation was dropped: [`DropReason`] as far as an allocation can be told by it.
    Loss {
        /// No permission for the peer, or it is over.
        NoPermission = "no_permission",
        /// No such channel, or it is over.
        NoChannel = "no_channel",
        /// The peer is not to be reached.
        Forbidden = "forbidden",
        /// Faster than the allocation may.
        AllocationRate = "allocation_rate",
        /// Faster than the room may.
        RoomRate = "room_rate",
        /// Faster than the room's, or the user's, share of a full node.
        NodeShare = "node_share",
        /// Anything else that went wrong with it.
        Other = "other",
    }
}

impl Loss {
    /// The kind, if the reason can be one of an allocation that lives on.
    const fn of(reason: DropReason) -> Option<Self> {
        match reason {
            DropReason::NoPermission | DropReason::PermissionExpired | DropReason::PeerFamily => {
                Some(Self::NoPermission)
            }
            DropReason::NoChannel | DropReason::ChannelExpired => Some(Self::NoChannel),
            DropReason::ForbiddenPeer
            | DropReason::NotALiveRelay
            | DropReason::OutsideRoom
            | DropReason::TooManyAsks => Some(Self::Forbidden),
            DropReason::AllocationRate => Some(Self::AllocationRate),
            DropReason::RoomRate => Some(Self::RoomRate),
            DropReason::NodeShare => Some(Self::NodeShare),
            DropReason::MalformedChannelData
            | DropReason::MalformedIndication
            | DropReason::UnknownAttribute
            | DropReason::ClientAway
            | DropReason::TcpAllocation
            | DropReason::TooManyConnections
            | DropReason::TooLong
            | DropReason::IcmpNotRelayed
            | DropReason::IcmpTooMany => Some(Self::Other),
            DropReason::NotStun
            | DropReason::Dtls
            | DropReason::MalformedMessage
            | DropReason::WrongFingerprint
            | DropReason::UnexpectedAnswer
            | DropReason::UnexpectedMethod
            | DropReason::NoAllocation
            | DropReason::AllocationExpired
            | DropReason::UnknownRelayPort
            | DropReason::BudgetSpent
            | DropReason::StrangerLimited
            | DropReason::AnswerTooLarge
            | DropReason::ReplyQueueFull => None,
        }
    }
}

impl Relay {
    /// A client's datagram was dropped.
    pub(crate) fn lost_from_client(&mut self, now: Now, from: ClientAddr, reason: DropReason) {
        if let Some(loss) = Loss::of(reason)
            && let Some(Holder::Allocation(number)) = self.by_client.get(&from).copied()
        {
            self.lost(now, number, loss);
        }
    }

    /// A peer's datagram was dropped.
    pub(crate) fn lost_from_peer(&mut self, now: Now, on: RelayPort, reason: DropReason) {
        if let Some(loss) = Loss::of(reason)
            && let Some(PortUse::Allocated(number)) = self.ports.usage(on)
        {
            self.lost(now, number, loss);
        }
    }

    fn lost(&mut self, now: Now, number: u32, loss: Loss) {
        let Some(allocation) = self.allocations.get_mut(number) else { return };
        if let Some(count) = allocation.usage.lost.get_mut(loss.index()) {
            *count = count.saturating_add(1);
        }
        self.note_change(number, now.moment);
    }

    /// The usage of an allocation changed; that of a room's is reported.
    pub(crate) fn note_change(&mut self, number: u32, now: Moment) {
        let Some(allocation) = self.allocations.get_mut(number) else { return };
        match allocation.credential.grant.subject {
            Subject::RoomPeer { .. } if !allocation.changed => {
                allocation.changed = true;
                self.reports.note(number, now);
            }
            Subject::RoomPeer { .. } | Subject::Rest(_) | Subject::Static(_) | Subject::Token(_) => {}
        }
    }
}
