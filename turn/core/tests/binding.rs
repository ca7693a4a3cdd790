//! Binding tells anyone the address it is seen at, in the smallest answer there can be.

mod common;

use causeway_stun::attributes::{ChangeRequest, Username, XorMappedAddress};
use causeway_stun::{AttributeType, Method};
use causeway_turn_core::*;
use common::*;

#[test]
fn the_answer_is_the_mapped_address_and_nothing_else() {
    let mut world = World::new();
    for (source, length) in [("1.1.1.1:1000", 32), ("[2a00::1]:1000", 44)] {
        let mut client = Client::new(source);
        let request = client.bare_request(Method::Binding, &[]);
        let answer = client.exchange(&mut world, &request).unwrap();
        assert_eq!(answer.kinds(), [AttributeType::XOR_MAPPED_ADDRESS]);
        assert_eq!(answer.message().get(), Ok(Some(XorMappedAddress(source.parse().unwrap()))));
        assert_eq!(answer.0.len(), length);
    }
    assert_eq!(world.relay.counters().requests(RequestMethod::Binding), 2);
    assert_eq!(world.relay.counters().answers(AnswerCode::Success), 2);
}

#[test]
fn a_request_with_a_fingerprint_gets_one_back() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    client.fingerprint = true;
    let request = client.bare_request(Method::Binding, &[]);
    let answer = client.exchange(&mut world, &request).unwrap();
    assert_eq!(answer.message().fingerprint(), Ok(()));
}

#[test]
fn what_must_be_understood_and_is_not_is_named() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let change = ChangeRequest { ip: true, port: true };
    let request = client.bare_request(Method::Binding, &[&change, &Username::new("me").unwrap()]);
    let answer = client.exchange(&mut world, &request).unwrap();
    assert_eq!(answer.code(), 420);
    assert_eq!(answer.kinds(), [AttributeType::ERROR_CODE, AttributeType::UNKNOWN_ATTRIBUTES]);
    let named = answer.message().attributes().nth(1).unwrap().value;
    assert_eq!(named, AttributeType::CHANGE_REQUEST.0.to_be_bytes());
}

#[test]
fn a_binding_indication_is_a_keepalive_without_an_answer() {
    let mut world = World::new();
    let id = causeway_stun::TransactionId([1; 12]);
    let datagram = build(causeway_stun::Class::Indication, Method::Binding, id, false, |_| ());
    assert_eq!(world.client_sends(client("1.1.1.1:1000"), &datagram), Verdict::Handled);
    assert!(world.replies.is_empty());
}
