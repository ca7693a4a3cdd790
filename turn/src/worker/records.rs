//! A worker's DTLS clients: from the record that came in to the relay, and their sessions' timers and ends.

use std::net::SocketAddr;
use std::ops::Range;

use causeway_protocol::Now;
use causeway_turn_core::{ClientAddr, ListenerId, Verdict, Via};

use super::{METRICS_EVERY, Running, Worker};

impl Running {
    /// Reads a datagram of records. Its plaintext comes to lie in the arena's room.
    pub(super) fn read_record(
        &mut self,
        now: Now,
        source: SocketAddr,
        listener: ListenerId,
        datagram: Range<usize>,
    ) {
        self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
        self.make_room();
        let Some((datagram, room)) = self.arena.at_and_room(datagram) else { return };
        let Worker { sockets, dtls, .. } = &mut self.worker;
        let outbox = &mut self.outbox;
        // Where datagrams go, whichever session it is.
        let to = ClientAddr { source, listener, via: Via::Udp };
        let sent = |record: &[u8]| outbox.send_record(sockets, to, record);
        if let Some(client) = dtls.receive(now.moment, source, listener, datagram, room, sent) {
            // One datagram brings one message, or several if the client put records together.
            let kept = self.arena.keep(dtls.plaintext_end());
            let mut index = 0;
            while let Some(within) = self.worker.dtls.plaintext(index) {
                if self.outbox.is_full() {
                    self.flush();
                }
                let at = kept.start + within.start..kept.start + within.end;
                let verdict = self.worker.relay.on_client(now, client, self.arena.at(at.clone()));
                match verdict {
                    Verdict::ToPeer { .. } | Verdict::ToRelay { .. } | Verdict::ToClient { .. } => {
                        self.plan(&verdict, &at);
                    }
                    Verdict::Handled => self.perform(now),
                    Verdict::Dropped(_) => {}
                }
                index += 1;
            }
            if index > 1 {
                // The arena may have been cleared between two of them.
                self.flush();
            }
        }
        self.tell_ended(now);
    }

    /// Fires the timers of sessions, and tells the relay whose session is over.
    pub(super) fn tend_sessions(&mut self, now: Now) {
        let Worker { sockets, dtls, relay, .. } = &mut self.worker;
        if dtls.poll_timeout().is_some_and(|due| due <= now.moment) {
            let outbox = &mut self.outbox;
            dtls.on_timeout(
                now.moment,
                |client| relay.serves(client),
                |client, record| outbox.send_record(sockets, client, record),
            );
            self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
        }
        self.tell_ended(now);
    }

    /// Says goodbye to all clients over DTLS.
    pub(super) fn close_sessions(&mut self) {
        let Worker { sockets, dtls, .. } = &mut self.worker;
        let outbox = &mut self.outbox;
        dtls.close_all(|client, record| outbox.send_record(sockets, client, record));
    }

    fn tell_ended(&mut self, now: Now) {
        while let Some(client) = self.worker.dtls.pop_ended() {
            self.worker.relay.on_session_closed(client);
            self.perform(now);
        }
    }
}
