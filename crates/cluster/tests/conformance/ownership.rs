//! Who owns a room.

use causeway_cluster::{Claim, Cluster, HandOverError, Owner, Standing};
use causeway_protocol::{Epoch, RoomId};

use crate::installation::{Installation, fresh_node, fresh_room, sees};

crate::promises! {
    of_many_that_claim_a_room_one_gets_it,
    a_room_is_taken_from_the_dead_and_from_nobody_else,
    an_epoch_is_higher_than_every_earlier_one_and_than_what_is_known,
    a_room_is_handed_over_by_its_owner_only_and_to_the_living_only,
    a_released_room_is_free_and_its_epochs_go_on,
    rooms_that_are_reasserted_are_kept_or_lost_or_restored,
}

async fn of_many_that_claim_a_room_one_gets_it(installation: &impl Installation) {
    let nodes = [installation.node().await, installation.node().await, installation.node().await];
    for _ in 0..20 {
        let room = fresh_room();
        let claims = nodes.clone().map(|node| {
            let room = room.clone();
            tokio::spawn(async move { (node.node().clone(), node.claim(&room, Epoch::NONE).await.unwrap()) })
        });
        let (mut winners, mut named) = (Vec::new(), Vec::new());
        for claim in claims {
            match claim.await.unwrap() {
                (node, Claim::Mine(epoch)) => winners.push(Owner { node, epoch }),
                (_, Claim::Theirs(owner)) => named.push(owner),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert!(named.iter().all(|owner| *owner == winners[0]), "{named:?} {winners:?}");
        assert_eq!(nodes[0].owner(&room).await, Ok(winners.pop()));
    }
}

async fn a_room_is_taken_from_the_dead_and_from_nobody_else(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let room = fresh_room();
    let first = mine(&*a, &room).await;
    let owner = Owner { node: a.node().clone(), epoch: first };
    assert_eq!(b.claim(&room, Epoch::NONE).await, Ok(Claim::Theirs(owner.clone())));
    assert_eq!(b.owner(&room).await, Ok(Some(owner)));
    let gone = a.node().clone();
    installation.kill(a).await;
    sees(&*b, &gone, false).await;
    assert_eq!(b.owner(&room).await, Ok(None));
    let second = mine(&*b, &room).await;
    assert!(second > first);
}

async fn an_epoch_is_higher_than_every_earlier_one_and_than_what_is_known(installation: &impl Installation) {
    let a = installation.node().await;
    let room = fresh_room();
    let first = mine(&*a, &room).await;
    let again = mine(&*a, &room).await;
    assert!(again > first, "its own room is its own anew");
    let known = Epoch(again.0 + 1_000_000_000);
    let Ok(Claim::Mine(third)) = a.claim(&room, known).await else { panic!("nobody else wants it") };
    assert!(third > known);
}

async fn a_room_is_handed_over_by_its_owner_only_and_to_the_living_only(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    sees(&*a, b.node(), true).await;
    sees(&*b, a.node(), true).await;
    let room = fresh_room();
    let first = mine(&*a, &room).await;
    let owner = Owner { node: a.node().clone(), epoch: first };
    let refused = Err(HandOverError::NotOwner(Some(owner)));
    assert_eq!(b.hand_over(&room, first, a.node()).await, refused);
    assert_eq!(a.hand_over(&room, Epoch(first.0 - 1), b.node()).await, refused);
    assert_eq!(a.hand_over(&room, first, &fresh_node()).await, Err(HandOverError::UnknownNode));
    let second = a.hand_over(&room, first, b.node()).await.unwrap();
    assert!(second > first);
    assert_eq!(a.owner(&room).await, Ok(Some(Owner { node: b.node().clone(), epoch: second })));
}

async fn a_released_room_is_free_and_its_epochs_go_on(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let room = fresh_room();
    let first = mine(&*a, &room).await;
    b.release(&room, first).await.unwrap();
    assert!(a.owner(&room).await.unwrap().is_some(), "it was not b's to release");
    a.release(&room, first).await.unwrap();
    assert_eq!(a.owner(&room).await, Ok(None));
    assert!(mine(&*b, &room).await > first);
}

async fn rooms_that_are_reasserted_are_kept_or_lost_or_restored(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let [kept, moved, released, forgotten] = [fresh_room(), fresh_room(), fresh_room(), fresh_room()];
    sees(&*a, b.node(), true).await;
    let epochs = [mine(&*a, &kept).await, mine(&*a, &moved).await, mine(&*a, &released).await];
    let theirs = a.hand_over(&moved, epochs[1], b.node()).await.unwrap();
    a.release(&released, epochs[2]).await.unwrap();
    let all = vec![
        (kept.clone(), epochs[0]),
        (moved.clone(), epochs[1]),
        (released.clone(), epochs[2]),
        (forgotten.clone(), Epoch(7)),
    ];
    let owner = Owner { node: b.node().clone(), epoch: theirs };
    let standings = vec![
        (kept.clone(), Standing::Kept),
        (moved, Standing::Lost(Some(owner))),
        (released, Standing::Lost(None)),
        (forgotten.clone(), Standing::Restored),
    ];
    assert_eq!(a.reassert(all).await, Ok(standings));
    for (room, epoch) in [(kept, epochs[0]), (forgotten, Epoch(7))] {
        assert_eq!(b.owner(&room).await, Ok(Some(Owner { node: a.node().clone(), epoch })));
    }
}

/// Claims a room that is free.
pub async fn mine(node: &dyn Cluster, room: &RoomId) -> Epoch {
    match node.claim(room, Epoch::NONE).await {
        Ok(Claim::Mine(epoch)) => epoch,
        other => panic!("{other:?}"),
    }
}
