//! A WebSocket to a node, message by message.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest;

use crate::wire::Message;

/// One WebSocket. Dropping it ends the TCP connection without a close frame, as a network does.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

/// What comes from it.
pub enum Heard {
    Message(Message),
    /// Not of this protocol.
    Garbage(String),
    /// The server closed it, with this code.
    Closed(u16),
    /// It broke.
    Broken(String),
}

impl Socket {
    /// Opens one, with a join token as subprotocol, or for a `resume`.
    pub async fn open(door: SocketAddr, token: Option<&str>) -> Result<Self, String> {
        let stream = TcpStream::connect(door).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut request =
            format!("ws://{door}/api/v1/ws").into_client_request().map_err(|error| error.to_string())?;
        let protocols = match token {
            Some(token) => format!("causeway.v1, causeway.token.{token}"),
            None => "causeway.v1".to_owned(),
        };
        let protocols = protocols.parse().expect("a token is base64url and dots");
        request.headers_mut().insert("sec-websocket-protocol", protocols);
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((stream, _response)) => Ok(Self { stream }),
            Err(error) => Err(error.to_string()),
        }
    }

    pub async fn send(&mut self, text: String) -> Result<(), String> {
        self.stream.send(tungstenite::Message::text(text)).await.map_err(|error| error.to_string())
    }

    pub async fn next(&mut self) -> Heard {
        loop {
            return match self.stream.next().await {
                Some(Ok(tungstenite::Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(message) => Heard::Message(message),
                    Err(error) => Heard::Garbage(format!("{error}: {text}")),
                },
                Some(Ok(tungstenite::Message::Close(Some(frame)))) => Heard::Closed(frame.code.into()),
                Some(Ok(tungstenite::Message::Close(None))) => {
                    Heard::Broken("closed without a code".to_owned())
                }
                Some(Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_))) => continue,
                Some(Ok(other)) => Heard::Garbage(format!("{other:?}")),
                Some(Err(error)) => Heard::Broken(error.to_string()),
                None => Heard::Broken("the connection ended".to_owned()),
            };
        }
    }
}
