//! The control plane: carries orders from the Bus to the workers, and what the workers report to the Bus and the log.

use std::sync::Arc;
use std::time::Duration;

use causeway_cluster::{Bus, Delivery, PublishError, Subscription};
use causeway_protocol::Now;
use causeway_protocol::bus::BusMessage;
use causeway_service::clock;
use causeway_turn_core::{Control, Event, Meters, Subject};
use mio::Waker;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::alternates::Alternates;
use crate::external::ExternalWatch;
use crate::ledger::{AllocationKey, Ledger, Pair};
use crate::revocation_file::RevocationFile;
use crate::room_board::{BusState, RoomBoard};
use crate::supervise::{Exit, WorkerFailure};

/// How often usage is published, at most.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How long reports gather once some have been taken. Each time that the control plane is woken costs a worker two
/// switches of thread, as much as an Allocate request does; the first report after a time of silence does not wait. A
/// guess: far below what a client waits for an answer.
const REPORTS_GATHER: Duration = Duration::from_millis(5);
/// Reports that are taken at once.
const REPORTS_AT_ONCE: usize = 1024;

/// Why the relay cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A worker is gone, and with it the allocations of its clients.
    #[error("worker {worker} of the relay {failure}")]
    WorkerFailed {
        /// Which.
        worker: usize,
        /// Why.
        #[source]
        failure: WorkerFailure,
    },
}

/// What a worker tells the control plane.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) worker: usize,
    pub(crate) event: Event,
}

/// The way to one worker.
#[derive(Clone)]
pub(crate) struct WorkerHandle {
    pub(crate) orders: mpsc::Sender<Control>,
    pub(crate) waker: Arc<Waker>,
}

impl WorkerHandle {
    /// Gives an order. A full queue is waited for, since no order may be lost; a worker that is gone has nothing left
    /// to do, and its exit is on the way to the control plane.
    pub(crate) async fn order(&self, order: Control) {
        if self.orders.send(order).await.is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::warn!(%error, "cannot wake a worker; it acts on the order a moment later");
        }
    }
}

/// The part of a running relay that talks to the Bus. Run it on a runtime for as long as the relay runs.
pub struct ControlPlane {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) orders: Subscription,
    /// What others say about rooms.
    pub(crate) told: Subscription,
    /// What others want to know about rooms.
    pub(crate) asked: Subscription,
    pub(crate) rooms: RoomBoard,
    pub(crate) bus_state: BusState,
    pub(crate) revocations: Option<RevocationFile>,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) exits: mpsc::Receiver<Exit>,
    pub(crate) ledger: Ledger,
    pub(crate) meters: Arc<Meters>,
    /// Until [`run`](Self::run).
    pub(crate) external: Option<ExternalWatch>,
    /// Until [`run`](Self::run).
    pub(crate) alternates: Option<Alternates>,
}

impl ControlPlane {
    /// Runs until the relay has been stopped.
    ///
    /// # Errors
    /// [`ControlError::WorkerFailed`] as soon as a worker ends on its own: its clients have no relay any more, so
    /// the process should end and be started again.
    pub async fn run(mut self) -> Result<(), ControlError> {
        // Ends with this one.
        let mut tasks = JoinSet::new();
        if let Some(external) = self.external.take() {
            tasks.spawn(external.run(self.workers.clone()));
        }
        if let Some(alternates) = self.alternates.take() {
            tasks.spawn(alternates.run(self.workers.clone()));
        }
        let mut running = self.workers.len();
        let mut bus_open = true;
        let mut ticks = tokio::time::interval(PUBLISH_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut shares = tokio::time::interval(Meters::SHARE_EVERY);
        shares.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut reports = Vec::new();
        let gathering = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(gathering);
        while running > 0 {
            tokio::select! {
                biased;
                // Rates first: a flood of reports must not keep the node's bandwidth from being shared.
                _ = shares.tick() => self.meters.share(clock::now()),
                () = &mut gathering, if !gathering.is_elapsed() => {}
                1.. = self.reports.recv_many(&mut reports, REPORTS_AT_ONCE), if gathering.is_elapsed() => {
                    if reports.len() < REPORTS_AT_ONCE {
                        gathering.as_mut().reset(tokio::time::Instant::now() + REPORTS_GATHER);
                    }
                    self.on_reports(reports.drain(..));
                }
                Some(exit) = self.exits.recv() => {
                    running -= 1;
                    // Reports come before the exit of the worker that made them.
                    self.take_reports();
                    self.on_exit(exit)?;
                }
                delivery = self.orders.next(), if bus_open => match delivery {
                    Some(delivery) => self.on_delivery(delivery).await,
                    None => {
                        tracing::warn!("the bus is gone; revocations no longer reach the relay");
                        bus_open = false;
                    }
                },
                Some(delivery) = self.told.next() => self.on_told(delivery),
                Some(delivery) = self.asked.next() => self.on_asked(&delivery),
                _ = ticks.tick() => {
                    self.publish();
                    self.rooms.on_tick(clock::now().moment, self.bus_state);
                }
            }
            self.tell_rooms().await;
        }
        self.publish();
        self.tell_rooms().await;
        Ok(())
    }

    fn on_reports(&mut self, reports: impl Iterator<Item = Report>) {
        let now = clock::now();
        for report in reports {
            self.on_report(now, report);
        }
    }

    /// Takes the reports that are there.
    fn take_reports(&mut self) {
        let now = clock::now();
        while let Ok(report) = self.reports.try_recv() {
            self.on_report(now, report);
        }
    }

    fn on_report(&mut self, Now { moment: now, unix }: Now, Report { worker, event }: Report) {
        match event {
            Event::AllocationCreated { allocation, client, relayed, subject, expires, bytes_per_second } => {
                tracing::debug!(
                    worker,
                    allocation = allocation.0,
                    client = %client.source,
                    ?subject,
                    ?expires,
                    ?bytes_per_second,
                    "allocation created"
                );
                if let Some(pair) = pair(&subject) {
                    let key = AllocationKey { worker, allocation: allocation.0 };
                    let relayed = relayed.into_iter().flatten().collect();
                    self.rooms.on_created(now, key, pair.clone(), relayed, client.source.ip());
                    self.ledger.on_created(unix, pair, key, client.via.transport());
                }
            }
            Event::AllocationMoved { allocation, client } => {
                tracing::debug!(worker, allocation = allocation.0, client = %client.source, "allocation moved");
                let key = AllocationKey { worker, allocation: allocation.0 };
                self.rooms.on_moved(now, key, client.source.ip());
            }
            Event::AddressesRenamed { allocation, relayed } => {
                let key = AllocationKey { worker, allocation: allocation.0 };
                self.rooms.on_renamed(now, key, relayed.into_iter().flatten().collect());
            }
            Event::AddressReleased { allocation, subject: _, address } => {
                let key = AllocationKey { worker, allocation: allocation.0 };
                self.rooms.on_released(now, key, address);
            }
            // An audit record: whom somebody tried to reach through us is the point of it, so unlike the addresses of
            // our clients it is shown.
            Event::PeerDenied { allocation, subject, peer, reason, untold } => {
                tracing::info!(
                    worker,
                    allocation = allocation.0,
                    ?subject,
                    peer = %peer.socket(),
                    reason = reason.as_str(),
                    untold,
                    "peer denied"
                );
            }
            Event::Usage { allocation, room, peer, usage } => {
                let key = AllocationKey { worker, allocation: allocation.0 };
                self.ledger.on_usage(unix, Pair { room, peer }, key, usage);
            }
            Event::AllocationEnded { allocation, subject, reason, usage } => {
                tracing::debug!(
                    worker,
                    allocation = allocation.0,
                    ?subject,
                    reason = reason.as_str(),
                    sent_bytes = usage.sent.bytes,
                    received_bytes = usage.received.bytes,
                    "allocation ended"
                );
                if let Some(pair) = pair(&subject) {
                    let key = AllocationKey { worker, allocation: allocation.0 };
                    self.rooms.on_ended(now, key);
                    self.ledger.on_ended(now, pair, key, usage);
                }
            }
        }
    }

    fn on_exit(&mut self, Exit { worker, how }: Exit) -> Result<(), ControlError> {
        let now = clock::now().moment;
        self.rooms.on_worker_gone(now, worker);
        self.ledger.on_worker_gone(now, worker);
        how.map_err(|failure| {
            tracing::error!(worker, %failure, "a worker of the relay ended; its clients have lost their relay");
            ControlError::WorkerFailed { worker, failure }
        })
    }

    async fn on_delivery(&self, delivery: Delivery) {
        match delivery {
            Delivery::Message(BusMessage::RelayOrder(order)) => {
                tracing::info!(?order, "revocation");
                if let Some(file) = &self.revocations {
                    file.remember(&order);
                }
                for worker in &self.workers {
                    worker.order(Control::Revoke(order.clone())).await;
                }
            }
            Delivery::Message(BusMessage::RoomLimits(limits)) => {
                tracing::debug!(room = %limits.room, bytes_per_second = ?limits.bytes_per_second, "a room's rate");
                self.meters.limit_room(limits, clock::now().unix);
            }
            // Of another topic.
            Delivery::Message(
                BusMessage::RelayUsage(_)
                | BusMessage::RoomAddresses(_)
                | BusMessage::RoomQuery(_)
                | BusMessage::RelayNode(_),
            ) => {}
            Delivery::Gap => {
                tracing::warn!(
                    "orders to the relay were lost; some revocations and rates of rooms may not be in force"
                );
            }
        }
    }

    fn on_told(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Message(BusMessage::RoomAddresses(told)) => {
                self.rooms.on_told(clock::now().moment, told);
            }
            // Of another topic.
            Delivery::Message(
                BusMessage::RelayUsage(_)
                | BusMessage::RelayOrder(_)
                | BusMessage::RoomLimits(_)
                | BusMessage::RoomQuery(_)
                | BusMessage::RelayNode(_),
            ) => {}
            Delivery::Gap => self.rooms.on_gap(),
        }
    }

    fn on_asked(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Message(BusMessage::RoomQuery(query)) => self.rooms.on_asked(&query.room),
            // Of another topic, or made up for by the next repetition.
            Delivery::Message(
                BusMessage::RelayUsage(_)
                | BusMessage::RelayOrder(_)
                | BusMessage::RoomLimits(_)
                | BusMessage::RoomAddresses(_)
                | BusMessage::RelayNode(_),
            )
            | Delivery::Gap => {}
        }
    }

    /// Tells the workers who belongs to their rooms, and others what we know of ours.
    async fn tell_rooms(&mut self) {
        for (peers, workers) in self.rooms.take_changed() {
            for worker in workers.into_iter().filter_map(|worker| self.workers.get(worker)) {
                worker.order(Control::RoomPeers(peers.clone())).await;
            }
        }
        for message in self.rooms.take_outgoing() {
            self.bus_state = match self.bus.publish(message) {
                // What is lost is said again; what others say still comes.
                Ok(()) | Err(PublishError::Congested) => BusState::Up,
                Err(PublishError::Disconnected) => BusState::Gone,
            };
        }
    }

    fn publish(&mut self) {
        for usage in self.ledger.take_changed(clock::now().moment) {
            let pair = Pair { room: usage.room.clone(), peer: usage.peer.clone() };
            if let Err(error) = self.bus.publish(BusMessage::RelayUsage(usage)) {
                tracing::debug!(%error, "usage is not published; a later total covers it");
                self.ledger.tell_again(&pair);
            }
        }
    }
}

fn pair(subject: &Subject) -> Option<Pair> {
    match subject {
        Subject::RoomPeer { room, peer } => Some(Pair { room: room.clone(), peer: peer.clone() }),
        Subject::Rest(_) | Subject::Static(_) | Subject::Token(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use causeway_cluster::{MemoryBus, Topic};
    use causeway_turn_core::{AllocationId, EndReason, Traffic, Usage};

    use super::*;
    use crate::supervise::{self, ExitSenders};

    #[tokio::test]
    async fn a_panicking_worker_ends_the_control_plane_with_an_error() {
        let error = run_with_worker(|| panic!("a bug")).await.unwrap_err();
        assert_eq!(error.to_string(), "worker 0 of the relay panicked: a bug");
    }

    #[tokio::test]
    async fn workers_that_stop_as_asked_end_it_well() {
        assert!(run_with_worker(|| Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn usage_that_was_reported_before_the_end_is_still_published() {
        let parts = Parts::new();
        let mut published = parts.plane.bus.subscribe(Topic::RelayUsage);
        parts.reports.try_send(ended(1)).unwrap();
        parts.exits.control.try_send(Exit { worker: 0, how: Ok(()) }).unwrap();
        parts.plane.run().await.unwrap();
        assert_eq!(next_total(&mut published).await, (0, 10));
    }

    #[tokio::test]
    async fn usage_that_was_reported_while_reports_gather_is_published_at_the_end_too() {
        let parts = Parts::new();
        let mut published = parts.plane.bus.subscribe(Topic::RelayUsage);
        let plane = tokio::spawn(parts.plane.run());
        parts.reports.send(ended(1)).await.unwrap();
        until_taken(&parts.reports).await;
        parts.reports.send(ended(2)).await.unwrap();
        parts.exits.control.send(Exit { worker: 0, how: Ok(()) }).await.unwrap();
        plane.await.unwrap().unwrap();
        let mut total = (0, 0);
        while total != (0, 20) {
            total = next_total(&mut published).await;
        }
    }

    #[tokio::test]
    async fn reports_gather_for_some_milliseconds_after_the_first() {
        let Parts { plane, reports, exits } = Parts::new();
        let plane = tokio::spawn(plane.run());
        let start = tokio::time::Instant::now();
        reports.send(ended(1)).await.unwrap();
        until_taken(&reports).await;
        reports.send(ended(2)).await.unwrap();
        until_taken(&reports).await;
        assert!(start.elapsed() >= REPORTS_GATHER);
        exits.control.send(Exit { worker: 0, how: Ok(()) }).await.unwrap();
        plane.await.unwrap().unwrap();
    }

    async fn until_taken(reports: &mpsc::Sender<Report>) {
        while reports.capacity() < reports.max_capacity() {
            tokio::task::yield_now().await;
        }
    }

    fn ended(allocation: u64) -> Report {
        let event = Event::AllocationEnded {
            allocation: AllocationId(allocation),
            subject: Subject::RoomPeer { room: "kitchen".parse().unwrap(), peer: "alice".parse().unwrap() },
            reason: EndReason::Released,
            usage: Usage { sent: Traffic { packets: 1, bytes: 10 }, ..Usage::default() },
        };
        Report { worker: 0, event }
    }

    /// Allocations and bytes sent, as they are published next.
    async fn next_total(published: &mut Subscription) -> (u32, u64) {
        match published.next().await {
            Some(Delivery::Message(BusMessage::RelayUsage(usage))) => (usage.allocations, usage.sent_bytes),
            other => panic!("usage, not {other:?}"),
        }
    }

    async fn run_with_worker(
        body: impl FnOnce() -> Result<(), WorkerFailure> + Send + 'static,
    ) -> Result<(), ControlError> {
        let parts = Parts::new();
        let thread = supervise::spawn(0, parts.exits, body).unwrap();
        let result = parts.plane.run().await;
        thread.join().unwrap();
        result
    }

    /// A control plane of one worker, and the worker's ends of its channels.
    struct Parts {
        plane: ControlPlane,
        reports: mpsc::Sender<Report>,
        exits: ExitSenders,
    }

    impl Parts {
        fn new() -> Self {
            let poll = mio::Poll::new().unwrap();
            let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
            let (reports, report_receiver) = mpsc::channel(8);
            let (control, exits) = mpsc::channel(1);
            let (joiner, _) = std::sync::mpsc::sync_channel(1);
            let (orders, _) = mpsc::channel(1);
            let bus = Arc::new(MemoryBus::new());
            let plane = ControlPlane {
                orders: bus.subscribe(Topic::RelayOrders),
                told: bus.subscribe(Topic::RoomAddresses),
                asked: bus.subscribe(Topic::RoomQueries),
                rooms: RoomBoard::new("node".parse().unwrap()),
                bus_state: BusState::Up,
                revocations: None,
                bus,
                workers: vec![WorkerHandle { orders, waker }],
                reports: report_receiver,
                exits,
                ledger: Ledger::new("node".parse().unwrap()),
                meters: crate::core_setup::meters(),
                external: None,
                alternates: None,
            };
            Self { plane, reports, exits: ExitSenders { control, joiner } }
        }
    }
}
