//! Room credentials signed with EdDSA: what a relay can check and cannot mint.

mod common;

use causeway_protocol::secret::Secret;
use causeway_protocol::token::{PeerPolicy, RoomSigningKey, TurnClaims, TurnIssuer};
use causeway_turn::TurnSettings;
use common::client::Client;
use common::relay::{TestRelay, secret, settings};

/// The key pair of RFC 8410 §10.
const SIGNING_KEY: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";

#[test]
fn a_credential_signed_by_the_room_opens_the_relay_and_one_by_the_relays_secret_does_not() {
    let signing = RoomSigningKey::parse(SIGNING_KEY).unwrap();
    let room_key = Some(signing.public().to_string());
    let relay = TestRelay::start(&TurnSettings { room_key, ..settings() });
    client(&relay, &TurnIssuer::eddsa(&signing, &secret())).allocate();
    // All that a stolen relay knows.
    assert_eq!(client(&relay, &TurnIssuer::hs256(&secret())).try_allocate().error(), Some(401));
    // The right signature with a password under another secret.
    let other = Secret::from_bytes([8; 32]);
    assert_eq!(client(&relay, &TurnIssuer::eddsa(&signing, &other)).try_allocate().error(), Some(401));
}

#[test]
fn a_room_key_that_is_none_is_one_clear_sentence() {
    let settings = TurnSettings { room_key: Some(SIGNING_KEY.to_owned()), ..settings() };
    let problems = settings.validate();
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.to_string(), "room_key: write the Ed25519 key that `openssl pkey -pubout` prints");
}

fn client(relay: &TestRelay, issuer: &TurnIssuer) -> Client {
    let claims = TurnClaims {
        aud: TurnClaims::AUDIENCE.to_owned(),
        sub: "peer".parse().expect("a peer"),
        room: "kitchen".parse().expect("a room"),
        exp: causeway_service::clock::now().unix.plus(600),
        jti: "token".parse().expect("an id"),
        bps: None,
        bytes: None,
        allocs: None,
        peers: PeerPolicy::Public,
    };
    let credential = issuer.issue(&claims).expect("a credential");
    Client::new(relay.v4(), &credential.username, &credential.password)
}
