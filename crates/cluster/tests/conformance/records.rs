//! What is kept of rooms.

use bytes::Bytes;
use causeway_cluster::{Owner, SaveError};
use causeway_protocol::{Epoch, UnixSeconds};
use causeway_service::clock;

use crate::installation::{Installation, fresh_room, sees};
use crate::ownership::mine;

crate::promises! {
    what_is_saved_is_loaded_on_every_node_until_it_is_removed,
    who_lost_a_room_writes_nothing_more_about_it,
    what_has_expired_is_gone,
}

async fn what_is_saved_is_loaded_on_every_node_until_it_is_removed(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let room = fresh_room();
    assert_eq!(a.load(&room).await, Ok(None));
    let epoch = mine(&*a, &room).await;
    for text in ["one", "two\0\u{ff}"] {
        a.save(&room, epoch, text.into(), soon()).await.unwrap();
        assert_eq!(b.load(&room).await, Ok(Some(Bytes::from(text))));
    }
    a.remove(&room, epoch).await.unwrap();
    assert_eq!(b.load(&room).await, Ok(None));
}

async fn who_lost_a_room_writes_nothing_more_about_it(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    sees(&*a, b.node(), true).await;
    let room = fresh_room();
    let old = mine(&*a, &room).await;
    a.save(&room, old, "old".into(), soon()).await.unwrap();
    let epoch = a.hand_over(&room, old, b.node()).await.unwrap();
    let fenced = Err(SaveError::Fenced(Some(Owner { node: b.node().clone(), epoch })));
    assert_eq!(a.save(&room, old, "late".into(), soon()).await, fenced);
    assert_eq!(a.remove(&room, old).await, fenced);
    b.save(&room, epoch, "new".into(), soon()).await.unwrap();
    b.release(&room, epoch).await.unwrap();
    assert_eq!(a.save(&room, old, "later".into(), soon()).await, Err(SaveError::Fenced(None)));
    b.remove(&room, epoch).await.unwrap();
    assert_eq!(a.save(&room, old, "at last".into(), soon()).await, Err(SaveError::Fenced(None)));
    assert_eq!(b.load(&room).await, Ok(None));
    assert!(mine(&*a, &room).await > Epoch(epoch.0));
}

async fn what_has_expired_is_gone(installation: &impl Installation) {
    let a = installation.node().await;
    let room = fresh_room();
    let epoch = mine(&*a, &room).await;
    a.save(&room, epoch, "old".into(), UnixSeconds(clock::now().unix.0 - 1)).await.unwrap();
    assert_eq!(a.load(&room).await, Ok(None));
}

fn soon() -> UnixSeconds {
    clock::now().unix.plus(600)
}
