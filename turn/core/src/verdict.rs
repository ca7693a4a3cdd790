//! What to do with a datagram: small, `Copy`, and returned, because it happens for every one.

use std::ops::Range;

use crate::address::{ClientAddr, PeerAddr, RelayPort};
use crate::between::LiveRelay;
use crate::dropped::DropReason;

/// What to do with the datagram that was passed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send part of the datagram to a peer.
    ToPeer {
        /// From this relay socket.
        on: RelayPort,
        /// To this address.
        to: PeerAddr,
        /// These bytes of the datagram.
        payload: Payload,
        /// The client asked for the DF bit (RFC 8656 §18.9).
        dont_fragment: bool,
    },
    /// Give part of the datagram to the worker that has the relayed address it is for.
    ToRelay {
        /// The relayed address: for [`Relay::on_relay`](crate::Relay::on_relay) of [`LiveRelay::worker`].
        to: LiveRelay,
        /// The relayed address it comes from.
        from: PeerAddr,
        /// These bytes of the datagram.
        payload: Payload,
    },
    /// Send header, part of the datagram and padding to a client, as one datagram.
    ToClient {
        /// From this client's listener, to its source.
        to: ClientAddr,
        /// In front of the payload.
        header: Header,
        /// These bytes of the datagram.
        payload: Payload,
        /// So many zero bytes behind it: 0 to 3.
        padding: u8,
    },
    /// Nothing to send at once; there may be actions to poll.
    Handled,
    /// Not for us, not allowed, or not now.
    Dropped(DropReason),
}

/// Which bytes of the datagram are application data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    start: u32,
    end: u32,
}

impl Payload {
    /// The part of `datagram` that `data` is; the empty part if it is none.
    pub(crate) fn within(datagram: &[u8], data: &[u8]) -> Self {
        let start = data.as_ptr().addr().saturating_sub(datagram.as_ptr().addr());
        let end = start.saturating_add(data.len());
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            // Longer than 4 GiB; a datagram is at most 64 KiB.
            (Err(_), _) | (_, Err(_)) => Self { start: 0, end: 0 },
        }
    }

    /// Where the bytes are.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes, if this is the datagram the verdict is about.
    #[must_use]
    pub fn of(self, datagram: &[u8]) -> &[u8] {
        datagram.get(self.range()).unwrap_or_default()
    }
}

/// What stands in front of the payload on its way to a client: a ChannelData header, or a Data indication up to its
/// DATA attribute's value.
///
/// It is inline and not a slice of the relay's memory, so that a shell can gather a batch of verdicts before it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    length: u8,
    bytes: [u8; Self::CAPACITY],
}

impl Header {
    /// A STUN header, XOR-PEER-ADDRESS for IPv6, and the head of DATA: the longest there is.
    pub const CAPACITY: usize = 20 + 24 + 4;

    /// Nothing stands in front of the payload.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; Self::CAPACITY] };

    /// The header of a ChannelData message.
    pub(crate) fn channel_data(header: [u8; 4]) -> Self {
        let mut filled = Self::EMPTY;
        filled.extend(&header);
        filled
    }

    /// Appends what fits.
    pub fn extend(&mut self, more: &[u8]) {
        let free = self.bytes.get_mut(usize::from(self.length)..).unwrap_or_default();
        for (to, from) in free.iter_mut().zip(more) {
            *to = *from;
            self.length = self.length.saturating_add(1);
        }
    }

    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}
