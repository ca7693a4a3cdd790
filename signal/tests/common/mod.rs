//! A real server on a free port, and real clients of it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a test's panic is its message"
)]

pub mod mint;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use causeway_cluster::{Cluster, MemoryBus, MemoryHub};
use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::rest::{
    ApiError, CreateInvite, CreateRoom, InviteCreated, JoinRoom, Joined, RoomCreated,
};
use causeway_protocol::secret::Secret;
use causeway_protocol::token::TurnIssuer;
use causeway_protocol::{ErrorCode, NodeId, PeerId, RoomId};
use causeway_service::clock;
use causeway_signal::{
    RelayDoors, RelayTransport, RunningSignal, SignalParts, SignalSettings, TimingSettings, start,
};
use futures_util::{SinkExt, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Longer than anything here takes on a busy machine; reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const RELAY_PORT: u16 = 3478;

/// A relay that only UDP reaches.
pub fn relay_doors() -> RelayDoors {
    RelayDoors { port: RELAY_PORT, tls_port: RELAY_PORT, offered: vec![RelayTransport::Udp] }
}

pub struct TestServer {
    pub running: RunningSignal,
    pub address: SocketAddr,
    pub bus: Arc<MemoryBus>,
    pub secret: Secret,
}

pub fn serve(settings: SignalSettings) -> TestServer {
    let cluster = MemoryHub::new(clock::now).node("testnode".parse().unwrap());
    serve_in(cluster, Arc::new(MemoryBus::new()), settings)
}

/// A server that is a node of a cluster.
pub fn serve_in(cluster: Arc<dyn Cluster>, bus: Arc<MemoryBus>, settings: SignalSettings) -> TestServer {
    let secret = Secret::from_bytes([7; 32]);
    let parts = SignalParts {
        settings,
        issuer: TurnIssuer::hs256(&secret),
        secret: secret.clone(),
        node: cluster.node().clone(),
        bus: Arc::<MemoryBus>::clone(&bus),
        cluster,
        relay: relay_doors(),
        extra: Arc::new(|_| {}),
    };
    let running = start("127.0.0.1:0".parse().unwrap(), parts).unwrap();
    TestServer { address: running.addresses()[0], running, bus, secret }
}

/// One thread each: tests run beside one another. Who breaks off is not waited for.
pub fn small() -> SignalSettings {
    let timing = TimingSettings { resume_seconds: 0, ..TimingSettings::default() };
    SignalSettings { http_threads: 1, room_threads: 1, timing, ..SignalSettings::default() }
}

/// Whoever loses the connection is waited for.
pub fn patient() -> SignalSettings {
    SignalSettings { timing: TimingSettings::default(), ..small() }
}

impl TestServer {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        answer(within(awc::Client::default().post(self.url(path)).send_json(body)).await.unwrap()).await
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        answer(within(awc::Client::default().get(self.url(path)).send()).await.unwrap()).await
    }

    pub async fn room(&self, body: &CreateRoom) -> RoomCreated {
        self.post("/api/v1/rooms", body).await.unwrap()
    }

    pub async fn join(&self, room: &RoomId, body: &JoinRoom) -> Result<Joined, ApiError> {
        self.post(&format!("/api/v1/rooms/{room}/join"), body).await
    }

    pub async fn invite(&self, made: &RoomCreated) -> String {
        let request = awc::Client::default()
            .post(self.url(&format!("/api/v1/rooms/{}/invites", made.room)))
            .bearer_auth(&made.host_token);
        let sent = within(request.send_json(&CreateInvite::default())).await.unwrap();
        answer::<InviteCreated, _>(sent).await.unwrap().invite
    }

    /// Joins and connects; returns the client after its `welcome`.
    pub async fn member(&self, room: &RoomId, name: &str) -> Client {
        let joined = self.join(room, &JoinRoom { name: Some(name.to_owned()), ..Default::default() }).await;
        let mut client = self.connect(&joined.unwrap().token).await;
        match client.next().await {
            ServerMessage::Welcome { snapshot, .. } => client.peer = Some(snapshot.peer),
            other => panic!("{other:?} instead of a welcome"),
        }
        client
    }

    /// Opens a WebSocket with the token as subprotocol.
    pub async fn connect(&self, token: &str) -> Client {
        let protocols = format!("causeway.v1, causeway.token.{token}");
        self.socket(&[("sec-websocket-protocol", &protocols)]).await.unwrap()
    }

    /// Opens a WebSocket with these headers.
    pub async fn socket(&self, headers: &[(&'static str, &str)]) -> Result<Client, tungstenite::Error> {
        let mut request = format!("ws://{}/api/v1/ws", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = within(tokio_tungstenite::connect_async(request)).await?;
        let chosen = response.headers().get("sec-websocket-protocol");
        let protocol = chosen.map(|value| value.to_str().unwrap().to_owned());
        Ok(Client { socket, protocol, peer: None })
    }

    pub async fn stop(self) {
        within(self.running.drain(Duration::from_secs(5))).await;
    }
}

/// Several servers of one installation.
pub struct Nodes {
    pub hub: MemoryHub,
    pub servers: Vec<Option<TestServer>>,
    dead: Vec<TestServer>,
}

impl Nodes {
    pub fn start(count: usize) -> Self {
        Self::with(count, &patient())
    }

    pub fn with(count: usize, settings: &SignalSettings) -> Self {
        let hub = MemoryHub::new(clock::now);
        let bus = Arc::new(MemoryBus::new());
        let servers =
            (0..count).map(|at| Some(serve_in(hub.node(Self::name(at)), Arc::clone(&bus), settings.clone())));
        Self { servers: servers.collect(), hub, dead: Vec::new() }
    }

    pub fn name(at: usize) -> NodeId {
        format!("node{at}").parse().unwrap()
    }

    pub fn of(&self, at: usize) -> &TestServer {
        self.servers[at].as_ref().unwrap()
    }

    /// Ends a node for the others, as SIGKILL does. Its sockets stay open, silent, until the test is over.
    pub fn kill(&mut self, at: usize) {
        self.hub.kill(&Self::name(at));
        self.dead.extend(self.servers[at].take());
    }

    /// Lets a node end as SIGTERM does, within this time.
    pub fn leave(&mut self, at: usize, within: Duration) -> tokio::task::JoinHandle<()> {
        let server = self.servers[at].take().unwrap();
        actix_web::rt::spawn(server.running.drain(within))
    }

    pub async fn stop(self) {
        for server in self.servers.into_iter().flatten() {
            server.stop().await;
        }
    }
}

/// A WebSocket of which the test sees every byte; it answers nothing by itself.
pub struct RawSocket {
    pub stream: TcpStream,
}

impl RawSocket {
    /// Upgrades with the token as subprotocol, and with a receive buffer of this many bytes.
    pub async fn connect(server: &TestServer, token: &str, receive_buffer: u32) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(receive_buffer).unwrap();
        let mut stream = within(socket.connect(server.address)).await.unwrap();
        let request = format!(
            "GET /api/v1/ws HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             sec-websocket-protocol: causeway.v1, causeway.token.{token}\r\n\r\n",
            server.address
        );
        within(stream.write_all(request.as_bytes())).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self { stream }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Reads frames until a close frame; its code.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            // Frames of a server are not masked: opcode, length, payload (RFC 6455 §5.1).
            let opcode = within(self.stream.read_u8()).await.unwrap() & 0x0f;
            let len = match within(self.stream.read_u8()).await.unwrap() {
                126 => usize::from(within(self.stream.read_u16()).await.unwrap()),
                127 => usize::try_from(within(self.stream.read_u64()).await.unwrap()).unwrap(),
                short => usize::from(short),
            };
            let mut payload = vec![0; len];
            within(self.stream.read_exact(&mut payload)).await.unwrap();
            if opcode == 8 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }

    /// Waits until the server has reset the connection, without reading a byte.
    pub async fn reset(&self) -> std::io::ErrorKind {
        within(self.stream.ready(tokio::io::Interest::ERROR)).await.unwrap();
        self.stream.take_error().unwrap().expect("ready for an error").kind()
    }
}

/// One WebSocket.
pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub protocol: Option<String>,
    peer: Option<PeerId>,
}

impl Client {
    pub fn peer(&self) -> PeerId {
        self.peer.clone().unwrap()
    }

    pub async fn send(&mut self, message: &ClientMessage) {
        self.send_raw(Message::text(serde_json::to_string(message).unwrap())).await;
    }

    pub async fn send_json(&mut self, message: Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        within(self.socket.send(message)).await.unwrap();
    }

    /// The next message, read as the protocol's type.
    pub async fn next(&mut self) -> ServerMessage {
        within(async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("{other:?} instead of a message"),
                }
            }
        })
        .await
    }

    /// The next message as JSON.
    pub async fn next_json(&mut self) -> Value {
        serde_json::to_value(self.next().await).unwrap()
    }

    /// Reads to the end; the close code, and all messages before it.
    pub async fn end(&mut self) -> (u16, Vec<ServerMessage>) {
        within(async {
            let mut messages = Vec::new();
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => messages.push(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), messages),
                    other => panic!("{other:?} instead of a close frame, after {messages:?}"),
                }
            }
        })
        .await
    }
}

/// Bounds a wait, so that a broken server fails a test and does not hang it.
pub async fn within<F: std::future::Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("the server did not do it in time")
}

pub fn code<T: std::fmt::Debug>(answer: Result<T, ApiError>) -> ErrorCode {
    answer.unwrap_err().code
}

pub async fn answer<T, S>(mut response: awc::ClientResponse<S>) -> Result<T, ApiError>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<actix_web::web::Bytes, actix_web::error::PayloadError>>,
{
    let body = within(response.body()).await.unwrap();
    if response.status().is_success() {
        return Ok(serde_json::from_slice(&body).unwrap());
    }
    let error: ApiError = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{body:?}"));
    assert_eq!(response.status().as_u16(), error.code.http_status(), "{error:?}");
    Err(error)
}
