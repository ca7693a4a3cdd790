//! Why a datagram goes nowhere. The names are the values of a metric's label.

/// Declares the reasons once: as variants, as a list and as label values.
macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// Why a datagram was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason {
            $($(#[$doc])* $name,)*
        }

        impl DropReason {
            /// Every reason, in the order of [`DropReason::index`].
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$name),*];

            /// The value of the metric's label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            /// The reason's place in [`DropReason::ALL`] and in [`Counters`](crate::Counters).
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

drop_reasons! {
    /// From a client: neither STUN nor ChannelData nor DTLS.
    NotStun = "not_stun",
    /// A DTLS record on a listener without DTLS.
    Dtls = "dtls",
    /// Looked like STUN and is not a message.
    MalformedMessage = "malformed_message",
    /// Looked like ChannelData and is not (RFC 8656 §12.6).
    MalformedChannelData = "malformed_channel_data",
    /// FINGERPRINT is there and wrong (RFC 8489 §6.3).
    WrongFingerprint = "wrong_fingerprint",
    /// A success or error answer: we asked nothing.
    UnexpectedAnswer = "unexpected_answer",
    /// An indication of a method that has none from a client, or a request of one that has only indications.
    UnexpectedMethod = "unexpected_method",
    /// An indication with an attribute that must be understood and is not (RFC 8489 §6.3.2).
    UnknownAttribute = "unknown_attribute",
    /// A Send indication without a usable XOR-PEER-ADDRESS or DATA (RFC 8656 §11.2).
    MalformedIndication = "malformed_indication",
    /// From a client that has no allocation.
    NoAllocation = "no_allocation",
    /// The allocation's lifetime is over.
    AllocationExpired = "allocation_expired",
    /// No channel of this number is bound.
    NoChannel = "no_channel",
    /// The channel binding's ten minutes are over.
    ChannelExpired = "channel_expired",
    /// No permission for the peer's address.
    NoPermission = "no_permission",
    /// The permission's five minutes are over.
    PermissionExpired = "permission_expired",
    /// The allocation has no relayed address of the peer's family.
    PeerFamily = "peer_family",
    /// The peer policy does not allow the destination.
    ForbiddenPeer = "forbidden_peer",
    /// The destination is on one of our addresses and no live relayed address.
    NotALiveRelay = "not_a_live_relay",
    /// The credential is for its room only, and this is no relayed address of the room.
    OutsideRoom = "outside_room",
    /// A request for peers that are not known to belong to the room, while too many others wait for an answer.
    TooManyAsks = "too_many_asks",
    /// On a relay port that belongs to no allocation (any more, or yet).
    UnknownRelayPort = "unknown_relay_port",
    /// From a peer of a client that moves (RFC 8016) and is not back yet.
    ClientAway = "client_away",
    /// A Send indication on a TCP allocation (RFC 6062 §3), which has connections to send on.
    TcpAllocation = "tcp_allocation",
    /// A peer connects to a TCP allocation that has as many connections as it may.
    TooManyConnections = "too_many_connections",
    /// Too long to be framed for the client.
    TooLong = "too_long",
    /// The credential's byte budget is used up.
    BudgetSpent = "budget_spent",
    /// Its source address has had as many answers without authenticating as it may have in a time.
    StrangerLimited = "stranger_limited",
    /// A challenge would be several times as long as the request, and the sender may be somebody else.
    AnswerTooLarge = "answer_too_large",
    /// An ICMP message that clients are not told (RFC 8656 §11.5 names those they are).
    IcmpNotRelayed = "icmp_not_relayed",
    /// More ICMP errors in a second than a client is told.
    IcmpTooMany = "icmp_too_many",
    /// Faster than the allocation may.
    AllocationRate = "allocation_rate",
    /// Faster than the room may.
    RoomRate = "room_rate",
    /// Faster than the room's, or the user's, share of a node that is full.
    NodeShare = "node_share",
    /// The queue of answers is full.
    ReplyQueueFull = "reply_queue_full",
}
