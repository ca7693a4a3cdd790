//! Who may use the relay: RFC 8489 §9.2.4 clause by clause, and the three kinds of credentials.

mod common;

use causeway_protocol::secret::Secret;
use causeway_protocol::token::{TurnClaims, TurnIssuer};
use causeway_stun::attributes::{Lifetime, Nonce, PasswordAlgorithm, Realm, Userhash, Username};
use causeway_stun::{AttributeType, Class, Method};
use causeway_turn_core::*;
use common::*;

#[test]
fn without_credentials_comes_a_challenge_of_realm_and_nonce_only() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    for method in [Method::Allocate, Method::Refresh, Method::CreatePermission, Method::ChannelBind] {
        let request = client.bare_request(method, &[UDP]);
        let answer = client.exchange(&mut world, &request).unwrap();
        assert_eq!(answer.code(), 401);
        assert_eq!(answer.kinds(), [AttributeType::ERROR_CODE, AttributeType::REALM, AttributeType::NONCE]);
        // Header, code without a phrase, "causeway", sixteen characters of nonce.
        assert_eq!(answer.0.len(), 20 + 8 + 12 + 20);
    }
    assert!(world.events.is_empty() && world.bound.is_empty());
}

#[test]
fn a_seal_without_username_realm_or_nonce_is_a_bad_request() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    for missing in 0..3 {
        let id = client.transaction();
        let request = build(Class::Request, Method::Allocate, id, false, |writer| {
            let username = Username::new(&client.username).unwrap();
            let realm = Realm::new(REALM).unwrap();
            let nonce = Nonce::new(&client.nonce).unwrap();
            let parts: [&dyn causeway_stun::Encode; 3] = [&username, &realm, &nonce];
            for part in (0..3).filter(|part| *part != missing).map(|part| parts[part]) {
                writer.put(part).unwrap();
            }
            writer.put_integrity(&client.key()).unwrap();
        });
        let answer = client.exchange(&mut world, &request).unwrap();
        assert_eq!(answer.code(), 400);
        assert_eq!(answer.kinds(), [AttributeType::ERROR_CODE]);
    }
}

#[test]
fn a_nonce_grows_stale_and_the_new_one_works() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    world.pass(600);
    let answer = client.ask(&mut world, Method::Allocate, &[UDP]);
    assert_eq!(answer.code(), 438);
    client.nonce = answer.message().get::<Nonce<'_>>().unwrap().unwrap().as_bytes().to_vec();
    client.allocate(&mut world);
}

#[test]
fn another_clients_nonce_is_stale() {
    let mut world = World::new();
    let mut alice = Client::new("1.1.1.1:1000");
    alice.learn_nonce(&mut world);
    let mut thief = Client::new("1.1.1.1:1001");
    thief.nonce = alice.nonce;
    assert_eq!(thief.ask(&mut world, Method::Allocate, &[UDP]).code(), 438);
}

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
fn a_sha256_seal_is_taken_and_answered_with_one() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    client.sha256 = true;
    client.fingerprint = true;
    let answer = client.ask(&mut world, Method::Allocate, &[UDP]);
    assert_eq!(answer.code(), 0);
    assert!(!answer.kinds().contains(&AttributeType::MESSAGE_INTEGRITY));
    assert_eq!(answer.message().fingerprint(), Ok(()));
    client.password = "wrong".to_owned();
    assert_eq!(client.ask(&mut world, Method::Refresh, &[]).code(), 401);
}

#[test]
fn unknown_attributes_are_named_to_the_authenticated_and_not_to_strangers() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let userhash = Userhash::of("alice", REALM);
    let request = client.bare_request(Method::Allocate, &[UDP, &userhash]);
    assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 401);
    let answer = client.ask(&mut world, Method::Allocate, &[UDP, &userhash]);
    assert_eq!(answer.code(), 420);
    let algorithm = PasswordAlgorithm::new(causeway_stun::attributes::Algorithm::SHA256);
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP, &algorithm]).code(), 420);
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
