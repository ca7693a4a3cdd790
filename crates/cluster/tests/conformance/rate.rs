//! Buckets that all nodes share.

use std::num::NonZeroU32;
use std::time::Duration;

use causeway_cluster::{SharedRate, Taken};

use crate::installation::{Installation, fresh_room};

crate::promises! {
    a_bucket_is_the_same_for_all_nodes,
    a_bucket_fills_again,
}

async fn a_bucket_is_the_same_for_all_nodes(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let rate = SharedRate { burst: NonZeroU32::new(3).unwrap(), refill: Duration::from_secs(600) };
    let (bucket, other) = (fresh_room(), fresh_room());
    for node in [&a, &b, &a] {
        assert_eq!(node.take(bucket.as_str(), rate).await, Ok(Taken::Yes));
    }
    for node in [&a, &b] {
        let Ok(Taken::No { retry_after }) = node.take(bucket.as_str(), rate).await else {
            panic!("it is empty")
        };
        assert!(
            (rate.refill - Duration::from_secs(30)..=rate.refill).contains(&retry_after),
            "{retry_after:?}"
        );
    }
    assert_eq!(b.take(other.as_str(), rate).await, Ok(Taken::Yes));
}

async fn a_bucket_fills_again(installation: &impl Installation) {
    let a = installation.node().await;
    let rate = SharedRate { burst: NonZeroU32::MIN, refill: Duration::from_millis(50) };
    let bucket = fresh_room();
    let (mut taken, mut waited) = (0, 0);
    while taken < 3 {
        match a.take(bucket.as_str(), rate).await.unwrap() {
            Taken::Yes => taken += 1,
            Taken::No { retry_after } => {
                assert!(retry_after <= rate.refill, "{retry_after:?}");
                waited += 1;
                tokio::time::sleep(retry_after).await;
            }
        }
    }
    assert!((1..=10).contains(&waited), "who waits for as long as is said waits seldom twice: {waited}");
}
