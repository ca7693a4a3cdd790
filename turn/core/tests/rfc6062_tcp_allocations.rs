//! TCP allocations, clause by clause of RFC 6062 §5.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_stun::attributes::*;
use causeway_stun::{Class, Encode, Message, Method};
use causeway_turn_core::*;
use common::*;

const TCP: &dyn Encode = &RequestedTransport::TCP;
const CLIENT: &str = "1.1.1.1:1000";
const OTHER_PEER: &str = "8.8.4.4:80";

#[test]
fn s5_1_a_client_over_tcp_or_tls_gets_a_relayed_address_that_listens() {
    for via in [Via::Tcp(SessionId(1)), Via::Tls(SessionId(1))] {
        let mut world = World::new();
        let mut client = Client::via(CLIENT, via);
        let answer = client.ask(&mut world, Method::Allocate, &[TCP]);
        assert_eq!(answer.code(), 0, "{via:?}");
        assert!(world.bound.values().any(|bound| *bound == answer.relayed()[0]));
        assert!(world.own.is_live_tcp(answer.relayed()[0]));
        assert!(!world.own.is_live(answer.relayed()[0]), "its UDP port is not ours");
    }
}

#[test]
fn s5_1_a_client_over_datagrams_is_refused() {
    for via in [Via::Udp, Via::Dtls(SessionId(1))] {
        let answer = Client::via(CLIENT, via).ask(&mut World::new(), Method::Allocate, &[TCP]);
        assert_eq!(answer.code(), 400, "{via:?}");
    }
}

#[test]
fn s5_1_dont_fragment_even_port_and_reservation_token_are_refused() {
    let attributes: [&dyn Encode; 3] =
        [&DontFragment, &EvenPort { reserve_next: false }, &ReservationToken([1; 8])];
    for attribute in attributes {
        let answer = tcp_client().ask(&mut World::new(), Method::Allocate, &[TCP, attribute]);
        assert_eq!(answer.code(), 400, "{:?}", attribute.kind());
    }
}

#[test]
fn s5_1_an_operator_can_refuse_tcp_allocations() {
    let mut world = World::with(RelayConfig { tcp_relaying: TcpRelaying::Refused, ..config() });
    assert_eq!(tcp_client().ask(&mut world, Method::Allocate, &[TCP]).code(), 442);
}

#[test]
fn s5_1_a_taken_port_is_replaced_by_another() {
    let mut config = config();
    config.relay_ports = 50_000..=50_001;
    let mut world = World::with(config);
    world.taken = vec![50_000];
    let answer = tcp_client().ask(&mut world, Method::Allocate, &[TCP]);
    assert_eq!(answer.relayed()[0].port(), 50_001);
}

#[test]
fn s3_a_tcp_allocation_has_neither_channels_nor_send_indications() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(client.permit(&mut world, PEER), 0);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 400);
    let verdict = world.client_sends(client.address, &send_indication(PEER, b"x", &[]));
    assert_eq!(verdict, Verdict::Dropped(DropReason::TcpAllocation));
}

#[test]
fn s5_2_connect_is_answered_with_an_id_once_the_connection_stands() {
    let (mut world, mut client, relayed) = allocated();
    let connection = connecting(&mut world, &mut client, PEER);
    assert_eq!(world.connects[0], (connection, relayed, PEER.parse().unwrap()));
    let answer = connected(&mut world, connection, Ok(()));
    assert_eq!((answer.code(), id(&answer)), (0, connection.id));
    assert_eq!(answer.message().method(), Method::Connect);
    answer.message().verify_integrity(&client.key()).unwrap();
}

#[test]
fn s5_2_connect_without_an_allocation_or_with_a_udp_allocation_is_a_mismatch() {
    let mut world = World::new();
    let mut client = tcp_client();
    assert_eq!(connect(&mut world, &mut client, PEER), Some(437));
    client.allocate(&mut world);
    assert_eq!(connect(&mut world, &mut client, PEER), Some(437));
}

#[test]
fn s5_2_connect_without_a_peer_is_a_bad_request() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(client.ask(&mut world, Method::Connect, &[]).code(), 400);
}

#[test]
fn s5_2_a_second_connection_to_the_same_peer_is_refused_in_every_state_of_the_first() {
    let (mut world, mut client, _) = allocated();
    let connection = connecting(&mut world, &mut client, PEER);
    assert_eq!(connect(&mut world, &mut client, PEER), Some(446));
    connected(&mut world, connection, Ok(()));
    assert_eq!(connect(&mut world, &mut client, PEER), Some(446));
    assert_eq!(bind(&mut world, &mut data_client(), connection.id), 0);
    assert_eq!(connect(&mut world, &mut client, PEER), Some(446));
    world.relay.on_peer_closed(connection);
    assert_eq!(connect(&mut world, &mut client, PEER), None);
}

#[test]
fn s5_2_another_port_of_the_same_peer_is_another_peer() {
    let (mut world, mut client, _) = allocated();
    connecting(&mut world, &mut client, "8.8.8.8:80");
    connecting(&mut world, &mut client, "8.8.8.8:81");
    assert_eq!(world.relay.counters().connections, 2);
}

#[test]
fn s5_2_what_the_policy_does_not_allow_is_forbidden() {
    let (mut world, mut client, relayed) = allocated();
    for peer in
        ["10.0.0.1:80", "127.0.0.1:6379", "169.254.169.254:80", "51.0.0.1:3478", "51.0.0.1:22", "8.8.8.8:0"]
    {
        assert_eq!(connect(&mut world, &mut client, peer), Some(403), "{peer}");
    }
    assert_eq!(connect(&mut world, &mut client, &relayed.to_string()), Some(403), "itself");
}

#[test]
fn s5_2_on_our_own_hosts_only_tcp_allocations_can_be_connected_to() {
    let (mut world, mut client, _) = allocated();
    let (_, udp) = world.allocated("1.1.1.2:1000");
    assert_eq!(connect(&mut world, &mut client, &udp.to_string()), Some(403));
    let mut other = Client::via("1.1.1.3:1000", Via::Tcp(SessionId(9)));
    let tcp = other.ask(&mut world, Method::Allocate, &[TCP]).relayed()[0];
    assert_eq!(connect(&mut world, &mut client, &tcp.to_string()), None);
}

#[test]
fn s5_2_a_peer_of_another_family_is_a_mismatch() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(connect(&mut world, &mut client, "[2a00:1450::1]:80"), Some(443));
}

#[test]
fn s5_2_a_connection_that_fails_is_told_and_forgotten() {
    for error in [ConnectError::Refused, ConnectError::Unreachable, ConnectError::Local] {
        let (mut world, mut client, _) = allocated();
        let connection = connecting(&mut world, &mut client, PEER);
        assert_eq!(connected(&mut world, connection, Err(error)).code(), 447);
        assert_eq!(world.relay.counters().connections, 0);
        assert_eq!(connect(&mut world, &mut client, PEER), None, "it may be tried again");
    }
}

#[test]
fn s5_2_a_connection_has_thirty_seconds_to_stand() {
    let (mut world, mut client, _) = allocated();
    let connection = connecting(&mut world, &mut client, PEER);
    world.pass(29);
    assert_eq!(world.replies.len(), 0);
    world.pass(1);
    assert_eq!(Answer(world.replies.pop_front().unwrap().1).code(), 447);
    assert_eq!(world.disconnected, [connection]);
    world.relay.on_peer_connected(world.now, connection, Ok(()));
    world.perform();
    assert_eq!(world.replies.len(), 0, "too late");
}

#[test]
fn s5_2_a_connection_that_nobody_asks_for_is_closed_after_thirty_seconds() {
    let (mut world, mut client, _) = allocated();
    let connection = connecting(&mut world, &mut client, PEER);
    connected(&mut world, connection, Ok(()));
    world.pass(31);
    assert_eq!(world.disconnected, [connection]);
    assert_eq!(bind(&mut world, &mut data_client(), connection.id), 400);
}

#[test]
fn s5_3_a_peer_with_a_permission_is_accepted_and_announced() {
    let (mut world, mut client, relayed) = allocated();
    assert_eq!(client.permit(&mut world, PEER), 0);
    let connection = accepted(&mut world, relayed, PEER).unwrap();
    let (to, indication) = world.replies.pop_front().unwrap();
    assert_eq!(to, client.address);
    let message = Message::decode(&indication).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::ConnectionAttempt));
    assert_eq!(message.get(), Ok(Some(ConnectionId(connection.id))));
    assert_eq!(message.get(), Ok(Some(XorPeerAddress(PEER.parse().unwrap()))));
    assert_eq!(bind(&mut world, &mut data_client(), connection.id), 0);
    assert_eq!(world.spliced, [(data_client().address, connection)]);
}

#[test]
fn s5_3_a_peer_without_a_permission_is_refused() {
    let (mut world, mut client, relayed) = allocated();
    assert_eq!(accepted(&mut world, relayed, PEER), Err(DropReason::NoPermission));
    client.permit(&mut world, PEER);
    assert_eq!(accepted(&mut world, relayed, OTHER_PEER), Err(DropReason::NoPermission));
    world.pass_without_timers(300);
    assert_eq!(accepted(&mut world, relayed, PEER), Err(DropReason::PermissionExpired));
    assert_eq!(world.relay.counters().dropped(DropReason::NoPermission), 2);
}

#[test]
fn s5_3_an_accepted_connection_that_nobody_asks_for_is_closed_after_thirty_seconds() {
    let (mut world, mut client, relayed) = allocated();
    client.permit(&mut world, PEER);
    let connection = accepted(&mut world, relayed, PEER).unwrap();
    world.replies.clear();
    world.pass_without_timers(30);
    assert_eq!(bind(&mut world, &mut data_client(), connection.id), 400, "even if the timer is late");
    world.pass(1);
    assert_eq!(world.disconnected, [connection]);
}

#[test]
fn s5_4_connection_bind_needs_a_stream_of_its_own() {
    let (mut world, mut client, _) = allocated();
    let connection = standing(&mut world, &mut client, PEER);
    assert_eq!(bind(&mut world, &mut client, connection.id), 400, "the control connection");
    for via in [Via::Udp, Via::Dtls(SessionId(2))] {
        assert_eq!(bind(&mut world, &mut Client::via("1.1.1.1:1001", via), connection.id), 400, "{via:?}");
    }
    assert_eq!(bind(&mut world, &mut data_client(), connection.id), 0);
}

#[test]
fn s5_4_an_unknown_missing_or_taken_id_is_a_bad_request() {
    let (mut world, mut client, _) = allocated();
    let connection = standing(&mut world, &mut client, PEER);
    let mut data = data_client();
    assert_eq!(data.ask(&mut world, Method::ConnectionBind, &[]).code(), 400);
    assert_eq!(bind(&mut world, &mut data, connection.id ^ 1), 400);
    assert_eq!(bind(&mut world, &mut data, connection.id), 0);
    let mut second = Client::via("1.1.1.1:1002", Via::Tcp(SessionId(3)));
    assert_eq!(bind(&mut world, &mut second, connection.id), 400);
}

#[test]
fn s5_4_a_connection_that_does_not_stand_yet_cannot_be_bound() {
    let (mut world, mut client, _) = allocated();
    let connection = connecting(&mut world, &mut client, PEER);
    assert_eq!(bind(&mut world, &mut data_client(), connection.id), 400);
}

#[test]
fn s5_4_another_user_cannot_take_the_connection() {
    let (mut world, mut client, _) = allocated();
    let connection = standing(&mut world, &mut client, PEER);
    let mut thief = Client::of("bob", "hush", CLIENT).at(data_client().address);
    assert_eq!(bind(&mut world, &mut thief, connection.id), 400);
    let mut stranger = data_client();
    let request = stranger.bare_request(Method::ConnectionBind, &[&ConnectionId(connection.id)]);
    assert_eq!(stranger.exchange(&mut world, &request).unwrap().code(), 401);
    assert_eq!(bind(&mut world, &mut data_client(), connection.id), 0, "it is still there for its own");
}

#[test]
fn s5_5_the_end_of_the_allocation_closes_its_connections() {
    type End<'a> = &'a dyn Fn(&mut World, &mut Client);
    let ends: [(EndReason, End<'_>); 4] = [
        (EndReason::Released, &|world, client| assert_eq!(client.refresh(world, 0).code(), 0)),
        (EndReason::Expired, &|world, _| world.pass(601)),
        (EndReason::Disconnected, &|world, client| {
            world.relay.on_session_closed(client.address);
            world.perform();
        }),
        (EndReason::Revoked, &|world, _| world.control(Control::Revoke(revoke_kitchen()))),
    ];
    for (reason, end) in ends {
        let mut world = World::new();
        let credential = room_credential(|_| {});
        let mut client = Client::with(&credential, CLIENT).at(tcp_client().address);
        let relayed = client.ask(&mut world, Method::Allocate, &[TCP]).relayed()[0];
        let bound = standing(&mut world, &mut client, PEER);
        let mut data = Client::with(&credential, CLIENT).at(data_client().address);
        assert_eq!(bind(&mut world, &mut data, bound.id), 0);
        // Connecting and bound at the end; what only stands is closed by its own timer before an expiry.
        let connecting = connecting(&mut world, &mut client, OTHER_PEER);
        world.connects.clear();
        end(&mut world, &mut client);
        assert_eq!(world.end_reasons(), [reason]);
        assert!(
            world.disconnected.contains(&bound) && world.disconnected.contains(&connecting),
            "{reason:?}"
        );
        assert_eq!(world.unbound, [relayed]);
        assert_eq!(world.relay.counters().connections, 0);
        assert_eq!(world.relay.on_spliced(world.now, bound, Direction::ToPeer, 1), 0);
    }
}

#[test]
fn bytes_on_data_connections_count_and_the_budget_ends_the_allocation() {
    let mut world = World::new();
    let credential = room_credential(|claims| claims.bytes = Some(1_000));
    let mut client = Client::with(&credential, CLIENT).at(tcp_client().address);
    client.ask(&mut world, Method::Allocate, &[TCP]);
    let connection = standing(&mut world, &mut client, PEER);
    let mut data = Client::with(&credential, CLIENT).at(data_client().address);
    bind(&mut world, &mut data, connection.id);
    assert_eq!(world.relay.on_spliced(world.now, connection, Direction::ToPeer, 600), 600);
    assert_eq!(world.relay.on_spliced(world.now, connection, Direction::ToClient, 400), 400);
    let relayed = world.relay.counters().relayed;
    assert_eq!((relayed.sent.bytes, relayed.received.bytes), (600, 400));
    assert_eq!(world.relay.on_spliced(world.now, connection, Direction::ToPeer, 1), 0);
    world.perform();
    assert_eq!(world.end_reasons(), [EndReason::BudgetSpent]);
    assert_eq!(world.disconnected, [connection]);
}

#[test]
fn an_allocation_has_so_many_connections_and_no_more() {
    let mut config = config();
    config.limits.connections = 2;
    let mut world = World::with(config);
    let mut client = tcp_client();
    let relayed = client.ask(&mut world, Method::Allocate, &[TCP]).relayed()[0];
    client.permit(&mut world, PEER);
    connecting(&mut world, &mut client, "8.8.8.8:1");
    let second = accepted(&mut world, relayed, "8.8.8.8:2").unwrap();
    world.replies.clear();
    assert_eq!(connect(&mut world, &mut client, "8.8.8.8:3"), Some(508));
    assert_eq!(accepted(&mut world, relayed, "8.8.8.8:4"), Err(DropReason::TooManyConnections));
    world.relay.on_peer_closed(second);
    assert_eq!(connect(&mut world, &mut client, "8.8.8.8:3"), None);
}

#[test]
fn all_allocations_together_have_so_many_connections_and_no_more() {
    let mut config = config();
    config.connections = 1;
    let mut world = World::with(config);
    let (mut first, mut second) = (tcp_client(), Client::via("1.1.1.2:1000", Via::Tcp(SessionId(5))));
    first.ask(&mut world, Method::Allocate, &[TCP]);
    second.ask(&mut world, Method::Allocate, &[TCP]);
    connecting(&mut world, &mut first, PEER);
    assert_eq!(connect(&mut world, &mut second, PEER), Some(508));
}

#[test]
fn an_id_names_the_worker_that_has_the_connection() {
    let worker = WorkerNumber::new(300).unwrap();
    let mut world = World::with(RelayConfig { worker, ..config() });
    let mut client = tcp_client();
    client.ask(&mut world, Method::Allocate, &[TCP]);
    let connection = connecting(&mut world, &mut client, PEER);
    assert_eq!(WorkerNumber::of_connection(ConnectionId(connection.id)), worker);
}

#[test]
fn what_the_shell_says_about_forgotten_connections_is_ignored() {
    let (mut world, mut client, _) = allocated();
    let connection = standing(&mut world, &mut client, PEER);
    world.relay.on_peer_closed(connection);
    world.relay.on_peer_closed(connection);
    world.relay.on_peer_connected(world.now, connection, Ok(()));
    world.perform();
    assert_eq!((world.replies.len(), world.disconnected.len()), (0, 0));
    assert_eq!(world.relay.on_spliced(world.now, connection, Direction::ToClient, 10), 0);
}

fn tcp_client() -> Client {
    Client::via(CLIENT, Via::Tcp(SessionId(1)))
}

/// Another connection of the same user.
fn data_client() -> Client {
    Client::via("1.1.1.1:1001", Via::Tcp(SessionId(2)))
}

fn allocated() -> (World, Client, std::net::SocketAddr) {
    let mut world = World::new();
    let mut client = tcp_client();
    let relayed = client.ask(&mut world, Method::Allocate, &[TCP]).relayed()[0];
    (world, client, relayed)
}

/// Asks for a connection; `None`: the relay connects, and answers later.
fn connect(world: &mut World, client: &mut Client, peer: &str) -> Option<u16> {
    if client.nonce.is_empty() {
        client.learn_nonce(world);
    }
    let request = client.request(Method::Connect, &[&XorPeerAddress(peer.parse().unwrap())]);
    client.exchange(world, &request).map(|answer| answer.code())
}

fn connecting(world: &mut World, client: &mut Client, peer: &str) -> PeerConnection {
    assert_eq!(connect(world, client, peer), None);
    world.connects.last().unwrap().0
}

fn connected(world: &mut World, connection: PeerConnection, result: Result<(), ConnectError>) -> Answer {
    world.relay.on_peer_connected(world.now, connection, result);
    world.perform();
    Answer(world.replies.pop_front().unwrap().1)
}

/// A connection to a peer that waits for its client.
fn standing(world: &mut World, client: &mut Client, peer: &str) -> PeerConnection {
    let connection = connecting(world, client, peer);
    assert_eq!(connected(world, connection, Ok(())).code(), 0);
    connection
}

fn accepted(world: &mut World, on: std::net::SocketAddr, from: &str) -> Result<PeerConnection, DropReason> {
    let result = world.relay.on_peer_accepted(world.now, world.port(on), peer(from));
    world.perform();
    result
}

fn bind(world: &mut World, client: &mut Client, id: u32) -> u16 {
    client.ask(world, Method::ConnectionBind, &[&ConnectionId(id)]).code()
}

fn id(answer: &Answer) -> u32 {
    answer.message().get::<ConnectionId>().unwrap().unwrap().0
}

fn revoke_kitchen() -> causeway_protocol::bus::RelayOrder {
    let revoke = causeway_protocol::bus::Revocation::Room { room: "kitchen".parse().unwrap() };
    causeway_protocol::bus::RelayOrder { revoke, until: UNIX.plus(3600) }
}
