//! Why a request is refused, and which error code says so.

use causeway_stun::attributes::{Code, UnknownAttributes};

use crate::alternate::ServerPlace;
use crate::counters::AnswerCode;
use crate::meter::Quota;

/// One variant per error code of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TryAlternate(ServerPlace),
    BadRequest,
    Unauthenticated,
    Forbidden,
    UnknownAttributes(UnknownAttributes),
    MobilityForbidden,
    AllocationMismatch,
    StaleNonce,
    AddressFamilyNotSupported,
    WrongCredentials,
    UnsupportedTransport,
    PeerAddressFamilyMismatch,
    ConnectionAlreadyExists,
    ConnectionTimeoutOrFailure,
    AllocationQuotaReached,
    InsufficientCapacity,
}

impl Refusal {
    /// RFC 8656 §7.2: 486 for what one user has too much of, 508 for what the node has too little of.
    pub(crate) const fn of_quota(quota: Quota) -> Self {
        match quota {
            Quota::User | Quota::Room | Quota::Source | Quota::Bytes => Self::AllocationQuotaReached,
            Quota::Node | Quota::Budgets => Self::InsufficientCapacity,
        }
    }

    /// The code on the wire.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::TryAlternate(_) => Code::TryAlternate,
            Self::BadRequest => Code::BadRequest,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Forbidden => Code::Forbidden,
            Self::UnknownAttributes(_) => Code::UnknownAttribute,
            Self::MobilityForbidden => Code::MobilityForbidden,
            Self::AllocationMismatch => Code::AllocationMismatch,
            Self::StaleNonce => Code::StaleNonce,
            Self::AddressFamilyNotSupported => Code::AddressFamilyNotSupported,
            Self::WrongCredentials => Code::WrongCredentials,
            Self::UnsupportedTransport => Code::UnsupportedTransportProtocol,
            Self::PeerAddressFamilyMismatch => Code::PeerAddressFamilyMismatch,
            Self::ConnectionAlreadyExists => Code::ConnectionAlreadyExists,
            Self::ConnectionTimeoutOrFailure => Code::ConnectionTimeoutOrFailure,
            Self::AllocationQuotaReached => Code::AllocationQuotaReached,
            Self::InsufficientCapacity => Code::InsufficientCapacity,
        }
    }

    /// The counter.
    pub(crate) const fn answer_code(&self) -> AnswerCode {
        match self {
            Self::TryAlternate(_) => AnswerCode::TryAlternate,
            Self::BadRequest => AnswerCode::BadRequest,
            Self::Unauthenticated => AnswerCode::Unauthenticated,
            Self::Forbidden => AnswerCode::Forbidden,
            Self::UnknownAttributes(_) => AnswerCode::UnknownAttribute,
            Self::MobilityForbidden => AnswerCode::MobilityForbidden,
            Self::AllocationMismatch => AnswerCode::AllocationMismatch,
            Self::StaleNonce => AnswerCode::StaleNonce,
            Self::AddressFamilyNotSupported => AnswerCode::AddressFamilyNotSupported,
            Self::WrongCredentials => AnswerCode::WrongCredentials,
            Self::UnsupportedTransport => AnswerCode::UnsupportedTransport,
            Self::PeerAddressFamilyMismatch => AnswerCode::PeerAddressFamilyMismatch,
            Self::ConnectionAlreadyExists => AnswerCode::ConnectionAlreadyExists,
            Self::ConnectionTimeoutOrFailure => AnswerCode::ConnectionTimeoutOrFailure,
            Self::AllocationQuotaReached => AnswerCode::AllocationQuotaReached,
            Self::InsufficientCapacity => AnswerCode::InsufficientCapacity,
        }
    }

    /// Whether the answer brings REALM and a new NONCE (RFC 8489 §9.2.4).
    pub(crate) const fn challenges(&self) -> bool {
        match self {
            Self::Unauthenticated | Self::StaleNonce => true,
            Self::TryAlternate(_)
            | Self::BadRequest
            | Self::Forbidden
            | Self::UnknownAttributes(_)
            | Self::MobilityForbidden
            | Self::AllocationMismatch
            | Self::AddressFamilyNotSupported
            | Self::WrongCredentials
            | Self::UnsupportedTransport
            | Self::PeerAddressFamilyMismatch
            | Self::ConnectionAlreadyExists
            | Self::ConnectionTimeoutOrFailure
            | Self::AllocationQuotaReached
            | Self::InsufficientCapacity => false,
        }
    }
}
