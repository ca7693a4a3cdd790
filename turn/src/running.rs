//! A relay at work: what its owner can ask, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use causeway_service::clock;
use causeway_turn_core::Control;

use crate::certificates::Watcher;
use crate::control::WorkerHandle;
use crate::core_setup;
use crate::files;
use crate::listeners::Ports;
use crate::settings::{SettingsProblem, TurnSettings};
use crate::worker::Signals;

/// Why a relay did not stop as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// Some workers did not end in time; their threads are left behind.
    #[error("{workers} workers of the relay did not end in time")]
    Deadline {
        /// How many.
        workers: usize,
    },
}

/// A relay at work. Dropping it asks the workers to end and does not wait for them.
pub struct RunningRelay {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) ports: Ports,
    pub(crate) signals: Arc<Signals>,
    pub(crate) workers: Vec<RunningWorker>,
    /// Each worker's number, once, when it ends.
    pub(crate) ended: Receiver<usize>,
    /// Keeps the certificate as its files are.
    pub(crate) _watcher: Option<Watcher>,
}

pub(crate) struct RunningWorker {
    pub(crate) handle: WorkerHandle,
    pub(crate) allocations: Arc<AtomicU64>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

impl RunningRelay {
    /// The addresses that clients reach on the first port, in the order of the settings.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.on_port(self.ports.plain)
    }

    /// The same on the second port, by convention for `turns:`. Both ports serve plain and secure clients, and may be
    /// one.
    #[must_use]
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.on_port(self.ports.secure)
    }

    fn on_port(&self, port: u16) -> Vec<SocketAddr> {
        self.addresses.iter().filter(|address| address.port() == port).copied().collect()
    }

    /// Allocations alive, over all workers.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        self.allocations_by_worker().iter().sum()
    }

    /// Allocations alive of each worker.
    #[must_use]
    pub fn allocations_by_worker(&self) -> Vec<u64> {
        self.workers.iter().map(|worker| worker.allocations.load(Ordering::Relaxed)).collect()
    }

    /// Takes over those of `settings` that [`TurnSettings::LIVE`] names; the others need a new start. Each worker changes
    /// all of them at once, between two datagrams. Allocations under a user, password or REST secret that is gone
    /// end.
    ///
    /// # Errors
    /// Everything that is wrong with the settings; then nothing has changed.
    pub async fn reconfigure(&self, settings: &TurnSettings) -> Result<(), Vec<SettingsProblem>> {
        let problems = settings.validate();
        if !problems.is_empty() {
            return Err(problems);
        }
        files::raise_limit(settings.limits.allocations);
        self.signals.capacity.store(settings.limits.allocations, Ordering::Relaxed);
        let live = core_setup::live(settings);
        for worker in &self.workers {
            worker.handle.order(Control::Reconfigure(Box::new(live.clone()))).await;
        }
        Ok(())
    }

    /// Takes no new allocations from here on; those alive go on until they end or the relay is stopped.
    pub fn drain(&self) {
        self.signals.draining.store(true, Ordering::Release);
        self.signals.drain_begun.notify_one();
        self.wake();
    }

    /// Ends all workers and waits for them, at most `within`. Blocks the calling thread.
    ///
    /// # Errors
    /// [`StopError::Deadline`] if some are still running then.
    pub fn stop(mut self, within: Duration) -> Result<(), StopError> {
        self.request_stop();
        let deadline = clock::now().moment.plus(within);
        let mut running = self.workers.len();
        while running > 0 {
            match self.ended.recv_timeout(deadline.since(clock::now().moment)) {
                Ok(worker) => {
                    running -= 1;
                    // A worker reports its end as its last act, so this does not wait.
                    if let Some(thread) = self.workers.get_mut(worker).and_then(|worker| worker.thread.take())
                        && thread.join().is_err()
                    {
                        // Panics are caught and reported inside the thread.
                        tracing::error!(worker, "a worker ended without a word");
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(StopError::Deadline { workers: running });
                }
            }
        }
        Ok(())
    }

    fn request_stop(&self) {
        self.signals.stopping.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        for worker in &self.workers {
            if let Err(error) = worker.handle.waker.wake() {
                tracing::warn!(%error, "cannot wake a worker; it notices with its next datagram or timer");
            }
        }
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.request_stop();
    }
}
