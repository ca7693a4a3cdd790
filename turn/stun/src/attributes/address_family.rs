//! REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY: IPv4, IPv6 or both (RFC 8656 §18.6, §18.11).

use core::net::IpAddr;

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The families of RFC 8489 §14.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressFamily {
    /// Number 1.
    Ipv4,
    /// Number 2.
    Ipv6,
}

impl AddressFamily {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The family's number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }

    /// The family of this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ipv4),
            2 => Some(Self::Ipv6),
            _ => None,
        }
    }
}

macro_rules! address_family {
    ($(#[$meta:meta])* $name:ident, $kind:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub AddressFamily);

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
                // RFC 8656 §18.6, §18.11: the three bytes behind the family are reserved and ignored.
                let &[family, _, _, _] = exactly(Self::TYPE, value)?;
                match AddressFamily::from_number(family) {
                    Some(family) => Ok(Self(family)),
                    None => Err(AttributeError::AddressFamily { kind: Self::TYPE, family }),
                }
            }
        }

        impl Encode for $name {
            fn kind(&self) -> AttributeType {
                Self::TYPE
            }

            fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
                value.bytes(&[self.0.number(), 0, 0, 0])
            }
        }
    };
}

address_family! {
    /// The one family a client wants a relayed address of.
    RequestedAddressFamily, REQUESTED_ADDRESS_FAMILY
}
address_family! {
    /// The family a client wants besides IPv4. Only IPv6 is of use; RFC 8656 §7.2 has the server answer 400 to IPv4.
    AdditionalAddressFamily, ADDITIONAL_ADDRESS_FAMILY
}
address_family! {
    /// [`AdditionalAddressFamily`] under the number of the drafts.
    DraftAdditionalAddressFamily, DRAFT_ADDITIONAL_ADDRESS_FAMILY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn both_read_what_they_write() {
        check_round_trip(&RequestedAddressFamily(AddressFamily::Ipv4), "01 00 00 00");
        check_round_trip(&RequestedAddressFamily(AddressFamily::Ipv6), "02 00 00 00");
        check_round_trip(&AdditionalAddressFamily(AddressFamily::Ipv6), "02 00 00 00");
    }

    #[test]
    fn an_unknown_family_is_named_so_that_it_can_be_answered_with_440() {
        assert_eq!(
            RequestedAddressFamily::decode(&[3, 0, 0, 0], &TRANSACTION),
            Err(AttributeError::AddressFamily { kind: AttributeType::REQUESTED_ADDRESS_FAMILY, family: 3 })
        );
    }

    #[test]
    fn reserved_bytes_are_ignored_and_must_be_there() {
        assert_eq!(
            RequestedAddressFamily::decode(&[2, 9, 9, 9], &TRANSACTION),
            Ok(RequestedAddressFamily(AddressFamily::Ipv6))
        );
        check_length_refused::<RequestedAddressFamily>(&[1]);
    }
}
