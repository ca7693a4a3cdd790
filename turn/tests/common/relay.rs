//! A relay in this process on a free port, with its control plane on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use causeway_cluster::MemoryBus;
use causeway_protocol::secret::Secret;
use causeway_turn::{ControlError, RelayKeys, RunningRelay, TurnSettings, UserEntry};

use super::PATIENCE;
use super::client::Client;

pub const USER: &str = "alice";
pub const PASSWORD: &str = "swordfish";

/// Stops when dropped.
pub struct TestRelay {
    pub running: Option<RunningRelay>,
    pub bus: Arc<MemoryBus>,
    control: Option<JoinHandle<Result<(), ControlError>>>,
}

/// One worker on 127.0.0.1 and ::1 with one static user; peers may be on loopback.
pub fn settings() -> TurnSettings {
    TurnSettings {
        listen: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        port: 0,
        // Above the ports that Linux gives to sockets that do not choose, such as the listeners here.
        relay_port_min: 61_000,
        workers: 1,
        users: vec![UserEntry::new(format!("{USER}:{PASSWORD}"))],
        allow_loopback_peers: true,
        ..TurnSettings::default()
    }
}

pub fn secret() -> Secret {
    Secret::from_bytes([7; 32])
}

impl TestRelay {
    pub fn start(settings: &TurnSettings) -> Self {
        Self::start_on(Arc::new(MemoryBus::new()), "node", settings)
    }

    /// One node of several on a Bus.
    pub fn start_on(bus: Arc<MemoryBus>, node: &str, settings: &TurnSettings) -> Self {
        let keys = RelayKeys { secret: secret() };
        let (running, control) =
            causeway_turn::start(settings, Some(&keys), node.parse().unwrap(), Arc::clone(&bus) as _)
                .expect("the relay starts");
        let control = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(control.run())
        });
        Self { running: Some(running), bus, control: Some(control) }
    }

    pub fn running(&self) -> &RunningRelay {
        self.running.as_ref().expect("the relay runs until it is stopped")
    }

    pub fn v4(&self) -> SocketAddr {
        self.address(SocketAddr::is_ipv4)
    }

    pub fn v6(&self) -> SocketAddr {
        self.address(SocketAddr::is_ipv6)
    }

    fn address(&self, family: impl Fn(&SocketAddr) -> bool) -> SocketAddr {
        self.running().addresses().into_iter().find(family).expect("an address of the family")
    }

    /// The second port's address over IPv4.
    pub fn tls_v4(&self) -> SocketAddr {
        self.running().tls_addresses().into_iter().find(SocketAddr::is_ipv4).expect("an IPv4 address")
    }

    /// A client of the static user that reaches the relay over IPv4.
    pub fn client(&self) -> Client {
        Client::new(self.v4(), USER, PASSWORD)
    }

    /// Stops workers and control plane, each of which has to end well and in time.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop(PATIENCE).expect("the workers end in time");
        }
        if let Some(control) = self.control.take() {
            control.join().expect("the control plane does not panic").expect("no worker failed");
        }
    }
}

impl Drop for TestRelay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; do not hide why.
            self.running.take();
        } else {
            self.stop();
        }
    }
}
