//! How the process is asked to stop: SIGTERM, SIGINT or the operator's call drains, and who asks again stops it at once.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// Listens for whatever ends a process.
pub struct StopRequests {
    terminate: Signal,
    interrupt: Signal,
    call: StopCall,
    /// The process drains because of a call, and no signal has come since.
    by_call: bool,
}

/// Asks this process to stop, from within.
#[derive(Clone, Debug, Default)]
pub struct StopCall(Arc<Notify>);

/// How the process was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopRequest {
    /// SIGTERM: an orchestrator or `kill`.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// `POST /drain` on the operator's listener.
    Call,
}

impl StopRequest {
    /// What logs call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Call => "POST /drain",
        }
    }
}

impl StopCall {
    /// Asks. Once is enough.
    pub fn ask(&self) {
        self.0.notify_one();
    }
}

impl StopRequests {
    /// Takes the signals over from their default action. Needs a running tokio runtime.
    ///
    /// # Errors
    /// What the kernel says if a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            call: StopCall::default(),
            by_call: false,
        })
    }

    /// The other end of the operator's call.
    #[must_use]
    pub fn call(&self) -> StopCall {
        self.call.clone()
    }

    /// Waits for the first request. Cancel safe.
    pub async fn first(&mut self) -> StopRequest {
        let request = tokio::select! {
            signal = next(&mut self.terminate, &mut self.interrupt) => signal,
            () = self.call.0.notified() => StopRequest::Call,
        };
        self.by_call = request == StopRequest::Call;
        request
    }

    /// Waits until somebody wants a draining process to end at once: with another signal. The first one after a call is none,
    /// because orchestrators send it when the call has returned. Cancel safe.
    pub async fn insisted(&mut self) -> StopRequest {
        loop {
            let signal = next(&mut self.terminate, &mut self.interrupt).await;
            if !std::mem::take(&mut self.by_call) {
                return signal;
            }
        }
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> StopRequest {
    tokio::select! {
        _ = terminate.recv() => StopRequest::Terminate,
        _ = interrupt.recv() => StopRequest::Interrupt,
    }
}
