//! The network between one node and Redis: a TCP proxy that can cut, hold, delay, and let a subscription die in silence.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A direction, seen from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToRedis,
    FromRedis,
}

/// What the network does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Connections are closed, new ones too.
    pub cut: bool,
    /// What is on its way in these directions waits, as in a partition; TCP delivers it when that is over.
    pub to_redis_held: bool,
    pub from_redis_held: bool,
    /// Added to each direction.
    pub delay: Duration,
    /// How often subscriptions were made to die: those that were made before hear nothing any more, and are not told.
    pub muted: u64,
}

impl Weather {
    fn holds(&self, way: Way) -> bool {
        match way {
            Way::ToRedis => self.to_redis_held,
            Way::FromRedis => self.from_redis_held,
        }
    }
}

/// A proxy. Stops when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(redis: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, seen) = watch::channel(Weather::default());
        let accepting = tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                if !seen.borrow().cut {
                    tokio::spawn(join(node, redis, seen.clone()));
                }
            }
        });
        Self { address, weather, accepting }
    }

    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // Connections end with the weather that they watch.
    }
}

async fn join(mut node: TcpStream, redis: SocketAddr, weather: watch::Receiver<Weather>) {
    let Ok(mut redis) = TcpStream::connect(redis).await else { return };
    let _latency_only = (node.set_nodelay(true), redis.set_nodelay(true));
    let made_at = weather.borrow().muted;
    let (subscribed, subscription) = watch::channel(false);
    let (from_node, to_node) = node.split();
    let (from_redis, to_redis) = redis.split();
    let mut sky = weather.clone();
    let up = Pump { way: Way::ToRedis, weather: weather.clone(), subscribed: Some(subscribed), muted: None };
    let down = Pump { way: Way::FromRedis, weather, subscribed: None, muted: Some((subscription, made_at)) };
    tokio::select! {
        () = up.run(from_node, to_redis) => {}
        () = down.run(from_redis, to_node) => {}
        _ = sky.wait_for(|weather| weather.cut) => {}
    }
}

/// One direction of one connection.
struct Pump {
    way: Way,
    weather: watch::Receiver<Weather>,
    /// Told when the connection subscribes.
    subscribed: Option<watch::Sender<bool>>,
    /// Whether it has subscribed, and how often subscriptions had died when it was made.
    muted: Option<(watch::Receiver<bool>, u64)>,
}

impl Pump {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
            let bytes = &buffer[..count];
            if let Some(subscribed) = self.subscribed.take_if(|_| subscribes(bytes)) {
                // The other direction may have ended.
                let _nobody_to_tell = subscribed.send(true);
            }
            if self.passes().await.is_none() {
                return;
            }
            let delay = self.weather.borrow().delay;
            if !delay.is_zero() {
                sleep(delay).await;
            }
            if to.write_all(bytes).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the way is free; `None`: it never will be.
    async fn passes(&mut self) -> Option<()> {
        let way = self.way;
        let Some((subscription, made_at)) = &self.muted else {
            return self.weather.wait_for(|weather| !weather.holds(way)).await.ok().map(drop);
        };
        let dead = *subscription.borrow() && self.weather.borrow().muted > *made_at;
        if dead {
            std::future::pending::<()>().await;
        }
        self.weather.wait_for(|weather| !weather.holds(way)).await.ok().map(drop)
    }
}

/// Whether a node's bytes ask for a subscription. RESP spells commands out; nodes send them whole.
fn subscribes(bytes: &[u8]) -> bool {
    let word = b"SUBSCRIBE";
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::redis::Redis;
    use crate::run;

    /// Longer than an answer takes on a loaded machine.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// What has not come by then is held.
    const MOMENT: Duration = Duration::from_millis(300);

    struct Scene {
        _redis: Redis,
        _folder: tempfile::TempDir,
        proxy: Proxy,
    }

    impl Scene {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let redis = Redis::start(folder.path().to_owned()).await;
            let proxy = Proxy::start(redis.address).await;
            Self { _redis: redis, _folder: folder, proxy }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.proxy.address).await.unwrap()
        }
    }

    /// Redis' inline commands are lines.
    async fn say(connection: &mut TcpStream, line: &str) {
        connection.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    /// What comes within a time; empty at the end, `None` if nothing comes.
    async fn hear(connection: &mut TcpStream, within: Duration) -> Option<String> {
        let mut buffer = [0; 1024];
        let count = timeout(within, connection.read(&mut buffer)).await.ok()?.unwrap_or(0);
        Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    #[test]
    fn what_is_held_arrives_when_it_is_over() {
        run(async {
            let scene = Scene::new().await;
            let mut connection = scene.connect().await;
            for way in [Way::ToRedis, Way::FromRedis] {
                let hold = |on: bool| {
                    move |weather: &mut Weather| match way {
                        Way::ToRedis => weather.to_redis_held = on,
                        Way::FromRedis => weather.from_redis_held = on,
                    }
                };
                scene.proxy.change(hold(true));
                say(&mut connection, "PING").await;
                assert_eq!(hear(&mut connection, MOMENT).await, None, "{way:?}");
                scene.proxy.change(hold(false));
                assert_eq!(hear(&mut connection, PATIENCE).await.unwrap(), "+PONG\r\n", "{way:?}");
            }
        });
    }

    #[test]
    fn a_cut_ends_connections_and_those_that_are_tried_meanwhile() {
        run(async {
            let scene = Scene::new().await;
            let mut before = scene.connect().await;
            say(&mut before, "PING").await;
            assert_eq!(hear(&mut before, PATIENCE).await.unwrap(), "+PONG\r\n");
            scene.proxy.change(|weather| weather.cut = true);
            assert_eq!(hear(&mut before, PATIENCE).await.unwrap(), "");
            let mut meanwhile = scene.connect().await;
            assert_eq!(hear(&mut meanwhile, PATIENCE).await.unwrap(), "");
            scene.proxy.change(|weather| weather.cut = false);
            let mut after = scene.connect().await;
            say(&mut after, "PING").await;
            assert_eq!(hear(&mut after, PATIENCE).await.unwrap(), "+PONG\r\n");
        });
    }

    #[test]
    fn only_subscriptions_of_before_die_in_silence() {
        run(async {
            let scene = Scene::new().await;
            let (mut dead, mut other) = (scene.connect().await, scene.connect().await);
            say(&mut dead, "SUBSCRIBE news").await;
            assert!(hear(&mut dead, PATIENCE).await.unwrap().contains("subscribe"));
            scene.proxy.change(|weather| weather.muted += 1);
            let mut fresh = scene.connect().await;
            say(&mut fresh, "SUBSCRIBE news").await;
            assert!(hear(&mut fresh, PATIENCE).await.unwrap().contains("subscribe"));
            say(&mut other, "PUBLISH news hello").await;
            assert_eq!(hear(&mut other, PATIENCE).await.unwrap(), ":2\r\n");
            assert!(hear(&mut fresh, PATIENCE).await.unwrap().contains("hello"));
            assert_eq!(hear(&mut dead, MOMENT).await, None);
        });
    }
}
