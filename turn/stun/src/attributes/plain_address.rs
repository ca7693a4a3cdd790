//! The addresses that stand in the clear: MAPPED-ADDRESS, ALTERNATE-SERVER, RESPONSE-ORIGIN and OTHER-ADDRESS.

use core::net::SocketAddr;

use super::address;
use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

macro_rules! plain_address {
    ($(#[$meta:meta])* $name:ident, $kind:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub SocketAddr);

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
                address::decode(Self::TYPE, value).map(Self)
            }
        }

        impl Encode for $name {
            fn kind(&self) -> AttributeType {
                Self::TYPE
            }

            fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
                address::encode(self.0, value)
            }
        }
    };
}

plain_address! {
    /// Where a server saw a request come from, for clients of RFC 3489 (RFC 8489 §14.1).
    MappedAddress, MAPPED_ADDRESS
}
plain_address! {
    /// The server to try in place of this one (RFC 8489 §14.15).
    AlternateServer, ALTERNATE_SERVER
}
plain_address! {
    /// Which of the server's addresses an answer was sent from (RFC 5780 §7.3).
    ResponseOrigin, RESPONSE_ORIGIN
}
plain_address! {
    /// The address the server would use if CHANGE-REQUEST asked for another IP and another port (RFC 5780 §7.4).
    OtherAddress, OTHER_ADDRESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, bytes, check_length_refused, check_round_trip};

    #[test]
    fn ipv4_stands_as_it_is() {
        check_round_trip(&MappedAddress("192.0.2.1:32853".parse().unwrap()), "00 01 80 55 c0 00 02 01");
        check_round_trip(&AlternateServer("192.0.2.9:3478".parse().unwrap()), "00 01 0d 96 c0 00 02 09");
    }

    #[test]
    fn ipv6_stands_as_it_is() {
        let hex = "00 02 00 01 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01";
        check_round_trip(&ResponseOrigin("[2001:db8::1]:1".parse().unwrap()), hex);
        check_round_trip(&OtherAddress("[2001:db8::1]:1".parse().unwrap()), hex);
    }

    #[test]
    fn the_first_byte_is_ignored() {
        let read = MappedAddress::decode(&[0xFF, 1, 0, 80, 10, 0, 0, 1], &TRANSACTION);
        assert_eq!(read, Ok(MappedAddress("10.0.0.1:80".parse().unwrap())));
    }

    #[test]
    fn a_family_with_the_other_familys_length_is_refused() {
        check_length_refused::<MappedAddress>(&[]);
        check_length_refused::<MappedAddress>(&[0, 1, 0, 80, 10, 0, 0]);
        check_length_refused::<MappedAddress>(&[0, 2, 0, 80, 10, 0, 0, 1]);
        check_length_refused::<MappedAddress>(&[[0, 1].as_slice(), &[0; 18]].concat().leak()[..]);
    }

    #[test]
    fn a_third_family_is_refused() {
        let kind = AttributeType::MAPPED_ADDRESS;
        assert_eq!(
            MappedAddress::decode(&bytes("00 03 00 50 0a 00 00 01"), &TRANSACTION),
            Err(AttributeError::AddressFamily { kind, family: 3 })
        );
    }
}
