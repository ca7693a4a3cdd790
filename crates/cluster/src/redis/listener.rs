//! Listens to channels on a connection of its own, which is made anew for as long as it takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::address::RedisUrl;
use super::commands::Commands;
use super::line::Line;
use crate::clock::Clock;
use crate::metrics;

/// Messages that wait to be heard. The connection's task must not wait, and must not grow.
const MOST_WAITING: usize = 8192;
/// The bytes of messages that wait to be heard.
const MOST_WAITING_BYTES: usize = 32 * 1024 * 1024;
/// A subscription that was silent for so long is asked for a sign of life…
const PROBE_AFTER: Duration = Duration::from_secs(5);
/// …and one that gives none is given up: its connection may look well and bring nothing.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two attempts to connect; doubled each time, from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How long all subscriptions may take to be confirmed.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(2);

/// What a probe says. No frame is as short.
const PROBE: &[u8] = b"probe";

/// What a subscriber of a channel hears.
pub(crate) enum Heard {
    /// Somebody said this.
    Message(Bytes),
    /// The subscription is back after an interruption, or messages were dropped because too many waited.
    Interrupted,
}

/// Who listens to a channel; it must not block.
pub(crate) type Ear = Arc<dyn Fn(Heard) + Send + Sync>;

/// The handle to the task that listens.
pub(crate) struct Listener {
    asks: mpsc::Sender<(String, Ear)>,
    listening: watch::Receiver<bool>,
    task: tokio::task::AbortHandle,
}

impl Listener {
    /// Begins to listen; probes are sent to `own`, a channel of this process.
    pub(crate) fn start(url: RedisUrl, own: String, commands: Arc<Commands>, clock: Clock) -> Self {
        let (asks, asked) = mpsc::channel(64);
        let (listens, listening) = watch::channel(false);
        let mut ears: HashMap<String, Ear> = HashMap::new();
        // Probes arrive on a channel that nobody else may listen to.
        ears.insert(own.clone(), Arc::new(|_| ()));
        let task = Listening { url, own, commands, clock, ears, asked, listens };
        Self { asks, listening, task: tokio::spawn(task.run()).abort_handle() }
    }

    /// Listens to `channel` as well, in place of whoever did before. Says whether there was a place for the wish.
    pub(crate) fn listen(&self, channel: String, ear: Ear) -> bool {
        self.asks.try_send((channel, ear)).is_ok()
    }

    /// Whether all subscriptions are there.
    pub(crate) fn listening(&self) -> watch::Receiver<bool> {
        self.listening.clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Listening {
    url: RedisUrl,
    own: String,
    commands: Arc<Commands>,
    clock: Clock,
    ears: HashMap<String, Ear>,
    asked: mpsc::Receiver<(String, Ear)>,
    listens: watch::Sender<bool>,
}

/// What came on a connection.
enum Pushed {
    Message(String, Bytes),
    Gone,
}

/// Between the connection's task, which must not wait, and ours.
struct Inbox {
    waiting: mpsc::Sender<Pushed>,
    bytes: AtomicUsize,
    dropped: AtomicBool,
    /// The connection is gone, even if there was no place to say so.
    gone: AtomicBool,
}

impl Inbox {
    fn new(waiting: mpsc::Sender<Pushed>) -> Self {
        let (dropped, gone) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { waiting, bytes: AtomicUsize::new(0), dropped, gone }
    }

    fn push(&self, info: PushInfo) {
        let pushed = match info.kind {
            PushKind::Disconnection => {
                self.gone.store(true, Ordering::Release);
                Pushed::Gone
            }
            PushKind::Message | PushKind::SMessage => match message(info.data) {
                Some((channel, bytes)) => Pushed::Message(channel, bytes),
                None => return,
            },
            // Confirmations; and what is added to this list, which others own, is nothing that was asked for.
            _ => return,
        };
        let length = if let Pushed::Message(_, bytes) = &pushed { bytes.len() } else { 0 };
        let before = self.bytes.fetch_add(length, Ordering::AcqRel);
        let fits = before == 0 || before + length <= MOST_WAITING_BYTES;
        if !fits || self.waiting.try_send(pushed).is_err() {
            self.bytes.fetch_sub(length, Ordering::AcqRel);
            self.dropped.store(true, Ordering::Release);
            metrics::overflow();
        }
    }
}

fn message(data: Vec<Value>) -> Option<(String, Bytes)> {
    let [Value::BulkString(channel), Value::BulkString(bytes)] = <[Value; 2]>::try_from(data).ok()? else {
        return None;
    };
    Some((String::from_utf8(channel).ok()?, Bytes::from(bytes)))
}

/// Why a connection is no longer listened to.
enum Ended {
    /// A new one is to be made.
    Broken(&'static str),
    /// Nobody wants to listen any more.
    Dropped,
}

impl Listening {
    async fn run(mut self) {
        let mut pause = PAUSES.0;
        let mut interrupted = false;
        loop {
            let ended = self.listen(&mut interrupted).await;
            let was_listening = self.listens.send_replace(false);
            match ended {
                Ended::Dropped => return,
                Ended::Broken(why) => tracing::debug!(why, "not listening to {}", self.url),
            }
            if was_listening {
                tracing::warn!("the subscription at {} is lost; trying again", self.url);
                interrupted = true;
                pause = PAUSES.0;
            }
            // Nodes that were cut off together do not come back together.
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Listens on one connection until it ends.
    async fn listen(&mut self, interrupted: &mut bool) -> Ended {
        let (waiting, mut pushes) = mpsc::channel(MOST_WAITING);
        let inbox = Arc::new(Inbox::new(waiting));
        let sink = Arc::clone(&inbox);
        let push = move |info| -> Result<(), redis::aio::SendError> {
            sink.push(info);
            Ok(())
        };
        let Ok(mut line) = Line::dial(&self.url, Some(push)).await else {
            return Ended::Broken("cannot connect");
        };
        while let Ok((channel, ear)) = self.asked.try_recv() {
            self.ears.insert(channel, ear);
        }
        let subscribed = tokio::time::timeout(SUBSCRIBE_WITHIN, async {
            for channel in self.ears.keys() {
                line.subscribe(channel).await?;
            }
            redis::RedisResult::Ok(())
        });
        if !matches!(subscribed.await, Ok(Ok(()))) {
            return Ended::Broken("cannot subscribe");
        }
        if std::mem::take(interrupted) {
            tracing::info!("the subscription at {} is back", self.url);
            self.tell_interrupted();
        }
        self.listens.send_replace(true);
        let mut heard = (self.clock)().moment;
        let mut probed = false;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                pushed = pushes.recv() => match pushed {
                    Some(Pushed::Message(channel, bytes)) => {
                        inbox.bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
                        (heard, probed) = ((self.clock)().moment, false);
                        self.hand_on(&channel, bytes);
                        if inbox.dropped.swap(false, Ordering::AcqRel) {
                            self.tell_interrupted();
                        }
                        if pushes.is_empty() && inbox.gone.load(Ordering::Acquire) {
                            return Ended::Broken("the connection is gone");
                        }
                    }
                    Some(Pushed::Gone) => return Ended::Broken("the connection is gone"),
                    // The inbox is ours: the sender lives.
                    None => return Ended::Broken("the inbox is gone"),
                },
                ask = self.asked.recv() => {
                    let Some((channel, ear)) = ask else { return Ended::Dropped };
                    let new = self.ears.insert(channel.clone(), ear).is_none();
                    let subscribed = tokio::time::timeout(SUBSCRIBE_WITHIN, line.subscribe(&channel));
                    if new && !matches!(subscribed.await, Ok(Ok(()))) {
                        return Ended::Broken("cannot subscribe");
                    }
                }
                _ = looks.tick() => {
                    let silent = (self.clock)().moment.since(heard);
                    if silent >= GIVE_UP_AFTER {
                        metrics::subscription_dead();
                        return Ended::Broken("it brings nothing, not even what this process sends itself");
                    }
                    if silent >= PROBE_AFTER && !probed {
                        probed = true;
                        self.probe();
                    }
                }
            }
        }
    }

    /// The same way that everything else goes; in a task of its own, because nothing is heard while this one waits.
    fn probe(&self) {
        let (commands, own) = (Arc::clone(&self.commands), self.own.clone());
        tokio::spawn(async move {
            // If it does not even leave, it does not come back either.
            let _unsent = commands.publish(&[(own, Bytes::from_static(PROBE))]).await;
        });
    }

    fn hand_on(&self, channel: &str, bytes: Bytes) {
        if bytes == PROBE {
            return;
        }
        if let Some(ear) = self.ears.get(channel) {
            ear(Heard::Message(bytes));
        }
    }

    fn tell_interrupted(&self) {
        for ear in self.ears.values() {
            ear(Heard::Interrupted);
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_service::metrics::Metrics;

    use super::*;

    #[test]
    fn an_inbox_that_is_full_drops_and_says_so() {
        let metrics = Metrics::install();
        let (waiting, mut pushes) = mpsc::channel(MOST_WAITING);
        let inbox = Inbox::new(waiting);
        for _ in 0..MOST_WAITING {
            inbox.push(said(10));
        }
        assert!(!inbox.dropped.load(Ordering::Acquire));
        inbox.push(said(10));
        assert!(inbox.dropped.load(Ordering::Acquire));
        while pushes.try_recv().is_ok() {}
        inbox.bytes.store(0, Ordering::Release);
        inbox.dropped.store(false, Ordering::Release);
        inbox.push(said(MOST_WAITING_BYTES));
        assert!(!inbox.dropped.load(Ordering::Acquire), "what is alone has a place");
        inbox.push(said(1));
        assert!(inbox.dropped.load(Ordering::Acquire), "bytes count, too");
        let page = metrics.render();
        assert!(page.contains("causeway_cluster_mailbox_overflow_total 2"), "{page}");
    }

    #[test]
    fn an_end_is_heard_even_if_there_is_no_place_to_say_so() {
        let (waiting, _pushes) = mpsc::channel(1);
        let inbox = Inbox::new(waiting);
        inbox.push(said(1));
        inbox.push(PushInfo { kind: PushKind::Disconnection, data: Vec::new() });
        assert!(inbox.gone.load(Ordering::Acquire));
    }

    fn said(length: usize) -> PushInfo {
        let data = vec![Value::BulkString(b"channel".to_vec()), Value::BulkString(vec![b'x'; length])];
        PushInfo { kind: PushKind::SMessage, data }
    }
}
