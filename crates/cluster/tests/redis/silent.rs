//! A subscription that looks well and brings nothing; and what silence costs.

use causeway_cluster::Cluster;

use crate::node::{count, join_for_long, joined, letter, post, sees, within};
use crate::proxy::Proxy;
use crate::support::RedisServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_dead_is_found_and_made_anew() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    // Before anything is counted.
    assert_eq!(count("causeway_cluster_subscriptions_dead_total"), 0);
    let (a, b) = (join_for_long(&server.url()).await, join_for_long(&proxy.url()).await);
    sees(&*a, b.node(), true).await;
    let mut mail = b.mail().unwrap();
    post(&*a, b.node(), "heard").await;
    assert_eq!(letter(&mut mail).await, "heard");
    let mut opened = proxy.opened();
    let before = *opened.borrow();
    proxy.deafen();
    post(&*a, b.node(), "said to a dead line").await;
    // Commands notice by their timeout, the subscription by the probe that does not come back.
    within(opened.wait_for(|opened| *opened >= before + 2)).await.unwrap();
    assert_eq!(letter(&mut mail).await, "said to a dead line");
    assert!(count("causeway_cluster_subscriptions_dead_total") >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_say_nothing_publish_nothing() {
    let server = RedisServer::start();
    let [a, b] = joined(&server.url()).await;
    let mut mail = b.mail().unwrap();
    post(&*a, b.node(), "hello").await;
    assert_eq!(letter(&mut mail).await, "hello");
    // Its acknowledgment.
    let mut before = server.calls("spublish");
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let calls = server.calls("spublish");
        if calls == before {
            break;
        }
        before = calls;
    }
    let renewals = server.calls("evalsha");
    while server.calls("evalsha") < renewals + 6 {
        tokio::task::yield_now().await;
    }
    assert!(server.calls("spublish") - before <= 2, "probes at most, and only after five seconds of silence");
}
