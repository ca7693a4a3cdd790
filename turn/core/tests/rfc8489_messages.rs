//! RFC 8489 §§5 to 8 and 11, and the attributes of §14 that every message may carry: one test a clause.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use causeway_stun::attributes::*;
use causeway_stun::{AttributeType, Class, Encode, MessageWriter, Method, RawAttribute, TransactionId};
use causeway_turn_core::*;
use common::*;

const UNKNOWN: RawAttribute<'_> = RawAttribute { kind: AttributeType(0x7777), value: &[1, 2, 3] };
const OPTIONAL: RawAttribute<'_> = RawAttribute { kind: AttributeType(0xF777), value: &[1, 2, 3] };

#[test]
fn s5_what_does_not_begin_with_two_zero_bits_is_no_stun_and_dropped() {
    for first in [0x80, 0xC0, 0xFF] {
        let mut datagram = binding();
        datagram[0] = first;
        check_dropped(&datagram, DropReason::NotStun);
    }
}

#[test]
fn s5_a_length_that_is_no_multiple_of_four_or_lies_is_dropped() {
    for length in [1, 2, 3, 4, 0xFFFC] {
        let mut datagram = binding();
        datagram[2..4].copy_from_slice(&u16::to_be_bytes(length));
        check_dropped(&datagram, DropReason::MalformedMessage);
    }
}

#[test]
fn s5_and_s11_a_message_without_the_magic_cookie_is_one_of_rfc_3489_and_dropped() {
    let mut datagram = binding();
    datagram[4] ^= 1;
    check_dropped(&datagram, DropReason::MalformedMessage);
}

#[test]
fn s6_3_a_method_nobody_defines_is_dropped() {
    let mut datagram = binding();
    datagram[1] = 0x0E;
    check_dropped(&datagram, DropReason::MalformedMessage);
}

#[test]
fn s6_3_1_an_unknown_attribute_that_must_be_understood_brings_420_with_its_number() {
    let (_, answer) = ask(&[&UNKNOWN, &OPTIONAL]);
    assert_eq!(answer.code(), 420);
    let named = answer.message().attributes().find(|it| it.kind == AttributeType::UNKNOWN_ATTRIBUTES);
    assert_eq!(named.unwrap().value, [0x77, 0x77]);
}

#[test]
fn s6_3_1_an_unknown_attribute_that_need_not_be_understood_is_ignored() {
    assert_eq!(ask(&[&OPTIONAL]).1.code(), 0);
}

#[test]
fn s6_3_1_1_a_binding_success_carries_xor_mapped_address_under_the_same_transaction() {
    let (request, answer) = ask(&[]);
    assert_eq!(answer.message().class(), Class::Success);
    assert_eq!(answer.message().get(), Ok(Some(XorMappedAddress("1.1.1.1:1000".parse().unwrap()))));
    assert_eq!(answer.0[8..20], request[8..20]);
}

#[test]
fn s6_3_1_a_retransmitted_request_gets_the_same_answer() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let request = client.bare_request(Method::Binding, &[]);
    let first = client.exchange(&mut world, &request);
    assert_eq!(client.exchange(&mut world, &request), first);
}

#[test]
fn s6_3_2_an_indication_is_never_answered() {
    let mut world = World::new();
    for (method, attributes) in [(Method::Binding, &[][..]), (Method::Binding, &[&OPTIONAL as &dyn Encode])] {
        let datagram = message(Class::Indication, method, attributes);
        assert_eq!(world.client_sends(client("1.1.1.1:1000"), &datagram), Verdict::Handled);
    }
    assert!(world.replies.is_empty());
}

#[test]
fn s6_3_2_an_indication_with_an_unknown_attribute_that_must_be_understood_is_dropped() {
    let mut world = World::new();
    let (client, _) = world.allocated("1.1.1.1:1000");
    let datagram = send_indication(PEER, b"data", &[&UNKNOWN]);
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(verdict, Verdict::Dropped(DropReason::UnknownAttribute));
}

#[test]
fn s6_3_3_and_s6_3_4_an_answer_to_nothing_we_asked_is_dropped() {
    for class in [Class::Success, Class::Error] {
        for method in [Method::Binding, Method::Allocate] {
            check_dropped(&message(class, method, &[]), DropReason::UnexpectedAnswer);
        }
    }
}

#[test]
fn s7_a_fingerprint_is_answered_with_one_in_success_and_error() {
    for attributes in [&[][..], &[&UNKNOWN as &dyn Encode]] {
        let mut world = World::new();
        let mut client = Client::new("1.1.1.1:1000");
        client.fingerprint = true;
        let request = client.bare_request(Method::Binding, attributes);
        let answer = client.exchange(&mut world, &request).unwrap();
        assert_eq!(answer.message().fingerprint(), Ok(()));
        assert_eq!(answer.kinds().last(), Some(&AttributeType::FINGERPRINT));
    }
    assert!(!ask(&[]).1.kinds().contains(&AttributeType::FINGERPRINT));
}

#[test]
fn s7_a_wrong_fingerprint_is_dropped_silently() {
    let mut client = Client::new("1.1.1.1:1000");
    client.fingerprint = true;
    let mut datagram = client.bare_request(Method::Binding, &[]);
    *datagram.last_mut().unwrap() ^= 1;
    check_dropped(&datagram, DropReason::WrongFingerprint);
}

#[test]
fn s14_7_what_follows_fingerprint_makes_the_message_malformed() {
    let mut client = Client::new("1.1.1.1:1000");
    client.fingerprint = true;
    let mut datagram = client.bare_request(Method::Binding, &[]);
    datagram.extend([0x80, 0x22, 0, 0]);
    datagram[3] += 4;
    check_dropped(&datagram, DropReason::MalformedMessage);
}

#[test]
fn s9_a_binding_needs_no_credentials_and_its_integrity_check_is_not_looked_at() {
    let mut world = World::new();
    let mut client = Client::of("nobody", "nothing", "1.1.1.1:1000");
    client.nonce = b"some nonce".to_vec();
    let request = client.request(Method::Binding, &[]);
    let answer = client.exchange(&mut world, &request).unwrap();
    assert_eq!(answer.code(), 0);
    assert_eq!(answer.kinds(), [AttributeType::XOR_MAPPED_ADDRESS]);
}

#[test]
fn s14_of_an_attribute_that_comes_twice_the_first_counts() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    client.allocate(&mut world);
    let first = [&Lifetime { seconds: 1200 } as &dyn Encode, &Lifetime { seconds: 0 }];
    assert_eq!(client.ask(&mut world, Method::Refresh, &first).lifetime(), 1200);
}

#[test]
fn s14_5_what_follows_message_integrity_is_ignored() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    let mut request = client.request(Method::Refresh, &[]);
    // LIFETIME 0, put there by somebody on the way.
    request.extend([0, 0x0D, 0, 4, 0, 0, 0, 0]);
    let length = u16::try_from(request.len() - 20).unwrap();
    request[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(client.exchange(&mut world, &request).unwrap().lifetime(), 600);
}

#[test]
fn s14_3_and_s14_10_a_username_or_nonce_that_is_longer_than_can_be_is_400() {
    let long = [b'x'; 800];
    for kind in [AttributeType::USERNAME, AttributeType::NONCE, AttributeType::REALM] {
        let mut world = World::new();
        let mut client = Client::new("1.1.1.1:1000");
        client.learn_nonce(&mut world);
        // It comes first, so it is the one that counts.
        let request = client.request(Method::Allocate, &[UDP, &RawAttribute { kind, value: &long }]);
        assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 400, "{kind}");
    }
}

#[test]
fn s14_8_an_error_answer_carries_error_code_without_a_phrase() {
    let (_, answer) = ask(&[&UNKNOWN]);
    let code: ErrorCode<'_> = answer.message().get().unwrap().unwrap();
    assert_eq!(code.number(), 420);
    assert_eq!(answer.message().attributes().next().unwrap().value, [0, 0, 4, 20]);
}

#[test]
fn regression_a_message_whose_last_attribute_lacks_its_padding_is_dropped() {
    // turn-server 4.1.5 panics at these 25 bytes: one byte of USERNAME, three of padding that are not there.
    let mut datagram = binding();
    datagram.extend([0x00, 0x06, 0x00, 0x01, b'x']);
    for length in [4, 5, 8] {
        datagram[3] = length;
        check_dropped(&datagram, DropReason::MalformedMessage);
    }
}

#[test]
fn regression_a_credential_that_was_not_verified_pins_nobody_on_a_5_tuple() {
    // turn-server 4.1.5 takes the username of a spoofed packet over before it checks the integrity.
    let mut world = World::new();
    let mut alice = Client::new("1.1.1.1:1000");
    let mut spoofed = Client::of("bob", "guess", "1.1.1.1:1000");
    assert_eq!(spoofed.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
    alice.allocate(&mut world);
    assert_eq!(spoofed.refresh(&mut world, 0).code(), 401);
    assert_eq!(alice.refresh(&mut world, 600).code(), 0);
}

#[test]
fn regression_an_expired_rest_credential_is_refused() {
    // turn-server 4.1.5 never looks at the time in it.
    let mut world = World::new();
    let username = format!("{}:carol", UNIX.0);
    let mut client = Client::of(&username, &rest_password(REST_SECRET, &username), "1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
}

fn binding() -> Vec<u8> {
    message(Class::Request, Method::Binding, &[])
}

fn message(class: Class, method: Method, attributes: &[&dyn Encode]) -> Vec<u8> {
    build(class, method, TransactionId([7; 12]), false, |writer: &mut MessageWriter<'_>| {
        for attribute in attributes {
            writer.put(*attribute).unwrap();
        }
    })
}

/// A Binding request with these attributes, and its answer.
fn ask(attributes: &[&dyn Encode]) -> (Vec<u8>, Answer) {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let request = client.bare_request(Method::Binding, attributes);
    let answer = client.exchange(&mut world, &request).unwrap();
    (request, answer)
}

#[track_caller]
fn check_dropped(datagram: &[u8], reason: DropReason) {
    let mut world = World::new();
    assert_eq!(world.client_sends(client("1.1.1.1:1000"), datagram), Verdict::Dropped(reason));
    assert!(world.replies.is_empty());
    assert_eq!(world.relay.counters().dropped(reason), 1);
}
