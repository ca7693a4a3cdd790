//! Worker threads, and the certainty that none ends unnoticed.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

/// Why a worker stopped on its own.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFailure {
    /// The kernel refused to wait for sockets.
    #[error("cannot wait for sockets: {0}")]
    Poll(#[source] io::Error),
    /// A bug: the worker panicked.
    #[error("panicked: {message}")]
    Panic {
        /// What the panic said.
        message: String,
    },
}

/// A worker's last word.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) worker: usize,
    pub(crate) how: Result<(), WorkerFailure>,
}

/// Where last words go: to the control task, which acts on failures, and to whoever waits for the end.
#[derive(Clone)]
pub(crate) struct ExitSenders {
    pub(crate) control: mpsc::Sender<Exit>,
    /// Holds one slot per worker, so a send never waits.
    pub(crate) joiner: SyncSender<usize>,
}

/// Runs `body` on a thread of its own and reports how it ended, panics included.
pub(crate) fn spawn(
    worker: usize,
    exits: ExitSenders,
    body: impl FnOnce() -> Result<(), WorkerFailure> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("turn-{worker}")).spawn(move || {
        // The worker's state is dropped with the closure: nothing half-changed is seen by anybody.
        let how = catch_unwind(AssertUnwindSafe(body))
            .unwrap_or_else(|panic| Err(WorkerFailure::Panic { message: panic_message(panic.as_ref()) }));
        // Both ends may be gone when the process is on its way out.
        let _ = exits.control.try_send(Exit { worker, how });
        let _ = exits.joiner.try_send(worker);
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_reported_with_its_message() {
        let exit = run(|| panic!("the {} broke", "thing"));
        let Err(WorkerFailure::Panic { message }) = exit.how else { panic!("{exit:?}") };
        assert_eq!(message, "the thing broke");
    }

    #[test]
    fn a_regular_end_is_reported_too() {
        assert!(run(|| Ok(())).how.is_ok());
    }

    fn run(body: impl FnOnce() -> Result<(), WorkerFailure> + Send + 'static) -> Exit {
        let (control, mut exits) = mpsc::channel(1);
        let (joiner, joined) = std::sync::mpsc::sync_channel(1);
        let thread = spawn(3, ExitSenders { control, joiner }, body).unwrap();
        assert_eq!(joined.recv().unwrap(), 3);
        thread.join().unwrap();
        exits.try_recv().unwrap()
    }
}
