//! A worker's data to and from relayed addresses of other workers.

use std::ops::Range;

use causeway_protocol::Now;
use causeway_turn_core::{LiveRelay, PeerAddr};

use super::Running;
use crate::io::call::SendFailure;
use crate::lane::Full;

/// What goes from one worker to another beside the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing {
    to: LiveRelay,
    from: PeerAddr,
}

impl Running {
    /// Gives what is in the arena at `payload` to the worker that it is for.
    pub(super) fn cross(&mut self, to: LiveRelay, from: PeerAddr, payload: Range<usize>) {
        let worker = usize::from(to.worker().number());
        if self.worker.between.send(worker, Crossing { to, from }, self.arena.at(payload)) == Err(Full) {
            self.outbox.count_failure(SendFailure::OtherWorkerFull);
        }
    }

    /// Takes some of what other workers gave.
    pub(super) fn read_between(&mut self, now: Now) {
        if self.worker.between.is_empty() {
            return;
        }
        if self.arena.free() == 0 {
            self.flush();
        }
        let Some(room) = self.arena.room() else { return };
        let count = self.worker.between.receive(room);
        let slot = self.arena.hold(1);
        for place in 0..count {
            if self.outbox.is_full() {
                self.flush();
            }
            let Some(crossed) = self.worker.between.crossed(place) else { break };
            let (Crossing { to, from }, payload) = (crossed.message, crossed.payload(slot));
            let verdict = self.worker.relay.on_relay(now, to, from, self.arena.at(payload.clone()));
            self.conclude(now, &verdict, &payload);
        }
        self.arena.release();
    }
}
