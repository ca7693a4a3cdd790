//! What a worker counts about connections, and the metrics it becomes.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::labels::{labels, tally};
use crate::metrics::{Level, Total};
use crate::stream::tls::TlsFailure;

const CONNECTIONS: &str = "causeway_turn_connections";
const ACCEPTED: &str = "causeway_turn_connections_accepted_total";
const REFUSED: &str = "causeway_turn_connections_refused_total";
const CLOSED: &str = "causeway_turn_connections_closed_total";
const TLS_FAILURES: &str = "causeway_turn_tls_failures_total";

/// What each metric means, for `# HELP`.
pub(crate) fn describe() {
    describe_gauge!(CONNECTIONS, "Clients' connections, by transport; undecided: nothing has come yet");
    describe_counter!(ACCEPTED, "Clients' connections whose first byte told their transport");
    describe_counter!(REFUSED, "Connections closed as they were accepted, by reason");
    describe_counter!(CLOSED, "Clients' connections that ended, by reason");
    describe_counter!(TLS_FAILURES, "TLS sessions that failed, most of them during the handshake, by reason");
}

labels! {
    /// What a connection carries, as far as is known.
    Carried {
        /// Nothing has come yet.
        Undecided = "undecided",
        /// Plain TCP.
        Tcp = "tcp",
        /// TLS.
        Tls = "tls",
    }
}

labels! {
    /// Why a connection is closed as it is accepted.
    RefusalReason {
        /// `max_connections` is reached.
        TooMany = "too_many",
        /// `max_half_open` is reached.
        TooManyHalfOpen = "too_many_half_open",
        /// `max_connections_per_source` is reached.
        TooManyOfSource = "too_many_of_source",
        /// The process has no room for another open file (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`). It stays with
        /// the kernel, and is accepted when there is.
        OutOfFiles = "out_of_files",
        /// The kernel refused in another way.
        Other = "other",
    }
}

labels! {
    /// Why a connection ends.
    CloseReason {
        /// The client closed it.
        Client = "client",
        /// The network or the kernel broke it.
        Broken = "broken",
        /// The first byte is TLS's and TLS is switched off, or it is not and TCP is.
        TransportOff = "transport_off",
        /// It carries neither STUN nor ChannelData.
        Garbage = "garbage",
        /// TLS failed; another metric says why.
        Tls = "tls",
        /// A frame is longer than a client may send.
        FrameTooLong = "frame_too_long",
        /// It comes from a proxy and does not begin with a header of the PROXY protocol.
        NoProxyHeader = "no_proxy_header",
        /// A client behind a proxy has reached `max_connections_per_source`.
        TooManyOfSource = "too_many_of_source",
        /// No allocation came in time.
        NotAuthenticated = "not_authenticated",
        /// Silent and without an allocation.
        Idle = "idle",
        /// What waits for the client did not move.
        Stalled = "stalled",
        /// The client asks and does not read the answers.
        QueueFull = "queue_full",
        /// It serves another purpose from here on, or another worker.
        HandedOn = "handed_on",
    }
}

tally! {
    /// Connections refused, by reason.
    Refusals of RefusalReason
}

tally! {
    /// Connections ended, by reason.
    Closures of CloseReason
}

tally! {
    /// TLS failures, by reason.
    TlsFailures of TlsFailure
}

tally! {
    /// Connections by what they carry.
    ByTransport of Carried
}

/// One worker's counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StreamCounters {
    /// Connections alive.
    pub(crate) alive: ByTransport,
    /// Connections whose transport became known.
    pub(crate) accepted: ByTransport,
    pub(crate) refused: Refusals,
    pub(crate) closed: Closures,
    pub(crate) tls_failures: TlsFailures,
}

impl ByTransport {
    /// One fewer.
    pub(crate) fn leave(&mut self, carried: Carried) {
        if let Some(count) = self.0.get_mut(carried as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

/// A worker's handles to the metrics of connections.
pub(crate) struct Meter {
    alive: [Level; Carried::ALL.len()],
    accepted: [(Carried, Total); 2],
    refused: [Total; RefusalReason::ALL.len()],
    closed: [Total; CloseReason::ALL.len()],
    tls_failures: [Total; TlsFailure::ALL.len()],
}

impl Meter {
    /// Takes the handles from the recorder of the calling thread or process.
    pub(crate) fn new() -> Self {
        Self {
            alive: Carried::ALL
                .map(|carried| Level::new(gauge!(CONNECTIONS, "transport" => carried.as_str()))),
            accepted: [Carried::Tcp, Carried::Tls]
                .map(|carried| (carried, Total::new(counter!(ACCEPTED, "transport" => carried.as_str())))),
            refused: RefusalReason::ALL
                .map(|reason| Total::new(counter!(REFUSED, "reason" => reason.as_str()))),
            closed: CloseReason::ALL.map(|reason| Total::new(counter!(CLOSED, "reason" => reason.as_str()))),
            tls_failures: TlsFailure::ALL
                .map(|reason| Total::new(counter!(TLS_FAILURES, "reason" => reason.as_str()))),
        }
    }

    /// Adds what has been counted since the last time.
    pub(crate) fn read(&mut self, counters: &StreamCounters) {
        self.read_alive(&counters.alive);
        for (carried, total) in &mut self.accepted {
            total.read(counters.accepted.of(*carried));
        }
        for (total, reason) in self.refused.iter_mut().zip(RefusalReason::ALL) {
            total.read(counters.refused.of(reason));
        }
        for (total, reason) in self.closed.iter_mut().zip(CloseReason::ALL) {
            total.read(counters.closed.of(reason));
        }
        for (total, reason) in self.tls_failures.iter_mut().zip(TlsFailure::ALL) {
            total.read(counters.tls_failures.of(reason));
        }
    }

    fn read_alive(&mut self, alive: &ByTransport) {
        for (level, carried) in self.alive.iter_mut().zip(Carried::ALL) {
            level.read(alive.of(carried));
        }
    }
}

impl Drop for Meter {
    /// A worker that is gone has no connections.
    fn drop(&mut self) {
        self.read_alive(&ByTransport::default());
    }
}
