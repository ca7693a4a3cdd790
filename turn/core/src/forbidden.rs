//! Why somebody is no peer. The names are the values of a metric's label.

/// Why a client may not exchange data with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forbidden {
    /// Not the public Internet.
    SpecialPurpose,
    /// One of our own addresses, open or in disguise.
    OwnHost,
    /// The operator denies it.
    DeniedNetwork,
    /// The credential is for its room only, and the address is not known to belong to it.
    OutsideRoom,
    /// Port 0 is no transport address.
    PortZero,
    /// Our own listener.
    OwnListener,
    /// Ours, and no live relayed address.
    NotALiveRelay,
}

impl Forbidden {
    /// Every reason, in the order of [`Forbidden::index`].
    pub const ALL: [Self; 7] = [
        Self::SpecialPurpose,
        Self::OwnHost,
        Self::DeniedNetwork,
        Self::OutsideRoom,
        Self::PortZero,
        Self::OwnListener,
        Self::NotALiveRelay,
    ];

    /// The value of the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SpecialPurpose => "special_purpose",
            Self::OwnHost => "own_host",
            Self::DeniedNetwork => "denied_network",
            Self::OutsideRoom => "outside_room",
            Self::PortZero => "port_zero",
            Self::OwnListener => "own_listener",
            Self::NotALiveRelay => "not_a_live_relay",
        }
    }

    /// The reason's place in [`Forbidden::ALL`] and in [`Counters`](crate::Counters).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
