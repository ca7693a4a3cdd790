//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256, computed in place (RFC 8489 §14.5, §14.6).
//!
//! The MAC covers the message up to the attribute, with the header's length field set as if the attribute were the
//! last. Only those two bytes differ from what was received, so the header is fed in three pieces and nothing is copied.

use hmac::Mac;
use subtle::ConstantTimeEq;

use crate::header::HEADER_LENGTH;
use crate::key::IntegrityKey;
use crate::message::Seal;

/// Bytes of an HMAC-SHA1.
pub(crate) const SHA1_LENGTH: usize = 20;
/// Bytes of a whole HMAC-SHA256.
pub(crate) const SHA256_LENGTH: usize = 32;
/// RFC 8489 §14.6: a truncated HMAC-SHA256 keeps at least these many bytes.
const SHA256_SHORTEST: usize = 16;
/// Type and length in front of a value.
const ATTRIBUTE_HEADER_LENGTH: usize = 4;

/// Why an integrity check does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// The message does not carry the attribute.
    #[error("the message carries no integrity check of this kind")]
    Missing,
    /// The key is another, the message was changed, or the value has an impossible length.
    #[error("the integrity check does not fit the message and the key")]
    Mismatch,
}

/// Checks MESSAGE-INTEGRITY.
pub(crate) fn verify_sha1(
    header: &[u8; HEADER_LENGTH],
    seal: Option<Seal<'_>>,
    key: &IntegrityKey,
) -> Result<(), IntegrityError> {
    let Some(Seal { before, value }) = seal else {
        return Err(IntegrityError::Missing);
    };
    equal(&sha1(header, before, key), value)
}

/// Checks MESSAGE-INTEGRITY-SHA256.
pub(crate) fn verify_sha256(
    header: &[u8; HEADER_LENGTH],
    seal: Option<Seal<'_>>,
    key: &IntegrityKey,
) -> Result<(), IntegrityError> {
    let Some(Seal { before, value }) = seal else {
        return Err(IntegrityError::Missing);
    };
    // RFC 8489 §14.6: "The value will be at most 32 bytes, but it MUST be at least 16 bytes and MUST be a multiple of
    // 4 bytes."
    if !(SHA256_SHORTEST..=SHA256_LENGTH).contains(&value.len()) || !value.len().is_multiple_of(4) {
        return Err(IntegrityError::Mismatch);
    }
    let expected = sha256(header, before, value.len(), key);
    equal(expected.get(..value.len()).unwrap_or_default(), value)
}

/// The value of a MESSAGE-INTEGRITY that follows `before`.
pub(crate) fn sha1(header: &[u8; HEADER_LENGTH], before: &[u8], key: &IntegrityKey) -> [u8; SHA1_LENGTH] {
    let mut mac = key.sha1();
    feed(&mut mac, header, before, SHA1_LENGTH);
    mac.finalize().into_bytes().into()
}

/// The whole value of a MESSAGE-INTEGRITY-SHA256 that follows `before` and will be `length` bytes long.
pub(crate) fn sha256(
    header: &[u8; HEADER_LENGTH],
    before: &[u8],
    length: usize,
    key: &IntegrityKey,
) -> [u8; SHA256_LENGTH] {
    let mut mac = key.sha256();
    feed(&mut mac, header, before, length);
    mac.finalize().into_bytes().into()
}

/// Feeds what the MAC covers: the header with the length it would have if the attribute were last, and the body.
fn feed(mac: &mut impl Mac, header: &[u8; HEADER_LENGTH], before: &[u8], value_length: usize) {
    let &[t0, t1, _, _, ref rest @ ..] = header;
    let length = before.len().saturating_add(ATTRIBUTE_HEADER_LENGTH).saturating_add(value_length);
    let [.., l0, l1] = length.to_be_bytes();
    mac.update(&[t0, t1, l0, l1]);
    mac.update(rest);
    mac.update(before);
}

/// Compares in a time that depends on the lengths only.
fn equal(expected: &[u8], value: &[u8]) -> Result<(), IntegrityError> {
    if bool::from(expected.ct_eq(value)) {
        return Ok(());
    }
    Err(IntegrityError::Mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Lifetime;
    use crate::{AttributeType, Class, Message, MessageWriter, Method, RawAttribute, TransactionId};

    #[test]
    fn a_truncated_sha256_holds_from_sixteen_bytes_on() {
        for length in [16, 20, 24, 28, 32] {
            assert_eq!(verify_truncated_to(length), Ok(()), "{length} bytes");
        }
    }

    #[test]
    fn shorter_longer_and_uneven_sha256_values_are_refused() {
        for length in [0, 4, 12, 15, 17, 31] {
            assert_eq!(verify_truncated_to(length), Err(IntegrityError::Mismatch), "{length} bytes");
        }
        assert_eq!(
            verify(AttributeType::MESSAGE_INTEGRITY_SHA256, |_, _| vec![0; 36]),
            Err(IntegrityError::Mismatch)
        );
    }

    #[test]
    fn a_sha1_value_of_another_length_is_refused() {
        for length in [0, 16, 19, 21, 32] {
            let result = verify(AttributeType::MESSAGE_INTEGRITY, |header, before| {
                let mut mac = sha1(header, before, &key()).to_vec();
                mac.resize(length, 0);
                mac
            });
            assert_eq!(result, Err(IntegrityError::Mismatch), "{length} bytes");
        }
    }

    #[test]
    fn another_key_does_not_fit() {
        let result = verify(AttributeType::MESSAGE_INTEGRITY, |header, before| {
            sha1(header, before, &IntegrityKey::short_term("other")).to_vec()
        });
        assert_eq!(result, Err(IntegrityError::Mismatch));
    }

    #[test]
    fn a_message_without_a_seal_lacks_it() {
        assert_eq!(verify(AttributeType::SOFTWARE, |_, _| vec![]), Err(IntegrityError::Missing));
    }

    fn key() -> IntegrityKey {
        IntegrityKey::short_term("secret")
    }

    fn verify_truncated_to(length: usize) -> Result<(), IntegrityError> {
        verify(AttributeType::MESSAGE_INTEGRITY_SHA256, |header, before| {
            sha256(header, before, length, &key())[..length].to_vec()
        })
    }

    /// Seals a message with what `seal` makes of its header and body, and checks it.
    fn verify(
        kind: AttributeType,
        seal: impl FnOnce(&[u8; HEADER_LENGTH], &[u8]) -> Vec<u8>,
    ) -> Result<(), IntegrityError> {
        let mut buffer = [0; 128];
        let transaction = TransactionId([3; 12]);
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Request, Method::Refresh, transaction).unwrap();
        writer.put(&Lifetime { seconds: 600 }).unwrap();
        let length = writer.finish();
        let (header, before) = buffer[..length].split_first_chunk().unwrap();
        let mac = seal(header, before);

        let mut buffer = [0; 128];
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Request, Method::Refresh, transaction).unwrap();
        writer.put(&Lifetime { seconds: 600 }).unwrap();
        writer.put(&RawAttribute { kind, value: &mac }).unwrap();
        let length = writer.finish();
        let message = Message::decode(&buffer[..length]).unwrap();
        if kind == AttributeType::MESSAGE_INTEGRITY_SHA256 {
            return message.verify_integrity_sha256(&key());
        }
        message.verify_integrity(&key())
    }
}
