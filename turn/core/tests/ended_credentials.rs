//! A credential that has ended ends everything that goes by it, on every path: after its expiry, with timers that are
//! late, and after an order about itself, its peer or its room.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::bus::{RelayOrder, Revocation};
use causeway_protocol::token::TurnCredential;
use causeway_stun::attributes::{ConnectionId, MobilityTicket, RequestedTransport, XorPeerAddress};
use causeway_stun::{Encode, Method};
use causeway_turn_core::*;
use common::*;

const TCP: &dyn Encode = &RequestedTransport::TCP;
const MOBILE: &dyn Encode = &MobilityTicket(&[]);

/// The paths, each a test, after one kind of end.
macro_rules! after {
    ($($kind:ident: $end:expr;)*) => {
        $(
            mod $kind {
                use super::*;

                #[test]
                fn refresh_is_refused() {
                    let mut session = Session::udp();
                    $end(&mut session.world);
                    assert_eq!(session.client.refresh(&mut session.world, 600).code(), 401);
                }

                #[test]
                fn refresh_to_zero_is_refused() {
                    let mut session = Session::udp();
                    $end(&mut session.world);
                    assert_eq!(session.client.refresh(&mut session.world, 0).code(), 401);
                }

                #[test]
                fn create_permission_is_refused() {
                    let mut session = Session::udp();
                    $end(&mut session.world);
                    assert_eq!(session.client.permit(&mut session.world, "9.9.9.9:1"), 401);
                }

                #[test]
                fn channel_bind_is_refused() {
                    let mut session = Session::udp();
                    $end(&mut session.world);
                    assert_eq!(session.client.bind(&mut session.world, 0x4001, "9.9.9.9:1"), 401);
                }

                #[test]
                fn allocate_is_refused_on_the_same_5_tuple_and_on_another() {
                    let mut session = Session::udp();
                    $end(&mut session.world);
                    let answer = session.client.ask(&mut session.world, Method::Allocate, &[UDP]);
                    assert_eq!(answer.code(), 401);
                    let mut other = Client::with(&credential(), "2.2.2.2:2000");
                    let answer = other.ask(&mut session.world, Method::Allocate, &[UDP]);
                    assert_eq!(answer.code(), 401);
                }

                #[test]
                fn connect_is_refused() {
                    let mut session = Session::tcp();
                    $end(&mut session.world);
                    assert_eq!(session.connect("9.9.9.9:1"), Some(401));
                    assert_eq!(session.world.connects.len(), 1, "nothing is dialled");
                }

                #[test]
                fn a_connection_that_stands_too_late_is_not_told() {
                    let mut session = Session::tcp();
                    assert_eq!(session.connect("9.9.9.9:1"), None);
                    let (connection, _, _) = *session.world.connects.last().unwrap();
                    $end(&mut session.world);
                    session.world.relay.on_peer_connected(session.world.now, connection, Ok(()));
                    session.world.perform();
                    let told = session.world.replies.pop_front().map(|(_, bytes)| Answer(bytes).code());
                    assert!(told != Some(0), "{told:?}");
                }

                #[test]
                fn connection_bind_is_refused() {
                    let mut session = Session::tcp();
                    let id = ConnectionId(session.connection.unwrap().id);
                    $end(&mut session.world);
                    let mut data = session.data();
                    assert_eq!(data.ask(&mut session.world, Method::ConnectionBind, &[&id]).code(), 401);
                    assert_eq!(session.world.spliced, []);
                }

                #[test]
                fn a_connection_from_a_peer_is_refused() {
                    let mut session = Session::tcp();
                    assert_eq!(session.client.permit(&mut session.world, PEER), 0);
                    let port = session.port();
                    $end(&mut session.world);
                    let accepted = session.world.relay.on_peer_accepted(session.world.now, port, peer(PEER));
                    assert!(accepted.is_err());
                }

                #[test]
                fn spliced_bytes_do_not_pass() {
                    for direction in [Direction::ToPeer, Direction::ToClient] {
                        let mut session = Session::tcp();
                        let connection = session.splice();
                        let passes = |session: &mut Session| {
                            session.world.relay.on_spliced(session.world.now, connection, direction, 100)
                        };
                        assert_eq!(passes(&mut session), 100);
                        $end(&mut session.world);
                        assert_eq!(passes(&mut session), 0, "{direction:?}");
                    }
                }

                #[test]
                fn send_does_not_pass() {
                    let mut session = Session::udp();
                    let datagram = session.client.send_indication(PEER, b"x");
                    assert!(!session.drops(&datagram));
                    $end(&mut session.world);
                    assert!(session.drops(&datagram));
                }

                #[test]
                fn channel_data_does_not_pass() {
                    let mut session = Session::udp();
                    let datagram = channel_data(0x4000, b"x");
                    assert!(!session.drops(&datagram));
                    $end(&mut session.world);
                    assert!(session.drops(&datagram));
                }

                #[test]
                fn data_from_a_peer_does_not_pass() {
                    let mut session = Session::udp();
                    let port = session.port();
                    $end(&mut session.world);
                    let verdict = session.world.relay.on_peer(session.world.now, port, peer(PEER), b"x");
                    assert!(matches!(verdict, Verdict::Dropped(_)), "{verdict:?}");
                }

                #[test]
                fn a_ticket_moves_nothing_to_another_5_tuple() {
                    let mut session = Session::udp();
                    let ticket = session.ticket.take().unwrap();
                    $end(&mut session.world);
                    let mut moved = Client::with(&credential(), "2.2.2.2:2000");
                    let answer = moved.ask(&mut session.world, Method::Refresh, &[&MobilityTicket(&ticket)]);
                    assert_eq!(answer.code(), 401);
                }
            }
        )*
    };
}

after! {
    expiry_and_grace: |world: &mut World| world.pass_without_timers(LIFE + 60);
    its_revocation: |world: &mut World| {
        revoke(world, Revocation::Credential { jti: "token1".parse().unwrap() });
    };
    the_revocation_of_its_peer: |world: &mut World| {
        revoke(world, Revocation::Peer { room: "kitchen".parse().unwrap(), peer: "peer1".parse().unwrap() });
    };
    the_revocation_of_its_room: |world: &mut World| {
        revoke(world, Revocation::Room { room: "kitchen".parse().unwrap() });
    };
}

#[test]
fn in_the_grace_after_its_expiry_data_passes_and_every_request_is_refused() {
    let mut session = Session::udp();
    let ticket = session.ticket.take().unwrap();
    session.world.pass(LIFE);
    assert!(!session.drops(&channel_data(0x4000, b"x")));
    let Session { world, client, .. } = &mut session;
    assert_eq!(client.refresh(world, 600).code(), 401);
    assert_eq!(client.permit(world, PEER), 401);
    assert_eq!(client.bind(world, 0x4000, PEER), 401);
    assert_eq!(client.ask(world, Method::Allocate, &[UDP]).code(), 401);
    let mut moved = Client::with(&credential(), "2.2.2.2:2000");
    assert_eq!(moved.ask(world, Method::Refresh, &[&MobilityTicket(&ticket)]).code(), 401);
    world.pass(60);
    assert_eq!(world.end_reasons(), [EndReason::Expired]);
}

#[test]
fn a_ban_holds_for_credentials_of_the_peer_that_are_minted_later() {
    let mut session = Session::udp();
    revoke(
        &mut session.world,
        Revocation::Peer { room: "kitchen".parse().unwrap(), peer: "peer1".parse().unwrap() },
    );
    let later = room_credential(|claims| {
        claims.jti = "token2".parse().unwrap();
        claims.exp = UNIX.plus(7200);
    });
    let mut client = Client::with(&later, "2.2.2.2:2000");
    for seconds in [0, 600, 2_900] {
        session.world.pass(seconds);
        client.nonce.clear();
        assert_eq!(client.ask(&mut session.world, Method::Allocate, &[UDP]).code(), 401);
    }
}

/// How long the credential is good.
const LIFE: u64 = 240;

fn credential() -> TurnCredential {
    room_credential(|claims| claims.exp = UNIX.plus(LIFE))
}

fn revoke(world: &mut World, revoke: Revocation) {
    world.control(Control::Revoke(RelayOrder { revoke, until: UNIX.plus(3600) }));
}

/// A client that has all that its credential brings.
struct Session {
    world: World,
    client: Client,
    ticket: Option<Vec<u8>>,
    connection: Option<PeerConnection>,
}

impl Session {
    /// With a permission, a channel and a mobility ticket.
    fn udp() -> Self {
        let mut world = World::new();
        let mut client = Client::with(&credential(), "1.1.1.1:1000");
        let answer = client.ask(&mut world, Method::Allocate, &[UDP, MOBILE]);
        let ticket = answer.message().get::<MobilityTicket<'_>>().unwrap().map(|ticket| ticket.0.to_vec());
        assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
        Self { world, client, ticket, connection: None }
    }

    /// With a connection to a peer that waits for the client's.
    fn tcp() -> Self {
        let mut world = World::new();
        let mut client = Client::with(&credential(), "1.1.1.1:1000");
        client.address.via = Via::Tcp(SessionId(1));
        assert_eq!(client.ask(&mut world, Method::Allocate, &[TCP]).code(), 0);
        let mut session = Self { world, client, ticket: None, connection: None };
        assert_eq!(session.connect(PEER), None);
        let (connection, _, _) = *session.world.connects.last().unwrap();
        session.world.relay.on_peer_connected(session.world.now, connection, Ok(()));
        session.world.perform();
        session.world.replies.clear();
        Self { connection: Some(connection), ..session }
    }

    /// Asks for a connection; `None`: the relay connects, and answers later.
    fn connect(&mut self, peer: &str) -> Option<u16> {
        let request = self.client.request(Method::Connect, &[&XorPeerAddress(peer.parse().unwrap())]);
        self.client.exchange(&mut self.world, &request).map(|answer| answer.code())
    }

    /// Another connection of the same client.
    fn data(&self) -> Client {
        let client = Client::with(&credential(), "1.1.1.1:1001");
        let address = ClientAddr { via: Via::Tcp(SessionId(2)), ..client.address };
        client.at(address)
    }

    fn splice(&mut self) -> PeerConnection {
        let connection = self.connection.unwrap();
        let mut data = self.data();
        let answer = data.ask(&mut self.world, Method::ConnectionBind, &[&ConnectionId(connection.id)]);
        assert_eq!(answer.code(), 0);
        connection
    }

    fn port(&self) -> RelayPort {
        self.world.port(*self.world.bound.values().next().unwrap())
    }

    fn drops(&mut self, datagram: &[u8]) -> bool {
        match self.world.client_sends(self.client.address, datagram) {
            Verdict::ToPeer { .. } => false,
            Verdict::Dropped(_) => true,
            verdict => panic!("{verdict:?}"),
        }
    }
}
