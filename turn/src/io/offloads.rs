//! Trains: datagrams of one size between the same two addresses that pass through the kernel as one message.
//!
//! A message that is received may be a train (udp(7), `UDP_GRO`), and one that is sent may be cut into datagrams by the
//! kernel or the network card (`UDP_SEGMENT`). Each is probed once at the start; without it datagrams go one by one.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::io::ancillary::ancillaries;
use crate::io::linux;
use crate::settings::OffloadSettings;

/// Which trains this kernel has, and the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offloads {
    pub(crate) receive: bool,
    pub(crate) send: bool,
}

/// Datagrams and calls so far. The difference between the two is what trains and batches save.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IoCounts {
    /// Calls that received something.
    pub(crate) receive_calls: u64,
    /// Datagrams that came alone.
    pub(crate) received_alone: u64,
    /// Datagrams that came in trains.
    pub(crate) received_in_trains: u64,
    /// Calls that sent something.
    pub(crate) send_calls: u64,
    /// Datagrams that left alone.
    pub(crate) sent_alone: u64,
    /// Datagrams that left in trains.
    pub(crate) sent_in_trains: u64,
    /// Trains that the kernel refused, whose datagrams were then sent one by one.
    pub(crate) trains_refused: u64,
}

impl Offloads {
    /// Asks the kernel for what the operator wants.
    pub(crate) fn probe(settings: OffloadSettings) -> Self {
        let has = |option, value| {
            // Any family does: the options are of UDP.
            Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
                .or_else(|_no_ipv4| Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)))
                .and_then(|socket| linux::set_option(&socket, libc::SOL_UDP, option, value))
                .is_ok()
        };
        Self {
            receive: settings.receive && has(libc::UDP_GRO, 1),
            send: settings.send && has(libc::UDP_SEGMENT, 1200),
        }
    }

    /// Lets `socket` receive trains, if there are any.
    pub(crate) fn prepare(self, socket: &impl AsFd) -> io::Result<()> {
        if self.receive { linux::set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1) } else { Ok(()) }
    }
}

/// Where the datagrams of a message are that was received at `message`, beside which `control` came.
pub(crate) fn datagrams(message: Range<usize>, control: &[u8]) -> impl Iterator<Item = Range<usize>> + use<> {
    let segment = segment(control).unwrap_or(message.len()).max(1);
    // An empty message is a datagram, too.
    let count = message.len().div_ceil(segment).max(1);
    (0..count).map(move |index| {
        let start = message.start + index * segment;
        start..message.end.min(start + segment)
    })
}

/// The length of all datagrams of a train but the last, which may be shorter.
fn segment(control: &[u8]) -> Option<usize> {
    let wanted = (libc::SOL_UDP, libc::UDP_GRO);
    let segment = ancillaries(control).find(|message| (message.level, message.kind) == wanted)?;
    let &length = segment.data.first_chunk::<4>()?;
    usize::try_from(i32::from_ne_bytes(length)).ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::io::linux::{Receiver, Sender};

    #[test]
    fn a_train_arrives_as_one_message_where_it_is_asked_for_and_as_datagrams_elsewhere() {
        let offloads = Offloads::probe(OffloadSettings::default());
        assert_eq!(offloads, Offloads { receive: true, send: true }, "Linux has had both since 5.0");
        let train = vec![vec![(0, 100), (100, 200), (200, 250)]];
        let alone = vec![vec![(0, 100)], vec![(0, 100)], vec![(0, 50)]];
        for (offloads, expected) in [(offloads, train), (Offloads::default(), alone)] {
            let [one, other] = [0; 2].map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap());
            offloads.prepare(&other).unwrap();
            let mut sender = Sender::new(1, 1);
            let mut gathering = sender.gather();
            gathering.message(other.local_addr().unwrap(), Some(100));
            gathering.part(&[7; 250]);
            assert_eq!(gathering.send(&one, 0).unwrap(), 1);

            let mut buffers = vec![[0; 1000]; 3];
            let mut receiver = Receiver::new(3);
            let count =
                receiver.receive(&other, 0, buffers.iter_mut().map(<[u8; 1000]>::as_mut_slice)).unwrap();
            let messages = (0..count).filter_map(|index| receiver.message(index));
            let found: Vec<_> = messages.map(|message| bounds(0..message.length, message.control)).collect();
            assert_eq!(found, expected);
        }
    }

    fn bounds(message: Range<usize>, control: &[u8]) -> Vec<(usize, usize)> {
        datagrams(message, control).map(|datagram| (datagram.start, datagram.end)).collect()
    }

    #[test]
    fn what_the_operator_switches_off_is_off() {
        assert_eq!(Offloads::probe(OffloadSettings { receive: false, send: false }), Offloads::default());
    }

    #[test]
    fn an_empty_message_is_one_empty_datagram() {
        assert_eq!(bounds(5..5, &[]), [(5, 5)]);
    }

    #[test]
    fn a_segment_of_nothing_ends() {
        let control = [20usize.to_ne_bytes().as_slice(), &[17, 0, 0, 0, 104, 0, 0, 0], &[0; 8]].concat();
        assert_eq!(segment(&control), Some(0));
        assert_eq!(datagrams(0..3, &control).count(), 3);
    }
}
