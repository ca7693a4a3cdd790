//! What is promised of one process.

use crate::fault::Fault;
use crate::scene::Scene;
use crate::{run, seed};

#[test]
fn members_of_one_process_hear_everything_once_and_in_order() {
    run(async {
        let scene = Scene::alone(&[3, 4, 5], seed()).await;
        scene.hears(200).await;
        let outcome = scene.ends_well().await;
        assert_eq!((outcome.tally.stays, outcome.tally.resyncs, outcome.tally.excused), (12, 0, 0));
    });
}

#[test]
fn sockets_that_break_or_go_silent_lose_nothing() {
    run(async {
        let scene = Scene::alone(&[3, 4, 5], seed()).await;
        for percent in [30, 100, 60] {
            scene.strike(Fault::BreakSockets { percent }).await;
            scene.recovers().await;
        }
        let outcome = scene.ends_well().await;
        assert_eq!((outcome.tally.stays, outcome.tally.resyncs, outcome.tally.excused), (12, 0, 0));
        assert!(outcome.tally.resumed >= 12, "{}", outcome.tally.resumed);
    });
}
