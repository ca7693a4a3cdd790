//! The TCP connection below a request or a WebSocket: its options, its bytes, and how it is cut.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::web::{Buf, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::metrics;
use crate::slots::{NoSlot, Slot};
use crate::state::Signal;

/// Taken from a connection at once. A guess: most messages are smaller.
const READ: usize = 8 * 1024;

/// How long the kernel keeps a connection that acknowledges nothing: the last resort for connections that no
/// actor watches.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection's place among those that are counted; `None`: it is not counted.
pub(crate) type Place = Option<Arc<Slot>>;

/// Prepares every new connection, and resets one too many: whoever opens thousands and says nothing on them has a few
/// hundred, until their requests are overdue.
pub(crate) fn on_connect(stream: &TcpStream, data: &mut Extensions, signal: &Signal) {
    let socket = SockRef::from(stream);
    match place(stream, signal) {
        Ok(place) => data.insert::<Place>(place.map(Arc::new)),
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

/// Waits for bytes and hands them to `take`, at most 8 KiB at once; 0 of them: the other side sends no more.
pub(crate) async fn read<T>(stream: &TcpStream, mut take: impl FnMut(&[u8]) -> T) -> io::Result<T> {
    poll_fn(|context| poll_read(stream, &mut take, context)).await
}

/// Hands on what has come, from a buffer that lives only as long as that takes.
pub(crate) fn poll_read<T>(
    stream: &TcpStream,
    mut take: impl FnMut(&[u8]) -> T,
    context: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    loop {
        ready!(stream.poll_read_ready(context))?;
        let mut buffer = [0; READ];
        match stream.try_read(&mut buffer) {
            Ok(length) => return Poll::Ready(Ok(take(buffer.get(..length).unwrap_or_default()))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// Writes what can be written without waiting. Says whether that was all.
pub(crate) fn write_now(stream: &TcpStream, bytes: &mut BytesMut) -> bool {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(length) if length > 0 => bytes.advance(length),
            // Whoever waits finds out why.
            Ok(_) | Err(_) => return false,
        }
    }
    *bytes = BytesMut::new();
    true
}

/// Writes all of it. If this is dropped, `bytes` has the rest; after it they hold no memory.
pub(crate) async fn write(stream: &TcpStream, bytes: &mut BytesMut) -> io::Result<()> {
    poll_fn(|context| poll_write(stream, bytes, context)).await?;
    *bytes = BytesMut::new();
    Ok(())
}

fn poll_write(stream: &TcpStream, bytes: &mut BytesMut, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    while !bytes.is_empty() {
        ready!(stream.poll_write_ready(context))?;
        match stream.try_write(bytes) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Ok(length) => bytes.advance(length),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}

/// Says that no more is sent, and waits until the other side says the same; one that does not within `linger` is cut, whatever
/// it has not read.
pub(crate) async fn part(stream: &TcpStream, linger: Duration) {
    let socket = SockRef::from(stream);
    let _already_down = socket.shutdown(Shutdown::Write);
    let ended = async { while read(stream, <[u8]>::len).await.is_ok_and(|length| length > 0) {} };
    if timeout(linger, ended).await.is_err() {
        reset(&socket);
    }
}
