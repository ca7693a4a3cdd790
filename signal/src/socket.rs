//! The TCP connection below a WebSocket, so that it can be cut.
//!
//! The HTTP server keeps a connection whose client reads nothing open for as long as there is something to
//! write, also after the WebSocket's actor has stopped. A second handle on the socket can shut it down.

use std::any::Any;
use std::net::Shutdown;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use socket2::{SockRef, Socket};

use crate::metrics;
use crate::slots::{NoSlot, Slot};
use crate::state::Signal;

/// How long the kernel keeps a connection that acknowledges nothing: the last resort for connections that no
/// actor watches.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The second handle; it lives in the connection's own data, so it is closed with the connection.
pub(crate) struct Cutter(Arc<Socket>);

/// A handle that does not keep the connection open.
#[derive(Clone)]
pub(crate) struct Cut(Weak<Socket>);

/// Prepares every new connection, and resets one too many: whoever opens thousands and says nothing on them has a few
/// hundred, until their requests are overdue.
pub(crate) fn on_connect(connection: &dyn Any, data: &mut Extensions, signal: &Signal) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
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
    if let Ok(second) = socket.try_clone() {
        data.insert(Cutter(Arc::new(second)));
    }
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
fn reset(socket: &Socket) {
    let _best_effort = socket.set_linger(Some(Duration::ZERO));
    let _already_down = socket.shutdown(Shutdown::Both);
}

impl Cutter {
    pub(crate) fn handle(&self) -> Cut {
        Cut(Arc::downgrade(&self.0))
    }
}

impl Cut {
    /// Ends the TCP connection if it is still there `after` this long.
    pub(crate) fn after(self, after: Duration) {
        actix_web::rt::spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(socket) = self.0.upgrade() {
                reset(&socket);
            }
        });
    }
}
