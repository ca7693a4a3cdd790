//! The crates `stun-types` and `turn-types` are a second opinion: both write the same bytes, read the same values and
//! refuse the same datagrams.
//!
//! Tolerated differences:
//! - They know none of the attributes for which [`theirs`] answers `None`.
//! - ICMP: they give type and code eight bits each; the figure of RFC 8656 §18.13 gives seven and nine.
//! - They accept what RFC 8489 §5 and §14.7 do not: bytes behind the message, a length that is no multiple of four,
//!   attributes behind FINGERPRINT. To them a method is any number.
//! - They stop reading at an attribute that does not count because it follows a seal; we read on to FINGERPRINT.
//! - They check FINGERPRINT as they decode; we check it when asked.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod seed;
mod vectors;

use causeway_stun::attributes::{self as ours, Known};
use causeway_stun::{
    ChannelData, Class, DecodeError, Encode, FingerprintError, IntegrityKey, Message, MessageWriter, Method,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use seed::{class, config, method, seed};
use stun_types::AddressFamily;
use stun_types::attribute::{
    AlternateDomain, AlternateServer, AttributeType, AttributeWrite, ErrorCode, Nonce, PasswordAlgorithm,
    PasswordAlgorithmValue, PasswordAlgorithms, Realm, Software, UnknownAttributes, Userhash, Username,
    XorMappedAddress,
};
use stun_types::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, MessageClass, MessageIntegrityCredentials, MessageType,
    MessageWrite, MessageWriteExt, MessageWriteVec, TransactionId,
};
use turn_types::attribute::{
    AdditionalAddressFamily, AddressErrorCode, ChannelNumber, ConnectionId, Data, DontFragment, EvenPort,
    Lifetime, RequestedAddressFamily, RequestedTransport, ReservationToken, XorPeerAddress,
    XorRelayedAddress,
};

const USER: &str = "user";
const REALM: &str = "north.gov";
const PASSWORD: &str = "password";

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn both_write_the_same_bytes_and_read_the_same_values(
        seed in seed(),
        pick in any::<u64>(),
        class in class(),
        method in method(),
        algorithm in select(&[IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256]),
    ) {
        let list = seed.list();
        let nonce: String = seed.bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let id = their_id(seed.transaction);
        let picked: Vec<(Known<'_>, Box<dyn AttributeWrite + '_>)> = seed
            .attributes(&list)
            .into_iter()
            .map(|known| match known {
                // To the oracle a nonce is text, an algorithm one of the two, and IPv4 never additional.
                Known::AdditionalAddressFamily(_) => {
                    Known::AdditionalAddressFamily(ours::AdditionalAddressFamily(ours::AddressFamily::Ipv6))
                }
                Known::Nonce(_) => Known::Nonce(ours::Nonce::new(nonce.as_bytes()).unwrap()),
                Known::PasswordAlgorithm(_) => {
                    Known::PasswordAlgorithm(ours::PasswordAlgorithm::new(ours::Algorithm::SHA256))
                }
                other => other,
            })
            .enumerate()
            .filter(|(index, _)| pick >> index & 1 == 1)
            .filter_map(|(_, known)| Some((known, theirs(known, id)?)))
            .collect();

        let mut buffer = vec![0xA5; 16_384];
        let mut writer = MessageWriter::new(&mut buffer, class, method, seed.transaction).unwrap();
        for (known, _) in &picked {
            writer.put(known).unwrap();
        }
        match algorithm {
            IntegrityAlgorithm::Sha1 => writer.put_integrity(&key(algorithm)).unwrap(),
            IntegrityAlgorithm::Sha256 => writer.put_integrity_sha256(&key(algorithm)).unwrap(),
        }
        writer.put_fingerprint().unwrap();
        let length = writer.finish();
        let bytes = &buffer[..length];

        let kind = MessageType::from_class_method(their_class(class), their_method(method));
        let mut oracle = stun_types::message::Message::builder(kind, id, MessageWriteVec::new());
        for (_, attribute) in &picked {
            oracle.add_attribute(&**attribute).unwrap();
        }
        oracle.add_message_integrity(&credentials(), algorithm).unwrap();
        oracle.add_fingerprint().unwrap();
        let their_bytes = oracle.finish();
        prop_assert_eq!(bytes, &their_bytes[..]);

        let read = stun_types::message::Message::from_bytes(bytes).unwrap();
        prop_assert_eq!(read.transaction_id(), id);
        prop_assert_eq!(read.get_type(), kind);
        prop_assert_eq!(read.validate_integrity(&credentials()).ok(), Some(algorithm));
        for (known, attribute) in &picked {
            let raw = read.raw_attribute(AttributeType::new(known.kind().0)).unwrap();
            prop_assert_eq!(raw.value.to_vec(), attribute.to_raw().value.to_vec());
            prop_assert_eq!(reads(known, &read), Some(true), "{:?}", known);
        }

        let read = Message::decode(&their_bytes).unwrap();
        let values: Vec<Known<'_>> = read
            .attributes()
            .filter_map(|attribute| Known::decode(attribute, &seed.transaction).unwrap())
            .collect();
        prop_assert_eq!(values, picked.iter().map(|(known, _)| *known).collect::<Vec<_>>());
        prop_assert_eq!(read.fingerprint(), Ok(()));
        match algorithm {
            IntegrityAlgorithm::Sha1 => prop_assert_eq!(read.verify_integrity(&key(algorithm)), Ok(())),
            IntegrityAlgorithm::Sha256 => {
                prop_assert_eq!(read.verify_integrity_sha256(&key(algorithm)), Ok(()));
            }
        }
    }

    #[test]
    fn both_refuse_the_same_damaged_messages(
        vector in select(&vectors::ALL),
        damage in vec((any::<Index>(), any::<u8>()), 0..4),
        cut in any::<Index>(),
    ) {
        let mut bytes = vector.to_vec();
        for (at, with) in damage {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        // Half of the messages keep their length.
        let keep = cut.index(bytes.len() * 2);
        bytes.truncate(keep);
        let oracle = stun_types::message::Message::from_bytes(&bytes);
        match Message::decode(&bytes) {
            Ok(message) if hides_something(&message) => {}
            Ok(message) if message.fingerprint() == Err(FingerprintError::Mismatch) => {
                prop_assert!(oracle.is_err(), "the oracle takes a wrong fingerprint");
            }
            Ok(message) => {
                let oracle = oracle.unwrap();
                prop_assert_eq!(oracle.method().value(), message.method().number());
                prop_assert_eq!(oracle.class(), their_class(message.class()));
                let theirs: Vec<(u16, Vec<u8>)> = oracle
                    .iter_attributes()
                    .map(|(_, raw)| (raw.header.get_type().value(), raw.value.to_vec()))
                    .collect();
                let ours: Vec<(u16, Vec<u8>)> =
                    message.attributes().map(|raw| (raw.kind.0, raw.value.to_vec())).collect();
                prop_assert_eq!(ours, theirs);
            }
            Err(
                DecodeError::Unaligned { .. }
                | DecodeError::TrailingBytes { .. }
                | DecodeError::AfterFingerprint { .. }
                | DecodeError::UnknownMethod { .. },
            ) => {}
            // The oracle does not even look at what follows a seal.
            Err(DecodeError::AttributeOverrun { offset }) if is_sealed(&bytes, offset) => {}
            Err(
                error @ (DecodeError::TooShort { .. }
                | DecodeError::NotStun { .. }
                | DecodeError::MagicCookie
                | DecodeError::Truncated { .. }
                | DecodeError::AttributeOverrun { .. }),
            ) => prop_assert!(oracle.is_err(), "only the oracle takes what we refuse: {error}"),
        }
    }

    #[test]
    fn both_read_the_same_channel_data(bytes in vec(any::<u8>(), 0..64), first in 0x40_u8..0x80, length in 0_u8..64) {
        let mut bytes = bytes;
        for (at, with) in [first, 0, 0, length].into_iter().enumerate() {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
        }
        let oracle = turn_types::channel::ChannelData::parse(&bytes);
        match ChannelData::decode(&bytes) {
            Ok(read) => {
                let oracle = oracle.unwrap();
                prop_assert_eq!(oracle.id(), read.number.number());
                prop_assert_eq!(oracle.data(), read.data);
            }
            Err(_) => prop_assert!(oracle.is_err()),
        }
    }
}

/// Whether the message has attributes that do not count.
fn hides_something(message: &Message<'_>) -> bool {
    let seen: usize = message.attributes().map(|raw| 4 + raw.value.len().next_multiple_of(4)).sum();
    20 + seen < message.as_bytes().len()
}

/// Whether the first `length` bytes of a message's body have an integrity attribute.
fn is_sealed(bytes: &[u8], length: usize) -> bool {
    let mut sound = bytes[..20 + length].to_vec();
    sound[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    let seals = [
        causeway_stun::AttributeType::MESSAGE_INTEGRITY,
        causeway_stun::AttributeType::MESSAGE_INTEGRITY_SHA256,
    ];
    Message::decode(&sound).is_ok_and(|message| message.attributes().any(|raw| seals.contains(&raw.kind)))
}

fn credentials() -> MessageIntegrityCredentials {
    LongTermKeyCredentials::new(USER.to_owned(), PASSWORD.to_owned(), REALM.to_owned()).into()
}

fn key(algorithm: IntegrityAlgorithm) -> IntegrityKey {
    match algorithm {
        IntegrityAlgorithm::Sha1 => IntegrityKey::long_term_md5(USER, REALM, PASSWORD),
        IntegrityAlgorithm::Sha256 => IntegrityKey::long_term_sha256(USER, REALM, PASSWORD),
    }
}

fn their_id(id: causeway_stun::TransactionId) -> TransactionId {
    id.0.iter().fold(0_u128, |id, byte| id << 8 | u128::from(*byte)).into()
}

fn their_class(class: Class) -> MessageClass {
    match class {
        Class::Request => MessageClass::Request,
        Class::Indication => MessageClass::Indication,
        Class::Success => MessageClass::Success,
        Class::Error => MessageClass::Error,
    }
}

fn their_method(method: Method) -> stun_types::message::Method {
    stun_types::message::Method::new(method.number())
}

fn their_family(family: ours::AddressFamily) -> AddressFamily {
    match family {
        ours::AddressFamily::Ipv4 => AddressFamily::IPV4,
        ours::AddressFamily::Ipv6 => AddressFamily::IPV6,
    }
}

/// The same attribute as the oracle has it, if it has it.
fn theirs(known: Known<'_>, id: TransactionId) -> Option<Box<dyn AttributeWrite + '_>> {
    Some(match known {
        Known::AdditionalAddressFamily(value) => {
            Box::new(AdditionalAddressFamily::new(their_family(value.0)))
        }
        Known::AddressErrorCode(value) => {
            let error = ErrorCode::new(value.number(), value.reason()).unwrap();
            Box::new(AddressErrorCode::new(their_family(value.family()), error))
        }
        Known::AlternateDomain(value) => Box::new(AlternateDomain::new(value.as_str())),
        Known::AlternateServer(value) => Box::new(AlternateServer::new(value.0)),
        Known::ChannelNumber(value) => Box::new(ChannelNumber::new(value.number())),
        Known::ConnectionId(value) => Box::new(ConnectionId::new(value.0)),
        Known::Data(value) => Box::new(Data::new(value.0)),
        Known::DontFragment(_) => Box::new(DontFragment::new()),
        Known::ErrorCode(value) => Box::new(ErrorCode::new(value.number(), value.reason()).unwrap()),
        Known::EvenPort(value) => Box::new(EvenPort::new(value.reserve_next)),
        Known::Lifetime(value) => Box::new(Lifetime::new(value.seconds)),
        Known::Nonce(value) => Box::new(Nonce::new(str::from_utf8(value.as_bytes()).unwrap()).unwrap()),
        Known::PasswordAlgorithm(_) => Box::new(PasswordAlgorithm::new(PasswordAlgorithmValue::SHA256)),
        Known::PasswordAlgorithms(_) => {
            Box::new(PasswordAlgorithms::new(&[PasswordAlgorithmValue::SHA256, PasswordAlgorithmValue::MD5]))
        }
        Known::Realm(value) => Box::new(Realm::new(value.as_str()).unwrap()),
        Known::RequestedAddressFamily(value) => Box::new(RequestedAddressFamily::new(their_family(value.0))),
        Known::RequestedTransport(value) => Box::new(RequestedTransport::new(value.0)),
        Known::ReservationToken(value) => Box::new(ReservationToken::new(u64::from_be_bytes(value.0))),
        Known::Software(value) => Box::new(Software::new(value.as_str()).unwrap()),
        Known::UnknownAttributeList(value) => {
            let kinds: Vec<AttributeType> = value.iter().map(|kind| AttributeType::new(kind.0)).collect();
            Box::new(UnknownAttributes::new(&kinds))
        }
        Known::Userhash(value) => Box::new(Userhash::new(value.0)),
        Known::Username(value) => Box::new(Username::new(value.as_str()).unwrap()),
        Known::XorMappedAddress(value) => Box::new(XorMappedAddress::new(value.0, id)),
        Known::XorPeerAddress(value) => Box::new(XorPeerAddress::new(value.0, id)),
        Known::XorRelayedAddress(value) => Box::new(XorRelayedAddress::new(value.0, id)),
        Known::AccessToken(_)
        | Known::CacheTimeout(_)
        | Known::ChangeRequest(_)
        | Known::DraftAdditionalAddressFamily(_)
        | Known::IceControlled(_)
        | Known::IceControlling(_)
        | Known::Icmp(_)
        | Known::MappedAddress(_)
        | Known::MobilityTicket(_)
        | Known::OtherAddress(_)
        | Known::Padding(_)
        | Known::Priority(_)
        | Known::ResponseOrigin(_)
        | Known::ResponsePort(_)
        | Known::ThirdPartyAuthorization(_)
        | Known::UseCandidate(_) => return None,
    })
}

/// Whether the oracle reads what was sent; `None` if it cannot read the attribute.
fn reads(sent: &Known<'_>, message: &stun_types::message::Message<'_>) -> Option<bool> {
    let id = message.transaction_id();
    let same = match *sent {
        Known::AdditionalAddressFamily(value) => {
            message.attribute::<AdditionalAddressFamily>().ok()?.family() == their_family(value.0)
        }
        Known::AddressErrorCode(value) => {
            let read = message.attribute::<AddressErrorCode>().ok()?;
            read.family() == their_family(value.family())
                && read.error().code() == value.number()
                && read.error().reason() == value.reason()
        }
        Known::AlternateDomain(value) => {
            message.attribute::<AlternateDomain>().ok()?.domain() == value.as_str()
        }
        Known::AlternateServer(value) => message.attribute::<AlternateServer>().ok()?.server() == value.0,
        Known::ChannelNumber(value) => message.attribute::<ChannelNumber>().ok()?.channel() == value.number(),
        Known::ConnectionId(value) => message.attribute::<ConnectionId>().ok()?.id() == value.0,
        Known::Data(value) => message.attribute::<Data<'_>>().ok()?.data() == value.0,
        Known::DontFragment(_) => message.attribute::<DontFragment>().is_ok(),
        Known::ErrorCode(value) => {
            let read = message.attribute::<ErrorCode>().ok()?;
            read.code() == value.number() && read.reason() == value.reason()
        }
        Known::EvenPort(value) => message.attribute::<EvenPort>().ok()?.requested() == value.reserve_next,
        Known::Lifetime(value) => message.attribute::<Lifetime>().ok()?.seconds() == value.seconds,
        Known::Nonce(value) => message.attribute::<Nonce>().ok()?.nonce().as_bytes() == value.as_bytes(),
        Known::PasswordAlgorithm(_) => {
            message.attribute::<PasswordAlgorithm>().ok()?.algorithm() == PasswordAlgorithmValue::SHA256
        }
        Known::PasswordAlgorithms(_) => {
            message.attribute::<PasswordAlgorithms>().ok()?.algorithms()
                == [PasswordAlgorithmValue::SHA256, PasswordAlgorithmValue::MD5]
        }
        Known::Realm(value) => message.attribute::<Realm>().ok()?.realm() == value.as_str(),
        Known::RequestedAddressFamily(value) => {
            message.attribute::<RequestedAddressFamily>().ok()?.family() == their_family(value.0)
        }
        Known::RequestedTransport(value) => {
            message.attribute::<RequestedTransport>().ok()?.protocol() == value.0
        }
        Known::ReservationToken(value) => {
            message.attribute::<ReservationToken>().ok()?.token() == u64::from_be_bytes(value.0)
        }
        Known::Software(value) => message.attribute::<Software>().ok()?.software() == value.as_str(),
        Known::UnknownAttributeList(value) => {
            let read = message.attribute::<UnknownAttributes>().ok()?;
            value.iter().all(|kind| read.has_attribute(AttributeType::new(kind.0)))
        }
        Known::Userhash(value) => message.attribute::<Userhash>().ok()?.hash() == &value.0,
        Known::Username(value) => message.attribute::<Username>().ok()?.username() == value.as_str(),
        Known::XorMappedAddress(value) => message.attribute::<XorMappedAddress>().ok()?.addr(id) == value.0,
        Known::XorPeerAddress(value) => message.attribute::<XorPeerAddress>().ok()?.addr(id) == value.0,
        Known::XorRelayedAddress(value) => message.attribute::<XorRelayedAddress>().ok()?.addr(id) == value.0,
        Known::AccessToken(_)
        | Known::CacheTimeout(_)
        | Known::ChangeRequest(_)
        | Known::DraftAdditionalAddressFamily(_)
        | Known::IceControlled(_)
        | Known::IceControlling(_)
        | Known::Icmp(_)
        | Known::MappedAddress(_)
        | Known::MobilityTicket(_)
        | Known::OtherAddress(_)
        | Known::Padding(_)
        | Known::Priority(_)
        | Known::ResponseOrigin(_)
        | Known::ResponsePort(_)
        | Known::ThirdPartyAuthorization(_)
        | Known::UseCandidate(_) => false,
    };
    Some(same)
}
