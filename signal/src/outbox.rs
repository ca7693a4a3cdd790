//! The bounded queue in front of one WebSocket, and the task that empties it.
//!
//! ```text
//! room ───┐ push   ┌───────────── outbox ─────────────┐ pop    ┌ writer ┐  actix-ws (32)  TCP
//! session ┴──────▶ │ ≤ 256 frames and ≤ 1 MiB of text │ ─────▶ │ ≤ 10 s │ ──────────────▶ ───▶
//!                  └──────────────────────────────────┘        └────────┘
//! ```
//! A full outbox is the reader's fault and ends its connection; nobody ever waits for a slow reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::web::Bytes;
use bytestring::ByteString;
use causeway_protocol::CloseCode;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::farewell::{Farewell, closing};
use crate::settings::{LimitSettings, TimingSettings};
use crate::text;

/// One frame for the client.
pub(crate) enum Frame {
    Text(ByteString),
    Ping,
    Pong(Bytes),
}

impl Frame {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Pong(payload) => payload.len(),
            Self::Ping => 0,
        }
    }
}

/// The queue has no place: the client reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The way to one client. Clones lead to the same queue.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Frame>,
    waiting: Arc<AtomicUsize>,
    max_waiting: usize,
    farewell: Arc<watch::Sender<Option<Farewell>>>,
}

/// The other end of an [`Outbox`].
pub(crate) struct Writer {
    queue: mpsc::Receiver<Frame>,
    waiting: Arc<AtomicUsize>,
    farewell: watch::Receiver<Option<Farewell>>,
    write_limit: Duration,
    linger: Duration,
}

/// An outbox and its writer.
pub(crate) fn outbox(limits: &LimitSettings, timing: &TimingSettings) -> (Outbox, Writer) {
    let (sender, receiver) = mpsc::channel(limits.outbox_messages);
    let (farewell, heard) = watch::channel(None);
    let waiting = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox {
        queue: sender,
        waiting: Arc::clone(&waiting),
        max_waiting: limits.outbox_bytes,
        farewell: Arc::new(farewell),
    };
    let writer = Writer {
        queue: receiver,
        waiting,
        farewell: heard,
        write_limit: Duration::from_millis(timing.write_ms),
        linger: Duration::from_millis(timing.linger_ms),
    };
    (outbox, writer)
}

impl Outbox {
    /// Queues a frame. After a farewell frames are dropped: the connection ends anyway.
    pub(crate) fn push(&self, frame: Frame) -> Result<(), Full> {
        if self.said_farewell() {
            return Ok(());
        }
        let len = frame.len();
        if self.waiting.fetch_add(len, Ordering::AcqRel) + len > self.max_waiting {
            self.waiting.fetch_sub(len, Ordering::AcqRel);
            return Err(Full);
        }
        match self.queue.try_send(frame) {
            // A closed queue means that the writer has said its farewell.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.waiting.fetch_sub(len, Ordering::AcqRel);
                Err(Full)
            }
        }
    }

    /// Ends the connection after what is queued; only the first farewell counts.
    pub(crate) fn close(&self, farewell: Farewell) {
        self.farewell.send_if_modified(|said| {
            let first = said.is_none();
            if first {
                *said = Some(farewell);
            }
            first
        });
    }

    /// Whether the connection is ending.
    pub(crate) fn said_farewell(&self) -> bool {
        self.farewell.borrow().is_some()
    }
}

/// Writing failed: the connection is gone.
struct Gone;

/// Why a write ended early.
enum Interrupted {
    Gone,
    TooSlow,
    Farewell,
}

impl Writer {
    /// Writes until the connection ends, and says how it ended.
    pub(crate) async fn run(mut self, mut socket: actix_ws::Session) -> Farewell {
        let farewell = self.write_until_farewell(&mut socket).await;
        // Whatever is still queued and the closing itself share one deadline.
        let _cut_off = timeout(self.linger, self.part(socket, farewell)).await;
        farewell
    }

    async fn write_until_farewell(&mut self, socket: &mut actix_ws::Session) -> Farewell {
        let mut farewell = self.farewell.clone();
        loop {
            let frame = tokio::select! {
                biased;
                said = heard(&mut farewell) => return said,
                frame = self.queue.recv() => frame,
            };
            // All outboxes dropped without a word: their owners panicked.
            let Some(frame) = frame else { return Farewell::Say(CloseCode::Internal) };
            self.waiting.fetch_sub(frame.len(), Ordering::AcqRel);
            let written = tokio::select! {
                biased;
                written = timeout(self.write_limit, write(socket, frame)) => match written {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(Gone)) => Err(Interrupted::Gone),
                    Err(_elapsed) => Err(Interrupted::TooSlow),
                },
                () = must_stop(&mut farewell) => Err(Interrupted::Farewell),
            };
            match written {
                Ok(()) | Err(Interrupted::Farewell) => {}
                Err(Interrupted::Gone) => return Farewell::Nobody,
                Err(Interrupted::TooSlow) => return Farewell::Say(CloseCode::Stalled),
            }
        }
    }

    async fn part(&mut self, mut socket: actix_ws::Session, farewell: Farewell) {
        self.queue.close();
        while !farewell.drops_queue()
            && let Some(frame) = self.queue.recv().await
        {
            if write(&mut socket, frame).await.is_err() {
                return;
            }
        }
        match farewell {
            Farewell::Say(code) => {
                if write(&mut socket, Frame::Text(text::of(&closing(code)))).await.is_ok() {
                    let reason = actix_ws::CloseReason {
                        code: actix_ws::CloseCode::Other(code.number()),
                        description: Some(code.as_str().to_owned()),
                    };
                    let _already_gone = socket.close(Some(reason)).await;
                }
            }
            Farewell::Reply => {
                let _already_gone = socket.close(Some(actix_ws::CloseCode::Normal.into())).await;
            }
            Farewell::Nobody => {}
        }
    }
}

#[cfg(test)]
impl Writer {
    /// Waits for the farewell alone.
    pub(crate) async fn farewell(&mut self) -> Farewell {
        heard(&mut self.farewell).await
    }
}

async fn write(socket: &mut actix_ws::Session, frame: Frame) -> Result<(), Gone> {
    let written = match frame {
        Frame::Text(text) => socket.text(text).await,
        Frame::Ping => socket.ping(b"").await,
        Frame::Pong(payload) => socket.pong(&payload).await,
    };
    written.map_err(|_closed| Gone)
}

/// Waits for a farewell. The channel closes without one only if every owner is gone, by a panic.
async fn heard(farewell: &mut watch::Receiver<Option<Farewell>>) -> Farewell {
    match farewell.wait_for(Option::is_some).await {
        Ok(said) => said.unwrap_or(Farewell::Nobody),
        Err(_closed) => Farewell::Say(CloseCode::Internal),
    }
}

/// Waits for a farewell that does not even let the frame being written finish.
async fn must_stop(farewell: &mut watch::Receiver<Option<Farewell>>) {
    let stops = |said: &Option<Farewell>| said.is_some_and(Farewell::drops_queue);
    if farewell.wait_for(stops).await.is_err() {
        // Nobody can say it any more; the write itself is limited.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_is_bounded_by_messages() {
        let (outbox, _writer) = with(2, 1000);
        assert_eq!(outbox.push(Frame::Ping), Ok(()));
        assert_eq!(outbox.push(text("a")), Ok(()));
        assert_eq!(outbox.push(text("b")), Err(Full));
    }

    #[test]
    fn an_outbox_is_bounded_by_bytes_and_counts_them_back() {
        let (outbox, mut writer) = with(10, 10);
        assert_eq!(outbox.push(text("123456")), Ok(()));
        assert_eq!(outbox.push(text("12345")), Err(Full));
        assert_eq!(outbox.push(text("1234")), Ok(()));
        let sent = writer.queue.try_recv().unwrap();
        writer.waiting.fetch_sub(sent.len(), Ordering::AcqRel);
        assert_eq!(outbox.push(text("123456")), Ok(()));
    }

    #[test]
    fn only_the_first_farewell_counts_and_nothing_is_queued_after_it() {
        let (outbox, writer) = with(1, 10);
        outbox.close(Farewell::Say(CloseCode::Left));
        outbox.close(Farewell::Say(CloseCode::Internal));
        assert_eq!(*writer.farewell.borrow(), Some(Farewell::Say(CloseCode::Left)));
        assert_eq!((outbox.push(Frame::Ping), outbox.push(Frame::Ping)), (Ok(()), Ok(())));
        assert_eq!(writer.queue.len(), 0);
    }

    fn with(outbox_messages: usize, outbox_bytes: usize) -> (Outbox, Writer) {
        let limits = LimitSettings { outbox_messages, outbox_bytes, ..LimitSettings::default() };
        outbox(&limits, &TimingSettings::default())
    }

    fn text(text: &'static str) -> Frame {
        Frame::Text(text.into())
    }
}
