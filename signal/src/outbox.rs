//! The bounded queue in front of one WebSocket, and the writer that empties it.
//!
//! ```text
//! room ───┐ push   ┌───────────── outbox ─────────────┐ gather   ┌── writer ──┐  TCP
//! session ┴──────▶ │ ≤ 256 frames and ≤ 1 MiB of text │ ───────▶ │ ≤ 32 KiB   │ ───▶
//!                  └──────────────────────────────────┘          │ in ≤ 10 s  │
//!                                                                └────────────┘
//! ```
//! A full outbox is the reader's fault and ends its connection; nobody ever waits for a slow reader.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_codec::Encoder;
use actix_http::ws::{self, CloseReason, Codec};
use actix_web::web::{Bytes, BytesMut};
use bytestring::ByteString;
use causeway_protocol::CloseCode;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::farewell::{Farewell, closing};
use crate::settings::{LimitSettings, TimingSettings};
use crate::{socket, text};

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

/// Frames that wait are written together up to this many bytes. A guess: several session descriptions.
const TOGETHER: usize = 32 * 1024;

/// The way to one client. Clones lead to the same queue. When the last one is dropped without a word, its owners have
/// panicked.
pub(crate) struct Outbox(Arc<Queue>);

/// The other end of an [`Outbox`].
pub(crate) struct Writer {
    queue: Arc<Queue>,
    /// What was gathered and is not written yet; between two writes it holds no memory.
    unwritten: BytesMut,
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
        unwritten: BytesMut::new(),
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

    /// Waits for a farewell that does not even let what is being written finish.
    async fn must_stop(&self) {
        while !self.farewell().is_some_and(Farewell::drops_queue) {
            self.changed.notified().await;
        }
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

impl Writer {
    /// Writes until the connection ends, and says how it ended. Another run goes on where a dropped one stopped.
    pub(crate) async fn run(&mut self, stream: &TcpStream) -> Farewell {
        let farewell = self.write_until_farewell(stream).await;
        // Whatever is still queued and the closing itself share one deadline. Boxed: it is needed once.
        let _cut_off = Box::pin(timeout(self.linger, self.part(stream, farewell))).await;
        farewell
    }

    async fn write_until_farewell(&mut self, stream: &TcpStream) -> Farewell {
        loop {
            if let Err(farewell) = self.gather_some().await {
                return farewell;
            }
            // Boxed: hardly a client makes us wait.
            if !socket::write_now(stream, &mut self.unwritten)
                && let Some(farewell) = Box::pin(self.write_on(stream)).await
            {
                return farewell;
            }
        }
    }

    /// Waits for the client's window.
    async fn write_on(&mut self, stream: &TcpStream) -> Option<Farewell> {
        let Self { queue, unwritten, write_limit, .. } = self;
        tokio::select! {
            biased;
            written = timeout(*write_limit, socket::write(stream, unwritten)) => match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "connection lost");
                    Some(Farewell::Nobody)
                }
                Err(_elapsed) => Some(Farewell::Say(CloseCode::Stalled)),
            },
            () = queue.must_stop() => None,
        }
    }

    /// Waits for something to write, or for a farewell, which comes first.
    async fn gather_some(&mut self) -> Result<(), Farewell> {
        loop {
            if let Some(farewell) = self.queue.farewell() {
                return Err(farewell);
            }
            if self.gather() {
                return Ok(());
            }
            self.queue.changed.notified().await;
        }
    }

    /// Takes frames out of the queue. Says whether there is something to write.
    fn gather(&mut self) -> bool {
        while self.unwritten.len() < TOGETHER
            && let Some(frame) = self.queue.pop()
        {
            encode(frame.into(), &mut self.unwritten);
        }
        !self.unwritten.is_empty()
    }

    /// A frame that was begun is written to its end in any case.
    async fn part(&mut self, stream: &TcpStream, farewell: Farewell) -> io::Result<()> {
        while !farewell.drops_queue() && self.gather() {
            socket::write(stream, &mut self.unwritten).await?;
        }
        match farewell {
            Farewell::Say(code) => {
                encode(Frame::Text(text::of(&closing(code))).into(), &mut self.unwritten);
                let reason = CloseReason {
                    code: ws::CloseCode::Other(code.number()),
                    description: Some(code.as_str().to_owned()),
                };
                encode(ws::Message::Close(Some(reason)), &mut self.unwritten);
            }
            Farewell::Reply => {
                encode(ws::Message::Close(Some(ws::CloseCode::Normal.into())), &mut self.unwritten);
            }
            Farewell::Nobody => return Ok(()),
        }
        socket::write(stream, &mut self.unwritten).await
    }
}

impl From<Frame> for ws::Message {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text),
            Frame::Ping => Self::Ping(Bytes::new()),
            Frame::Pong(payload) => Self::Pong(payload),
        }
    }
}

fn encode(message: ws::Message, bytes: &mut BytesMut) {
    // It refuses fragments alone, which we do not send.
    let _never_refused = Codec::new().encode(message, bytes);
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
