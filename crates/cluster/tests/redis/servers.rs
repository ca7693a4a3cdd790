//! Redis as more than one server: Sentinels that fail over, and a Redis Cluster.

use std::process::Command;

use causeway_cluster::{Cluster, Standing};

use crate::node::{connected, has_term, joined, letter, mine, post, room, within};
use crate::support::RedisServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinel_is_followed() {
    let mut master = RedisServer::start();
    let port = master.address().port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
    becomes(&master, &["INFO", "replication"], "state=online").await;
    let sentinel = RedisServer::sentinel(&master);
    becomes(&sentinel, &["SENTINEL", "REPLICAS", "rooms"], "slave").await;
    let [a, b] = joined(&format!("redis+sentinel://{}/rooms", sentinel.address())).await;
    let mut mail = b.mail().unwrap();
    let room = room();
    let epoch = mine(&*a, &room).await;
    post(&*a, b.node(), "before").await;
    assert_eq!(letter(&mut mail).await, "before");

    master.kill();
    connected(&*a, false).await;
    post(&*a, b.node(), "during").await;
    becomes(&replica, &["ROLE"], "master").await;
    connected(&*a, true).await;
    connected(&*b, true).await;
    assert_eq!(letter(&mut mail).await, "during");
    // The lease may have outlived the failover, or not.
    has_term(&*a, 1).await;
    let standings = a.reassert(vec![(room.clone(), epoch)]).await.unwrap();
    assert!(matches!(standings[0].1, Standing::Kept | Standing::Restored), "{standings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_of_three_joins_nodes() {
    let servers: Vec<_> = (0..3).map(|_| RedisServer::start_with(&["--cluster-enabled", "yes"])).collect();
    let addresses: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(&addresses)
        .args(["--cluster-replicas", "0", "--cluster-yes"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    for server in &servers {
        becomes(server, &["CLUSTER", "INFO"], "cluster_state:ok").await;
    }
    let [a, b] = joined(&format!("redis+cluster://{}", addresses.join(","))).await;
    let mut mail = b.mail().unwrap();
    // Rooms in all slots.
    for number in 0..20 {
        let room = room();
        let epoch = mine(&*a, &room).await;
        let expires_at = causeway_service::clock::now().unix.plus(60);
        a.save(&room, epoch, "record".into(), expires_at).await.unwrap();
        assert_eq!(b.load(&room).await.unwrap().as_deref(), Some(&b"record"[..]));
        let theirs = a.hand_over(&room, epoch, b.node()).await.unwrap();
        assert_eq!(b.owner(&room).await.unwrap().unwrap().epoch, theirs);
        post(&*a, b.node(), &number.to_string()).await;
        assert_eq!(letter(&mut mail).await, number.to_string());
    }
}

/// Asks until the answer has `part`.
async fn becomes(server: &RedisServer, command: &[&str], part: &str) {
    within(async {
        while !server.ask(command).contains(part) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}
