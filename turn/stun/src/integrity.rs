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
