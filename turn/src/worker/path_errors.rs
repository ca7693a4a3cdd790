//! A worker's ICMP errors: from a relay socket's error queue to the relay (RFC 8656 §11.5).

use causeway_protocol::Now;
use causeway_turn_core::Verdict;

use super::{METRICS_EVERY, Running};
use crate::io::path_errors::path_error;

/// Errors of one turn. They come one for each datagram to a peer that is gone, and are less urgent than data.
const BUDGET: usize = 128;
/// Errors of one relay socket before the next one's.
const SOCKET_BUDGET: usize = 16;

impl Running {
    /// Reads what relay sockets have in their error queues. The kernel bounds each by the socket's receive buffer, which
    /// it shares with data: so they are read even if nobody may be told.
    pub(super) fn read_path_errors(&mut self, now: Now) {
        for _ in 0..BUDGET / SOCKET_BUDGET {
            let Some(slot) = self.path_errors.pop() else { return };
            let Ok(slot) = u32::try_from(slot) else { continue };
            if self.read_errors_of(now, slot) == SOCKET_BUDGET {
                self.path_errors.push(slot as usize);
            }
        }
    }

    /// How many there were, up to the socket's budget.
    fn read_errors_of(&mut self, now: Now, slot: u32) -> usize {
        let mut last = None;
        for read in 0..SOCKET_BUDGET {
            // Closed since it was listed.
            let Some(relay) = self.worker.sockets.relay(slot) else { return read };
            let Ok(Some(error)) = path_error(&relay.socket, &mut self.receiver) else { return read };
            // A second attempt to send has the error once more.
            if last.replace(error) == Some(error) {
                continue;
            }
            self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
            let (on, to) = (relay.port, relay.peer_of(&error));
            let verdict = self.worker.relay.on_icmp(now, on, to, error.icmp_type, error.icmp_code, error.mtu);
            match verdict {
                Verdict::Handled => self.perform(now),
                Verdict::ToPeer { .. }
                | Verdict::ToRelay { .. }
                | Verdict::ToClient { .. }
                | Verdict::Dropped(_) => {}
            }
        }
        SOCKET_BUDGET
    }
}
