//! A peer of a room, as far as its relay credential: HTTP to join, and a WebSocket for the welcome.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::PATIENCE;

/// What the welcome names for the relay.
pub struct Credential {
    pub username: String,
    pub password: String,
    /// The WebSocket: while it is open the peer is in the room.
    _socket: TcpStream,
}

/// Creates a room and says its id.
pub fn create(http: SocketAddr) -> String {
    text(&post(http, "/api/v1/rooms", &json!({}))["room"])
}

/// Joins a room.
pub fn join(http: SocketAddr, room: &str) -> Credential {
    let token = text(&post(http, &format!("/api/v1/rooms/{room}/join"), &json!({}))["token"]);
    let mut socket = connect(http);
    write!(
        socket,
        "GET /api/v1/ws HTTP/1.1\r\nHost: {http}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: causeway.v1, causeway.token.{token}\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read::<1>(&mut socket));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    // RFC 6455 §5.2: a server's frame has no mask; 126 says that the length follows in two bytes.
    let [_opcode, length] = read(&mut socket);
    let length = if length == 126 { u16::from_be_bytes(read(&mut socket)) } else { length.into() };
    let mut frame = vec![0; length.into()];
    socket.read_exact(&mut frame).unwrap();
    let welcome: Value = serde_json::from_slice(&frame).unwrap();
    let relay =
        welcome["iceServers"].as_array().unwrap().iter().find(|server| server["username"].is_string());
    let relay = relay.unwrap_or_else(|| panic!("no relay in {welcome}"));
    Credential { username: text(&relay["username"]), password: text(&relay["credential"]), _socket: socket }
}

fn post(http: SocketAddr, path: &str, body: &Value) -> Value {
    let (mut socket, body) = (connect(http), body.to_string());
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn connect(http: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(http).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn read<const N: usize>(socket: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    socket.read_exact(&mut bytes).unwrap();
    bytes
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
