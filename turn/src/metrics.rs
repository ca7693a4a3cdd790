//! From a worker's plain counters to the process's metrics, about once a second.
//!
//! The names are promises to operators. Labels are closed sets: no user, room or address.

use causeway_turn_core::{AnswerCode, Between, Counters, DropReason, Forbidden, Quota, RequestMethod};
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::dtls::counts::{DtlsCounts, Ending, Refusal};
use crate::handover::HandoverCounts;
use crate::io::call::{SendFailure, SendFailures};
use crate::io::offloads::IoCounts;
use crate::stream::{self, StreamCounters};

const ALLOCATIONS: &str = "causeway_turn_allocations";
const RELAYED_BYTES: &str = "causeway_turn_relayed_bytes_total";
const RELAYED_PACKETS: &str = "causeway_turn_relayed_packets_total";
const RELAY_TO_RELAY: &str = "causeway_turn_relay_to_relay_packets_total";
const DROPPED: &str = "causeway_turn_dropped_total";
const REQUESTS: &str = "causeway_turn_requests_total";
const ANSWERS: &str = "causeway_turn_answers_total";
const QUOTA_REFUSALS: &str = "causeway_turn_quota_refusals_total";
const EVENTS_LOST: &str = "causeway_turn_events_lost_total";
const DENIED_PEERS: &str = "causeway_turn_denied_peers_total";
const PROXY_REFUSED: &str = "causeway_turn_proxy_datagrams_refused_total";
const SEND_FAILURES: &str = "causeway_turn_send_failures_total";
const DATAGRAMS: &str = "causeway_turn_datagrams_total";
const CALLS: &str = "causeway_turn_socket_calls_total";
const TRAINS_REFUSED: &str = "causeway_turn_trains_refused_total";
const PEER_CONNECTIONS: &str = "causeway_turn_peer_connections";
const HANDED_OVER: &str = "causeway_turn_handed_over_total";
const DTLS_SESSIONS: &str = "causeway_turn_dtls_sessions";
const DTLS_ENDED: &str = "causeway_turn_dtls_ended_total";
const DTLS_REFUSED: &str = "causeway_turn_dtls_refused_total";

/// What each metric means, for `# HELP`.
pub(crate) fn describe() {
    describe_gauge!(ALLOCATIONS, "Allocations alive");
    describe_counter!(RELAYED_BYTES, "Application bytes relayed, without headers");
    describe_counter!(RELAYED_PACKETS, "Application datagrams relayed");
    describe_counter!(
        RELAY_TO_RELAY,
        "Datagrams between two relayed addresses of this node that needed no kernel, by way"
    );
    describe_counter!(DROPPED, "Datagrams refused, by reason");
    describe_counter!(REQUESTS, "STUN and TURN requests received, by method");
    describe_counter!(ANSWERS, "STUN and TURN requests answered, by error code or success");
    describe_counter!(QUOTA_REFUSALS, "Allocate requests refused by a limit, by which");
    describe_counter!(EVENTS_LOST, "Reports of workers that the control plane was too slow to take");
    describe_counter!(DENIED_PEERS, "Peers that clients were denied, by reason");
    describe_counter!(SEND_FAILURES, "Datagrams that the kernel did not send, by reason");
    describe_counter!(
        DATAGRAMS,
        "Datagrams received and sent, each alone or in a train of them that passed through the kernel as one"
    );
    describe_counter!(CALLS, "Calls of the kernel that received or sent datagrams");
    describe_counter!(TRAINS_REFUSED, "Trains that the kernel refused, whose datagrams were sent one by one");
    describe_gauge!(PEER_CONNECTIONS, "Connections between TCP allocations and peers");
    describe_counter!(
        HANDED_OVER,
        "Connections, datagrams and reserved ports that a worker gave to another, whose client it is"
    );
    describe_gauge!(DTLS_SESSIONS, "DTLS sessions, handshakes that go on included");
    describe_counter!(DTLS_ENDED, "DTLS sessions that are over, by reason");
    describe_counter!(DTLS_REFUSED, "Datagrams that look like DTLS and went nowhere, by reason");
    describe_counter!(PROXY_REFUSED, "Datagrams of a proxy that say nobody's name");
    stream::describe();
}

/// Everything that a worker counts, at one moment.
pub(crate) struct Readings<'a> {
    pub(crate) core: &'a Counters,
    pub(crate) handovers: HandoverCounts,
    pub(crate) reserved_ports: u64,
    pub(crate) dtls: &'a DtlsCounts,
    pub(crate) send_failures: &'a SendFailures,
    pub(crate) io: IoCounts,
    pub(crate) events_lost: u64,
    pub(crate) streams: &'a StreamCounters,
    pub(crate) proxy_refused: u64,
}

/// A worker's handles to the process's metrics, and what it has already added to each.
pub(crate) struct Meter {
    allocations: Level,
    peer_connections: Level,
    handed_connections: Total,
    handed_datagrams: Total,
    handed_ports: Total,
    dtls_sessions: Level,
    dtls_ended: [Total; Ending::ALL.len()],
    dtls_refused: [Total; Refusal::ALL.len()],
    to_peer: Direction,
    to_client: Direction,
    relay_to_relay: [Total; Between::ALL.len()],
    dropped: [Total; DropReason::ALL.len()],
    requests: [Total; RequestMethod::ALL.len()],
    answers: [Total; AnswerCode::ALL.len()],
    quota_refusals: [Total; Quota::ALL.len()],
    denied_peers: [Total; Forbidden::ALL.len()],
    events_lost: Total,
    send_failures: [Total; SendFailure::ALL.len()],
    received: Io,
    sent: Io,
    trains_refused: Total,
    streams: stream::Meter,
    proxy_refused: Total,
}

struct Direction {
    bytes: Total,
    packets: Total,
}

/// One side of the sockets.
struct Io {
    calls: Total,
    alone: Total,
    in_trains: Total,
}

impl Io {
    fn new(name: &'static str) -> Self {
        Self {
            calls: Total::new(counter!(CALLS, "direction" => name)),
            alone: Total::new(counter!(DATAGRAMS, "direction" => name, "passage" => "alone")),
            in_trains: Total::new(counter!(DATAGRAMS, "direction" => name, "passage" => "train")),
        }
    }
}

/// A worker's part of a gauge.
pub(crate) struct Level {
    gauge: Gauge,
    counted: u64,
}

impl Level {
    pub(crate) fn new(gauge: Gauge) -> Self {
        Self { gauge, counted: 0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is an f64; what is counted is far below 2^53")]
    pub(crate) fn read(&mut self, level: u64) {
        self.gauge.increment(level as f64 - self.counted as f64);
        self.counted = level;
    }
}

/// A counter that follows a total.
pub(crate) struct Total {
    counter: Counter,
    counted: u64,
}

impl Total {
    pub(crate) fn new(counter: Counter) -> Self {
        Self { counter, counted: 0 }
    }

    pub(crate) fn read(&mut self, reading: u64) {
        self.counter.increment(reading.wrapping_sub(self.counted));
        self.counted = reading;
    }
}

impl Direction {
    fn new(name: &'static str) -> Self {
        Self {
            bytes: Total::new(counter!(RELAYED_BYTES, "direction" => name)),
            packets: Total::new(counter!(RELAYED_PACKETS, "direction" => name)),
        }
    }
}

impl Meter {
    /// Takes the handles from the recorder of the calling thread or process. All series exist from here on, so that
    /// a rate of zero is zero and not absent.
    pub(crate) fn new() -> Self {
        Self {
            allocations: Level::new(gauge!(ALLOCATIONS)),
            peer_connections: Level::new(gauge!(PEER_CONNECTIONS)),
            handed_connections: Total::new(counter!(HANDED_OVER, "kind" => "connection")),
            handed_datagrams: Total::new(counter!(HANDED_OVER, "kind" => "datagram")),
            handed_ports: Total::new(counter!(HANDED_OVER, "kind" => "reserved_port")),
            dtls_sessions: Level::new(gauge!(DTLS_SESSIONS)),
            dtls_ended: Ending::ALL
                .map(|reason| Total::new(counter!(DTLS_ENDED, "reason" => reason.as_str()))),
            dtls_refused: Refusal::ALL
                .map(|reason| Total::new(counter!(DTLS_REFUSED, "reason" => reason.as_str()))),
            to_peer: Direction::new("to_peer"),
            to_client: Direction::new("to_client"),
            relay_to_relay: Between::ALL
                .map(|way| Total::new(counter!(RELAY_TO_RELAY, "way" => way.as_str()))),
            dropped: DropReason::ALL.map(|reason| Total::new(counter!(DROPPED, "reason" => reason.as_str()))),
            requests: RequestMethod::ALL
                .map(|method| Total::new(counter!(REQUESTS, "method" => method.as_str()))),
            answers: AnswerCode::ALL.map(|code| Total::new(counter!(ANSWERS, "code" => code.as_str()))),
            quota_refusals: Quota::ALL
                .map(|quota| Total::new(counter!(QUOTA_REFUSALS, "quota" => quota.as_str()))),
            denied_peers: Forbidden::ALL
                .map(|reason| Total::new(counter!(DENIED_PEERS, "reason" => reason.as_str()))),
            events_lost: Total::new(counter!(EVENTS_LOST)),
            send_failures: SendFailure::ALL
                .map(|reason| Total::new(counter!(SEND_FAILURES, "reason" => reason.as_str()))),
            received: Io::new("received"),
            sent: Io::new("sent"),
            trains_refused: Total::new(counter!(TRAINS_REFUSED)),
            streams: stream::Meter::new(),
            proxy_refused: Total::new(counter!(PROXY_REFUSED)),
        }
    }

    /// Adds what has been counted since the last time.
    pub(crate) fn read(&mut self, readings: &Readings<'_>) {
        let core = readings.core;
        self.allocations.read(core.allocations);
        self.peer_connections.read(core.connections);
        self.handed_connections.read(readings.handovers.connections);
        self.handed_datagrams.read(readings.handovers.datagrams);
        self.handed_ports.read(readings.reserved_ports);
        self.dtls_sessions.read(readings.dtls.sessions);
        for (total, reason) in self.dtls_ended.iter_mut().zip(Ending::ALL) {
            total.read(readings.dtls.ended(reason));
        }
        for (total, reason) in self.dtls_refused.iter_mut().zip(Refusal::ALL) {
            total.read(readings.dtls.refused(reason));
        }
        self.to_peer.bytes.read(core.relayed.sent.bytes);
        self.to_peer.packets.read(core.relayed.sent.packets);
        self.to_client.bytes.read(core.relayed.received.bytes);
        self.to_client.packets.read(core.relayed.received.packets);
        for (total, way) in self.relay_to_relay.iter_mut().zip(Between::ALL) {
            total.read(core.between(way));
        }
        for (total, reason) in self.dropped.iter_mut().zip(DropReason::ALL) {
            total.read(core.dropped(reason));
        }
        for (total, method) in self.requests.iter_mut().zip(RequestMethod::ALL) {
            total.read(core.requests(method));
        }
        for (total, code) in self.answers.iter_mut().zip(AnswerCode::ALL) {
            total.read(core.answers(code));
        }
        for (total, quota) in self.quota_refusals.iter_mut().zip(Quota::ALL) {
            total.read(core.quota_refusals(quota));
        }
        for (total, reason) in self.denied_peers.iter_mut().zip(Forbidden::ALL) {
            total.read(core.denied(reason));
        }
        self.events_lost.read(readings.events_lost);
        for (total, reason) in self.send_failures.iter_mut().zip(SendFailure::ALL) {
            total.read(readings.send_failures.of(reason));
        }
        self.received.calls.read(readings.io.receive_calls);
        self.received.alone.read(readings.io.received_alone);
        self.received.in_trains.read(readings.io.received_in_trains);
        self.sent.calls.read(readings.io.send_calls);
        self.sent.alone.read(readings.io.sent_alone);
        self.sent.in_trains.read(readings.io.sent_in_trains);
        self.trains_refused.read(readings.io.trains_refused);
        self.streams.read(readings.streams);
        self.proxy_refused.read(readings.proxy_refused);
    }
}

impl Drop for Meter {
    /// A worker that is gone has no allocations and no sessions.
    fn drop(&mut self) {
        self.allocations.read(0);
        self.dtls_sessions.read(0);
        self.peer_connections.read(0);
    }
}
