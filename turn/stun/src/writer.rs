//! Writing a message into the caller's buffer, with a header that is right after every step.

use crate::attribute::{AttributeType, Encode};
use crate::fingerprint;
use crate::header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId, join_type};
use crate::integrity::{self, SHA256_LENGTH};
use crate::key::IntegrityKey;

/// Why something could not be written. The writer is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The buffer is too small.
    #[error("the buffer is full")]
    BufferFull,
    /// The message would be longer than its length field can say.
    #[error("a message cannot be longer than its 16-bit length field says")]
    TooLong,
    /// RFC 8489 §14.5–14.7: behind a seal comes only a stronger one, and behind FINGERPRINT nothing.
    #[error("{kind} cannot follow the seal that is already written")]
    Order {
        /// What was to be written.
        kind: AttributeType,
    },
}

/// Writes one message. What has been written so far is a well-formed message at any time.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buffer: &'b mut [u8],
    /// Bytes written, header included; never more than the buffer holds.
    length: usize,
    transaction_id: TransactionId,
    sealed: Sealed,
}

/// The strongest seal written, in the order in which seals may follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sealed {
    Open,
    Integrity,
    IntegritySha256,
    Fingerprint,
}

impl Sealed {
    /// What a message is behind an attribute of this type.
    const fn by(kind: AttributeType) -> Self {
        match kind {
            AttributeType::MESSAGE_INTEGRITY => Self::Integrity,
            AttributeType::MESSAGE_INTEGRITY_SHA256 => Self::IntegritySha256,
            AttributeType::FINGERPRINT => Self::Fingerprint,
            AttributeType(_) => Self::Open,
        }
    }
}

impl<'b> MessageWriter<'b> {
    /// Starts a message at the front of `buffer`.
    ///
    /// # Errors
    /// [`EncodeError::BufferFull`]: the buffer does not hold a header.
    pub fn new(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        transaction_id: TransactionId,
    ) -> Result<Self, EncodeError> {
        let mut header = ValueWriter::new(buffer);
        header.u16(join_type(class, method))?;
        header.u16(0)?;
        header.u32(MAGIC_COOKIE)?;
        header.bytes(&transaction_id.0)?;
        Ok(Self { buffer, length: HEADER_LENGTH, transaction_id, sealed: Sealed::Open })
    }

    /// Appends an attribute.
    ///
    /// # Errors
    /// The buffer is full, the message too long, or a seal is already written.
    pub fn put<A: Encode + ?Sized>(&mut self, attribute: &A) -> Result<(), EncodeError> {
        let transaction_id = self.transaction_id;
        self.append(attribute.kind(), |value| attribute.encode(&transaction_id, value))
    }

    /// Appends MESSAGE-INTEGRITY over everything before it (RFC 8489 §14.5).
    ///
    /// # Errors
    /// The buffer is full, the message too long, or a seal is already written.
    pub fn put_integrity(&mut self, key: &IntegrityKey) -> Result<(), EncodeError> {
        let kind = AttributeType::MESSAGE_INTEGRITY;
        let (header, before) = self.written()?;
        let mac = integrity::sha1(header, before, key);
        self.append(kind, |value| value.bytes(&mac))
    }

    /// Appends a whole MESSAGE-INTEGRITY-SHA256 over everything before it (RFC 8489 §14.6).
    ///
    /// # Errors
    /// The buffer is full, the message too long, or this seal or FINGERPRINT is already written.
    pub fn put_integrity_sha256(&mut self, key: &IntegrityKey) -> Result<(), EncodeError> {
        let kind = AttributeType::MESSAGE_INTEGRITY_SHA256;
        let (header, before) = self.written()?;
        let mac = integrity::sha256(header, before, SHA256_LENGTH, key);
        self.append(kind, |value| value.bytes(&mac))
    }

    /// Appends FINGERPRINT, after which nothing may come (RFC 8489 §14.7).
    ///
    /// # Errors
    /// The buffer is full, the message too long, or FINGERPRINT is already written.
    pub fn put_fingerprint(&mut self) -> Result<(), EncodeError> {
        let kind = AttributeType::FINGERPRINT;
        let start = self.length;
        // The checksum covers the header's length with the attribute in it, so the attribute goes in first.
        self.append(kind, |value| value.u32(0))?;
        let (header, body) = self.written()?;
        let before = body.get(..start.saturating_sub(HEADER_LENGTH)).ok_or(EncodeError::BufferFull)?;
        let checksum = fingerprint::compute(header, before);
        let value = self.buffer.get_mut(..self.length).and_then(<[u8]>::last_chunk_mut);
        *value.ok_or(EncodeError::BufferFull)? = checksum.to_be_bytes();
        Ok(())
    }

    /// Ends the message and says how many bytes of the buffer it takes.
    #[must_use]
    pub const fn finish(self) -> usize {
        self.length
    }

    /// Header and body so far.
    fn written(&self) -> Result<(&[u8; HEADER_LENGTH], &[u8]), EncodeError> {
        self.buffer.get(..self.length).and_then(<[u8]>::split_first_chunk).ok_or(EncodeError::BufferFull)
    }

    /// Writes one attribute, its padding, and the header's length; on failure the message stays as it was.
    fn append(
        &mut self,
        kind: AttributeType,
        write: impl FnOnce(&mut ValueWriter<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let sealed = Sealed::by(kind);
        if self.sealed >= sealed && self.sealed != Sealed::Open {
            return Err(EncodeError::Order { kind });
        }
        let free = self.buffer.get_mut(self.length..).ok_or(EncodeError::BufferFull)?;
        let (attribute_header, free) = free.split_first_chunk_mut::<4>().ok_or(EncodeError::BufferFull)?;
        let mut value = ValueWriter::new(free);
        write(&mut value)?;
        let value_length = u16::try_from(value.length).map_err(too_long)?;
        let padding = value.length.next_multiple_of(4).saturating_sub(value.length);
        value.zeros(padding)?;
        let length = self.length.saturating_add(attribute_header.len()).saturating_add(value.length);
        let body_length = u16::try_from(length.saturating_sub(HEADER_LENGTH)).map_err(too_long)?;

        let [k0, k1] = kind.0.to_be_bytes();
        let [v0, v1] = value_length.to_be_bytes();
        *attribute_header = [k0, k1, v0, v1];
        if let Some([_, _, l0, l1, ..]) = self.buffer.first_chunk_mut::<HEADER_LENGTH>() {
            [*l0, *l1] = body_length.to_be_bytes();
        }
        self.length = length;
        self.sealed = self.sealed.max(sealed);
        Ok(())
    }
}

/// A length that 16 bits cannot say.
fn too_long(_: core::num::TryFromIntError) -> EncodeError {
    EncodeError::TooLong
}

/// Where an attribute writes its value: the free part of the message's buffer.
#[derive(Debug)]
pub struct ValueWriter<'b> {
    free: &'b mut [u8],
    length: usize,
}

impl<'b> ValueWriter<'b> {
    pub(crate) const fn new(free: &'b mut [u8]) -> Self {
        Self { free, length: 0 }
    }

    /// Bytes written so far.
    pub(crate) const fn written(&self) -> usize {
        self.length
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`EncodeError::BufferFull`]: they do not fit.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.take(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends one byte.
    ///
    /// # Errors
    /// [`EncodeError::BufferFull`]: it does not fit.
    pub fn u8(&mut self, number: u8) -> Result<(), EncodeError> {
        self.bytes(&[number])
    }

    /// Appends a number in network order.
    ///
    /// # Errors
    /// [`EncodeError::BufferFull`]: it does not fit.
    pub fn u16(&mut self, number: u16) -> Result<(), EncodeError> {
        self.bytes(&number.to_be_bytes())
    }

    /// Appends a length as a 16-bit number in network order.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`]: 16 bits cannot say it. [`EncodeError::BufferFull`]: it does not fit.
    pub fn length(&mut self, length: usize) -> Result<(), EncodeError> {
        self.u16(u16::try_from(length).map_err(too_long)?)
    }

    /// Appends a number in network order.
    ///
    /// # Errors
    /// [`EncodeError::BufferFull`]: it does not fit.
    pub fn u32(&mut self, number: u32) -> Result<(), EncodeError> {
        self.bytes(&number.to_be_bytes())
    }

    /// Appends a number in network order.
    ///
    /// # Errors
    /// [`EncodeError::BufferFull`]: it does not fit.
    pub fn u64(&mut self, number: u64) -> Result<(), EncodeError> {
        self.bytes(&number.to_be_bytes())
    }

    /// Appends zero bytes.
    ///
    /// # Errors
    /// [`EncodeError::BufferFull`]: they do not fit.
    pub fn zeros(&mut self, count: usize) -> Result<(), EncodeError> {
        self.take(count)?.fill(0);
        Ok(())
    }

    /// The next `count` bytes of the buffer.
    fn take(&mut self, count: usize) -> Result<&mut [u8], EncodeError> {
        if count > self.free.len() {
            return Err(EncodeError::BufferFull);
        }
        let (taken, free) = core::mem::take(&mut self.free).split_at_mut(count);
        self.free = free;
        self.length = self.length.saturating_add(count);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Data, Lifetime, Software};
    use crate::{IntegrityKey, Message, RawAttribute};

    const TRANSACTION: TransactionId = TransactionId([5; 12]);

    #[test]
    fn a_message_without_attributes_is_a_header() {
        let mut buffer = [0xFF; 20];
        let writer = open(&mut buffer).unwrap();
        assert_eq!(writer.finish(), 20);
        assert_eq!(buffer[..8], [0x00, 0x03, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
        assert_eq!(buffer[8..], [5; 12]);
    }

    #[test]
    fn padding_is_zero_whatever_the_buffer_held() {
        let mut buffer = [0xFF; 40];
        let mut writer = open(&mut buffer).unwrap();
        writer.put(&Data(&[1])).unwrap();
        assert_eq!(writer.finish(), 28);
        assert_eq!(buffer[2..4], [0, 8]);
        assert_eq!(buffer[20..28], [0x00, 0x13, 0, 1, 1, 0, 0, 0]);
        assert_eq!(buffer[28..], [0xFF; 12]);
    }

    #[test]
    fn a_buffer_without_room_for_a_header_is_refused() {
        assert_eq!(open(&mut [0; 19]).err(), Some(EncodeError::BufferFull));
    }

    #[test]
    fn what_does_not_fit_leaves_the_message_as_it_was() {
        for size in 28..36 {
            let mut buffer = vec![0xFF; size];
            let mut writer = open(&mut buffer).unwrap();
            writer.put(&Lifetime { seconds: 600 }).unwrap();
            assert_eq!(writer.put(&Software::new("abc").unwrap()), Err(EncodeError::BufferFull));
            assert_eq!(writer.put_fingerprint(), Err(EncodeError::BufferFull));
            assert_eq!(writer.put_integrity(&key()), Err(EncodeError::BufferFull));
            let length = writer.finish();
            let message = Message::decode(&buffer[..length]).unwrap();
            assert_eq!(message.attributes().count(), 1);
        }
    }

    #[test]
    fn what_the_length_field_cannot_say_is_refused() {
        let data = vec![0; 65_536];
        let mut buffer = vec![0; 100_000];
        let mut writer = open(&mut buffer).unwrap();
        assert_eq!(writer.put(&Data(&data)), Err(EncodeError::TooLong));
        assert_eq!(writer.put(&Data(&data[..65_529])), Err(EncodeError::TooLong));
        assert_eq!(writer.put(&Data(&data[..65_528])), Ok(()));
        assert_eq!(writer.put_fingerprint(), Err(EncodeError::TooLong));
        let length = writer.finish();
        assert_eq!(length, 20 + 65_532);
        Message::decode(&buffer[..length]).unwrap();
    }

    #[test]
    fn seals_come_in_their_order_and_last() {
        let mut buffer = [0; 256];
        let mut writer = open(&mut buffer).unwrap();
        let lifetime = Lifetime { seconds: 1 };
        writer.put(&lifetime).unwrap();
        writer.put_integrity(&key()).unwrap();
        check_order(writer.put_integrity(&key()), AttributeType::MESSAGE_INTEGRITY);
        check_order(writer.put(&lifetime), AttributeType::LIFETIME);
        writer.put_integrity_sha256(&key()).unwrap();
        check_order(writer.put_integrity(&key()), AttributeType::MESSAGE_INTEGRITY);
        check_order(writer.put_integrity_sha256(&key()), AttributeType::MESSAGE_INTEGRITY_SHA256);
        writer.put_fingerprint().unwrap();
        check_order(writer.put_fingerprint(), AttributeType::FINGERPRINT);
        check_order(writer.put_integrity_sha256(&key()), AttributeType::MESSAGE_INTEGRITY_SHA256);
        let length = writer.finish();

        let message = Message::decode(&buffer[..length]).unwrap();
        assert_eq!(message.verify_integrity(&key()), Ok(()));
        assert_eq!(message.verify_integrity_sha256(&key()), Ok(()));
        assert_eq!(message.fingerprint(), Ok(()));
    }

    #[test]
    fn a_copied_seal_closes_the_message_too() {
        let mut buffer = [0; 256];
        let mut writer = open(&mut buffer).unwrap();
        let copied = RawAttribute { kind: AttributeType::FINGERPRINT, value: &[0; 4] };
        writer.put(&copied).unwrap();
        check_order(writer.put(&Lifetime { seconds: 1 }), AttributeType::LIFETIME);
    }

    fn open(buffer: &mut [u8]) -> Result<MessageWriter<'_>, EncodeError> {
        MessageWriter::new(buffer, Class::Request, Method::Allocate, TRANSACTION)
    }

    fn key() -> IntegrityKey {
        IntegrityKey::short_term("secret")
    }

    fn check_order(result: Result<(), EncodeError>, kind: AttributeType) {
        assert_eq!(result, Err(EncodeError::Order { kind }));
    }
}
