//! The TCP connection below a request or a WebSocket: its options, and how it is cut.
//!
//! A WebSocket whose client reads nothing stays open for as long as there is something to write, also after its actor has
//! stopped. Whoever has a [`Cut`] can end it.

use std::net::Shutdown;
use std::rc::{Rc, Weak};
use std::time::Duration;

use actix_web::dev::Extensions;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::metrics;
use crate::slots::{NoSlot, Slot};
use crate::state::Signal;

/// How long the kernel keeps a connection that acknowledges nothing: the last resort for connections that no
/// actor watches.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A handle that does not keep the connection open.
#[derive(Clone)]
pub(crate) struct Cut(Weak<TcpStream>);

/// Prepares every new connection, and resets one too many: whoever opens thousands and says nothing on them has a few
/// hundred, until their requests are overdue.
pub(crate) fn on_connect(stream: &TcpStream, data: &mut Extensions, signal: &Signal) {
    let socket = SockRef::from(stream);
    match place(stream, signal) {
        Ok(place) => data.insert(place),
        Err(refused) => {
            metrics::connection_refused(refused);
            return reset(&socket);
        }
    };
    // Failing options are no reason to refuse a client: the connection works without them.
    let _best_effort = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let _best_effort = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

/// Counts the connection. A proxy's are of many clients, whom it tells apart by itself.
fn place(stream: &TcpStream, signal: &Signal) -> Result<Option<Slot>, NoSlot> {
    // One that is over already costs nothing.
    let Ok(peer) = stream.peer_addr() else { return Ok(None) };
    if signal.settings().trusted_proxies.iter().any(|proxy| proxy.contains(peer.ip())) {
        return Ok(None);
    }
    signal.connections.take(peer.ip().into()).map(Some)
}

/// Without lingering the kernel drops what the client did not read, and resets the connection.
fn reset(socket: &SockRef<'_>) {
    let _best_effort = socket.set_linger(Some(Duration::ZERO));
    let _already_down = socket.shutdown(Shutdown::Both);
}

impl Cut {
    pub(crate) fn new(stream: &Rc<TcpStream>) -> Self {
        Self(Rc::downgrade(stream))
    }

    /// Ends the TCP connection if it is still there `after` this long.
    pub(crate) fn after(self, after: Duration) {
        actix_web::rt::spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(stream) = self.0.upgrade() {
                reset(&SockRef::from(&*stream));
            }
        });
    }
}
