//! Makes faults happen to an installation, and waits until they are over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use causeway_protocol::Moment;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::crowd::Crowd;
use crate::fault::{Fault, Kind};
use crate::health::Status;
use crate::installation::Installation;
use crate::life::now;
use crate::plan::Planned;
use crate::proxy::{Way, Weather};

/// What a storm leaves for the report.
#[derive(Default)]
pub struct Log {
    pub count: BTreeMap<Kind, u32>,
    /// Each fault, when it began and was over, for people.
    pub lines: Vec<String>,
    /// From each SIGKILL to all rooms working; `None`: not within a minute, or not known yet.
    pub kills: Vec<Option<Duration>>,
    /// When the last fault was over.
    pub over: Moment,
}

/// How long it is watched whether rooms work again after a kill. Other faults may hit them meanwhile.
const WATCH: Duration = Duration::from_secs(60);

/// Where faults happen.
#[derive(Clone)]
pub struct Storm {
    pub installation: Arc<Installation>,
    pub crowd: Arc<Crowd>,
    pub log: Arc<Mutex<Log>>,
    pub seed: u64,
}

impl Storm {
    /// A whole plan. Faults that meet at one node happen one after the other.
    pub async fn rage(&self, plan: Vec<Planned>) {
        let start = Instant::now();
        let mut faults = JoinSet::new();
        for Planned { at, fault } in plan {
            let storm = self.clone();
            faults.spawn(async move {
                sleep_until(start + at).await;
                storm.strike(&fault).await;
            });
        }
        while let Some(ended) = faults.join_next().await {
            if let Err(error) = ended {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    /// One fault, until it is over.
    pub async fn strike(&self, fault: &Fault) {
        let began = now();
        println!("{:9.3} {fault:?}", began.since_origin().as_secs_f64());
        match fault {
            Fault::Kill { node, down } => self.kill(*node, *down).await,
            Fault::Freeze { node, lasting } => self.freeze(*node, *lasting).await,
            Fault::Drain { node } => self.drain(*node).await,
            Fault::EmptyRedis { down } => self.empty_redis(*down).await,
            Fault::Cut { node, lasting } => {
                self.weather(*node, *lasting, |weather, on| weather.cut = on).await;
            }
            Fault::Hold { node, ways, lasting } => {
                let hold = |weather: &mut Weather, on: bool| {
                    for way in ways {
                        match way {
                            Way::ToRedis => weather.to_redis_held = on,
                            Way::FromRedis => weather.from_redis_held = on,
                        }
                    }
                };
                self.weather(*node, *lasting, hold).await;
            }
            Fault::Slow { node, delay, lasting } => {
                let slow = |weather: &mut Weather, on: bool| {
                    weather.delay = if on { *delay } else { Duration::ZERO };
                };
                self.weather(*node, *lasting, slow).await;
            }
            Fault::Mute { node } => {
                self.installation.proxies[*node].change(|weather| weather.muted += 1);
            }
            Fault::BreakSockets { percent } => {
                let mut random = StdRng::seed_from_u64(self.seed ^ u64::from(*percent));
                self.crowd.break_sockets(f64::from(*percent) / 100.0, &mut random);
            }
        }
        let over = now();
        let mut log = self.log.lock().unwrap();
        *log.count.entry(fault.kind()).or_default() += 1;
        log.over = log.over.max(over);
        let (from, to) = (began.since_origin().as_secs_f64(), over.since_origin().as_secs_f64());
        log.lines.push(format!("{from:9.3} – {to:9.3} {fault:?}"));
    }

    async fn kill(&self, number: usize, down: Duration) {
        let mut node = self.installation.nodes[number].lock().await;
        self.away(number);
        node.kill().await;
        let killed = now();
        self.watch_kill(killed);
        sleep(down).await;
        node.restart().await;
        self.is_back(number, &node);
    }

    fn watch_kill(&self, killed: Moment) {
        let works = self.crowd.when_all_work_since(killed);
        let log = Arc::clone(&self.log);
        let kill = {
            let mut log = log.lock().unwrap();
            log.kills.push(None);
            log.kills.len() - 1
        };
        tokio::spawn(async move {
            let after = timeout(WATCH, works).await.ok();
            log.lock().unwrap().kills[kill] = after;
        });
    }

    async fn freeze(&self, number: usize, lasting: Duration) {
        let node = self.installation.nodes[number].lock().await;
        self.away(number);
        node.signal("STOP");
        sleep(lasting).await;
        node.signal("CONT");
        self.is_back(number, &node);
    }

    async fn drain(&self, number: usize) {
        let mut node = self.installation.nodes[number].lock().await;
        self.away(number);
        self.crowd.move_rooms(number);
        let status = node.terminate().await;
        assert!(status.success(), "a drained node ended with {status}:\n{}", node.log_end());
        node.restart().await;
        self.is_back(number, &node);
    }

    async fn empty_redis(&self, down: Duration) {
        let redis = self.installation.redis.as_ref().expect("a plan with Redis is for nodes with one");
        let mut redis = redis.lock().await;
        redis.kill().await;
        sleep(down).await;
        redis.restart().await;
    }

    async fn weather(&self, node: usize, lasting: Duration, change: impl Fn(&mut Weather, bool)) {
        let proxy = &self.installation.proxies[node];
        proxy.change(|weather| change(weather, true));
        sleep(lasting).await;
        proxy.change(|weather| change(weather, false));
    }

    fn away(&self, node: usize) {
        self.crowd.shake(node);
        self.installation.health.set(node, Status::Away);
    }

    fn is_back(&self, number: usize, node: &crate::node::Node) {
        self.installation.is_up(number, node);
        self.crowd.settle(number);
    }
}
