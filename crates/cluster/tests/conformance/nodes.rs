//! Who is there.

use causeway_cluster::{Connection, NodeFacts};
use causeway_service::clock;

use crate::installation::{Installation, sees, within};

crate::promises! {
    nodes_find_one_another_and_notice_who_goes,
    what_a_node_announces_reaches_the_others,
    a_node_has_a_lease_and_a_connection,
}

async fn nodes_find_one_another_and_notice_who_goes(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    for (one, other) in [(&a, &b), (&b, &a), (&a, &a)] {
        sees(&**one, other.node(), true).await;
    }
    let gone = b.node().clone();
    installation.kill(b).await;
    sees(&*a, &gone, false).await;
    sees(&*a, a.node(), true).await;
}

async fn what_a_node_announces_reaches_the_others(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let facts = NodeFacts { url: Some("https://b.example".to_owned()), draining: true, rooms: 7 };
    b.announce(facts.clone());
    let mut nodes = a.nodes();
    within(nodes.wait_for(|nodes| nodes.get(b.node()) == Some(&facts))).await.unwrap();
    assert_eq!(nodes.borrow().propose(&"kitchen".parse().unwrap()), Some(a.node()));
}

async fn a_node_has_a_lease_and_a_connection(installation: &impl Installation) {
    let a = installation.node().await;
    assert!(a.lease().borrow().holds(clock::now().moment));
    assert_eq!(*a.connection().borrow(), Connection::Connected);
}
