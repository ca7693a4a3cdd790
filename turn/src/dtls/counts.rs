//! What DTLS sessions are counted by. The names are the values of metrics' labels.

/// Why a datagram that looks like DTLS went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It belongs to no session and starts none.
    Stray,
    /// Longer than any record, or than any message of a handshake.
    TooLong,
    /// A ClientHello of DTLS 1.0, which RFC 8996 §2 forbids.
    OldVersion,
    /// There are as many sessions as there may be.
    Full,
}

impl Refusal {
    pub(crate) const ALL: [Self; 4] = [Self::Stray, Self::TooLong, Self::OldVersion, Self::Full];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stray => "stray",
            Self::TooLong => "too_long",
            Self::OldVersion => "old_version",
            Self::Full => "full",
        }
    }
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client said so (`close_notify`).
    Closed,
    /// No allocation, and nothing heard for a while.
    Idle,
    /// The handshake took too long.
    TimedOut,
    /// A newer handshake took the place of an older one.
    Displaced,
    /// The protocol was violated, or nothing in common was found.
    Failed,
}

impl Ending {
    pub(crate) const ALL: [Self; 5] =
        [Self::Closed, Self::Idle, Self::TimedOut, Self::Displaced, Self::Failed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::TimedOut => "timed_out",
            Self::Displaced => "displaced",
            Self::Failed => "failed",
        }
    }
}

/// One worker's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DtlsCounts {
    /// Sessions at this moment, handshakes that go on included.
    pub(crate) sessions: u64,
    refused: [u64; Refusal::ALL.len()],
    ended: [u64; Ending::ALL.len()],
}

impl DtlsCounts {
    pub(crate) fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(refusal as usize).copied().unwrap_or(0)
    }

    pub(crate) fn ended(&self, ending: Ending) -> u64 {
        self.ended.get(ending as usize).copied().unwrap_or(0)
    }

    #[cfg(feature = "dtls")]
    pub(crate) fn count_refusal(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.get_mut(refusal as usize) {
            *count = count.wrapping_add(1);
        }
    }

    #[cfg(feature = "dtls")]
    pub(crate) fn count_ending(&mut self, ending: Ending) {
        if let Some(count) = self.ended.get_mut(ending as usize) {
            *count = count.wrapping_add(1);
        }
    }
}
