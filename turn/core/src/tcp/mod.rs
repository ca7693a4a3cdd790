//! TCP allocations (RFC 6062): a relayed address that connects and is connected to, one byte stream per peer.
//!
//! ```text
//!  control connection        Allocate, Connect, CreatePermission, Refresh; ConnectionAttempt
//!  client ══════════════► relay ─┐
//!  data connection               ├─ one relayed address ──► peer A      Connecting ─► Unbound ─► Bound
//!  client ══ ConnectionBind ═► ──┴─ one relayed address ◄── peer B                    Unbound ─► Bound
//! ```
//! The core decides about connections and counts their bytes; it never sees the bytes.

mod connections;
mod events;

pub use connections::{ConnectError, PeerConnection, WorkerNumber};
pub(crate) use connections::{Connecting, Connections, State};

use causeway_stun::attributes::RequestedTransport;
use causeway_stun::{AttributeType, Message};

use crate::address::Via;
use crate::config::TcpRelaying;
use crate::request::Refusal;

/// The protocol between a relayed address and its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RelayProtocol {
    /// RFC 8656
    Udp,
    /// RFC 6062
    Tcp,
}

impl RelayProtocol {
    /// RFC 8656 §7.2, step 3, and RFC 6062 §5.1: what REQUESTED-TRANSPORT says, if this client may have it.
    pub(crate) fn wished(message: &Message<'_>, via: Via, relaying: TcpRelaying) -> Result<Self, Refusal> {
        match message.get::<RequestedTransport>() {
            Ok(Some(RequestedTransport::UDP)) => Ok(Self::Udp),
            Ok(Some(RequestedTransport::TCP)) if relaying == TcpRelaying::Allowed => {
                let excluded = [
                    AttributeType::DONT_FRAGMENT,
                    AttributeType::EVEN_PORT,
                    AttributeType::RESERVATION_TOKEN,
                ];
                match via.transport().is_stream() && !excluded.iter().any(|kind| message.has(*kind)) {
                    true => Ok(Self::Tcp),
                    false => Err(Refusal::BadRequest),
                }
            }
            Ok(Some(RequestedTransport(_))) => Err(Refusal::UnsupportedTransport),
            Ok(None) | Err(_) => Err(Refusal::BadRequest),
        }
    }
}
