//! What Chromium 156 really sends, captured on loopback from the demo: every message is read, whole.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

use std::path::Path;

use causeway_stun::attributes::{
    Data, IceControlled, IceControlling, Lifetime, Nonce, Priority, Realm, RequestedTransport, UseCandidate,
    Username, XorPeerAddress,
};
use causeway_stun::{AttributeType, ChannelNumber, Class, FingerprintError, Message, Method};

/// GOOG-NETWORK-INFO, which Chromium adds to connectivity checks: not comprehension-required.
const NETWORK_INFO: AttributeType = AttributeType(0xC057);

#[test]
fn a_binding_request_to_a_stun_server_is_a_bare_header() {
    let bytes = captured("binding");
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::Binding));
    assert_eq!(message.attributes().count(), 0);
    assert_eq!(message.fingerprint(), Err(FingerprintError::Missing));
}

#[test]
fn connectivity_checks_of_both_roles_are_read() {
    let bytes = captured("ice-controlled");
    let message = Message::decode(&bytes).unwrap();
    assert!(message.get::<IceControlled>().unwrap().is_some());
    check_connectivity_check(&message);

    let bytes = captured("ice-controlling-nominates");
    let message = Message::decode(&bytes).unwrap();
    assert!(message.get::<IceControlling>().unwrap().is_some());
    assert!(message.get::<UseCandidate>().unwrap().is_some());
    check_connectivity_check(&message);
}

#[test]
fn the_first_allocate_asks_for_udp_and_nothing_else() {
    let bytes = captured("allocate");
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::Allocate));
    assert_eq!(message.get::<RequestedTransport>(), Ok(Some(RequestedTransport::UDP)));
    assert_eq!(message.attributes().count(), 1);
}

#[test]
fn the_second_allocate_carries_our_jwt_and_nonce() {
    let bytes = captured("allocate-authenticated");
    let message = Message::decode(&bytes).unwrap();
    check_authenticated(&message, Method::Allocate);
    assert_eq!(message.get::<RequestedTransport>(), Ok(Some(RequestedTransport::UDP)));
}

#[test]
fn requests_on_an_allocation_are_read() {
    let bytes = captured("refresh");
    check_authenticated(&Message::decode(&bytes).unwrap(), Method::Refresh);
    assert!(Message::decode(&bytes).unwrap().get::<Lifetime>().unwrap().is_none(), "it asks for the default");

    let bytes = captured("create-permission");
    let message = Message::decode(&bytes).unwrap();
    check_authenticated(&message, Method::CreatePermission);
    assert_eq!(message.get_all::<XorPeerAddress>().count(), 1);

    let bytes = captured("channel-bind");
    let message = Message::decode(&bytes).unwrap();
    check_authenticated(&message, Method::ChannelBind);
    assert!(message.get::<ChannelNumber>().unwrap().is_some());
    assert!(message.get::<XorPeerAddress>().unwrap().is_some());
}

#[test]
fn a_send_indication_carries_a_peer_and_data() {
    let bytes = captured("send-indication");
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::Send));
    assert!(message.get::<XorPeerAddress>().unwrap().is_some());
    let Data(payload) = message.get::<Data<'_>>().unwrap().unwrap();
    // Before a channel is bound, Chromium sends its connectivity checks this way.
    let inner = Message::decode(payload).unwrap();
    assert_eq!(inner.method(), Method::Binding);
    assert_eq!(inner.fingerprint(), Ok(()));
}

fn check_connectivity_check(message: &Message<'_>) {
    assert_eq!((message.class(), message.method()), (Class::Request, Method::Binding));
    assert_eq!(message.fingerprint(), Ok(()));
    assert!(message.get::<Priority>().unwrap().is_some());
    let username = message.get::<Username<'_>>().unwrap().unwrap();
    assert!(username.as_str().contains(':'), "RFC 8445 §7.2.2: two fragments with a colon between them");
    assert!(message.has(AttributeType::MESSAGE_INTEGRITY));
    assert!(message.has(NETWORK_INFO));
    let understood = [AttributeType::USERNAME, AttributeType::PRIORITY, AttributeType::USE_CANDIDATE];
    assert!(message.unknown_required(&understood).is_empty());
}

fn check_authenticated(message: &Message<'_>, method: Method) {
    assert_eq!((message.class(), message.method()), (Class::Request, method));
    let username = message.get::<Username<'_>>().unwrap().unwrap();
    assert_eq!(username.as_str().split('.').count(), 3, "a compact JWT");
    assert_eq!(message.get::<Realm<'_>>().unwrap().unwrap().as_str(), "causeway");
    assert!(message.get::<Nonce<'_>>().unwrap().is_some());
    assert!(message.has(AttributeType::MESSAGE_INTEGRITY));
    assert_eq!(message.fingerprint(), Err(FingerprintError::Missing), "Chromium sends none to a relay");
}

fn captured(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(format!("{name}.hex"));
    let hex = std::fs::read_to_string(path).unwrap();
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
