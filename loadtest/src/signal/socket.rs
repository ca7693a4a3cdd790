//! One WebSocket of a member, which never blocks.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::http::HeaderValue;
use tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes, WebSocket};

use crate::failure::{Doing, Failure};
use crate::signal::dialect::Ticket;

/// Ten thousand sockets have one each.
const READ_BUFFER: usize = 4096;

/// A WebSocket on its way, or open.
pub(crate) enum Socket {
    /// The server has not answered the upgrade yet.
    Shaking(Box<MidHandshake<ClientHandshake<TcpStream>>>),
    /// It is open.
    Open(Box<WebSocket<TcpStream>>),
    /// Between the two, and after a failure.
    Broken,
}

/// What a socket has to tell.
pub(crate) enum Told {
    /// The upgrade is done.
    Opened,
    /// A text message.
    Text(Utf8Bytes),
    /// The connection is over, and why.
    Over(String),
}

impl Socket {
    /// Begins to connect. What happens is told to `token`.
    pub(crate) fn connect(
        server: SocketAddr,
        ticket: &Ticket,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(server).doing("connecting to a server")?;
        let options = SockRef::from(&stream);
        options.set_tcp_nodelay(true).doing("setting a socket's options")?;
        // A connection that is dropped goes at once and leaves no port in TIME_WAIT.
        options.set_linger(Some(Duration::ZERO)).doing("setting a socket's options")?;
        registry
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
            .doing("watching a socket")?;
        let mut request = format!("ws://{server}{}", ticket.path).into_client_request().map_err(Box::new)?;
        if let Some(subprotocol) = ticket.subprotocol {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        }
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER).write_buffer_size(0);
        let shaking = ClientHandshake::start(stream, request, Some(config)).map_err(Box::new)?;
        Ok(Self::Shaking(Box::new(shaking)))
    }

    /// Goes on after the kernel said that something is possible; `None`: nothing more for now.
    pub(crate) fn next(&mut self) -> Option<Told> {
        match std::mem::replace(self, Self::Broken) {
            Self::Shaking(shaking) => self.shake(*shaking),
            Self::Open(mut open) => {
                let told = read(&mut open);
                if !matches!(told, Some(Told::Over(_))) {
                    *self = Self::Open(open);
                }
                told
            }
            Self::Broken => None,
        }
    }

    fn shake(&mut self, shaking: MidHandshake<ClientHandshake<TcpStream>>) -> Option<Told> {
        match shaking.handshake() {
            Ok((open, _response)) => {
                *self = Self::Open(Box::new(open));
                Some(Told::Opened)
            }
            Err(HandshakeError::Interrupted(shaking)) => {
                *self = Self::Shaking(Box::new(shaking));
                None
            }
            // The connection is not established yet: the kernel says when.
            Err(HandshakeError::Failure(error)) => Some(Told::Over(error.to_string())),
        }
    }

    /// Says something. What the kernel does not take at once follows as soon as it does.
    pub(crate) fn say(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), String> {
        let Self::Open(open) = self else { return Err("it is not open".to_owned()) };
        pending(open.write(Message::Text(text.into())).and_then(|()| open.flush()))
    }

    /// Sends what is left over.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        match self {
            Self::Open(open) => pending(open.flush()),
            Self::Shaking(_) | Self::Broken => Ok(()),
        }
    }

    /// Begins the closing handshake.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        match self {
            Self::Open(open) => pending(open.close(None::<CloseFrame>).and_then(|()| open.flush())),
            Self::Shaking(_) | Self::Broken => Ok(()),
        }
    }
}

fn read(open: &mut WebSocket<TcpStream>) -> Option<Told> {
    loop {
        match open.read() {
            Ok(Message::Text(text)) => return Some(Told::Text(text)),
            // The library answers pings and closes itself.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {}
            Ok(Message::Binary(_)) => return Some(Told::Over("a binary message".to_owned())),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Told::Over(error.to_string())),
        }
    }
}

/// What the kernel did not take yet is no failure.
fn pending(done: Result<(), Error>) -> Result<(), String> {
    match done {
        Ok(()) => Ok(()),
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
