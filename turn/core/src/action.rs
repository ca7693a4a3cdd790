//! What a relay asks of its shell, and what a shell tells its relay: the rare things, which queue.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use causeway_protocol::bus::RelayOrder;

use crate::address::{ClientAddr, PeerAddr, RelayPort};
use crate::alternate::AlternateServer;
use crate::config::Limits;
use crate::event::Event;
use crate::external::ExternalIps;
use crate::reconfigure::LiveConfig;
use crate::rooms::RoomPeers;
use crate::tcp::PeerConnection;

/// Something for the shell to do. Carry them out in the order they come: a port may be unbound and bound again.
/// Answers are inline, so that answering a stranger touches no heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bind one UDP socket, or two, and say so with [`Relay::on_bound`](crate::Relay::on_bound).
    Bind {
        /// What to name in the answer.
        ticket: BindTicket,
        /// The port to bind.
        port: RelayPort,
        /// The next higher port, to be bound too (RFC 8656 §18.7, EVEN-PORT with R): both or neither. Its socket is
        /// set aside for any relay of the process to ask for with [`Action::BindReserved`], and keeps nothing before.
        next: Option<SocketAddr>,
    },
    /// Make the socket that was set aside for a reserved address a relay socket, and say so with
    /// [`Relay::on_bound`](crate::Relay::on_bound). If that fails, close it.
    BindReserved {
        /// What to name in the answer.
        ticket: BindTicket,
        /// The port, in a slot of this relay.
        port: RelayPort,
    },
    /// Close the socket that was set aside for a reserved address: nobody asked for it in time.
    UnbindReserved(SocketAddr),
    /// Listen for TCP connections on a port, and say so with [`Relay::on_bound`](crate::Relay::on_bound). Connections
    /// that come are told with [`Relay::on_peer_accepted`](crate::Relay::on_peer_accepted).
    Listen {
        /// What to name in the answer.
        ticket: BindTicket,
        /// The port to listen on; its slot is of the same numbers as those of [`Action::Bind`].
        port: RelayPort,
    },
    /// Close a relay socket, or the listener in the same slot. Connections have an action of their own.
    Unbind(RelayPort),
    /// Connect to a peer, from the relayed address (RFC 6062 §5.2), and say what became of it with
    /// [`Relay::on_peer_connected`](crate::Relay::on_peer_connected).
    Connect {
        /// What to keep the connection under.
        connection: PeerConnection,
        /// The local address, which has a listener.
        from: RelayPort,
        /// The peer.
        to: PeerAddr,
    },
    /// Send the answer to a client; from there on pass the bytes of its connection to the peer's and back as
    /// [`Relay::on_spliced`](crate::Relay::on_spliced) lets them, the bytes that came behind the request first.
    Splice {
        /// The client's data connection: the session that the request came on.
        client: ClientAddr,
        /// The connection to the peer.
        connection: PeerConnection,
        /// The answer to the ConnectionBind request.
        reply: Reply,
    },
    /// Close a connection to a peer, and the client's data connection that is spliced to it. The relay has forgotten
    /// it: [`Relay::on_peer_closed`](crate::Relay::on_peer_closed) need not follow.
    Disconnect(PeerConnection),
    /// Send an answer to a client, from the listener it reached.
    Reply {
        /// To whom.
        to: ClientAddr,
        /// What.
        bytes: Reply,
    },
    /// Send an answer with PADDING (RFC 5780 §7.6) to a client of plain UDP, from the listener it names.
    PaddedReply {
        /// To whom.
        to: ClientAddr,
        /// What.
        bytes: Box<[u8]>,
    },
    /// Tell whoever counts or watches.
    Report(Event),
}

/// One outstanding [`Action::Bind`], [`Action::BindReserved`] or [`Action::Listen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BindTicket(pub(crate) u64);

/// Why a port could not be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Another process has the port (`EADDRINUSE`): the relay tries others.
    #[error("the port is taken")]
    AddressInUse,
    /// The address is not, or no longer, one of this host (`EADDRNOTAVAIL`).
    #[error("the address is not one of this host")]
    AddressNotAvailable,
    /// No more file descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`).
    #[error("the process has no room for another socket")]
    OutOfSockets,
    /// The operating system refuses (`EACCES`, `EPERM`) or fails in another way.
    #[error("the operating system refused to bind the port")]
    Refused,
}

/// An order to a relay from outside its data path.
#[derive(Clone, Debug)]
pub enum Control {
    /// End what matches and refuse it from here on.
    Revoke(RelayOrder),
    /// These belong to a room.
    RoomPeers(RoomPeers),
    /// Accept no new allocation; those alive go on.
    Drain,
    /// Replace the limits; allocations alive stay, even beyond them, and relay at the new rates.
    Limits(Limits),
    /// Replace what an operator may change while the relay runs.
    Reconfigure(Box<LiveConfig>),
    /// Replace the addresses by which others know ours. Relayed addresses alive go by the new ones from here on, as
    /// their NAT has it.
    External(ExternalIps),
    /// Replace the relays of other nodes, to which clients are sent that this one does not take. They are answered 508
    /// while there is none.
    Alternates(Arc<[AlternateServer]>),
}

/// One answer, complete and at most [`Reply::CAPACITY`] bytes long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    length: u16,
    bytes: [u8; Self::CAPACITY],
}

impl Reply {
    /// Enough for every answer of ours: the longest names the realm, a nonce and sixteen unknown attributes.
    pub const CAPACITY: usize = 512;

    /// Lets `write` fill the bytes; it says how many it wrote.
    pub(crate) fn filled<E>(
        write: impl FnOnce(&mut [u8; Self::CAPACITY]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut bytes = [0; Self::CAPACITY];
        let length = write(&mut bytes)?;
        Ok(Self { length: u16::try_from(length).unwrap_or(0), bytes })
    }

    /// The same answer again, from a cache of it.
    pub(crate) fn repeated(cached: &[u8]) -> Self {
        let mut bytes = [0; Self::CAPACITY];
        let length = cached.len().min(Self::CAPACITY);
        for (to, from) in bytes.iter_mut().zip(cached) {
            *to = *from;
        }
        Self { length: u16::try_from(length).unwrap_or(0), bytes }
    }

    /// The datagram to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} bytes)", self.length)
    }
}
