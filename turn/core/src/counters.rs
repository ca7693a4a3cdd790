//! What a relay counts: plain numbers that its shell reads and carries elsewhere.

use causeway_stun::Method;

use crate::between::Between;
use crate::dropped::DropReason;
use crate::event::Usage;
use crate::forbidden::Forbidden;
use crate::meter::Quota;

/// Totals since the relay started; `allocations` is the number alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Application data of all allocations.
    pub relayed: Usage,
    /// Datagrams dropped, by [`DropReason::index`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Datagrams that reached a relayed address from another one of ours without the kernel, by [`Between::index`].
    pub between: [u64; Between::ALL.len()],
    /// Requests received, authenticated or not, by [`RequestMethod::index`].
    pub requests: [u64; RequestMethod::ALL.len()],
    /// Requests answered, by [`AnswerCode::index`].
    pub answers: [u64; AnswerCode::ALL.len()],
    /// Peers that clients were denied, by [`Forbidden::index`].
    pub denied: [u64; Forbidden::ALL.len()],
    /// Allocate requests refused by a limit, by [`Quota::index`].
    pub quota_refusals: [u64; Quota::ALL.len()],
    /// Allocations alive.
    pub allocations: u64,
    /// Connections between TCP allocations and peers, of whatever state.
    pub connections: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            relayed: Usage::default(),
            dropped: [0; DropReason::ALL.len()],
            between: [0; Between::ALL.len()],
            requests: [0; RequestMethod::ALL.len()],
            answers: [0; AnswerCode::ALL.len()],
            denied: [0; Forbidden::ALL.len()],
            quota_refusals: [0; Quota::ALL.len()],
            allocations: 0,
            connections: 0,
        }
    }
}

impl Counters {
    /// How many datagrams were dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason.index()).copied().unwrap_or(0)
    }

    /// How many datagrams went from one relayed address of this process to another in this way.
    #[must_use]
    pub fn between(&self, how: Between) -> u64 {
        self.between.get(how.index()).copied().unwrap_or(0)
    }

    /// How many requests of this method came.
    #[must_use]
    pub fn requests(&self, method: RequestMethod) -> u64 {
        self.requests.get(method.index()).copied().unwrap_or(0)
    }

    /// How many requests were answered so.
    #[must_use]
    pub fn answers(&self, code: AnswerCode) -> u64 {
        self.answers.get(code.index()).copied().unwrap_or(0)
    }

    /// How many Allocate requests this limit refused.
    #[must_use]
    pub fn quota_refusals(&self, quota: Quota) -> u64 {
        self.quota_refusals.get(quota.index()).copied().unwrap_or(0)
    }

    /// How often a client was denied a peer for this reason.
    #[must_use]
    pub fn denied(&self, reason: Forbidden) -> u64 {
        self.denied.get(reason.index()).copied().unwrap_or(0)
    }

    pub(crate) fn count_denied(&mut self, reason: Forbidden) {
        increment(self.denied.get_mut(reason.index()));
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        increment(self.dropped.get_mut(reason.index()));
    }

    pub(crate) fn count_between(&mut self, how: Between) {
        increment(self.between.get_mut(how.index()));
    }

    pub(crate) fn count_request(&mut self, method: RequestMethod) {
        increment(self.requests.get_mut(method.index()));
    }

    pub(crate) fn count_quota_refusal(&mut self, quota: Quota) {
        increment(self.quota_refusals.get_mut(quota.index()));
    }

    pub(crate) fn count_answer(&mut self, code: AnswerCode) {
        increment(self.answers.get_mut(code.index()));
    }
}

fn increment(counter: Option<&mut u64>) {
    if let Some(counter) = counter {
        *counter = counter.wrapping_add(1);
    }
}

/// Declares a closed set of label values.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of `index`.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$variant),*];

            /// The value of the metric's label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }

            /// The place in `ALL` and in [`Counters`](crate::Counters).
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(crate) use labels;

labels! {
    /// The methods that clients may request.
    RequestMethod {
        /// RFC 8489 §3
        Binding = "binding",
        /// RFC 8656 §7
        Allocate = "allocate",
        /// RFC 8656 §8
        Refresh = "refresh",
        /// RFC 8656 §10
        CreatePermission = "create_permission",
        /// RFC 8656 §12
        ChannelBind = "channel_bind",
        /// RFC 6062 §5.2
        Connect = "connect",
        /// RFC 6062 §5.4
        ConnectionBind = "connection_bind",
    }
}

impl RequestMethod {
    /// The method, if it is one that a client may request.
    pub(crate) const fn of(method: Method) -> Option<Self> {
        match method {
            Method::Binding => Some(Self::Binding),
            Method::Allocate => Some(Self::Allocate),
            Method::Refresh => Some(Self::Refresh),
            Method::CreatePermission => Some(Self::CreatePermission),
            Method::ChannelBind => Some(Self::ChannelBind),
            Method::Connect => Some(Self::Connect),
            Method::ConnectionBind => Some(Self::ConnectionBind),
            Method::Send | Method::Data | Method::ConnectionAttempt => None,
        }
    }

    /// The codec's name for it.
    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Binding => Method::Binding,
            Self::Allocate => Method::Allocate,
            Self::Refresh => Method::Refresh,
            Self::CreatePermission => Method::CreatePermission,
            Self::ChannelBind => Method::ChannelBind,
            Self::Connect => Method::Connect,
            Self::ConnectionBind => Method::ConnectionBind,
        }
    }
}

labels! {
    /// How a request was answered.
    AnswerCode {
        /// A success answer.
        Success = "success",
        /// Try Alternate
        TryAlternate = "300",
        /// Bad Request
        BadRequest = "400",
        /// Unauthenticated
        Unauthenticated = "401",
        /// Forbidden
        Forbidden = "403",
        /// Unknown Attribute
        UnknownAttribute = "420",
        /// Mobility Forbidden
        MobilityForbidden = "405",
        /// Allocation Mismatch
        AllocationMismatch = "437",
        /// Stale Nonce
        StaleNonce = "438",
        /// Address Family not Supported
        AddressFamilyNotSupported = "440",
        /// Wrong Credentials
        WrongCredentials = "441",
        /// Unsupported Transport Protocol
        UnsupportedTransport = "442",
        /// Peer Address Family Mismatch
        PeerAddressFamilyMismatch = "443",
        /// Connection Already Exists
        ConnectionAlreadyExists = "446",
        /// Connection Timeout or Failure
        ConnectionTimeoutOrFailure = "447",
        /// Allocation Quota Reached
        AllocationQuotaReached = "486",
        /// Insufficient Capacity
        InsufficientCapacity = "508",
    }
}
