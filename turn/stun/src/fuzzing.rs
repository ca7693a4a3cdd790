//! What has to hold for any bytes: the entry points of the fuzz targets and of the property tests.
//!
//! Each function takes arbitrary bytes and panics if the codec breaks a promise. They are not for production.
#![allow(clippy::expect_used, clippy::panic, reason = "a broken promise is what these functions report")]

use crate::attributes::Known;
use crate::{
    AttributeType, ChannelData, Class, DecodeError, FingerprintError, Frame, IntegrityError, IntegrityKey,
    Kind, Message, MessageWriter, Method, RawAttribute, TransactionId, classify,
};

/// All promises at once.
///
/// # Panics
/// One of them is broken.
pub fn datagram(bytes: &[u8]) {
    message(bytes);
    channel_data(bytes);
    frame(bytes);
}

/// A message that is accepted reads the same after it was written again, and so does each of its attributes.
///
/// # Panics
/// It does not.
pub fn message(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    assert_eq!(classify(bytes), Kind::Stun, "a message starts with two zero bits");
    assert_eq!(message.as_bytes(), bytes);
    assert_eq!(Frame::at_start(bytes), Frame::Stun(bytes.len()), "a stream finds what a datagram holds");

    let key = IntegrityKey::short_term("fuzz");
    // Whether the seals hold is chance; that the answers agree with what is there is not.
    assert_eq!(
        message.verify_integrity_sha256(&key) == Err(IntegrityError::Missing),
        !message.has(AttributeType::MESSAGE_INTEGRITY_SHA256)
    );
    assert_eq!(
        message.verify_integrity(&key) == Err(IntegrityError::Missing),
        !message.has(AttributeType::MESSAGE_INTEGRITY)
    );
    assert_eq!(
        message.fingerprint() == Err(FingerprintError::Missing),
        !message.has(AttributeType::FINGERPRINT)
    );
    let unknown = message.unknown_required(Known::TYPES);
    let hidden = unknown.as_slice().iter().find(|kind| !message.has(**kind));
    assert_eq!(hidden, None, "an attribute that does not count cannot be unknown");

    let mut buffer = vec![0xA5; bytes.len()];
    let length = rewrite(&message, &mut buffer);
    let again = Message::decode(buffer.get(..length).unwrap_or_default()).expect("ours are well-formed");
    assert_eq!(
        (again.class(), again.method(), again.transaction_id()),
        (message.class(), message.method(), message.transaction_id())
    );
    assert!(again.attributes().eq(message.attributes()), "attributes survive a rewrite");
    for attribute in message.attributes() {
        value(&message, attribute);
    }
}

/// Writes a message again from what it shows.
fn rewrite(message: &Message<'_>, buffer: &mut [u8]) -> usize {
    let writer = MessageWriter::new(buffer, message.class(), message.method(), message.transaction_id());
    let mut writer = writer.expect("what was received has a header");
    for attribute in message.attributes() {
        writer.put(&attribute).expect("what was received fits where it came from");
    }
    writer.finish()
}

/// An attribute that decodes decodes to the same after it was encoded.
fn value(message: &Message<'_>, attribute: RawAttribute<'_>) {
    let transaction = message.transaction_id();
    let Ok(Some(known)) = Known::decode(attribute, &transaction) else { return };
    let mut buffer = vec![0xA5; attribute.value.len().saturating_add(32)];
    let mut writer = MessageWriter::new(&mut buffer, message.class(), message.method(), transaction)
        .expect("there is room for a header");
    // A PASSWORD-ALGORITHM at the very end may lack padding that ours would have: one message can be too short for it.
    if writer.put(&known).is_err() {
        assert!(attribute.value.len() > usize::from(u16::MAX).saturating_sub(8), "{known:?} has to fit");
        return;
    }
    let length = writer.finish();
    let again = Message::decode(buffer.get(..length).unwrap_or_default()).expect("ours are well-formed");
    let written = again.attributes().next().expect("one attribute was written");
    assert_eq!(written.kind, attribute.kind);
    assert_eq!(Known::decode(written, &transaction), Ok(Some(known)));
}

/// ChannelData that is accepted is a prefix of its datagram and survives being written again.
///
/// # Panics
/// It is not, or does not.
pub fn channel_data(bytes: &[u8]) {
    let Ok(channel_data) = ChannelData::decode(bytes) else { return };
    assert_eq!(classify(bytes), Kind::ChannelData, "the channel numbers are 64 to 127 in the first byte");
    let mut buffer = vec![0xA5; bytes.len().saturating_add(3)];
    let plain = channel_data.encode_datagram(&mut buffer).expect("what was received fits");
    assert_eq!(bytes.get(..plain), buffer.get(..plain));
    let padded = channel_data.encode_stream(&mut buffer).expect("three bytes of padding fit");
    let stream = buffer.get(..padded).unwrap_or_default();
    assert_eq!(Frame::at_start(stream), Frame::ChannelData { length: plain, padded });
    assert_eq!(ChannelData::decode(stream), Ok(channel_data));
}

/// A stream's frame is made of bytes that are there, decodes, and is not seen differently with fewer or more bytes.
///
/// # Panics
/// It is not so.
pub fn frame(stream: &[u8]) {
    let frame = Frame::at_start(stream);
    match frame {
        Frame::Need(length) => assert!(length > stream.len(), "what is there need not be awaited"),
        Frame::Stun(length) => {
            let message = stream.get(..length).expect("the frame is there");
            match Message::decode(message) {
                Ok(_)
                | Err(
                    DecodeError::AttributeOverrun { .. }
                    | DecodeError::AfterFingerprint { .. }
                    | DecodeError::UnknownMethod { .. },
                ) => {}
                Err(error) => panic!("the frame has a sound header: {error}"),
            }
        }
        Frame::ChannelData { length, padded } => {
            let frame = stream.get(..padded).expect("the frame is there");
            let data = frame.get(..length).map(ChannelData::decode).expect("padding follows the data");
            assert_eq!(data.map(|data| data.data.len().saturating_add(4)), Ok(length));
        }
        Frame::Invalid => {}
    }
    for cut in 0..stream.len().min(32) {
        match Frame::at_start(stream.get(..cut).unwrap_or_default()) {
            Frame::Need(length) => match frame {
                Frame::Need(more) => assert!(length <= more),
                Frame::Stun(whole) | Frame::ChannelData { padded: whole, .. } => assert!(length <= whole),
                Frame::Invalid => {}
            },
            early => assert_eq!(early, frame, "a verdict stands"),
        }
    }
}

/// Makes a message of arbitrary bytes, so that a fuzzer reaches the attributes without guessing cookie and lengths:
/// each chunk is one byte that picks a known type, one that gives the value's length, and the value.
///
/// # Panics
/// A promise is broken, as in [`message`].
pub fn attributes(bytes: &[u8]) {
    let mut buffer = vec![0xA5; bytes.len().saturating_mul(8).saturating_add(64)];
    let header = TransactionId([0x42; 12]);
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::Allocate, header)
        .expect("there is room for a header");
    let mut rest = bytes;
    while let Some((&[pick, length], tail)) = rest.split_first_chunk() {
        let seals = [
            AttributeType::MESSAGE_INTEGRITY,
            AttributeType::MESSAGE_INTEGRITY_SHA256,
            AttributeType::FINGERPRINT,
        ];
        let kind = Known::TYPES.iter().chain(&seals).nth(pick.into()).copied();
        let kind = kind.unwrap_or(AttributeType(u16::from_be_bytes([pick, length])));
        let (value, tail) = tail.split_at_checked(length.into()).unwrap_or((tail, &[]));
        rest = tail;
        if writer.put(&RawAttribute { kind, value }).is_err() {
            break;
        }
    }
    let length = writer.finish();
    message(buffer.get(..length).unwrap_or_default());
}
