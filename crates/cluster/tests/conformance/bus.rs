//! Topics that everybody hears.

use std::sync::Arc;

use causeway_cluster::{Bus, Delivery, MemoryBus, Redis, RedisBus, Topic};
use causeway_protocol::bus::{BusMessage, RelayOrder, Revocation, RoomQuery};
use causeway_protocol::secret::Secret;
use causeway_protocol::{RoomId, UnixSeconds};
use causeway_service::clock;

use crate::installation::{fresh_node, fresh_room, within};
use crate::support::RedisServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_everybody_hears_the_topics_asked_for_in_order() {
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    within(everybody_hears_the_topics_asked_for_in_order(&bus, &Arc::clone(&bus))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_everybody_hears_the_topics_asked_for_in_order() {
    let server = RedisServer::start();
    let (one, other) = (process(&server).await, process(&server).await);
    within(everybody_hears_the_topics_asked_for_in_order(&one, &other)).await;
}

async fn everybody_hears_the_topics_asked_for_in_order(one: &Arc<dyn Bus>, other: &Arc<dyn Bus>) {
    let (mut own, mut remote) = (one.subscribe(Topic::RoomQueries), other.subscribe(Topic::RoomQueries));
    let mut orders = other.subscribe(Topic::RelayOrders);
    // Until the subscriptions of the other process are there, nothing arrives.
    let ready = fresh_room();
    let mut asks = tokio::time::interval(std::time::Duration::from_millis(20));
    loop {
        tokio::select! {
            _ = asks.tick() => {
                one.publish(query(&ready)).unwrap();
                one.publish(order(&ready)).unwrap();
            }
            delivery = remote.next() => {
                assert_eq!(delivery, Some(Delivery::Message(query(&ready))));
                break;
            }
        }
    }
    let rooms: Vec<RoomId> = (0..500).map(|_| fresh_room()).collect();
    for room in &rooms {
        one.publish(query(room)).unwrap();
    }
    one.publish(order(&rooms[0])).unwrap();
    for subscription in [&mut own, &mut remote] {
        let mut heard = Vec::new();
        while heard.len() < rooms.len() {
            let Some(Delivery::Message(message)) = subscription.next().await else {
                panic!("nothing is lost")
            };
            if message != query(&ready) {
                heard.push(message);
            }
        }
        assert!(heard.iter().zip(&rooms).all(|(heard, room)| *heard == query(room)));
    }
    loop {
        let Some(Delivery::Message(message)) = orders.next().await else { panic!("nothing is lost") };
        if message != order(&ready) {
            assert_eq!(message, order(&rooms[0]));
            break;
        }
    }
}

async fn process(server: &RedisServer) -> Arc<dyn Bus> {
    let redis = Redis::connect(server.url().parse().unwrap(), fresh_node(), clock::now);
    let mut listening = redis.listening();
    within(listening.wait_for(|listening| *listening)).await.unwrap();
    RedisBus::new(redis, &Secret::from_bytes([7; 32]))
}

fn query(room: &RoomId) -> BusMessage {
    BusMessage::RoomQuery(RoomQuery { room: room.clone() })
}

fn order(room: &RoomId) -> BusMessage {
    let revoke = Revocation::Room { room: room.clone() };
    BusMessage::RelayOrder(RelayOrder { revoke, until: UnixSeconds(1_800_000_000) })
}
