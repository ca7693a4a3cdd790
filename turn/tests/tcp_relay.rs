//! TCP allocations (RFC 6062) and mobility (RFC 8016) over real sockets, on several workers.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use causeway_stun::attributes::{ConnectionId, MobilityTicket, RequestedTransport, XorPeerAddress};
use causeway_stun::{Class, HEADER_LENGTH, Message, Method};
use causeway_turn::TurnSettings;
use common::client::Client;
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::transport::{Datagrams, Transport, connect, read_until_closed};
use common::{PATIENCE, peer, receive, until};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

#[test]
fn a_client_connects_to_a_peer_from_its_relayed_address() {
    let (relay, _metrics) = start();
    let (mut control, relayed, _) = control(&relay);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut data, mut peer, source) = connected(&relay, &mut control, &listener);
    assert_eq!(source, relayed);
    exchange(&mut data, &mut peer);
    assert_eq!(refused(&mut control, listener.local_addr().unwrap()), Some(446));
}

#[test]
fn a_peer_that_nobody_listens_for_is_told_as_447() {
    let (relay, _metrics) = start();
    let (mut control, _, _) = control(&relay);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(refused(&mut control, nobody), Some(447));
}

#[test]
fn a_peer_connects_and_what_it_sent_before_the_bind_arrives() {
    let (relay, _metrics) = start();
    let (mut control, relayed, mut wire) = control(&relay);
    control.permit("127.0.0.1:1".parse().unwrap());
    let mut peer = connect(relayed);
    peer.write_all(b"early").unwrap();
    let attempt = read_message(&mut wire).unwrap();
    let message = Message::decode(&attempt).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::ConnectionAttempt));
    assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer.local_addr().unwrap()))));
    let mut data = bind(&relay, message.get::<ConnectionId>().unwrap().unwrap());
    let mut early = [0; 5];
    data.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    exchange(&mut data, &mut peer);
}

#[test]
fn a_peer_without_a_permission_is_closed_at_once() {
    let (relay, _metrics) = start();
    let (_control, relayed, _) = control(&relay);
    assert_eq!(read_until_closed(&mut connect(relayed)), b"");
}

#[test]
fn connections_that_reach_other_workers_are_handed_over() {
    let (mut relay, metrics) = start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut pairs = Vec::new();
    for _ in 0..24 {
        let (mut control, _, wire) = control(&relay);
        let (data, peer, _) = connected(&relay, &mut control, &listener);
        pairs.push((control, wire, data, peer));
    }
    for (_, _, data, peer) in &mut pairs {
        exchange(data, peer);
    }
    drop(pairs);
    relay.stop();
    // Each misses its worker with three of four chances.
    assert!(value(&metrics, r#"causeway_turn_handed_over_total{kind="connection"}"#) > 5);
    assert_eq!(value(&metrics, "causeway_turn_peer_connections"), 0);
}

#[test]
fn the_last_byte_of_one_side_is_told_and_the_other_may_go_on() {
    let (relay, _metrics) = start();
    let (mut control, _, _) = control(&relay);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut data, mut peer, _) = connected(&relay, &mut control, &listener);
    data.write_all(b"request").unwrap();
    data.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_until_closed(&mut peer), b"request");
    peer.write_all(b"answer").unwrap();
    drop(peer);
    assert_eq!(read_until_closed(&mut data), b"answer");
}

#[test]
fn a_slow_reader_slows_its_sender_down_and_loses_nothing() {
    let (relay, _metrics) = start();
    let (mut control, _, _) = control(&relay);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut data, mut peer, _) = connected(&relay, &mut control, &listener);
    data.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0_usize;
    let chunk: Vec<u8> = (0..=250).cycle().take(251 * 64).collect();
    loop {
        let from = sent % 251;
        match data.write(&chunk[from..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 256 << 20, "somebody stores it all");
    }
    data.shutdown(Shutdown::Write).unwrap();
    let received = read_until_closed(&mut peer);
    assert_eq!(received.len(), sent);
    assert!(received.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
}

#[test]
fn the_end_of_the_allocation_closes_its_data_connections() {
    let (relay, _metrics) = start();
    let (mut control, relayed, _) = control(&relay);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut data, mut peer, _) = connected(&relay, &mut control, &listener);
    control.refresh(0).expect_success();
    assert_eq!(read_until_closed(&mut data), b"");
    assert_eq!(read_until_closed(&mut peer), b"");
    until(|| TcpStream::connect(relayed).is_err());
}

#[test]
fn an_allocation_moves_to_other_sockets_on_other_workers() {
    let (mut relay, metrics) = start();
    let peer = peer("127.0.0.1");
    let address = peer.local_addr().unwrap();
    let mut client = client_over(Datagrams::new(relay.v4()));
    let answer = client
        .request(Method::Allocate, &|w| {
            w.put(&RequestedTransport::UDP)?;
            w.put(&MobilityTicket(&[]))
        })
        .expect_success();
    let relayed = answer.relayed();
    client.permit(address);
    let mut ticket = ticket(&answer);
    // Over datagrams and connections by turns.
    for turn in 0..24 {
        client = match turn % 2 {
            0 => client_over(Datagrams::new(relay.v4())),
            _ => client_over(Exact(connect(relay.v4()))),
        };
        let answer = client.request(Method::Refresh, &|w| w.put(&MobilityTicket(&ticket)));
        ticket = self::ticket(&answer.expect_success());
        client.permit(address);
        client.send_indication(address, b"ping");
        assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
        peer.send_to(b"pong", relayed).unwrap();
        client.receive();
    }
    relay.stop();
    assert!(value(&metrics, r#"causeway_turn_handed_over_total{kind="datagram"}"#) > 3);
    assert!(value(&metrics, r#"causeway_turn_handed_over_total{kind="connection"}"#) > 3);
}

/// Reads no byte beyond a message, so that what follows can be read from a copy of the socket.
struct Exact(TcpStream);

impl Transport for Exact {
    fn send(&mut self, message: &[u8]) {
        self.0.write_all(message).unwrap();
    }

    fn receive(&mut self, patience: Duration) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        read_message(&mut self.0)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn is_stream(&self) -> bool {
        true
    }
}

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = vec![0; HEADER_LENGTH];
    match stream.read_exact(&mut message) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
        Err(error) => panic!("{error}"),
    }
    let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
    message.resize(HEADER_LENGTH + length, 0);
    stream.read_exact(&mut message[HEADER_LENGTH..]).unwrap();
    Some(message)
}

fn start() -> (TestRelay, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let four = TurnSettings { workers: 4, ..settings() };
    let relay = metrics::with_local_recorder(&recorder, || TestRelay::start(&four));
    (relay, recorder.handle())
}

fn client_over(transport: impl Transport + 'static) -> Client {
    Client::over(transport, USER, PASSWORD)
}

/// A client with a TCP allocation, its relayed address, and its connection for what comes unasked.
fn control(relay: &TestRelay) -> (Client, SocketAddr, TcpStream) {
    let stream = connect(relay.v4());
    let wire = stream.try_clone().unwrap();
    let mut client = client_over(Exact(stream));
    let relayed =
        client.request(Method::Allocate, &|w| w.put(&RequestedTransport::TCP)).expect_success().relayed();
    (client, relayed, wire)
}

fn connect_to(control: &mut Client, peer: SocketAddr) -> common::client::Answer {
    control.request(Method::Connect, &|w| w.put(&XorPeerAddress(peer)))
}

fn refused(control: &mut Client, peer: SocketAddr) -> Option<u16> {
    connect_to(control, peer).error()
}

/// A client's data connection.
fn bind(relay: &TestRelay, id: ConnectionId) -> TcpStream {
    let stream = connect(relay.v4());
    let data = stream.try_clone().unwrap();
    client_over(Exact(stream)).request(Method::ConnectionBind, &|w| w.put(&id)).expect_success();
    data.set_read_timeout(Some(PATIENCE)).unwrap();
    data
}

/// Both ends of a data connection, and whom the peer sees.
fn connected(
    relay: &TestRelay,
    control: &mut Client,
    listener: &TcpListener,
) -> (TcpStream, TcpStream, SocketAddr) {
    let answer = connect_to(control, listener.local_addr().unwrap()).expect_success();
    let (peer, source) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (bind(relay, answer.message().get::<ConnectionId>().unwrap().unwrap()), peer, source)
}

/// Half a megabyte each way at the same time.
fn exchange(data: &mut TcpStream, peer: &mut TcpStream) {
    let bytes: Vec<u8> = (0..=250).cycle().take(500_000).collect();
    std::thread::scope(|scope| {
        for socket in [&*data, &*peer] {
            let (mut socket, bytes) = (socket, &bytes);
            scope.spawn(move || socket.write_all(bytes).unwrap());
        }
        for mut socket in [&*data, &*peer] {
            let mut received = vec![0; bytes.len()];
            socket.read_exact(&mut received).unwrap();
            assert!(received == bytes);
        }
    });
}

fn ticket(answer: &common::client::Answer) -> Vec<u8> {
    answer.message().get::<MobilityTicket<'_>>().unwrap().expect("MOBILITY-TICKET").0.to_vec()
}

/// What stands behind the series' name.
#[track_caller]
fn value(metrics: &PrometheusHandle, series: &str) -> u64 {
    let text = metrics.render();
    let line =
        text.lines().find_map(|line| line.strip_prefix(series)).expect("the series exists from the start");
    line.trim().parse().expect("a whole number")
}
