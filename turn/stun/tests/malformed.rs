//! Datagrams that are not messages, each refused for its own reason, and messages that only look odd.

use causeway_stun::attributes::{Lifetime, Software, Username, XorPeerAddress};
use causeway_stun::{
    AttributeError, AttributeType, Class, DecodeError, FingerprintError, IntegrityError, IntegrityKey,
    Message, MessageWriter, Method, TransactionId,
};

#[test]
fn less_than_a_header_is_too_short() {
    for length in 0..20 {
        check(&vec![0; length], DecodeError::TooShort { length });
    }
}

#[test]
fn a_set_top_bit_is_another_protocol() {
    for first in [0x40, 0x80, 0xC0] {
        let mut datagram = message(0, &[]);
        datagram[0] = first;
        check(&datagram, DecodeError::NotStun { first });
    }
}

#[test]
fn rfc3489_has_no_cookie() {
    let mut datagram = message(0, &[]);
    datagram[7] ^= 1;
    check(&datagram, DecodeError::MagicCookie);
}

#[test]
fn twenty_five_bytes_whose_last_attribute_lacks_padding_are_unaligned() {
    let datagram = message(5, &[0x80, 0x22, 0, 1, b'x']);
    assert_eq!(datagram.len(), 25);
    check(&datagram, DecodeError::Unaligned { claimed: 5 });
}

#[test]
fn twenty_five_bytes_that_claim_their_padding_are_truncated() {
    check(&message(8, &[0x80, 0x22, 0, 1, b'x']), DecodeError::Truncated { claimed: 8, present: 5 });
}

#[test]
fn a_length_that_promises_more_is_truncated() {
    check(&message(4, &[]), DecodeError::Truncated { claimed: 4, present: 0 });
    check(&message(0xFFFC, &[0; 8]), DecodeError::Truncated { claimed: 0xFFFC, present: 8 });
}

#[test]
fn a_length_that_promises_less_leaves_trailing_bytes() {
    check(&message(0, &[0]), DecodeError::TrailingBytes { claimed: 0, present: 1 });
    check(&message(4, &[0; 8]), DecodeError::TrailingBytes { claimed: 4, present: 8 });
}

#[test]
fn an_attribute_length_that_leads_out_of_the_message_is_an_overrun() {
    check(&message(4, &[0x80, 0x22, 0, 1]), DecodeError::AttributeOverrun { offset: 0 });
    check(&message(8, &[0x80, 0x22, 0xFF, 0xFF, 1, 2, 3, 4]), DecodeError::AttributeOverrun { offset: 0 });
    check(
        &message(12, &[0, 0x0D, 0, 4, 0, 0, 2, 0x58, 0, 6, 0, 1]),
        DecodeError::AttributeOverrun { offset: 8 },
    );
}

#[test]
fn a_method_nobody_defined_is_unknown() {
    let mut datagram = message(0, &[]);
    datagram[1] = 0x02;
    check(&datagram, DecodeError::UnknownMethod { number: 2 });
    datagram[..2].copy_from_slice(&[0x3F, 0xFF]);
    check(&datagram, DecodeError::UnknownMethod { number: 0xFFF });
}

#[test]
fn nothing_may_follow_the_fingerprint() {
    let body = [0x80, 0x28, 0, 4, 0, 0, 0, 0, 0x80, 0x22, 0, 0];
    check(&message(12, &body), DecodeError::AfterFingerprint { kind: AttributeType::SOFTWARE });
}

#[test]
fn padding_may_be_anything() {
    let datagram = message(8, &[0, 6, 0, 1, b'x', 0xFF, 0xFF, 0xFF]);
    let read = Message::decode(&datagram).unwrap().get::<Username<'_>>().unwrap().unwrap();
    assert_eq!(read.as_str(), "x");
}

#[test]
fn of_repeated_attributes_the_first_counts() {
    let datagram = message(16, &[0, 0x0D, 0, 4, 0, 0, 0, 1, 0, 0x0D, 0, 4, 0, 0, 0, 2]);
    let message = Message::decode(&datagram).unwrap();
    assert_eq!(message.get(), Ok(Some(Lifetime { seconds: 1 })));
    let all: Vec<u32> = message.get_all::<Lifetime>().map(|read| read.unwrap().seconds).collect();
    assert_eq!(all, [1, 2]);
}

#[test]
fn a_malformed_value_is_the_askers_error_only() {
    let datagram = message(16, &[0, 0x0D, 0, 2, 0, 0, 0, 0, 0, 0x12, 0, 1, 9, 0, 0, 0]);
    let message = Message::decode(&datagram).unwrap();
    assert_eq!(
        message.get::<Lifetime>(),
        Err(AttributeError::Length { kind: AttributeType::LIFETIME, length: 2 })
    );
    assert_eq!(
        message.get::<XorPeerAddress>(),
        Err(AttributeError::Length { kind: AttributeType::XOR_PEER_ADDRESS, length: 1 })
    );
    assert_eq!(message.get::<Software<'_>>(), Ok(None));
}

#[test]
fn what_follows_message_integrity_is_neither_read_nor_held_against_the_sender() {
    let mut body = vec![0, 8, 0, 20];
    body.extend([0; 20]);
    body.extend([0, 6, 0, 1, b'x', 0, 0, 0]);
    body.extend([0x7F, 0xFF, 0, 0]);
    let datagram = message(36, &body);
    let message = Message::decode(&datagram).unwrap();
    assert_eq!(message.get::<Username<'_>>(), Ok(None));
    assert!(!message.has(AttributeType::USERNAME));
    assert!(message.has(AttributeType::MESSAGE_INTEGRITY));
    assert!(message.unknown_required(&[]).is_empty());
}

#[test]
fn a_message_integrity_behind_the_stronger_one_does_not_count() {
    let mut body = vec![0, 0x1C, 0, 16];
    body.extend([0; 16]);
    body.extend([0, 8, 0, 20]);
    body.extend([0; 20]);
    let datagram = message(44, &body);
    let message = Message::decode(&datagram).unwrap();
    let key = IntegrityKey::short_term("secret");
    assert_eq!(message.verify_integrity(&key), Err(IntegrityError::Missing));
    assert_eq!(message.verify_integrity_sha256(&key), Err(IntegrityError::Mismatch));
}

#[test]
fn of_two_seals_of_a_kind_the_first_counts() {
    let key = IntegrityKey::short_term("secret");
    for kind in [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256] {
        let mut buffer = [0; 128];
        let transaction = TransactionId([1; 12]);
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Request, Method::Binding, transaction).unwrap();
        match kind {
            AttributeType::MESSAGE_INTEGRITY => writer.put_integrity(&key).unwrap(),
            _ => writer.put_integrity_sha256(&key).unwrap(),
        }
        let length = writer.finish();
        let mut body = buffer[20..length].to_vec();
        let [k0, k1] = kind.0.to_be_bytes();
        body.extend([k0, k1, 0, 20]);
        body.extend([0; 20]);
        let mut datagram = message(u16::try_from(body.len()).unwrap(), &body);
        datagram[8..20].copy_from_slice(&transaction.0);

        let message = Message::decode(&datagram).unwrap();
        match kind {
            AttributeType::MESSAGE_INTEGRITY => assert_eq!(message.verify_integrity(&key), Ok(())),
            _ => assert_eq!(message.verify_integrity_sha256(&key), Ok(())),
        }
    }
}

#[test]
fn a_fingerprint_of_another_length_does_not_fit() {
    let datagram = message(4, &[0x80, 0x28, 0, 0]);
    assert_eq!(Message::decode(&datagram).unwrap().fingerprint(), Err(FingerprintError::Mismatch));
}

#[test]
fn unknown_attributes_are_listed_once_and_optional_ones_not_at_all() {
    let datagram = message(20, &[0x7F, 0, 0, 0, 0x7F, 1, 0, 0, 0x7F, 0, 0, 0, 0x80, 0xFF, 0, 0, 0, 6, 0, 0]);
    let message = Message::decode(&datagram).unwrap();
    let unknown = message.unknown_required(&[AttributeType::USERNAME]);
    assert_eq!(unknown.as_slice(), [AttributeType(0x7F00), AttributeType(0x7F01)]);
}

/// A Binding request with this length field and body, whether or not they agree.
fn message(claimed: u16, body: &[u8]) -> Vec<u8> {
    let [l0, l1] = claimed.to_be_bytes();
    let header = [0x00, 0x01, l0, l1, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    [&header[..], body].concat()
}

fn check(datagram: &[u8], expected: DecodeError) {
    assert_eq!(Message::decode(datagram).err(), Some(expected));
}
