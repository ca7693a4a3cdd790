//! The crate `stun_codec` is a second opinion: both write the same bytes and read the same values.
//!
//! Tolerated differences:
//! - `stun_codec` does not know the attributes for which [`theirs`] answers `None`.
//! - It reads CHANGE-REQUEST one bit off, also its own; what it writes is right.
//! - To it a method is any number.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod seed;
mod vectors;

use bytecodec::{DecodeExt, EncodeExt};
use causeway_stun::attributes::Known;
use causeway_stun::{Class, Encode, IntegrityKey, Message, MessageWriter, Method};
use proptest::prelude::*;
use seed::{class, config, method, seed};
use stun_codec::rfc5245::attributes::{IceControlled, IceControlling, Priority, UseCandidate};
use stun_codec::rfc5389::attributes::{
    AlternateServer, ErrorCode, Fingerprint, MappedAddress, MessageIntegrity, Nonce, Realm, Software,
    UnknownAttributes, Username, XorMappedAddress,
};
use stun_codec::rfc5766::attributes::{
    ChannelNumber, Data, DontFragment, EvenPort, Lifetime, RequestedTransport, ReservationToken,
    XorPeerAddress, XorRelayAddress,
};
use stun_codec::rfc5780::attributes::{ChangeRequest, OtherAddress, ResponseOrigin};
use stun_codec::rfc8016::attributes::MobilityTicket;
use stun_codec::rfc8656::attributes::{AdditionalAddressFamily, AddressFamily, RequestedAddressFamily};
use stun_codec::{AttributeType, MessageClass, MessageDecoder, MessageEncoder, TransactionId};

stun_codec::define_attribute_enums!(
    Oracle,
    OracleDecoder,
    OracleEncoder,
    [
        AdditionalAddressFamily,
        AlternateServer,
        ChangeRequest,
        ChannelNumber,
        Data,
        DontFragment,
        ErrorCode,
        EvenPort,
        Fingerprint,
        IceControlled,
        IceControlling,
        Lifetime,
        MappedAddress,
        MessageIntegrity,
        MobilityTicket,
        Nonce,
        OtherAddress,
        Priority,
        Realm,
        RequestedAddressFamily,
        RequestedTransport,
        ReservationToken,
        ResponseOrigin,
        Software,
        UnknownAttributes,
        UseCandidate,
        Username,
        XorMappedAddress,
        XorPeerAddress,
        XorRelayAddress
    ]
);

const PASSWORD: &str = "password";

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn both_write_the_same_bytes_and_read_the_same_values(
        seed in seed(),
        pick in any::<u64>(),
        class in class(),
        method in method(),
    ) {
        let list = seed.list();
        let nonce: String = seed.bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let picked: Vec<(Known<'_>, Oracle)> = seed
            .attributes(&list)
            .into_iter()
            .map(|known| match known {
                // To the oracle a nonce is text.
                Known::Nonce(_) => Known::Nonce(causeway_stun::attributes::Nonce::new(nonce.as_bytes()).unwrap()),
                other => other,
            })
            .enumerate()
            .filter(|(index, _)| pick >> index & 1 == 1)
            .filter_map(|(_, known)| Some((known, theirs(&known)?)))
            .collect();

        let key = IntegrityKey::long_term_md5("user", "north.gov", PASSWORD);
        let mut buffer = vec![0xA5; 16_384];
        let mut writer = MessageWriter::new(&mut buffer, class, method, seed.transaction).unwrap();
        for (known, _) in &picked {
            writer.put(known).unwrap();
        }
        writer.put_integrity(&key).unwrap();
        writer.put_fingerprint().unwrap();
        let length = writer.finish();
        let ours = &buffer[..length];

        let user = Username::new("user".to_owned()).unwrap();
        let realm = Realm::new("north.gov".to_owned()).unwrap();
        let mut message = oracle_message(class, method, TransactionId::new(seed.transaction.0));
        for (_, attribute) in &picked {
            message.add_attribute(attribute.clone());
        }
        let integrity = MessageIntegrity::new_long_term_credential(&message, &user, &realm, PASSWORD).unwrap();
        message.add_attribute(integrity);
        let fingerprint = Fingerprint::new(&message).unwrap();
        message.add_attribute(fingerprint);
        let bytes = MessageEncoder::new().encode_into_bytes(message).unwrap();
        prop_assert_eq!(ours, &bytes[..]);

        // The oracle checks the fingerprint as it decodes.
        let read = MessageDecoder::<Oracle>::new().decode_from_bytes(ours).unwrap().unwrap();
        prop_assert_eq!(read.unknown_attributes().count(), 0);
        let values: Vec<Oracle> = read.attributes().cloned().collect();
        let (seals, values) = (&values[picked.len()..], &values[..picked.len()]);
        for ((known, sent), got) in picked.iter().zip(values) {
            prop_assert_eq!(sent, got, "{}", known.kind());
        }
        let [Oracle::MessageIntegrity(integrity), Oracle::Fingerprint(_)] = seals else {
            panic!("the seals are {seals:?}");
        };
        prop_assert_eq!(integrity.check_long_term_credential(&user, &realm, PASSWORD), Ok(()));

        let read = Message::decode(&bytes).unwrap();
        prop_assert_eq!(read.verify_integrity(&key), Ok(()));
        prop_assert_eq!(read.fingerprint(), Ok(()));
        let values: Vec<Known<'_>> = read
            .attributes()
            .filter_map(|attribute| Known::decode(attribute, &seed.transaction).unwrap())
            .collect();
        prop_assert_eq!(values, picked.iter().map(|(known, _)| *known).collect::<Vec<_>>());
    }
}

#[test]
fn both_read_the_vectors_of_rfc5769() {
    for vector in [vectors::REQUEST, vectors::IPV4_RESPONSE, vectors::IPV6_RESPONSE] {
        let theirs = MessageDecoder::<Oracle>::new().decode_from_bytes(vector).unwrap().unwrap();
        let ours = Message::decode(vector).unwrap();
        let kinds: Vec<u16> = ours.attributes().map(|attribute| attribute.kind.0).collect();
        let their_kinds: Vec<u16> = theirs
            .attributes()
            .map(|attribute| stun_codec::Attribute::get_type(attribute).as_u16())
            .collect();
        assert_eq!(kinds, their_kinds);
        let integrity = theirs.get_attribute::<MessageIntegrity>().unwrap();
        assert_eq!(integrity.check_short_term_credential(vectors::SHORT_TERM_PASSWORD), Ok(()));
    }
}

#[test]
fn both_write_change_request_alike() {
    for (ip, port) in [(false, false), (false, true), (true, false), (true, true)] {
        let transaction = causeway_stun::TransactionId([7; 12]);
        let mut buffer = [0; 64];
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Request, Method::Binding, transaction).unwrap();
        writer.put(&causeway_stun::attributes::ChangeRequest { ip, port }).unwrap();
        let length = writer.finish();

        let mut message = oracle_message(Class::Request, Method::Binding, TransactionId::new(transaction.0));
        message.add_attribute(ChangeRequest::new(ip, port));
        assert_eq!(MessageEncoder::new().encode_into_bytes(message).unwrap(), &buffer[..length]);
    }
}

fn oracle_message(class: Class, method: Method, id: TransactionId) -> stun_codec::Message<Oracle> {
    let class = match class {
        Class::Request => MessageClass::Request,
        Class::Indication => MessageClass::Indication,
        Class::Success => MessageClass::SuccessResponse,
        Class::Error => MessageClass::ErrorResponse,
    };
    stun_codec::Message::new(class, stun_codec::Method::new(method.number()).unwrap(), id)
}

/// The same attribute as the oracle has it, if it has it.
fn theirs(known: &Known<'_>) -> Option<Oracle> {
    let family = |family| match family {
        causeway_stun::attributes::AddressFamily::Ipv4 => AddressFamily::V4,
        causeway_stun::attributes::AddressFamily::Ipv6 => AddressFamily::V6,
    };
    Some(match *known {
        Known::AdditionalAddressFamily(value) => AdditionalAddressFamily::new(family(value.0)).into(),
        Known::AlternateServer(value) => AlternateServer::new(value.0).into(),
        // To it a channel above 0x4FFF is none.
        Known::ChannelNumber(value) => ChannelNumber::new(value.number()).ok()?.into(),
        Known::Data(value) => Data::new(value.0.to_vec()).unwrap().into(),
        Known::DontFragment(_) => DontFragment.into(),
        Known::ErrorCode(value) => ErrorCode::new(value.number(), value.reason().to_owned()).unwrap().into(),
        Known::EvenPort(value) => EvenPort::new(value.reserve_next).into(),
        Known::IceControlled(value) => IceControlled::new(value.0).into(),
        Known::IceControlling(value) => IceControlling::new(value.0).into(),
        Known::Lifetime(value) => Lifetime::from_u32(value.seconds).into(),
        Known::MappedAddress(value) => MappedAddress::new(value.0).into(),
        Known::MobilityTicket(value) => MobilityTicket::new(value.0.to_vec()).unwrap().into(),
        Known::Nonce(value) => {
            Nonce::new(String::from_utf8(value.as_bytes().to_vec()).unwrap()).unwrap().into()
        }
        Known::OtherAddress(value) => OtherAddress::new(value.0).into(),
        Known::Priority(value) => Priority::new(value.0).into(),
        Known::Realm(value) => Realm::new(value.as_str().to_owned()).unwrap().into(),
        Known::RequestedAddressFamily(value) => RequestedAddressFamily::new(family(value.0)).into(),
        Known::RequestedTransport(value) => RequestedTransport::new(value.0).into(),
        Known::ReservationToken(value) => ReservationToken::new(u64::from_be_bytes(value.0)).into(),
        Known::ResponseOrigin(value) => ResponseOrigin::new(value.0).into(),
        Known::Software(value) => Software::new(value.as_str().to_owned()).unwrap().into(),
        Known::UnknownAttributeList(value) => {
            UnknownAttributes::new(value.iter().map(|kind| AttributeType::new(kind.0)).collect()).into()
        }
        Known::UseCandidate(_) => UseCandidate.into(),
        Known::Username(value) => Username::new(value.as_str().to_owned()).unwrap().into(),
        Known::XorMappedAddress(value) => XorMappedAddress::new(value.0).into(),
        Known::XorPeerAddress(value) => XorPeerAddress::new(value.0).into(),
        Known::XorRelayedAddress(value) => XorRelayAddress::new(value.0).into(),
        Known::AccessToken(_)
        | Known::AddressErrorCode(_)
        | Known::AlternateDomain(_)
        | Known::CacheTimeout(_)
        | Known::ChangeRequest(_)
        | Known::DraftAdditionalAddressFamily(_)
        | Known::ConnectionId(_)
        | Known::Icmp(_)
        | Known::Padding(_)
        | Known::PasswordAlgorithm(_)
        | Known::PasswordAlgorithms(_)
        | Known::ResponsePort(_)
        | Known::ThirdPartyAuthorization(_)
        | Known::Userhash(_) => return None,
    })
}
