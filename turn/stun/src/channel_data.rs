//! ChannelData: four bytes of header instead of 36 in front of relayed data (RFC 8656 §12.4).
//!
//! ```text
//! |  channel number (16)  |  length of data (16)  |  data … on streams: padding to a multiple of 4  |
//! ```

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The number that stands for one peer of one allocation. Also the attribute CHANNEL-NUMBER (RFC 8656 §18.1).
///
/// RFC 8656 §12 gives clients 0x4000 to 0x4FFF. Clients of RFC 5766 §11 draw from 0x4000 to 0x7FFF, coturn's own among
/// them; both are accepted, since nothing else uses those first bytes (RFC 7983 §7 leaves 80 to 127 unassigned).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// The lowest number a client may bind.
    pub const MIN: Self = Self(0x4000);
    /// The highest number a client may bind.
    pub const MAX: Self = Self(0x7FFF);

    /// The channel of this number, if a client may bind it.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            0x4000..=0x7FFF => Some(Self(number)),
            _ => None,
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Attribute<'_> for ChannelNumber {
    const TYPE: AttributeType = AttributeType::CHANNEL_NUMBER;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        // RFC 8656 §18.1: the two bytes behind the number are reserved and ignored.
        let &[n0, n1, _, _] = exactly(Self::TYPE, value)?;
        let number = u16::from_be_bytes([n0, n1]);
        Self::new(number).ok_or(AttributeError::Range { kind: Self::TYPE, value: number.into() })
    }
}

impl Encode for ChannelNumber {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u16(self.0)?;
        value.zeros(2)
    }
}

/// Data on a channel, borrowed from its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelData<'a> {
    /// Which peer it comes from or goes to.
    pub number: ChannelNumber,
    /// The application's bytes, without padding.
    pub data: &'a [u8],
}

/// Why bytes are not ChannelData; RFC 8656 §12.6 has them silently discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelDataError {
    /// Fewer bytes than a header.
    #[error("{length} bytes are fewer than the 4 of a ChannelData header")]
    TooShort {
        /// Bytes received.
        length: usize,
    },
    /// The number is outside 0x4000..=0x7FFF.
    #[error("{number:#06x} is not a channel number")]
    NotAChannel {
        /// The first two bytes.
        number: u16,
    },
    /// The length field promises more than the datagram holds.
    #[error("the length field says {claimed} and only {present} bytes follow")]
    Truncated {
        /// What the length field says.
        claimed: usize,
        /// Bytes behind the header.
        present: usize,
    },
}

impl<'a> ChannelData<'a> {
    /// Bytes in front of the data.
    pub const HEADER_LENGTH: usize = 4;

    /// Reads a datagram, or one frame of a stream. RFC 8656 §12.5 lets a datagram carry padding, so bytes behind the
    /// data are ignored.
    ///
    /// # Errors
    /// Each way not to be ChannelData has its own variant.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, ChannelDataError> {
        let Some((&[n0, n1, l0, l1], rest)) = datagram.split_first_chunk() else {
            return Err(ChannelDataError::TooShort { length: datagram.len() });
        };
        let number = u16::from_be_bytes([n0, n1]);
        let claimed = usize::from(u16::from_be_bytes([l0, l1]));
        let Some(number) = ChannelNumber::new(number) else {
            return Err(ChannelDataError::NotAChannel { number });
        };
        let Some(data) = rest.get(..claimed) else {
            return Err(ChannelDataError::Truncated { claimed, present: rest.len() });
        };
        Ok(Self { number, data })
    }

    /// The header in front of `length` bytes of data, for those who send header and data as two pieces.
    #[must_use]
    pub const fn header(number: ChannelNumber, length: u16) -> [u8; 4] {
        let [n0, n1] = number.0.to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        [n0, n1, l0, l1]
    }

    /// Zero bytes that follow `length` bytes of data on a stream (RFC 8656 §12.5): 0 to 3.
    #[must_use]
    pub const fn stream_padding(length: u16) -> usize {
        match length % 4 {
            1 => 3,
            2 => 2,
            3 => 1,
            _ => 0,
        }
    }

    /// Writes header and data without padding, and says how many bytes that took.
    ///
    /// # Errors
    /// The buffer is too small, or the data longer than 65,535 bytes.
    pub fn encode_datagram(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        self.encode(buffer, |_| 0)
    }

    /// Writes header, data and the padding that streams need, and says how many bytes that took.
    ///
    /// # Errors
    /// The buffer is too small, or the data longer than 65,535 bytes.
    pub fn encode_stream(&self, buffer: &mut [u8]) -> Result<usize, EncodeError> {
        self.encode(buffer, Self::stream_padding)
    }

    fn encode(&self, buffer: &mut [u8], padding: impl Fn(u16) -> usize) -> Result<usize, EncodeError> {
        let Ok(length) = u16::try_from(self.data.len()) else {
            return Err(EncodeError::TooLong);
        };
        let mut out = ValueWriter::new(buffer);
        out.bytes(&Self::header(self.number, length))?;
        out.bytes(self.data)?;
        out.zeros(padding(length))?;
        Ok(out.written())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_round_trip;

    #[test]
    fn the_attribute_reads_what_it_writes() {
        check_round_trip(&ChannelNumber::MIN, "40 00 00 00");
        check_round_trip(&ChannelNumber::MAX, "7f ff 00 00");
    }

    #[test]
    fn only_4000_to_4fff_can_be_bound() {
        for number in [0x0000, 0x3FFF, 0x8000, 0xFFFF] {
            assert_eq!(ChannelNumber::new(number), None);
            assert_eq!(
                ChannelNumber::decode(&[number.to_be_bytes(), [0, 0]].concat(), &TransactionId([0; 12])),
                Err(AttributeError::Range { kind: AttributeType::CHANNEL_NUMBER, value: u32::from(number) })
            );
        }
    }

    #[test]
    fn a_datagram_needs_no_padding_and_may_have_some() {
        let sent = ChannelData { number: ChannelNumber::MIN, data: b"hello" };
        let mut buffer = [0xFF; 16];
        assert_eq!(sent.encode_datagram(&mut buffer), Ok(9));
        for length in 9..=12 {
            assert_eq!(ChannelData::decode(&buffer[..length]), Ok(sent));
        }
    }

    #[test]
    fn on_a_stream_the_padding_is_zero_and_ends_on_a_multiple_of_four() {
        for length in 0..9 {
            let data = &[0xAA; 9][..length];
            let sent = ChannelData { number: ChannelNumber::MAX, data };
            let mut buffer = [0xFF; 16];
            let written = sent.encode_stream(&mut buffer).unwrap();
            assert_eq!(written, 4 + length.next_multiple_of(4));
            assert!(buffer[4 + length..written].iter().all(|byte| *byte == 0));
            assert_eq!(ChannelData::decode(&buffer[..written]), Ok(sent));
        }
    }

    #[test]
    fn a_length_that_promises_more_than_there_is_is_refused() {
        assert_eq!(
            ChannelData::decode(&[0x40, 0, 0, 3, 1, 2]),
            Err(ChannelDataError::Truncated { claimed: 3, present: 2 })
        );
    }

    #[test]
    fn reserved_numbers_and_stubs_are_refused() {
        assert_eq!(
            ChannelData::decode(&[0x80, 0, 0, 0]),
            Err(ChannelDataError::NotAChannel { number: 0x8000 })
        );
        assert_eq!(ChannelData::decode(&[0x40, 0, 0]), Err(ChannelDataError::TooShort { length: 3 }));
    }

    #[test]
    fn a_buffer_without_room_for_the_padding_is_refused() {
        let sent = ChannelData { number: ChannelNumber::MIN, data: b"hello" };
        assert_eq!(sent.encode_stream(&mut [0; 11]), Err(EncodeError::BufferFull));
        assert_eq!(sent.encode_datagram(&mut [0; 9]), Ok(9));
    }
}
