//! RFC 8489 §9.2, the long-term credential mechanism, and the attributes of §14 that serve it: one test a clause.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use causeway_stun::attributes::*;
use causeway_stun::{
    AttributeType, Class, Encode, IntegrityKey, MessageWriter, Method, RawAttribute, SecurityFeatures,
};
use causeway_turn_core::*;
use common::*;

const METHODS: [Method; 4] =
    [Method::Allocate, Method::Refresh, Method::CreatePermission, Method::ChannelBind];
const LIST: &dyn Encode = &PasswordAlgorithms::SHA256_AND_MD5;
const SHA256: &dyn Encode = &PasswordAlgorithm::new(Algorithm::SHA256);
const MD5: &dyn Encode = &PasswordAlgorithm::new(Algorithm::MD5);

#[test]
fn s9_2_4_without_an_integrity_check_401_names_realm_nonce_and_password_algorithms() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    for method in METHODS {
        let request = client.bare_request(method, &[UDP]);
        let answer = client.exchange(&mut world, &request).unwrap();
        assert_eq!(answer.code(), 401);
        assert_eq!(
            answer.kinds(),
            [
                AttributeType::ERROR_CODE,
                AttributeType::REALM,
                AttributeType::NONCE,
                AttributeType::PASSWORD_ALGORITHMS
            ]
        );
        assert_eq!(answer.message().get(), Ok(Some(PasswordAlgorithms::SHA256_AND_MD5)));
        // Header, code without a phrase, "causeway", 24 characters of nonce, two algorithms.
        assert_eq!(answer.0.len(), 20 + 8 + 12 + 28 + 12);
    }
    assert!(world.events.is_empty() && world.bound.is_empty());
}

#[test]
fn s9_2_4_the_nonce_is_another_for_each_source_address_and_port() {
    let mut world = World::new();
    let mut nonce_of = |source| {
        let mut client = Client::new(source);
        client.learn_nonce(&mut world);
        client.nonce
    };
    let one = nonce_of("1.1.1.1:1000");
    assert_eq!(one, nonce_of("1.1.1.1:1000"));
    assert_ne!(one, nonce_of("1.1.1.1:1001"));
    assert_ne!(one, nonce_of("1.1.1.2:1000"));
}

#[test]
fn s9_2_the_nonce_starts_with_the_cookie_and_the_announced_features() {
    let nonce = challenged(World::new()).1.nonce;
    assert_eq!(&nonce[..13], b"obMatJos2gAAA");
}

#[test]
fn s9_2_4_an_integrity_check_without_username_realm_or_nonce_is_400_without_a_challenge() {
    let (mut world, mut client) = challenged(World::new());
    for missing in 0..3 {
        let id = client.transaction();
        let request = build(Class::Request, Method::Allocate, id, false, |writer| {
            for (index, part) in parts(&client).iter().enumerate() {
                if index != missing {
                    writer.put(part).unwrap();
                }
            }
            writer.put_integrity(&client.key()).unwrap();
        });
        let answer = client.exchange(&mut world, &request).unwrap();
        assert_eq!(answer.code(), 400);
        assert_eq!(answer.kinds(), [AttributeType::ERROR_CODE]);
    }
}

#[test]
fn s9_2_4_who_names_no_algorithm_is_taken_with_md5_and_answered_with_message_integrity() {
    let (mut world, mut client) = challenged(World::new());
    let key = IntegrityKey::long_term_md5("alice", REALM, "secret");
    for seal in [Seal::Sha1, Seal::Sha256] {
        let answer = ask(&mut world, &mut client, &[], &[seal], &key);
        assert_eq!(answer.code(), 0);
        answer.message().verify_integrity(&key).unwrap();
        assert!(!answer.kinds().contains(&AttributeType::MESSAGE_INTEGRITY_SHA256));
        for absent in [AttributeType::REALM, AttributeType::NONCE, AttributeType::USERNAME] {
            assert!(!answer.kinds().contains(&absent));
        }
    }
}

#[test]
fn s9_2_4_who_names_an_algorithm_is_taken_with_its_key_and_answered_with_sha256() {
    let md5 = IntegrityKey::long_term_md5("alice", REALM, "secret");
    let sha256 = IntegrityKey::long_term_sha256("alice", REALM, "secret");
    for (algorithm, key, other) in [(MD5, &md5, &sha256), (SHA256, &sha256, &md5)] {
        let (mut world, mut client) = challenged(World::new());
        assert_eq!(ask(&mut world, &mut client, &[LIST, algorithm], &[Seal::Sha256], other).code(), 401);
        let answer = ask(&mut world, &mut client, &[LIST, algorithm], &[Seal::Sha256], key);
        assert_eq!(answer.code(), 0);
        answer.message().verify_integrity_sha256(key).unwrap();
        assert!(!answer.kinds().contains(&AttributeType::MESSAGE_INTEGRITY));
    }
}

#[test]
fn s9_2_4_sha256_keys_work_for_every_kind_of_credential() {
    let mut world = World::new();
    let rest = format!("{}:carol", UNIX.0 + 60);
    let room = room_credential(|_| ());
    for (port, username, password) in [
        (1, "alice", "secret"),
        (2, &rest, &rest_password(REST_SECRET, &rest)),
        (3, &room.username, &room.password),
    ] {
        let mut client = Client::of(username, password, &format!("1.1.1.1:{port}"));
        client.sha256 = true;
        client.fingerprint = true;
        client.allocate(&mut world);
        assert_eq!(client.permit(&mut world, PEER), 0);
        client.password = "wrong".to_owned();
        assert_eq!(client.ask(&mut world, Method::Refresh, &[]).code(), 401);
    }
}

#[test]
fn s9_2_4_an_allocation_can_be_kept_with_another_algorithm_than_it_was_made_with() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    client.sha256 = true;
    assert_eq!(client.refresh(&mut world, 600).code(), 0);
}

#[test]
fn s9_2_4_a_list_without_a_choice_or_a_choice_without_the_list_is_400() {
    let (mut world, mut client) = challenged(World::new());
    client.sha256 = true;
    let key = client.key();
    for half in [LIST, SHA256, MD5] {
        assert_eq!(ask(&mut world, &mut client, &[half], &[Seal::Sha256], &key).code(), 400);
    }
}

#[test]
fn s9_2_4_a_list_that_somebody_on_the_way_shortened_or_reordered_is_400() {
    let (mut world, mut client) = challenged(World::new());
    let key = client.key();
    let lists: [&[u8]; 5] =
        [&[0, 1, 0, 0], &[0, 2, 0, 0], &[0, 1, 0, 0, 0, 2, 0, 0], &[], &[0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0]];
    for value in lists {
        let list = RawAttribute { kind: AttributeType::PASSWORD_ALGORITHMS, value };
        let answer = ask(&mut world, &mut client, &[&list, MD5], &[Seal::Sha1], &key);
        assert_eq!(answer.code(), 400, "{value:?}");
    }
}

#[test]
fn s9_2_4_a_choice_that_is_not_on_the_list_is_400() {
    let (mut world, mut client) = challenged(World::new());
    let key = client.key();
    let choices: [&[u8]; 4] = [&[0, 3, 0, 0], &[0, 0, 0, 0], &[0, 1, 0, 1, 7, 0, 0, 0], &[0, 2]];
    for value in choices {
        let choice = RawAttribute { kind: AttributeType::PASSWORD_ALGORITHM, value };
        let answer = ask(&mut world, &mut client, &[LIST, &choice], &[Seal::Sha256], &key);
        assert_eq!(answer.code(), 400, "{value:?}");
    }
}

#[test]
fn s9_2_1_a_nonce_without_our_cookie_or_with_other_bits_is_438() {
    let (mut world, mut client) = challenged(World::new());
    let good = client.nonce.clone();
    let mut forged: Vec<Vec<u8>> = vec![good[13..].to_vec()];
    for cookie in ["obMatJos2AAAA", "obMatJos2QAAA", "obMatJos2wAAA", "obMatJos3gAAA"] {
        forged.push([cookie.as_bytes(), &good[13..]].concat());
    }
    for nonce in forged {
        client.nonce = nonce;
        assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 438);
    }
}

#[test]
fn s9_2_4_without_announced_algorithms_naming_one_is_400() {
    let realm = "a.realm.that.is.too.long.for.a.small.answer";
    let mut world = World::with(RelayConfig { realm: realm.to_owned(), ..config() });
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    assert_eq!(client.nonce.len(), 11);
    let id = client.transaction();
    let request = build(Class::Request, Method::Allocate, id, false, |writer| {
        for part in [UDP, LIST, SHA256] {
            writer.put(part).unwrap();
        }
        writer.put(&Username::new("alice").unwrap()).unwrap();
        writer.put(&Realm::new(realm).unwrap()).unwrap();
        writer.put(&Nonce::new(&client.nonce).unwrap()).unwrap();
        writer.put_integrity_sha256(&IntegrityKey::long_term_sha256("alice", realm, "secret")).unwrap();
    });
    assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 400);
}

#[test]
fn s9_2_4_of_two_integrity_checks_sha256_decides() {
    let (mut world, mut client) = challenged(World::new());
    client.sha256 = true;
    let (key, wrong) = (client.key(), IntegrityKey::short_term("wrong"));
    let mut both = |sha1: &IntegrityKey, sha256: &IntegrityKey| {
        let id = client.transaction();
        let request = build(Class::Request, Method::Allocate, id, false, |writer| {
            open(writer, &client, &[UDP, LIST, SHA256]);
            writer.put_integrity(sha1).unwrap();
            writer.put_integrity_sha256(sha256).unwrap();
        });
        client.exchange(&mut world, &request).unwrap().code()
    };
    assert_eq!(both(&key, &wrong), 401);
    assert_eq!(both(&wrong, &key), 0);
}

#[test]
fn s14_6_a_truncated_sha256_check_of_sixteen_bytes_and_more_is_taken() {
    for length in [16, 20, 24, 28, 32] {
        let (mut world, mut client) = challenged(World::new());
        client.sha256 = true;
        assert_eq!(truncated(&mut world, &mut client, length), 0, "{length}");
    }
    for length in [0, 4, 12, 15, 17] {
        let (mut world, mut client) = challenged(World::new());
        client.sha256 = true;
        assert_eq!(truncated(&mut world, &mut client, length), 401, "{length}");
    }
}

#[test]
fn s9_2_4_username_anonymity_is_announced_where_all_users_are_known_by_name() {
    assert_eq!(features(&challenged(static_users()).1), "wAAA");
    let rest = Credentials { rooms: None, ..credentials() };
    assert_eq!(features(&challenged(World::accepting(config(), rest)).1), "gAAA");
    let rooms = Credentials { rest_secrets: vec![], ..credentials() };
    assert_eq!(features(&challenged(World::accepting(config(), rooms)).1), "gAAA");
}

#[test]
fn s14_4_userhash_stands_for_the_username_where_it_was_announced() {
    for algorithms in [&[][..], &[LIST, SHA256]] {
        let (mut world, mut client) = challenged(static_users());
        client.sha256 = !algorithms.is_empty();
        let seal = if client.sha256 { Seal::Sha256 } else { Seal::Sha1 };
        let key = client.key();
        let answer = hashed(&mut world, &mut client, "alice", algorithms, seal, &key);
        assert_eq!(answer.code(), 0);
        // What follows may name the user in clear: it is the same.
        assert_eq!(client.refresh(&mut world, 0).code(), 0);
        assert!(matches!(
            &world.events[..],
            [Event::AllocationCreated { subject: Subject::Static(name), .. }, ..] if &**name == "alice"
        ));
    }
}

#[test]
fn s9_2_4_a_userhash_of_nobody_is_401_and_of_another_user_too() {
    let (mut world, mut client) = challenged(static_users());
    let key = client.key();
    for name in ["nobody", "bob"] {
        let answer = hashed(&mut world, &mut client, name, &[], Seal::Sha1, &key);
        assert_eq!(answer.code(), 401, "{name}");
        for absent in [AttributeType::USERNAME, AttributeType::USERHASH, AttributeType::MESSAGE_INTEGRITY] {
            assert!(!answer.kinds().contains(&absent));
        }
    }
}

#[test]
fn s9_2_4_a_userhash_that_was_not_announced_is_400() {
    let (mut world, mut client) = challenged(World::new());
    let key = client.key();
    assert_eq!(hashed(&mut world, &mut client, "alice", &[], Seal::Sha1, &key).code(), 400);
}

#[test]
fn s14_4_username_and_userhash_together_are_400() {
    let (mut world, mut client) = challenged(static_users());
    let key = client.key();
    let userhash = Userhash::of("alice", REALM);
    assert_eq!(ask(&mut world, &mut client, &[&userhash], &[Seal::Sha1], &key).code(), 400);
}

#[test]
fn s9_2_4_a_nonce_grows_stale_and_438_brings_a_new_one_that_works() {
    let (mut world, mut client) = challenged(World::new());
    world.pass(600);
    let answer = client.ask(&mut world, Method::Allocate, &[UDP]);
    assert_eq!(answer.code(), 438);
    assert_eq!(
        answer.kinds(),
        [
            AttributeType::ERROR_CODE,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::PASSWORD_ALGORITHMS
        ]
    );
    client.nonce = answer.message().get::<Nonce<'_>>().unwrap().unwrap().as_bytes().to_vec();
    client.allocate(&mut world);
}

#[test]
fn s9_2_4_a_replayed_request_with_an_old_nonce_is_438_because_it_may_be_recorded() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    let recorded = client.request(Method::Refresh, &[&Lifetime { seconds: 0 }]);
    world.pass(599);
    client.learn_nonce(&mut world);
    client.refresh(&mut world, 3600);
    world.pass(1);
    assert_eq!(client.exchange(&mut world, &recorded).unwrap().code(), 438);
    assert!(world.end_reasons().is_empty());
}

#[test]
fn s9_2_4_the_nonce_of_another_client_is_438_because_it_proves_another_address() {
    let (mut world, alice) = challenged(World::new());
    let mut thief = Client::new("1.1.1.1:1001");
    thief.nonce = alice.nonce;
    assert_eq!(thief.ask(&mut world, Method::Allocate, &[UDP]).code(), 438);
}

#[test]
fn rfc8656_s5_another_users_credential_on_someones_5_tuple_is_441_because_a_spoofed_packet_must_not_take_it()
{
    let mut world = World::new();
    let (mut alice, relayed) = world.allocated("1.1.1.1:1000");
    let mut bob = Client::of("bob", "hush", "1.1.1.1:1000");
    bob.nonce.clone_from(&alice.nonce);
    for method in [Method::Refresh, Method::CreatePermission, Method::ChannelBind] {
        assert_eq!(bob.ask(&mut world, method, &[&Lifetime { seconds: 0 }]).code(), 441);
    }
    // Nor does a packet that only claims to be Bob's pin anybody on the 5-tuple.
    bob.password = "guess".to_owned();
    assert_eq!(bob.refresh(&mut world, 0).code(), 401);
    assert_eq!(alice.refresh(&mut world, 600).code(), 0);
    assert!(world.own.is_live(relayed));
}

#[test]
fn s6_3_1_unknown_attributes_are_420_to_the_authenticated_and_401_to_strangers() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let unknown = RawAttribute { kind: AttributeType(0x7777), value: &[] };
    let request = client.bare_request(Method::Allocate, &[UDP, &unknown]);
    assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 401);
    let answer = client.ask(&mut world, Method::Allocate, &[UDP, &unknown]);
    assert_eq!(answer.code(), 420);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seal {
    Sha1,
    Sha256,
}

fn static_users() -> World {
    World::accepting(config(), Credentials { rooms: None, rest_secrets: vec![], ..credentials() })
}

/// Alice, who has a nonce.
fn challenged(mut world: World) -> (World, Client) {
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    (world, client)
}

fn features(client: &Client) -> String {
    assert!(Nonce::new(&client.nonce).unwrap().security_features() != Some(SecurityFeatures::default()));
    String::from_utf8(client.nonce[9..13].to_vec()).unwrap()
}

fn parts(client: &Client) -> [RawAttribute<'_>; 3] {
    [
        RawAttribute { kind: AttributeType::USERNAME, value: client.username.as_bytes() },
        RawAttribute { kind: AttributeType::REALM, value: REALM.as_bytes() },
        RawAttribute { kind: AttributeType::NONCE, value: &client.nonce },
    ]
}

fn open(writer: &mut MessageWriter<'_>, client: &Client, attributes: &[&dyn Encode]) {
    for attribute in attributes {
        writer.put(*attribute).unwrap();
    }
    for part in parts(client) {
        writer.put(&part).unwrap();
    }
}

fn seal_with(writer: &mut MessageWriter<'_>, seal: Seal, key: &IntegrityKey) {
    match seal {
        Seal::Sha1 => writer.put_integrity(key).unwrap(),
        Seal::Sha256 => writer.put_integrity_sha256(key).unwrap(),
    }
}

/// An Allocate for the first, a Refresh once there is an allocation.
fn ask(
    world: &mut World,
    client: &mut Client,
    more: &[&dyn Encode],
    seals: &[Seal],
    key: &IntegrityKey,
) -> Answer {
    let method = if world.bound.is_empty() { Method::Allocate } else { Method::Refresh };
    let id = client.transaction();
    let request = build(Class::Request, method, id, false, |writer| {
        if method == Method::Allocate {
            writer.put(UDP).unwrap();
        }
        open(writer, client, more);
        for seal in seals {
            seal_with(writer, *seal, key);
        }
    });
    client.exchange(world, &request).unwrap()
}

fn hashed(
    world: &mut World,
    client: &mut Client,
    name: &str,
    algorithms: &[&dyn Encode],
    seal: Seal,
    key: &IntegrityKey,
) -> Answer {
    let id = client.transaction();
    let request = build(Class::Request, Method::Allocate, id, false, |writer| {
        writer.put(UDP).unwrap();
        writer.put(&Userhash::of(name, REALM)).unwrap();
        for part in &parts(client)[1..] {
            writer.put(part).unwrap();
        }
        for algorithm in algorithms {
            writer.put(*algorithm).unwrap();
        }
        seal_with(writer, seal, key);
    });
    client.exchange(world, &request).unwrap()
}

/// The code of the answer to an Allocate whose SHA-256 check was cut to `length` bytes.
fn truncated(world: &mut World, client: &mut Client, length: u8) -> u16 {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Digest;

    let id = client.transaction();
    let mut request = build(Class::Request, Method::Allocate, id, false, |writer| {
        open(writer, client, &[UDP, LIST, SHA256]);
    });
    let padded = length.next_multiple_of(4);
    let body = u16::try_from(request.len()).unwrap() - 20 + 4 + u16::from(padded);
    request[2..4].copy_from_slice(&body.to_be_bytes());
    let key = sha2::Sha256::digest(format!("{}:{REALM}:{}", client.username, client.password));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(&request);
    let mac = mac.finalize().into_bytes();
    request.extend([0, 0x1C, 0, length]);
    request.extend(&mac[..length.into()]);
    request.resize(request.len() + usize::from(padded - length), 0);
    client.exchange(world, &request).unwrap().code()
}
