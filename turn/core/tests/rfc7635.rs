//! RFC 7635: access tokens of an authorization server, clause by clause, and what hostile ones come to.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use causeway_protocol::UnixSeconds;
use causeway_protocol::token::{AccessTokenAlgorithm, AccessTokenKey};
use causeway_stun::attributes::*;
use causeway_stun::{AttributeType, Class, Encode, IntegrityKey, Method, RawAttribute};
use causeway_turn_core::*;
use common::*;
use proptest::prelude::*;

const SERVER: &str = "turn";
const SESSION: [u8; 20] = [5; 20];
const NONCE: [u8; 12] = [3; 12];

#[test]
fn s6_1_the_401_names_us_to_the_clients_authorization_server() {
    let (_, client) = world();
    assert_eq!(client.named.as_deref(), Some(SERVER));
}

#[test]
fn s4_a_token_opens_an_allocation_sealed_with_its_session_key() {
    for sha256 in [false, true] {
        let (mut world, mut client) = world();
        client.sha256 = sha256;
        let answer = client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 3600)));
        assert_eq!(answer.code(), 0);
        let sealed = match sha256 {
            true => answer.message().verify_integrity_sha256(&client.key),
            false => answer.message().verify_integrity(&client.key),
        };
        assert_eq!(sealed, Ok(()));
        assert!(matches!(
            &world.events[..],
            [Event::AllocationCreated { subject: Subject::Token(name), .. }] if name.starts_with("north:")
        ));
    }
}

#[test]
fn a_session_key_cut_to_sixteen_bytes_is_taken_because_coturn_cuts_it() {
    let (mut world, mut client) = world();
    for length in [15, 17, 19] {
        client.key = IntegrityKey::from_bytes(&SESSION[..length]);
        assert_eq!(client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 600))).code(), 401);
    }
    client.key = IntegrityKey::from_bytes(&SESSION[..16]);
    let answer = client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 600)));
    assert_eq!(answer.message().verify_integrity(&client.key), Ok(()));
    assert_eq!(client.ask(&mut world, Method::Refresh, None).code(), 0);
}

#[test]
fn s4_later_requests_need_the_session_key_and_not_the_token() {
    let (mut world, mut client) = world();
    client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 3600)));
    assert_eq!(client.ask(&mut world, Method::Refresh, None).code(), 0);
    client.key = IntegrityKey::from_bytes(&[6; 20]);
    assert_eq!(client.ask(&mut world, Method::Refresh, None).code(), 401);
}

#[test]
fn s9_without_an_allocation_a_request_needs_the_token() {
    let (mut world, mut client) = world();
    assert_eq!(client.ask(&mut world, Method::Allocate, None).code(), 401);
}

#[test]
fn s9_the_tokens_lifetime_caps_the_allocations() {
    let (mut world, mut client) = world();
    let answer = client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 120)));
    // Five seconds for the clocks, and the grace of one Refresh.
    assert_eq!(answer.lifetime(), 120 + 5 + 60);
    world.pass(125);
    assert_eq!(client.ask(&mut world, Method::Refresh, None).code(), 401);
    world.pass(60);
    assert_eq!(world.end_reasons(), [EndReason::Expired]);
}

#[test]
fn s8_a_new_token_keeps_the_allocation_also_under_another_key() {
    for kid in ["north", "next"] {
        let (mut world, mut client) = world();
        client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 120)));
        world.pass(100);
        client.kid = kid;
        client.key = IntegrityKey::from_bytes(&[8; 20]);
        let fresh = sealed(&[8; 20], world.now.unix, 3600);
        assert_eq!(client.ask(&mut world, Method::Refresh, Some(&fresh)).code(), 0);
        world.pass(400);
        assert_eq!(client.ask(&mut world, Method::Refresh, None).code(), 0, "{kid}");
        assert!(world.end_reasons().is_empty());
    }
}

#[test]
fn s9_an_expired_token_is_401() {
    let (mut world, mut client) = world();
    for issued in [UNIX.0 - 65, UNIX.0 + 65] {
        let answer = client.ask(&mut world, Method::Allocate, Some(&token(UnixSeconds(issued), 60)));
        assert_eq!(answer.code(), 401);
    }
}

#[test]
fn s9_a_token_under_an_unknown_or_an_expired_key_is_401() {
    let (mut world, mut client) = world();
    for kid in ["south", "old", "alice", ""] {
        client.kid = kid;
        let answer = client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 60)));
        assert_eq!(answer.code(), 401, "{kid}");
    }
}

#[test]
fn s9_a_token_for_another_server_or_changed_on_the_way_is_401() {
    let (mut world, mut client) = world();
    let elsewhere = key().seal(NONCE, "else", &SESSION, UNIX, 60).unwrap();
    assert_eq!(client.ask(&mut world, Method::Allocate, Some(&elsewhere)).code(), 401);
    let mut changed = token(UNIX, 60);
    changed[9] ^= 1;
    assert_eq!(client.ask(&mut world, Method::Allocate, Some(&changed)).code(), 401);
}

#[test]
fn s9_a_stolen_token_is_401_because_the_thief_lacks_the_session_key() {
    let (mut world, mut client) = world();
    client.key = IntegrityKey::from_bytes(&[0; 20]);
    assert_eq!(client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 60))).code(), 401);
}

#[test]
fn s9_a_replayed_request_from_another_address_is_438_because_its_nonce_is_not_that_addresss() {
    let (mut world, mut client) = world();
    let recorded = client.request(Method::Allocate, Some(&token(UNIX, 60)));
    let mut thief = Client::new("2.2.2.2:1000");
    assert_eq!(thief.exchange(&mut world, &recorded).unwrap().code(), 438);
}

#[test]
fn a_token_and_a_password_are_different_users_on_one_5_tuple() {
    let (mut world, mut client) = world();
    client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 600)));
    let mut alice = Client::new("1.1.1.1:1000");
    assert_eq!(alice.refresh(&mut world, 0).code(), 441);

    let mut alice = Client::new("1.1.1.1:2000");
    alice.allocate(&mut world);
    let mut holder = Holder::at("1.1.1.1:2000");
    holder.learn_nonce(&mut world);
    assert_eq!(holder.ask(&mut world, Method::Refresh, Some(&token(UNIX, 600))).code(), 441);
}

#[test]
fn a_reserved_port_is_for_whoever_has_a_token_since_a_client_may_have_a_new_one() {
    let (mut world, mut client) = world();
    let reserve = EvenPort { reserve_next: true };
    let request = client.with(Method::Allocate, Some(&token(UNIX, 600)), &[UDP, &reserve]);
    let answer = client.client.exchange(&mut world, &request).unwrap();
    let reservation: ReservationToken = answer.message().get().unwrap().unwrap();

    let mut other = Holder::at("1.1.1.1:1001");
    other.learn_nonce(&mut world);
    other.key = IntegrityKey::from_bytes(&[8; 20]);
    let fresh = sealed(&[8; 20], UNIX, 600);
    let request = other.with(Method::Allocate, Some(&fresh), &[UDP, &reservation]);
    assert_eq!(other.client.exchange(&mut world, &request).unwrap().code(), 0);
}

#[test]
fn quotas_count_for_a_token_and_not_for_all_under_its_key() {
    let limits = Limits { allocations_per_user: 1, ..Limits::default() };
    let mut world = World::accepting(RelayConfig { limits, ..config() }, accepting());
    let mut codes = vec![];
    for (port, session) in [(1, 5), (2, 5), (3, 6)] {
        let mut holder = Holder::at(&format!("1.1.1.1:{port}"));
        holder.learn_nonce(&mut world);
        holder.key = IntegrityKey::from_bytes(&[session; 20]);
        let token = sealed(&[session; 20], UNIX, 600);
        codes.push(holder.ask(&mut world, Method::Allocate, Some(&token)).code());
    }
    assert_eq!(codes, [0, 486, 0]);
}

#[test]
fn where_no_authorization_server_is_trusted_a_token_is_401_and_none_is_asked_for() {
    let mut world = World::new();
    let mut client = Holder::at("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    assert_eq!(client.named, None);
    assert_eq!(client.ask(&mut world, Method::Allocate, Some(&token(UNIX, 60))).code(), 401);
}

#[test]
fn regression_a_token_of_impossible_lengths_is_400_or_401_and_no_more() {
    // CVE-2026-43994: coturn copied a nonce of up to 65,535 bytes into 256 before it checked anything.
    let (mut world, mut client) = world();
    let lie = RawAttribute { kind: AttributeType::ACCESS_TOKEN, value: &[0xFF; 100] };
    assert_eq!(client.ask_raw(&mut world, &lie).code(), 400);
    let long = [&[0x03, 0x00][..], &[1; 0x300], &[2; 100]].concat();
    let long = RawAttribute { kind: AttributeType::ACCESS_TOKEN, value: &long };
    assert_eq!(client.ask_raw(&mut world, &long).code(), 401);
    let endless = [&NONCE_PREFIX[..], &[1; 3000]].concat();
    let endless = RawAttribute { kind: AttributeType::ACCESS_TOKEN, value: &endless };
    assert_eq!(client.ask_raw(&mut world, &endless).code(), 401);
}

#[test]
fn a_name_that_is_too_long_for_its_attribute_is_refused_at_the_start() {
    let own = std::sync::Arc::new(OwnRelays::new(config().relay_ips()));
    let mut credentials = accepting();
    credentials.third_party.as_mut().unwrap().server_name = "x".repeat(128);
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
    let meters = std::sync::Arc::new(Meters::new(&mut random));
    let relay = Relay::new(config(), credentials, &NonceKey::from_bytes([9; 32]), own, meters, random);
    assert_eq!(relay.err(), Some(ConfigError::ServerName));
}

proptest! {
    #[test]
    fn no_token_that_nobody_sealed_opens_anything(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut world, mut client) = world();
        let token = RawAttribute { kind: AttributeType::ACCESS_TOKEN, value: &value };
        let code = client.ask_raw(&mut world, &token).code();
        prop_assert!(code == 400 || code == 401);
        prop_assert!(world.events.is_empty());
    }

    #[test]
    fn no_changed_token_opens_anything(at in any::<prop::sample::Index>(), change in 1u8.., cut in any::<bool>()) {
        let (mut world, mut client) = world();
        let mut value = [&NONCE_PREFIX[..], &token(UNIX, 60)].concat();
        let at = at.index(value.len());
        match cut {
            true => value.truncate(at),
            false => value[at] ^= change,
        }
        let token = RawAttribute { kind: AttributeType::ACCESS_TOKEN, value: &value };
        let code = client.ask_raw(&mut world, &token).code();
        prop_assert!(code == 400 || code == 401);
    }
}

/// The length of a nonce and the nonce.
const NONCE_PREFIX: [u8; 14] = [0, 12, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3];

/// A client with a token.
struct Holder {
    client: Client,
    kid: &'static str,
    key: IntegrityKey,
    sha256: bool,
    named: Option<String>,
}

impl Holder {
    fn at(source: &str) -> Self {
        let key = IntegrityKey::from_bytes(&SESSION);
        Self { client: Client::new(source), kid: "north", key, sha256: false, named: None }
    }

    fn learn_nonce(&mut self, world: &mut World) {
        let request = self.client.bare_request(Method::Allocate, &[UDP]);
        let answer = self.client.exchange(world, &request).unwrap();
        let message = answer.message();
        self.client.nonce = message.get::<Nonce<'_>>().unwrap().unwrap().as_bytes().to_vec();
        let name = message.get::<ThirdPartyAuthorization<'_>>().unwrap();
        self.named = name.map(|name| name.as_str().to_owned());
    }

    fn ask(&mut self, world: &mut World, method: Method, token: Option<&[u8]>) -> Answer {
        let request = self.request(method, token);
        self.client.exchange(world, &request).unwrap()
    }

    fn ask_raw(&mut self, world: &mut World, token: &RawAttribute<'_>) -> Answer {
        let request = self.with_attribute(Method::Allocate, Some(token), &[UDP]);
        self.client.exchange(world, &request).unwrap()
    }

    fn request(&mut self, method: Method, token: Option<&[u8]>) -> Vec<u8> {
        match method {
            Method::Allocate => self.with(method, token, &[UDP]),
            _ => self.with(method, token, &[]),
        }
    }

    fn with(&mut self, method: Method, token: Option<&[u8]>, wishes: &[&dyn Encode]) -> Vec<u8> {
        let token = token.map(|encrypted| AccessToken::new(&NONCE, encrypted).unwrap());
        self.with_attribute(method, token.as_ref().map(|token| token as &dyn Encode), wishes)
    }

    fn with_attribute(
        &mut self,
        method: Method,
        token: Option<&dyn Encode>,
        wishes: &[&dyn Encode],
    ) -> Vec<u8> {
        let id = self.client.transaction();
        build(Class::Request, method, id, false, |writer| {
            for wish in wishes {
                writer.put(*wish).unwrap();
            }
            if let Some(token) = token {
                writer.put(token).unwrap();
            }
            writer.put(&Username::new(self.kid).unwrap()).unwrap();
            writer.put(&Realm::new(REALM).unwrap()).unwrap();
            writer.put(&Nonce::new(&self.client.nonce).unwrap()).unwrap();
            match self.sha256 {
                true => writer.put_integrity_sha256(&self.key).unwrap(),
                false => writer.put_integrity(&self.key).unwrap(),
            }
        })
    }
}

fn world() -> (World, Holder) {
    let mut world = World::accepting(config(), accepting());
    let mut holder = Holder::at("1.1.1.1:1000");
    holder.learn_nonce(&mut world);
    (world, holder)
}

fn accepting() -> Credentials {
    let key = |kid: &str, expires| TokenKey { kid: kid.to_owned(), key: key(), expires };
    let keys = vec![key("north", None), key("next", Some(UNIX.plus(9000))), key("old", Some(UNIX))];
    Credentials { third_party: Some(ThirdParty { server_name: SERVER.to_owned(), keys }), ..credentials() }
}

fn key() -> AccessTokenKey {
    AccessTokenKey::new(AccessTokenAlgorithm::A256Gcm, &[1; 32]).unwrap()
}

fn token(issued: UnixSeconds, lifetime: u32) -> Vec<u8> {
    sealed(&SESSION, issued, lifetime)
}

/// The encrypted part of a token.
fn sealed(session: &[u8], issued: UnixSeconds, lifetime: u32) -> Vec<u8> {
    key().seal(NONCE, SERVER, session, issued, lifetime).unwrap()
}
