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

/// How long the kernel keeps a connection that acknowledges nothing: the last resort for connections that no
/// actor watches.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The second handle; it lives in the connection's own data, so it is closed with the connection.
pub(crate) struct Cutter(Arc<Socket>);

/// A handle that does not keep the connection open.
#[derive(Clone)]
pub(crate) struct Cut(Weak<Socket>);

/// Prepares every new connection.
pub(crate) fn on_connect(connection: &dyn Any, data: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    // Failing options are no reason to refuse a client: the connection works without them.
    let _best_effort = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let _best_effort = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
    if let Ok(second) = socket.try_clone() {
        data.insert(Cutter(Arc::new(second)));
    }
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
                // Without lingering the kernel drops what the client did not read, and resets the connection.
                let _best_effort = socket.set_linger(Some(Duration::ZERO));
                let _already_down = socket.shutdown(Shutdown::Both);
            }
        });
    }
}
