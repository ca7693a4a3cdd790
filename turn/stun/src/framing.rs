//! Telling messages apart: by first byte on a datagram socket, by length on a stream.

use crate::channel_data::ChannelData;
use crate::header::{HEADER_LENGTH, MAGIC_COOKIE};

/// What a datagram is, by its first byte (RFC 7983 §7, RFC 8656 §12.4; see
/// [`ChannelNumber`](crate::ChannelNumber) on 80 to 127).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 0 to 3: a STUN message.
    Stun,
    /// 20 to 63: a DTLS record.
    Dtls,
    /// 64 to 127: ChannelData.
    ChannelData,
    /// Anything else, the empty datagram too.
    Other,
}

/// What a datagram is, by its first byte; it may still be malformed.
#[must_use]
pub const fn classify(datagram: &[u8]) -> Kind {
    match datagram.first() {
        Some(0..=3) => Kind::Stun,
        Some(20..=63) => Kind::Dtls,
        Some(64..=127) => Kind::ChannelData,
        Some(4..=19 | 128..) | None => Kind::Other,
    }
}

/// What stands at the front of a byte stream that carries STUN and ChannelData (RFC 8489 §6.2.2, RFC 8656 §12.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Come back when the buffer holds this many bytes in total.
    Need(usize),
    /// A STUN message of this many bytes, header included, which are all there.
    Stun(usize),
    /// ChannelData, which is all there with its padding.
    ChannelData {
        /// Bytes of header and data: what [`ChannelData::decode`] is to get.
        length: usize,
        /// Bytes to remove from the stream: `length` and the padding behind it.
        padded: usize,
    },
    /// Neither; the stream cannot be read any further and is to be closed.
    Invalid,
}

impl Frame {
    /// What the front of `stream` is. Garbage is found by its first eight bytes, not after waiting for the 64 KiB it
    /// may promise.
    #[must_use]
    pub fn at_start(stream: &[u8]) -> Self {
        let Some((&[_, _, l0, l1], rest)) = stream.split_first_chunk() else {
            return match classify(stream) {
                Kind::Stun | Kind::ChannelData => Self::Need(ChannelData::HEADER_LENGTH),
                Kind::Dtls | Kind::Other if stream.is_empty() => Self::Need(ChannelData::HEADER_LENGTH),
                Kind::Dtls | Kind::Other => Self::Invalid,
            };
        };
        let claimed = u16::from_be_bytes([l0, l1]);
        match classify(stream) {
            Kind::Stun => Self::stun(stream.len(), claimed, rest),
            Kind::ChannelData => {
                let length = ChannelData::HEADER_LENGTH.saturating_add(usize::from(claimed));
                let padded = length.saturating_add(ChannelData::stream_padding(claimed));
                if stream.len() < padded {
                    return Self::Need(padded);
                }
                Self::ChannelData { length, padded }
            }
            Kind::Dtls | Kind::Other => Self::Invalid,
        }
    }

    /// A STUN message that promises `claimed` bytes behind its header; `rest` starts at the magic cookie.
    fn stun(present: usize, claimed: u16, rest: &[u8]) -> Self {
        if !claimed.is_multiple_of(4) {
            return Self::Invalid;
        }
        let Some(cookie) = rest.first_chunk() else {
            return Self::Need(8);
        };
        if u32::from_be_bytes(*cookie) != MAGIC_COOKIE {
            return Self::Invalid;
        }
        let length = HEADER_LENGTH.saturating_add(usize::from(claimed));
        if present < length {
            return Self::Need(length);
        }
        Self::Stun(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, MessageWriter, Method, TransactionId};

    #[test]
    fn the_first_byte_tells_the_protocols_apart() {
        let boundaries = [
            (0, Kind::Stun),
            (3, Kind::Stun),
            (4, Kind::Other),
            (19, Kind::Other),
            (20, Kind::Dtls),
            (63, Kind::Dtls),
            (64, Kind::ChannelData),
            (127, Kind::ChannelData),
            (128, Kind::Other),
            (255, Kind::Other),
        ];
        for (first, kind) in boundaries {
            assert_eq!(classify(&[first]), kind, "{first}");
        }
        assert_eq!(classify(&[]), Kind::Other);
    }

    #[test]
    fn a_stun_message_is_awaited_in_three_steps() {
        let message = binding();
        check(&message[..0], Frame::Need(4));
        check(&message[..3], Frame::Need(4));
        check(&message[..4], Frame::Need(8));
        check(&message[..8], Frame::Need(20));
        check(&message[..19], Frame::Need(20));
        check(&message, Frame::Stun(20));
        check(&[&message[..], &message[..]].concat(), Frame::Stun(20));
    }

    #[test]
    fn channel_data_is_awaited_with_its_padding() {
        let frame = [0x40, 0x01, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        check(&frame[..1], Frame::Need(4));
        check(&frame[..4], Frame::Need(12));
        check(&frame[..11], Frame::Need(12));
        check(&frame, Frame::ChannelData { length: 9, padded: 12 });
    }

    #[test]
    fn the_longest_channel_data_is_a_frame() {
        let mut stream = vec![0; 4 + 65_536];
        stream[..4].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF]);
        check(&stream, Frame::ChannelData { length: 65_539, padded: 65_540 });
    }

    #[test]
    fn empty_channel_data_is_a_frame() {
        check(&[0x40, 0, 0, 0], Frame::ChannelData { length: 4, padded: 4 });
    }

    #[test]
    fn other_protocols_end_the_stream_at_their_first_byte() {
        check(b"\x16", Frame::Invalid);
        check(&[0xFF; 32], Frame::Invalid);
        check(&[0x80], Frame::Invalid);
    }

    #[test]
    fn a_wrong_cookie_ends_the_stream_before_the_promised_bytes_come() {
        check(&[0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x43], Frame::Invalid);
    }

    #[test]
    fn a_length_that_is_no_multiple_of_four_ends_the_stream() {
        check(&[0, 1, 0, 5], Frame::Invalid);
    }

    fn binding() -> [u8; 20] {
        let mut buffer = [0; 20];
        let writer = MessageWriter::new(&mut buffer, Class::Request, Method::Binding, TransactionId([1; 12]));
        assert_eq!(writer.unwrap().finish(), 20);
        buffer
    }

    fn check(stream: &[u8], expected: Frame) {
        assert_eq!(Frame::at_start(stream), expected, "{stream:02x?}");
    }
}
