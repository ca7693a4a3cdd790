//! Redis ends, stops, or is cut off from a node.

use causeway_cluster::{
    Arrival, Bus, Claim, Cluster, ClusterError, Connection, Delivery, HandOverError, Owner, PublishError,
    Redis, RedisBus, SaveError, Standing, Topic,
};
use causeway_protocol::bus::{BusMessage, RoomQuery};
use causeway_protocol::{Epoch, NodeId};
use causeway_service::clock;

use crate::node::{
    claim, connected, count, has_term, join, join_for_long, joined, letter, mine, post, room, secret, sees,
    within,
};
use crate::proxy::Proxy;
use crate::support::RedisServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_emptied_learns_everything_anew_and_no_epoch_goes_down() {
    let before = ["lease_renewals_failed", "leases_lost", "letters_retransmitted"].map(counted);
    let mut server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let mut mail = b.mail().unwrap();
    let (kept, fresh) = (room(), room());
    let epoch = mine(&*a, &kept).await;
    post(&*a, b.node(), "before").await;
    assert_eq!(letter(&mut mail).await, "before");

    server.kill();
    connected(&*a, false).await;
    connected(&*b, false).await;
    assert_eq!(a.owner(&kept).await, Err(ClusterError::Unreachable));
    post(&*a, b.node(), "meanwhile").await;
    server.start_again();

    has_term(&*a, 2).await;
    let standings = a.reassert(vec![(kept.clone(), epoch)]).await.unwrap();
    assert_eq!(standings, [(kept.clone(), Standing::Restored)]);
    let owner = Owner { node: a.node().clone(), epoch };
    assert_eq!(claim(&*b, &kept).await, Claim::Theirs(owner), "b took nothing while a was on its way back");
    assert_eq!(letter(&mut mail).await, "meanwhile", "nothing is lost");
    assert!(mine(&*b, &fresh).await > epoch);
    assert!(mine(&*a, &kept).await > epoch);
    let after = ["lease_renewals_failed", "leases_lost", "letters_retransmitted"].map(counted);
    assert!(before.iter().zip(&after).all(|(before, after)| before < after), "{before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_a_room_while_its_owner_may_be_on_its_way_back() {
    let mut server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let (a, b) = (join_for_long(&proxy.url()).await, join_for_long(&server.url()).await);
    sees(&*b, a.node(), true).await;
    let room = room();
    mine(&*a, &room).await;
    server.kill();
    proxy.cut();
    server.start_again();
    has_term(&*b, 2).await;
    assert_eq!(b.claim(&room, Epoch::NONE).await, Err(ClusterError::Settling));
    assert!(b.nodes().borrow().contains(a.node()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_tells_that_it_has_a_gap_and_that_it_is_away() {
    let mut server = RedisServer::start();
    let redis = Redis::connect(server.url().parse().unwrap(), NodeId::random(&mut rand::rng()), clock::now);
    let mut listens = redis.listening();
    let bus = RedisBus::new(redis, &secret());
    let mut heard = bus.subscribe(Topic::RoomQueries);
    within(listens.wait_for(|listens| *listens)).await.unwrap();
    server.kill();
    within(listens.wait_for(|listens| !*listens)).await.unwrap();
    let message = BusMessage::RoomQuery(RoomQuery { room: room() });
    assert_eq!(bus.publish(message.clone()), Err(PublishError::Disconnected));
    assert_eq!(within(heard.next()).await, Some(Delivery::Message(message)), "in this process it is heard");
    server.start_again();
    assert_eq!(within(heard.next()).await, Some(Delivery::Gap));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_come_back_together_do_not_take_one_another_for_dead() {
    let mut server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let nodes = b.nodes();
    let mut seen = nodes.clone();
    seen.mark_unchanged();
    let other = a.node().clone();
    let watching = tokio::spawn(async move {
        while seen.changed().await.is_ok() {
            if !seen.borrow_and_update().contains(&other) {
                return;
            }
        }
    });
    for _ in 0..2 {
        server.kill();
        connected(&*a, false).await;
        connected(&*b, false).await;
        server.start_again();
        connected(&*a, true).await;
        connected(&*b, true).await;
    }
    has_term(&*a, 3).await;
    has_term(&*b, 3).await;
    assert!(!watching.is_finished(), "b thought that a had gone");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_to_a_node_that_was_gone_for_a_while_are_not_lost_in_silence() {
    // From here on it counts.
    let resets = counted("link_resets");
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let (a, b) = (join(&server.url()).await, join(&proxy.url()).await);
    let (mut mail_a, mut mail_b) = (a.mail().unwrap(), b.mail().unwrap());
    post(&*a, b.node(), "before").await;
    assert_eq!(letter(&mut mail_b).await, "before");
    proxy.cut();
    post(&*a, b.node(), "lost").await;
    sees(&*a, b.node(), false).await;
    assert_eq!(within(mail_a.next()).await, Some(Arrival::Reset { node: b.node().clone() }));
    proxy.heal();
    post(&*a, b.node(), "after").await;
    let reset = Arrival::Reset { node: a.node().clone() };
    let mut arrival = within(mail_b.next()).await.unwrap();
    // It may have been through when the wire was cut.
    if arrival == (Arrival::Letter { from: a.node().clone(), bytes: "lost".into() }) {
        arrival = within(mail_b.next()).await.unwrap();
    }
    assert_eq!(arrival, reset);
    // Both sides may have forgotten the link, and each says so.
    while arrival == reset {
        arrival = within(mail_b.next()).await.unwrap();
    }
    assert_eq!(arrival, Arrival::Letter { from: a.node().clone(), bytes: "after".into() });
    assert!(counted("link_resets") > resets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_loses_its_rooms_and_is_fenced() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let (a, b) = (join(&proxy.url()).await, join(&server.url()).await);
    sees(&*b, a.node(), true).await;
    let room = room();
    let old = mine(&*a, &room).await;
    proxy.cut();
    connected(&*a, false).await;
    assert_eq!(a.owner(&room).await, Err(ClusterError::Unreachable));
    sees(&*b, a.node(), false).await;
    // By then a has been told by its own clock that it owns nothing towards others.
    assert!(!a.lease().borrow().holds(clock::now().moment));
    let new = mine(&*b, &room).await;
    assert!(new > old);

    proxy.heal();
    has_term(&*a, 2).await;
    let owner = Owner { node: b.node().clone(), epoch: new };
    let standings = a.reassert(vec![(room.clone(), old)]).await.unwrap();
    assert_eq!(standings, [(room.clone(), Standing::Lost(Some(owner.clone())))]);
    let expires_at = clock::now().unix.plus(60);
    assert_eq!(a.save(&room, old, "late".into(), expires_at).await, Err(SaveError::Fenced(Some(owner))));
    sees(&*b, a.node(), true).await;
}

/// It was away for longer than its lease, and goes on as if nothing had happened, without asking how its rooms stand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_neither_gets_its_rooms_back_nor_overwrites_them() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let (a, b) = (join(&proxy.url()).await, join(&server.url()).await);
    sees(&*b, a.node(), true).await;
    let room = room();
    let old = mine(&*a, &room).await;
    a.save(&room, old, "old".into(), clock::now().unix.plus(60)).await.unwrap();
    proxy.cut();
    sees(&*b, a.node(), false).await;
    let new = mine(&*b, &room).await;
    connected(&*a, false).await;
    proxy.heal();
    connected(&*a, true).await;
    let given = a.hand_over(&room, old, b.node()).await;
    assert!(matches!(given, Err(HandOverError::NotOwner(Some(_)))), "{given:?}");
    let late = a.save(&room, old, "late".into(), clock::now().unix.plus(60)).await;
    assert!(matches!(late, Err(SaveError::Fenced(_))), "{late:?}");
    a.release(&room, old).await.unwrap();
    assert_eq!(b.owner(&room).await, Ok(Some(Owner { node: b.node().clone(), epoch: new })));
    assert_eq!(b.load(&room).await.unwrap().as_deref(), Some(&b"old"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_answers_nobody_is_noticed_and_nothing_hangs() {
    let server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let mut mail = b.mail().unwrap();
    server.signal("STOP");
    connected(&*a, false).await;
    let asked = within(a.owner(&room())).await;
    assert!(matches!(asked, Err(ClusterError::TimedOut | ClusterError::Unreachable)), "{asked:?}");
    server.signal("CONT");
    connected(&*a, true).await;
    connected(&*b, true).await;
    post(&*a, b.node(), "well again").await;
    assert_eq!(letter(&mut mail).await, "well again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_redis_is_waited_for() {
    let server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let mut mail = b.mail().unwrap();
    server.ask(&["CLIENT", "PAUSE", "1000", "ALL"]);
    for number in 0..50 {
        post(&*a, b.node(), &number.to_string()).await;
    }
    for number in 0..50 {
        assert_eq!(letter(&mut mail).await, number.to_string());
    }
    assert_eq!(*a.connection().borrow(), Connection::Connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_survive_that_subscriptions_are_killed() {
    let server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let mut mail = b.mail().unwrap();
    for round in 0..5 {
        for number in 0..20 {
            post(&*a, b.node(), &format!("{round} {number}")).await;
        }
        server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        for number in 20..40 {
            post(&*a, b.node(), &format!("{round} {number}")).await;
        }
        for number in 0..40 {
            assert_eq!(letter(&mut mail).await, format!("{round} {number}"));
        }
    }
}

fn counted(name: &str) -> u64 {
    count(&format!("causeway_cluster_{name}_total"))
}
