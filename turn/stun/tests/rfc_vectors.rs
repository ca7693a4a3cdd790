//! The RFCs' own sample messages are read, checked and, where their padding allows, written byte for byte.

mod vectors;

use causeway_stun::attributes::{
    Algorithm, IceControlled, Nonce, PasswordAlgorithm, Priority, Realm, Software, Userhash, Username,
    XorMappedAddress,
};
use causeway_stun::{
    AttributeType, Class, FingerprintError, IntegrityError, IntegrityKey, Message, MessageWriter, Method,
};
use vectors::{
    IPV4_RESPONSE, IPV6_RESPONSE, LONG_TERM_PASSWORD, LONG_TERM_REALM, LONG_TERM_REQUEST, LONG_TERM_USERNAME,
    REQUEST, SHA256_REQUEST, SHORT_TERM_PASSWORD,
};

#[test]
fn rfc5769_request_is_read_and_holds() {
    let message = Message::decode(REQUEST).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::Binding));
    assert_eq!(message.transaction_id().0, REQUEST[8..20]);
    assert_eq!(message.get::<Software<'_>>(), Ok(Some(Software::new("STUN test client").unwrap())));
    assert_eq!(message.get::<Priority>(), Ok(Some(Priority(0x6E00_01FF))));
    assert_eq!(message.get::<IceControlled>(), Ok(Some(IceControlled(0x932F_F9B1_5126_3B36))));
    assert_eq!(message.get::<Username<'_>>(), Ok(Some(Username::new("evtj:h6vY").unwrap())));
    assert_eq!(message.verify_integrity(&IntegrityKey::short_term(SHORT_TERM_PASSWORD)), Ok(()));
    assert_eq!(message.fingerprint(), Ok(()));
}

#[test]
fn rfc5769_responses_are_read_and_hold() {
    for (vector, address) in
        [(IPV4_RESPONSE, "192.0.2.1:32853"), (IPV6_RESPONSE, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let message = Message::decode(vector).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Success, Method::Binding));
        assert_eq!(message.get::<XorMappedAddress>(), Ok(Some(XorMappedAddress(address.parse().unwrap()))));
        assert_eq!(message.get::<Software<'_>>(), Ok(Some(Software::new("test vector").unwrap())));
        assert_eq!(message.verify_integrity(&IntegrityKey::short_term(SHORT_TERM_PASSWORD)), Ok(()));
        assert_eq!(message.fingerprint(), Ok(()));
    }
}

#[test]
fn rfc5769_long_term_request_is_read_and_holds() {
    let message = Message::decode(LONG_TERM_REQUEST).unwrap();
    let key = IntegrityKey::long_term_md5(LONG_TERM_USERNAME, LONG_TERM_REALM, LONG_TERM_PASSWORD);
    assert_eq!(message.verify_integrity(&key), Ok(()));
    assert_eq!(message.fingerprint(), Err(FingerprintError::Missing));
    assert_eq!(message.verify_integrity_sha256(&key), Err(IntegrityError::Missing));
}

#[test]
fn rfc5769_long_term_request_is_written_byte_for_byte() {
    let mut buffer = [0xFF; 256];
    let transaction = Message::decode(LONG_TERM_REQUEST).unwrap().transaction_id();
    let key = IntegrityKey::long_term_md5(LONG_TERM_USERNAME, LONG_TERM_REALM, LONG_TERM_PASSWORD);
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::Binding, transaction).unwrap();
    writer.put(&Username::new(LONG_TERM_USERNAME).unwrap()).unwrap();
    writer.put(&Nonce::new(b"f//499k954d6OL34oL9FSTvy64sA").unwrap()).unwrap();
    writer.put(&Realm::new(LONG_TERM_REALM).unwrap()).unwrap();
    writer.put_integrity(&key).unwrap();
    let length = writer.finish();
    assert_eq!(&buffer[..length], LONG_TERM_REQUEST);
}

#[test]
fn rfc8489_sha256_request_is_read_and_holds() {
    let message = Message::decode(SHA256_REQUEST).unwrap();
    let key = IntegrityKey::long_term_sha256(LONG_TERM_USERNAME, LONG_TERM_REALM, LONG_TERM_PASSWORD);
    assert_eq!(message.get(), Ok(Some(Userhash::of(LONG_TERM_USERNAME, LONG_TERM_REALM))));
    assert_eq!(message.get(), Ok(Some(PasswordAlgorithm::new(Algorithm::SHA256))));
    assert_eq!(message.verify_integrity_sha256(&key), Ok(()));
    assert_eq!(message.verify_integrity(&key), Err(IntegrityError::Missing));
}

#[test]
fn rfc8489_sha256_request_is_written_byte_for_byte() {
    let mut buffer = [0xFF; 256];
    let transaction = Message::decode(SHA256_REQUEST).unwrap().transaction_id();
    let key = IntegrityKey::long_term_sha256(LONG_TERM_USERNAME, LONG_TERM_REALM, LONG_TERM_PASSWORD);
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::Binding, transaction).unwrap();
    writer.put(&Userhash::of(LONG_TERM_USERNAME, LONG_TERM_REALM)).unwrap();
    writer.put(&Nonce::new(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA").unwrap()).unwrap();
    writer.put(&Realm::new(LONG_TERM_REALM).unwrap()).unwrap();
    writer.put(&PasswordAlgorithm::new(Algorithm::SHA256)).unwrap();
    writer.put_integrity_sha256(&key).unwrap();
    let length = writer.finish();
    assert_eq!(&buffer[..length], SHA256_REQUEST);
}

#[test]
fn any_changed_bit_breaks_what_vouches_for_it() {
    let key = IntegrityKey::short_term(SHORT_TERM_PASSWORD);
    let seal = IPV4_RESPONSE.len() - 32;
    for bit in 0..seal * 8 {
        let mut changed = IPV4_RESPONSE.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(message) = Message::decode(&changed) else { continue };
        // A changed length can hide the fingerprint and never make it fit.
        assert_ne!(message.fingerprint(), Ok(()), "bit {bit}");
        assert_ne!(message.verify_integrity(&key), Ok(()), "bit {bit}");
    }
}

#[test]
fn the_vectors_attributes_are_all_understood() {
    let message = Message::decode(REQUEST).unwrap();
    let understood = [AttributeType::USERNAME, AttributeType::PRIORITY];
    assert!(message.unknown_required(&understood).is_empty());
    assert_eq!(message.unknown_required(&understood[..1]).as_slice(), [AttributeType::PRIORITY]);
}
