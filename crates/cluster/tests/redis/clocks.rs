//! Nodes whose clocks are half a minute apart.

use std::time::Duration;

use causeway_cluster::{Bus, Claim, Cluster, Delivery, Owner, Redis, RedisBus, Topic};
use causeway_protocol::bus::{BusMessage, RoomQuery};
use causeway_protocol::{NodeId, Now, UnixSeconds};
use causeway_service::clock;

use crate::node::{connected, join_with_clock, letter, mine, post, room, secret, sees, within};
use crate::support::RedisServer;

fn ahead() -> Now {
    Now { unix: clock::now().unix.plus(30), ..clock::now() }
}

fn behind() -> Now {
    Now { unix: UnixSeconds(clock::now().unix.0 - 30), ..clock::now() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_leases_and_letters_do_not_depend_on_them() {
    let server = RedisServer::start();
    let (a, b) = (
        join_with_clock(&server.url(), ahead).await,
        join_with_clock(&server.url(), || Now {
            moment: clock::now().moment.plus(Duration::from_secs(30)),
            ..behind()
        })
        .await,
    );
    sees(&*a, b.node(), true).await;
    sees(&*b, a.node(), true).await;
    let room = room();
    let first = mine(&*a, &room).await;
    let owner = Owner { node: a.node().clone(), epoch: first };
    assert_eq!(b.claim(&room, causeway_protocol::Epoch::NONE).await, Ok(Claim::Theirs(owner)));
    let second = a.hand_over(&room, first, b.node()).await.unwrap();
    assert!(second > first);
    let mut mail = b.mail().unwrap();
    post(&*a, b.node(), "hello").await;
    assert_eq!(letter(&mut mail).await, "hello");
    let gone = b.node().clone();
    drop(mail);
    drop(b);
    sees(&*a, &gone, false).await;
    assert!(mine(&*a, &room).await > second);
    connected(&*a, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_works_across_them() {
    let server = RedisServer::start();
    let bus = |clock: fn() -> Now| {
        let redis = Redis::connect(server.url().parse().unwrap(), NodeId::random(&mut rand::rng()), clock);
        (redis.listening(), RedisBus::new(redis, &secret()))
    };
    let ((mut one_listens, one), (mut other_listens, other)) = (bus(ahead), bus(behind));
    let mut heard = other.subscribe(Topic::RoomQueries);
    for listens in [&mut one_listens, &mut other_listens] {
        within(listens.wait_for(|listens| *listens)).await.unwrap();
    }
    let message = BusMessage::RoomQuery(RoomQuery { room: room() });
    within(async {
        loop {
            one.publish(message.clone()).unwrap();
            let next = tokio::time::timeout(Duration::from_millis(100), heard.next()).await;
            if let Ok(delivery) = next {
                assert_eq!(delivery, Some(Delivery::Message(message.clone())));
                return;
            }
        }
    })
    .await;
}
