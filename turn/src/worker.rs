//! A worker: one thread that owns its sockets and its [`Relay`], and shares nothing on the way of the data.
//!
//! ```text
//! wait → orders → read and plan → send → timers → actions → count → wait
//! ```
//! Time is read once a turn. Nothing in here logs, locks or allocates per datagram.

mod between;
mod datagrams;
mod path_errors;
mod records;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use causeway_protocol::{Moment, Now};
use causeway_service::clock;
use causeway_turn_core::{Action, Control, Event, Payload, Relay, Verdict};
use mio::{Events, Poll};
use tokio::sync::{Notify, mpsc};

use crate::between::Between;
use crate::control::Report;
use crate::dtls::DtlsSessions;
use crate::handover::{Handed, Handover};
use crate::io::arena::Arena;
use crate::io::linux::Receiver;
use crate::io::outbox::Outbox;
use crate::io::ready::ReadyList;
use crate::io::sockets::{SocketKey, Sockets};
use crate::io::udp::Fragmentation;
use crate::metrics::{Meter, Readings};
use crate::supervise::WorkerFailure;
use crate::tcp_relay::TcpRelay;

mod streams;
mod tcp_relay;

pub(crate) use between::Crossing;
use streams::StreamWork;
use tcp_relay::TcpRelayWork;

/// Datagrams of one turn that other workers passed on.
const HANDOVER_BUDGET: usize = 128;
/// Orders of one turn. Each may scan all allocations.
const ORDER_BUDGET: usize = 16;
/// Readiness reports taken from the kernel at once. More stay there for the next turn.
const EVENTS: usize = 1024;
/// How often counters become metrics.
const METRICS_EVERY: Duration = Duration::from_secs(1);

/// What other threads ask of all workers, and what they may look at.
#[derive(Default)]
pub(crate) struct Signals {
    pub(crate) draining: AtomicBool,
    pub(crate) stopping: AtomicBool,
    /// Wakes whoever tells other nodes.
    pub(crate) drain_begun: Notify,
    /// Allocations that all workers together hold at most.
    pub(crate) capacity: AtomicUsize,
}

/// Everything a worker is built from.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) relay: Relay,
    pub(crate) poll: Poll,
    pub(crate) sockets: Sockets,
    pub(crate) tcp_relay: TcpRelay,
    pub(crate) dtls: DtlsSessions,
    pub(crate) signals: Arc<Signals>,
    pub(crate) orders: mpsc::Receiver<Control>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) handover: Handover,
    pub(crate) between: Between<Crossing>,
    pub(crate) meter: Meter,
    /// Allocations alive here, for others to read.
    pub(crate) allocations: Arc<AtomicU64>,
}

/// A worker at work.
struct Running {
    worker: Worker,
    arena: Arena,
    receiver: Receiver,
    outbox: Outbox,
    clients: ReadyList,
    peers: ReadyList,
    streams: StreamWork,
    /// Relay sockets with ICMP errors to read.
    path_errors: ReadyList,
    tcp_relay: TcpRelayWork,
    draining: bool,
    events_lost: u64,
    /// When counters become metrics next; `None` while nothing has happened since the last time.
    metrics_due: Option<Moment>,
}

impl Worker {
    /// Works until told to stop.
    pub(crate) fn run(self) -> Result<(), WorkerFailure> {
        let mut events = Events::with_capacity(EVENTS);
        let mut running = Running {
            arena: Arena::new(),
            receiver: Receiver::new(datagrams::MESSAGES),
            outbox: Outbox::new(self.sockets.offloads),
            worker: self,
            clients: ReadyList::default(),
            peers: ReadyList::default(),
            streams: StreamWork::new(),
            path_errors: ReadyList::default(),
            tcp_relay: TcpRelayWork::default(),
            draining: false,
            events_lost: 0,
            metrics_due: None,
        };
        let mut now = clock::now();
        while !running.worker.signals.stopping.load(Ordering::Acquire) {
            running.wait(now, &mut events)?;
            now = clock::now();
            running.turn(now);
        }
        running.close_sessions();
        running.count();
        Ok(())
    }
}

impl Running {
    /// Sleeps until a socket, a timer or another thread needs the worker.
    fn wait(&mut self, now: Now, events: &mut Events) -> Result<(), WorkerFailure> {
        let idle = self.clients.is_empty()
            && self.peers.is_empty()
            && self.streams.is_idle()
            && self.path_errors.is_empty()
            && self.tcp_relay.is_idle()
            && self.worker.orders.is_empty()
            && self.worker.handover.is_empty()
            && self.worker.between.may_sleep();
        let timeout = if idle {
            let timers = [
                self.worker.relay.poll_timeout(),
                self.worker.dtls.poll_timeout(),
                self.streams.due(),
                self.tcp_relay.due(),
                self.metrics_due,
            ];
            let due = timers.into_iter().flatten().min();
            due.map(|due| due.since(now.moment))
        } else {
            Some(Duration::ZERO)
        };
        let polled = self.worker.poll.poll(events, timeout);
        self.worker.between.wake_up();
        match polled {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(WorkerFailure::Poll(error)),
        }
        for event in events.iter() {
            match SocketKey::of(event.token()) {
                Some(SocketKey::Client(listener)) => self.clients.push(usize::from(listener.0)),
                Some(SocketKey::Relay(slot)) => {
                    self.peers.push(slot as usize);
                    if event.is_error() {
                        self.path_errors.push(slot as usize);
                    }
                }
                Some(key @ (SocketKey::Acceptor(_) | SocketKey::Stream(_))) => self.on_stream_ready(key),
                Some(SocketKey::RelayAcceptor(slot)) => self.tcp_relay.acceptors.push(slot as usize),
                Some(SocketKey::Peer(slot) | SocketKey::DataConnection(slot)) => {
                    self.tcp_relay.ready.push(slot as usize);
                }
                // The waker: what it is about is looked at every turn.
                None => {}
            }
        }
        Ok(())
    }

    fn turn(&mut self, now: Now) {
        self.take_orders(now);
        self.take_handed(now);
        self.accept(now);
        self.accept_peers(now);
        self.read(now);
        self.read_path_errors(now);
        if self.worker.relay.poll_timeout().is_some_and(|due| due <= now.moment) {
            self.worker.relay.on_timeout(now);
        }
        self.tend_sessions(now);
        self.perform(now);
        // What waits for somebody's answer does not wait for the next turn.
        self.flush();
        self.tend_splices(now);
        self.tend_streams(now);
        if self.metrics_due.is_some_and(|due| due <= now.moment) {
            self.count();
            self.metrics_due = None;
            self.worker.handover.forget_silent(now.moment);
        }
    }

    fn take_orders(&mut self, now: Now) {
        if !self.draining && self.worker.signals.draining.load(Ordering::Acquire) {
            self.draining = true;
            self.worker.relay.on_control(now, Control::Drain);
        }
        for _ in 0..ORDER_BUDGET {
            let Ok(order) = self.worker.orders.try_recv() else { break };
            if let Control::Reconfigure(live) = &order {
                self.worker.handover.remember_for(live.max_lifetime);
            }
            self.worker.relay.on_control(now, order);
            self.perform(now);
        }
    }

    /// Serves clients that reach another worker, and takes connections over.
    fn take_handed(&mut self, now: Now) {
        for _ in 0..HANDOVER_BUDGET {
            let Some(handed) = self.worker.handover.receive(now.moment) else { break };
            match handed {
                Handed::Datagram { from, datagram, .. } => {
                    self.make_room();
                    let Some(room) = self.arena.room().and_then(|room| room.get_mut(..datagram.len())) else {
                        break;
                    };
                    room.copy_from_slice(&datagram);
                    let verdict = self.worker.relay.on_client(now, from, room);
                    self.conclude_room(now, verdict, datagram.len());
                }
                Handed::Connection(connection) => self.take_over(now, *connection),
            }
        }
        self.worker.handover.served();
        self.flush();
    }

    /// Reads clients and peers once each, within their budgets. Which sockets are ready is asked again after that:
    /// clients' sockets are few and busy all the time under load, and would keep those of peers from being heard of.
    fn read(&mut self, now: Now) {
        self.read_clients(now);
        self.read_streams(now);
        self.read_peers(now);
        self.read_between(now);
        self.pump_splices(now);
        self.flush();
    }

    /// Room in the arena for a datagram, and in the outbox for what becomes of it.
    fn make_room(&mut self) {
        if self.outbox.is_full() || self.arena.room().is_none() {
            self.flush();
        }
    }

    /// Does what the relay says about the datagram of `length` bytes that is in the arena's room.
    fn conclude_room(&mut self, now: Now, verdict: Verdict, length: usize) {
        let kept = match verdict {
            Verdict::ToPeer { .. } | Verdict::ToRelay { .. } | Verdict::ToClient { .. } => {
                self.arena.keep(length)
            }
            Verdict::Handled | Verdict::Dropped(_) => 0..0,
        };
        self.conclude(now, &verdict, &kept);
    }

    /// Does what the relay says about the datagram that was kept at `kept`.
    #[inline]
    fn conclude(&mut self, now: Now, verdict: &Verdict, kept: &Range<usize>) {
        self.note_activity(now);
        match verdict {
            Verdict::ToPeer { .. } | Verdict::ToRelay { .. } | Verdict::ToClient { .. } => {
                self.plan(verdict, kept);
            }
            // At once: the core's queue of actions is bounded.
            Verdict::Handled => self.perform(now),
            Verdict::Dropped(_) => {}
        }
    }

    /// Plans what the relay says about the datagram that was kept at `kept`.
    #[inline]
    fn plan(&mut self, verdict: &Verdict, kept: &Range<usize>) {
        match *verdict {
            Verdict::ToPeer { on, to, payload, dont_fragment } => {
                let fragmentation =
                    if dont_fragment { Fragmentation::Forbidden } else { Fragmentation::Allowed };
                self.outbox.plan_to_peer(on, to, &place(kept, payload), fragmentation);
            }
            Verdict::ToRelay { to, from, payload } => self.cross(to, from, place(kept, payload)),
            Verdict::ToClient { to, ref header, payload, padding } => {
                self.outbox.plan_to_client(to, header, &place(kept, payload), padding);
            }
            Verdict::Handled | Verdict::Dropped(_) => {}
        }
    }

    /// Does what the relay asked for.
    fn perform(&mut self, now: Now) {
        while let Some(action) = self.worker.relay.poll_action() {
            self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
            match action {
                Action::Bind { ticket, port, next } => {
                    let result = self.worker.sockets.bind(port, next);
                    self.worker.relay.on_bound(now, ticket, result);
                }
                Action::BindReserved { ticket, port } => {
                    let result = self.worker.sockets.bind_reserved(port);
                    self.worker.relay.on_bound(now, ticket, result);
                }
                Action::UnbindReserved(address) => self.worker.sockets.reserved.close(address),
                Action::Listen { ticket, port } => {
                    let result = self.worker.tcp_relay.listen(port);
                    self.worker.relay.on_bound(now, ticket, result);
                }
                Action::Connect { connection, from, to } => self.connect(now, connection, from, to),
                Action::Splice { client, connection, reply } => self.order_splice(client, connection, reply),
                Action::Disconnect(connection) => self.worker.tcp_relay.disconnect(connection),
                Action::Unbind(port) => {
                    // Planned sends name the slot, which may belong to another allocation in a moment.
                    self.flush();
                    self.worker.sockets.unbind(port);
                    self.worker.tcp_relay.unlisten(port);
                }
                Action::Reply { to, bytes } => {
                    self.make_room();
                    let Worker { sockets, dtls, .. } = &mut self.worker;
                    self.outbox.reply(sockets, dtls, to, bytes.as_bytes());
                }
                Action::PaddedReply { to, bytes } => {
                    self.make_room();
                    let Worker { sockets, dtls, .. } = &mut self.worker;
                    self.outbox.reply(sockets, dtls, to, &bytes);
                }
                Action::Report(event) => {
                    if let Event::AllocationCreated { client, .. } | Event::AllocationMoved { client, .. } =
                        &event
                    {
                        self.worker.sockets.on_allocation(*client);
                    }
                    if let Event::AllocationMoved { client, .. } = &event {
                        self.worker.handover.on_moved(*client);
                    }
                    let report = Report { worker: self.worker.index, event };
                    if self.worker.reports.try_send(report).is_err() {
                        self.events_lost += 1;
                    }
                }
            }
        }
        self.worker.allocations.store(self.worker.relay.counters().allocations, Ordering::Relaxed);
    }

    /// Something happened that counters tell.
    fn note_activity(&mut self, now: Now) {
        self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
    }

    fn flush(&mut self) {
        self.outbox.flush(&self.arena, &mut self.worker.sockets, &mut self.worker.dtls);
        self.worker.between.ring();
        self.arena.clear();
    }

    fn count(&mut self) {
        self.worker.meter.read(&Readings {
            core: self.worker.relay.counters(),
            handovers: self.worker.handover.counts(),
            reserved_ports: self.worker.sockets.reserved.taken_over(),
            dtls: self.worker.dtls.counts(),
            send_failures: self.outbox.failures(),
            io: self.outbox.counts,
            streams: self.worker.sockets.streams.counters(),
            proxy_refused: self.worker.sockets.proxied.refused,
            events_lost: self.events_lost,
        });
    }
}

/// Where in the arena a payload is, whose datagram was kept at `kept`.
fn place(kept: &Range<usize>, payload: Payload) -> Range<usize> {
    let within = payload.range();
    kept.start + within.start..kept.start + within.end
}
