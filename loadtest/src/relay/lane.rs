//! One stream of packets through the server: which socket sends, which receives, and what a packet looks like.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_stun::attributes::Data;
use causeway_stun::{HEADER_LENGTH, Message};
use nix::sys::socket::{setsockopt, sockopt};

use crate::failure::{Doing, Failure};
use crate::relay::stamp::Stamp;

/// What arrives, and where its stamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arriving {
    /// Packets of one length with the stamp at a fixed place: data at a peer, or ChannelData.
    Fixed {
        /// Bytes of a packet.
        length: usize,
        /// Bytes in front of the stamp.
        stamp_at: usize,
    },
    /// Data indications.
    Indication,
    /// Answers with the stamp as their transaction id.
    Answer,
}

/// Bytes in front of a STUN message's transaction id.
pub(crate) const TRANSACTION_ID_AT: usize = 8;

impl Arriving {
    /// Splits the first packet off what one receive brought, which may be several that the kernel joined.
    pub(crate) fn first(self, received: &[u8]) -> Option<(Option<Stamp>, &[u8])> {
        match self {
            Self::Fixed { length, stamp_at } => {
                let (packet, rest) = received.split_at_checked(length)?;
                Some((Stamp::read(packet, stamp_at), rest))
            }
            Self::Indication => {
                let (packet, rest) = stun(received)?;
                let message = Message::decode(packet).ok()?;
                let Data(data) = message.get().ok()??;
                Some((Stamp::read(data, 0), rest))
            }
            Self::Answer => {
                let (packet, rest) = stun(received)?;
                Some((Stamp::read(packet, TRANSACTION_ID_AT), rest))
            }
        }
    }
}

/// Splits a STUN message off by its length field.
fn stun(received: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[_, _, high, low, ..] = received else { return None };
    received.split_at_checked(HEADER_LENGTH + usize::from(u16::from_be_bytes([high, low])))
}

/// How far a lane is. Written by one thread each, read by both.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Packets handed to the kernel.
    pub(crate) sent: AtomicU64,
    /// The highest number that arrived, and one more.
    pub(crate) reached: AtomicU64,
    /// Packets that arrived.
    pub(crate) received: AtomicU64,
}

impl Progress {
    pub(crate) fn lost(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).saturating_sub(self.received.load(Ordering::Relaxed))
    }
}

/// One stream of packets.
pub(crate) struct Lane {
    pub(crate) from: Arc<UdpSocket>,
    pub(crate) to: Arc<UdpSocket>,
    /// A packet as it is sent, but for its stamp.
    pub(crate) packet: Vec<u8>,
    pub(crate) stamp_at: usize,
    pub(crate) arriving: Arriving,
    pub(crate) progress: Progress,
}

impl Lane {
    /// Has the kernel cut what is sent in one piece into packets (`UDP_SEGMENT`), as QUIC's senders do.
    pub(crate) fn cut_bursts(&self) -> Result<(), Failure> {
        let length = i32::try_from(self.packet.len()).unwrap_or(i32::MAX);
        setsockopt(&self.from, sockopt::UdpGsoSegment, &length).doing("setting UDP_SEGMENT")
    }

    /// Takes packets joined that were sent in one piece (`UDP_GRO`).
    pub(crate) fn join_arrivals(&self) -> Result<(), Failure> {
        setsockopt(&self.to, sockopt::UdpGroSegment, &true).doing("setting UDP_GRO")
    }
}
