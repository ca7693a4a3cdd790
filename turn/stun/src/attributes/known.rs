//! Any attribute, by its type: for logs, tests and tools that look at whole messages.

use super::{
    AccessToken, AdditionalAddressFamily, AddressErrorCode, AlternateDomain, AlternateServer, CacheTimeout,
    ChangeRequest, ChannelNumber, ConnectionId, Data, DontFragment, DraftAdditionalAddressFamily, ErrorCode,
    EvenPort, IceControlled, IceControlling, Icmp, Lifetime, MappedAddress, MobilityTicket, Nonce,
    OtherAddress, Padding, PasswordAlgorithm, PasswordAlgorithms, Priority, Realm, RequestedAddressFamily,
    RequestedTransport, ReservationToken, ResponseOrigin, ResponsePort, Software, ThirdPartyAuthorization,
    UnknownAttributeList, UseCandidate, Userhash, Username, XorMappedAddress, XorPeerAddress,
    XorRelayedAddress,
};
use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, RawAttribute};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// Declares the enum over all attributes that have a value of their own.
macro_rules! known {
    ($($name:ident $(<$lifetime:lifetime>)?,)*) => {
        /// An attribute of one of our RFCs, decoded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is the attribute of its name")]
        pub enum Known<'a> {
            $($name($name $(<$lifetime>)?),)*
        }

        impl<'a> Known<'a> {
            /// The types it covers: all but the three that seal a message.
            pub const TYPES: &'static [AttributeType] = &[$($name::TYPE,)*];

            /// Decodes an attribute by its type; `Ok(None)` if the type is unknown or seals a message.
            ///
            /// # Errors
            /// The value is malformed.
            pub fn decode(
                attribute: RawAttribute<'a>,
                transaction: &TransactionId,
            ) -> Result<Option<Self>, AttributeError> {
                match attribute.kind {
                    $($name::TYPE => $name::decode(attribute.value, transaction).map(|known| Some(Self::$name(known))),)*
                    AttributeType(_) => Ok(None),
                }
            }
        }

        impl Encode for Known<'_> {
            fn kind(&self) -> AttributeType {
                match self {
                    $(Self::$name(attribute) => attribute.kind(),)*
                }
            }

            fn encode(&self, transaction: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
                match self {
                    $(Self::$name(attribute) => attribute.encode(transaction, value),)*
                }
            }
        }
    };
}

known! {
    AccessToken<'a>,
    AdditionalAddressFamily,
    AddressErrorCode<'a>,
    AlternateDomain<'a>,
    AlternateServer,
    CacheTimeout,
    ChangeRequest,
    ChannelNumber,
    ConnectionId,
    Data<'a>,
    DontFragment,
    DraftAdditionalAddressFamily,
    ErrorCode<'a>,
    EvenPort,
    IceControlled,
    IceControlling,
    Icmp,
    Lifetime,
    MappedAddress,
    MobilityTicket<'a>,
    Nonce<'a>,
    OtherAddress,
    Padding,
    PasswordAlgorithm<'a>,
    PasswordAlgorithms<'a>,
    Priority,
    Realm<'a>,
    RequestedAddressFamily,
    RequestedTransport,
    ReservationToken,
    ResponseOrigin,
    ResponsePort,
    Software<'a>,
    ThirdPartyAuthorization<'a>,
    UnknownAttributeList<'a>,
    UseCandidate,
    Userhash,
    Username<'a>,
    XorMappedAddress,
    XorPeerAddress,
    XorRelayedAddress,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TRANSACTION;

    #[test]
    fn every_type_but_the_seals_is_covered_once() {
        let mut types = Known::TYPES.to_vec();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), Known::TYPES.len());

        let seals = [
            AttributeType::MESSAGE_INTEGRITY,
            AttributeType::MESSAGE_INTEGRITY_SHA256,
            AttributeType::FINGERPRINT,
        ];
        let named = (0..=u16::MAX).map(AttributeType).filter(|kind| kind.name().is_some());
        let covered: Vec<AttributeType> = named.filter(|kind| !seals.contains(kind)).collect();
        assert_eq!(types, covered);
    }

    #[test]
    fn an_attribute_is_decoded_by_its_type() {
        let raw = RawAttribute { kind: AttributeType::PRIORITY, value: &[0, 0, 0, 7] };
        assert_eq!(Known::decode(raw, &TRANSACTION), Ok(Some(Known::Priority(Priority(7)))));
        let raw = RawAttribute { kind: AttributeType(0x7777), value: &[] };
        assert_eq!(Known::decode(raw, &TRANSACTION), Ok(None));
    }
}
