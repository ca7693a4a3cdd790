//! Relays are told where our servers see a room's peers.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_cluster::{Bus, Delivery, Subscription, Topic};
use causeway_protocol::bus::{AddressOrigin, BusMessage, RoomAddresses, RoomQuery};
use causeway_protocol::message::ClientMessage;
use causeway_protocol::rest::CreateRoom;
use causeway_signal::SignalSettings;
use common::{TestServer, serve, small, within};

#[actix_web::test]
async fn relays_hear_where_a_peer_is_when_it_comes_when_they_ask_and_when_it_goes() {
    let server = serve(small());
    let mut told = server.bus.subscribe(Topic::RoomAddresses);
    let room = server.room(&CreateRoom::default()).await.room;
    let mut alice = server.member(&room, "Alice").await;
    let here = addresses(&mut told).await;
    assert_eq!((here.room.clone(), here.peer.clone()), (room.clone(), alice.peer()));
    assert_eq!((here.origin, &here.relayed), (AddressOrigin::Signal, &vec![]));
    assert_eq!(here.observed, [std::net::IpAddr::from([127, 0, 0, 1])]);

    server.bus.publish(BusMessage::RoomQuery(RoomQuery { room })).unwrap();
    assert_eq!(addresses(&mut told).await, here);

    alice.send(&ClientMessage::Leave {}).await;
    alice.end().await;
    assert_eq!(addresses(&mut told).await, RoomAddresses { observed: vec![], ..here });
    server.stop().await;
}

#[actix_web::test]
async fn a_strangers_header_says_nothing_about_where_it_is_and_a_trusted_proxys_does() {
    let forwarded = "203.0.113.7";
    let server = serve(small());
    assert_eq!(seen_at(&server, forwarded).await, "127.0.0.1");
    server.stop().await;
    let server = serve(SignalSettings { trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..small() });
    assert_eq!(seen_at(&server, forwarded).await, forwarded);
    server.stop().await;
}

async fn seen_at(server: &TestServer, forwarded: &str) -> String {
    let mut told = server.bus.subscribe(Topic::RoomAddresses);
    let room = server.room(&CreateRoom::default()).await.room;
    let token = server.join(&room, &Default::default()).await.unwrap().token;
    let protocols = format!("causeway.v1, causeway.token.{token}");
    let headers = [("sec-websocket-protocol", protocols.as_str()), ("x-forwarded-for", forwarded)];
    let _member = server.socket(&headers).await.unwrap();
    addresses(&mut told).await.observed[0].to_string()
}

async fn addresses(told: &mut Subscription) -> RoomAddresses {
    match within(told.next()).await {
        Some(Delivery::Message(BusMessage::RoomAddresses(addresses))) => addresses,
        other => panic!("{other:?}"),
    }
}
