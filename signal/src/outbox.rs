//! The bounded queue in front of one WebSocket, and the task that empties it.
//!
//! ```text
//! room ───┐ push   ┌───────────── outbox ─────────────┐ pop    ┌ writer ┐  actix-ws (32)  TCP
//! session ┴──────▶ │ ≤ 256 frames and ≤ 1 MiB of text │ ─────▶ │ ≤ 10 s │ ──────────────▶ ───▶
//!                  └──────────────────────────────────┘        └────────┘
//! ```
//! A full outbox is the reader's fault and ends its connection; nobody ever waits for a slow reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::web::Bytes;
use bytestring::ByteString;
use causeway_protocol::CloseCode;
use tokio::sync::Notify;
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

/// Frames that a queue has room for while it is empty; a burst's room is given back. A guess: a reader that keeps up has one or two.
const KEPT_FRAMES: usize = 8;

/// The way to one client. Clones lead to the same queue. When the last one is dropped without a word, its owners have
/// panicked.
pub(crate) struct Outbox(Arc<Queue>);

/// The other end of an [`Outbox`].
pub(crate) struct Writer {
    queue: Arc<Queue>,
    write_limit: Duration,
    linger: Duration,
}

/// One allocation for all that a connection waits with: there may be ten thousand, and most are empty.
struct Queue {
    state: Mutex<State>,
    /// Told of frames and farewells. The writer alone waits for it, and looks at the state before it does.
    changed: Notify,
    max_messages: usize,
    max_bytes: usize,
}

struct State {
    frames: VecDeque<Frame>,
    bytes: usize,
    outboxes: usize,
    farewell: Option<Farewell>,
}

/// An outbox and its writer.
pub(crate) fn outbox(limits: &LimitSettings, timing: &TimingSettings) -> (Outbox, Writer) {
    let state = State { frames: VecDeque::new(), bytes: 0, outboxes: 1, farewell: None };
    let queue = Arc::new(Queue {
        state: Mutex::new(state),
        changed: Notify::new(),
        max_messages: limits.outbox_messages,
        max_bytes: limits.outbox_bytes,
    });
    let writer = Writer {
        queue: Arc::clone(&queue),
        write_limit: Duration::from_millis(timing.write_ms),
        linger: Duration::from_millis(timing.linger_ms),
    };
    (Outbox(queue), writer)
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn farewell(&self) -> Option<Farewell> {
        self.state().farewell
    }

    fn pop(&self) -> Option<Frame> {
        let mut state = self.state();
        let frame = state.frames.pop_front()?;
        state.bytes -= frame.len();
        if state.frames.is_empty() && state.frames.capacity() > KEPT_FRAMES {
            state.frames = VecDeque::new();
        }
        Some(frame)
    }
}

impl Outbox {
    /// Queues a frame. After a farewell frames are dropped: the connection ends anyway.
    pub(crate) fn push(&self, frame: Frame) -> Result<(), Full> {
        let mut state = self.0.state();
        if state.farewell.is_some() {
            return Ok(());
        }
        let bytes = state.bytes + frame.len();
        if bytes > self.0.max_bytes || state.frames.len() >= self.0.max_messages {
            return Err(Full);
        }
        state.bytes = bytes;
        state.frames.push_back(frame);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Ends the connection after what is queued; only the first farewell counts.
    pub(crate) fn close(&self, farewell: Farewell) {
        self.0.state().farewell.get_or_insert(farewell);
        self.0.changed.notify_one();
    }

    /// Whether the connection is ending.
    pub(crate) fn said_farewell(&self) -> bool {
        self.0.farewell().is_some()
    }
}

impl Clone for Outbox {
    fn clone(&self) -> Self {
        self.0.state().outboxes += 1;
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.outboxes -= 1;
        let last = state.outboxes == 0;
        drop(state);
        if last {
            self.close(Farewell::Say(CloseCode::Internal));
        }
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
        loop {
            let frame = match self.next().await {
                Ok(frame) => frame,
                Err(farewell) => return farewell,
            };
            let written = tokio::select! {
                biased;
                written = timeout(self.write_limit, write(socket, frame)) => match written {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(Gone)) => Err(Interrupted::Gone),
                    Err(_elapsed) => Err(Interrupted::TooSlow),
                },
                () = self.must_stop() => Err(Interrupted::Farewell),
            };
            match written {
                Ok(()) | Err(Interrupted::Farewell) => {}
                Err(Interrupted::Gone) => return Farewell::Nobody,
                Err(Interrupted::TooSlow) => return Farewell::Say(CloseCode::Stalled),
            }
        }
    }

    /// Waits for a frame, or for a farewell, which comes first.
    async fn next(&self) -> Result<Frame, Farewell> {
        loop {
            if let Some(farewell) = self.queue.farewell() {
                return Err(farewell);
            }
            if let Some(frame) = self.queue.pop() {
                return Ok(frame);
            }
            self.queue.changed.notified().await;
        }
    }

    /// Waits for a farewell that does not even let the frame being written finish.
    async fn must_stop(&self) {
        while !self.queue.farewell().is_some_and(Farewell::drops_queue) {
            self.queue.changed.notified().await;
        }
    }

    async fn part(&self, mut socket: actix_ws::Session, farewell: Farewell) {
        while !farewell.drops_queue()
            && let Some(frame) = self.queue.pop()
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
        loop {
            if let Some(farewell) = self.queue.farewell() {
                return farewell;
            }
            self.queue.changed.notified().await;
        }
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
        let (outbox, writer) = with(10, 10);
        assert_eq!(outbox.push(text("123456")), Ok(()));
        assert_eq!(outbox.push(text("12345")), Err(Full));
        assert_eq!(outbox.push(text("1234")), Ok(()));
        assert!(writer.queue.pop().is_some());
        assert_eq!(outbox.push(text("123456")), Ok(()));
    }

    #[test]
    fn only_the_first_farewell_counts_and_nothing_is_queued_after_it() {
        let (outbox, writer) = with(1, 10);
        outbox.close(Farewell::Say(CloseCode::Left));
        outbox.close(Farewell::Say(CloseCode::Internal));
        assert_eq!(writer.queue.farewell(), Some(Farewell::Say(CloseCode::Left)));
        assert_eq!((outbox.push(Frame::Ping), outbox.push(Frame::Ping)), (Ok(()), Ok(())));
        assert!(writer.queue.pop().is_none());
    }

    #[test]
    fn a_burst_leaves_no_memory_behind() {
        let (outbox, writer) = with(256, 1000);
        (0..200).for_each(|_| assert_eq!(outbox.push(Frame::Ping), Ok(())));
        while writer.queue.pop().is_some() {}
        assert!(writer.queue.state().frames.capacity() <= KEPT_FRAMES);
    }

    #[test]
    fn outboxes_that_are_dropped_without_a_word_belonged_to_somebody_who_panicked() {
        let (outbox, writer) = with(1, 10);
        drop(outbox.clone());
        assert_eq!(writer.queue.farewell(), None);
        drop(outbox);
        assert_eq!(writer.queue.farewell(), Some(Farewell::Say(CloseCode::Internal)));
    }

    fn with(outbox_messages: usize, outbox_bytes: usize) -> (Outbox, Writer) {
        let limits = LimitSettings { outbox_messages, outbox_bytes, ..LimitSettings::default() };
        outbox(&limits, &TimingSettings::default())
    }

    fn text(text: &'static str) -> Frame {
        Frame::Text(text.into())
    }
}
