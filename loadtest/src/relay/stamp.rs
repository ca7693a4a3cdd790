//! The mark in each packet, by which the receiver knows when it was sent and which of its lane it is.
//!
//! ```text
//!  0                   1
//!  0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------+-------+
//! | nanoseconds   | number|   both big-endian; 12 bytes, so that it fits into a STUN transaction id
//! +---------------+-------+
//! ```

/// Bytes that a stamp takes.
pub const LENGTH: usize = 12;

/// When a packet was sent, and its place among the packets of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When it was handed to the kernel, in nanoseconds of [`crate::clock`].
    pub(crate) sent: u64,
    /// Counted from 0. It wraps after four billion packets of one lane, hours at any rate reached here.
    pub(crate) number: u32,
}

impl Stamp {
    /// Writes the stamp at `at`, if the packet has room for it.
    pub(crate) fn write(self, packet: &mut [u8], at: usize) {
        if let Some(place) = packet.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<LENGTH>) {
            let (sent, number) = place.split_at_mut(8);
            sent.copy_from_slice(&self.sent.to_be_bytes());
            number.copy_from_slice(&self.number.to_be_bytes());
        }
    }

    /// Reads the stamp at `at`; `None`: the packet ends before it does.
    pub(crate) fn read(packet: &[u8], at: usize) -> Option<Self> {
        let (sent, rest) = packet.get(at..)?.split_first_chunk()?;
        let number = rest.first_chunk()?;
        Some(Self { sent: u64::from_be_bytes(*sent), number: u32::from_be_bytes(*number) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp { sent: 0x0102_0304_0506_0708, number: 0x0A0B_0C0D };
        let mut packet = [0; 17];
        stamp.write(&mut packet, 5);
        assert_eq!(Stamp::read(&packet, 5), Some(stamp));
    }

    #[test]
    fn a_packet_without_room_has_no_stamp() {
        let mut packet = [0; 15];
        Stamp { sent: 1, number: 1 }.write(&mut packet, 4);
        assert_eq!(packet, [0; 15]);
        assert_eq!(Stamp::read(&packet, 4), None);
        assert_eq!(Stamp::read(&packet, 400), None);
    }
}
