//! The addresses that are XORed on the wire: XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS and XOR-RELAYED-ADDRESS.

use core::net::SocketAddr;

use super::address;
use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

macro_rules! xor_address {
    ($(#[$meta:meta])* $name:ident, $kind:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub SocketAddr);

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &[u8], transaction: &TransactionId) -> Result<Self, AttributeError> {
                let hidden = address::decode(Self::TYPE, value)?;
                Ok(Self(address::xor(hidden, transaction)))
            }
        }

        impl Encode for $name {
            fn kind(&self) -> AttributeType {
                Self::TYPE
            }

            fn encode(
                &self,
                transaction: &TransactionId,
                value: &mut ValueWriter<'_>,
            ) -> Result<(), EncodeError> {
                address::encode(address::xor(self.0, transaction), value)
            }
        }
    };
}

xor_address! {
    /// Where the server saw the request come from (RFC 8489 §14.2).
    XorMappedAddress, XOR_MAPPED_ADDRESS
}
xor_address! {
    /// A peer as the server sees it (RFC 8656 §18.3).
    XorPeerAddress, XOR_PEER_ADDRESS
}
xor_address! {
    /// The address the server relays from (RFC 8656 §18.5).
    XorRelayedAddress, XOR_RELAYED_ADDRESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn ipv4_is_xored_with_the_cookie() {
        // RFC 5769 §2.2.
        let address = "192.0.2.1:32853".parse().unwrap();
        check_round_trip(&XorMappedAddress(address), "00 01 a1 47 e1 12 a6 43");
        check_round_trip(&XorPeerAddress(address), "00 01 a1 47 e1 12 a6 43");
        check_round_trip(&XorRelayedAddress(address), "00 01 a1 47 e1 12 a6 43");
    }

    #[test]
    fn ipv6_is_xored_with_cookie_and_transaction() {
        // RFC 5769 §2.3.
        check_round_trip(
            &XorMappedAddress("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()),
            "00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9",
        );
    }

    #[test]
    fn a_stub_and_a_third_family_are_refused() {
        check_length_refused::<XorPeerAddress>(&[0, 1, 0]);
        let kind = AttributeType::XOR_PEER_ADDRESS;
        assert_eq!(
            XorPeerAddress::decode(&[0, 0, 0, 0, 0, 0, 0, 0], &TRANSACTION),
            Err(AttributeError::AddressFamily { kind, family: 0 })
        );
    }
}
