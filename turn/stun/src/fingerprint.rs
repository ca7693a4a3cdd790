//! FINGERPRINT: a CRC-32 that tells STUN from other protocols on the same port (RFC 8489 §14.7).

use crate::header::HEADER_LENGTH;
use crate::message::Seal;

/// What the checksum is XORed with, so that a CRC-32 of another protocol is not mistaken for ours.
const XOR: u32 = 0x5354_554E;

/// Why a FINGERPRINT does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// The message has none.
    #[error("the message has no FINGERPRINT")]
    Missing,
    /// It is not the checksum of this message, or not four bytes long.
    #[error("FINGERPRINT does not fit the message")]
    Mismatch,
}

/// Checks the fingerprint of a message whose last attribute it is, so that the header's length already covers it.
pub(crate) fn verify(header: &[u8; HEADER_LENGTH], seal: Option<Seal<'_>>) -> Result<(), FingerprintError> {
    let Some(Seal { before, value }) = seal else {
        return Err(FingerprintError::Missing);
    };
    if value == compute(header, before).to_be_bytes() {
        return Ok(());
    }
    Err(FingerprintError::Mismatch)
}

/// The value of a FINGERPRINT that follows `before`; the header's length must already cover the attribute.
pub(crate) fn compute(header: &[u8; HEADER_LENGTH], before: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(header);
    checksum.update(before);
    checksum.finalize() ^ XOR
}
