//! Who may use the relay: wrong credentials of every sort, and the kinds of right ones.

mod common;

use causeway_protocol::secret::Secret;
use causeway_protocol::token::{TurnClaims, TurnIssuer};
use causeway_stun::attributes::{Lifetime, Nonce, Realm, Username};
use causeway_stun::{Class, Method};
use causeway_turn_core::*;
use common::*;

#[test]
fn a_wrong_password_user_or_realm_is_refused_alike() {
    let mut world = World::new();
    for (username, password) in [("alice", "wrong"), ("nobody", "secret"), ("bob", "secret"), ("", "")] {
        let mut client = Client::of(username, password, "1.1.1.1:1000");
        assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 401, "{username}");
    }
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    let id = client.transaction();
    let request = build(Class::Request, Method::Allocate, id, false, |writer| {
        writer.put(&Username::new("alice").unwrap()).unwrap();
        writer.put(&Realm::new("elsewhere").unwrap()).unwrap();
        writer.put(&Nonce::new(&client.nonce).unwrap()).unwrap();
        // Even under the key of our own realm.
        writer.put_integrity(&client.key()).unwrap();
    });
    assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 401);
    assert!(world.events.is_empty());
}

#[test]
fn a_request_changed_on_the_way_is_refused() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    let mut request = client.request(Method::Allocate, &[&Lifetime { seconds: 1000 }, UDP]);
    request[27] ^= 1;
    assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 401);
}

#[test]
fn an_allocation_answers_to_its_own_user_only() {
    let mut world = World::new();
    let (alice, relayed) = world.allocated("1.1.1.1:1000");
    let mut bob = Client::of("bob", "hush", "1.1.1.1:1000");
    bob.nonce = alice.nonce;
    for method in [Method::Refresh, Method::CreatePermission, Method::ChannelBind] {
        assert_eq!(bob.ask(&mut world, method, &[&Lifetime { seconds: 0 }]).code(), 441);
    }
    assert_eq!(bob.ask(&mut world, Method::Allocate, &[UDP]).code(), 437);
    assert!(world.own.is_live(relayed));
}

#[test]
fn rest_credentials_of_every_secret_work_until_they_expire() {
    let mut world = World::new();
    let username = format!("{}:carol", UNIX.0 + 60);
    for (port, secret) in [(1000, REST_SECRET), (1001, "old secret")] {
        let password = rest_password(secret, &username);
        let mut client = Client::of(&username, &password, &format!("1.1.1.1:{port}"));
        client.allocate(&mut world);
    }
    let mut forged = Client::of(&username, &rest_password("guess", &username), "1.1.1.1:1002");
    assert_eq!(forged.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);

    let alone = (UNIX.0 + 60).to_string();
    let mut client = Client::of(&alone, &rest_password(REST_SECRET, &alone), "1.1.1.1:1003");
    client.allocate(&mut world);

    world.pass(60);
    let mut late = Client::of(&username, &rest_password(REST_SECRET, &username), "1.1.1.1:1004");
    assert_eq!(late.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
}

#[test]
fn a_rooms_jwt_works_until_it_expires() {
    let mut world = World::new();
    let credential = room_credential(|claims| claims.exp = UNIX.plus(60));
    let mut client = Client::with(&credential, "1.1.1.1:1000");
    client.allocate(&mut world);
    assert!(matches!(
        &world.events[..],
        [Event::AllocationCreated { subject: Subject::RoomPeer { room, peer }, expires: Some(expires), .. }]
            if room.as_str() == "kitchen" && peer.as_str() == "peer1" && *expires == UNIX.plus(60)
    ));
    world.pass(60);
    let mut late = Client::with(&credential, "1.1.1.1:1001");
    assert_eq!(late.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
    // The running allocation is known by its username, and no better off.
    assert_eq!(client.refresh(&mut world, 600).code(), 401);
}

#[test]
fn a_jwt_of_another_installation_or_with_another_password_is_refused() {
    let mut world = World::new();
    let claims = TurnClaims {
        aud: TurnClaims::AUDIENCE.to_owned(),
        sub: "peer1".parse().unwrap(),
        room: "kitchen".parse().unwrap(),
        exp: UNIX.plus(60),
        jti: "token1".parse().unwrap(),
        bps: None,
        bytes: None,
        allocs: None,
        peers: causeway_protocol::token::PeerPolicy::Public,
    };
    let foreign = TurnIssuer::hs256(&Secret::from_bytes([4; 32])).issue(&claims).unwrap();
    let mut client = Client::with(&foreign, "1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
    let ours = room_credential(|_| ());
    let mut client = Client::of(&ours.username, "guess", "1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
}
