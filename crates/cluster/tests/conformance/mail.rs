//! Letters between nodes.

use bytes::Bytes;
use causeway_cluster::{Arrival, LONGEST_LETTER, PostError};

use crate::installation::{Installation, fresh_node, letter, sees, within};

crate::promises! {
    letters_arrive_once_and_in_order,
    letters_to_nobody_or_too_long_are_refused,
    there_is_one_mailbox,
    too_many_letters_are_given_up_and_both_sides_are_told,
}

async fn letters_arrive_once_and_in_order(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let (mut mail_a, mut mail_b) = (a.mail().unwrap(), b.mail().unwrap());
    sees(&*a, b.node(), true).await;
    sees(&*b, a.node(), true).await;
    for number in 0..1000 {
        a.post(b.node(), Bytes::from(format!("to b {number}"))).unwrap();
        b.post(a.node(), Bytes::from(format!("to a {number}"))).unwrap();
    }
    for number in 0..1000 {
        assert_eq!(letter(&mut mail_b).await, (a.node().clone(), format!("to b {number}")));
        assert_eq!(letter(&mut mail_a).await, (b.node().clone(), format!("to a {number}")));
    }
    a.post(b.node(), Bytes::from_static(b"last")).unwrap();
    assert_eq!(letter(&mut mail_b).await.1, "last");
}

async fn letters_to_nobody_or_too_long_are_refused(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    sees(&*a, b.node(), true).await;
    assert_eq!(a.post(&fresh_node(), Bytes::new()), Err(PostError::UnknownNode));
    assert_eq!(a.post(a.node(), Bytes::new()), Err(PostError::UnknownNode));
    let long = Bytes::from(vec![b'x'; LONGEST_LETTER]);
    assert_eq!(
        a.post(b.node(), [long.clone(), Bytes::from_static(b"x")].concat().into()),
        Err(PostError::TooLarge)
    );
    let mut mail = b.mail().unwrap();
    a.post(b.node(), long.clone()).unwrap();
    assert_eq!(letter(&mut mail).await.1.len(), long.len());
}

async fn there_is_one_mailbox(installation: &impl Installation) {
    let a = installation.node().await;
    let mailbox = a.mail();
    assert!(mailbox.is_some() && a.mail().is_none());
}

async fn too_many_letters_are_given_up_and_both_sides_are_told(installation: &impl Installation) {
    let (a, b) = (installation.node().await, installation.node().await);
    let (mut mail_a, mut mail_b) = (a.mail().unwrap(), b.mail().unwrap());
    sees(&*a, b.node(), true).await;
    // Nobody empties b's mailbox.
    let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
    while a.post(b.node(), chunk.clone()).is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(within(mail_a.next()).await, Some(Arrival::Reset { node: b.node().clone() }));
    let reset = Arrival::Reset { node: a.node().clone() };
    while within(mail_b.next()).await != Some(reset.clone()) {}
    a.post(b.node(), Bytes::from_static(b"anew")).unwrap();
    assert_eq!(letter(&mut mail_b).await.1, "anew");
}
