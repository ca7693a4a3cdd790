//! A test's beginning and end: an installation with a crowd in it, and at the end the question whether all went well.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::book::Tally;
use crate::crowd::{Crowd, Layout};
use crate::fault::Fault;
use crate::installation::Installation;
use crate::life::now;
use crate::storm::{Log, Storm};

/// What is promised: from the last fault, or an owner's SIGKILL, to rooms that work.
pub const PROMISED: Duration = Duration::from_secs(12);
/// For joins at the beginning, and for what was said last: a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// In a cluster.
pub const NODES: usize = 3;

/// A running test.
pub struct Scene {
    pub storm: Storm,
}

/// How it went.
pub struct Outcome {
    pub tally: Tally,
    pub kills: Vec<Option<Duration>>,
    /// From the end of the last fault to all rooms working.
    pub recovered: Duration,
}

impl Scene {
    /// One process, and rooms of so many members in it.
    pub async fn alone(rooms: &[usize], seed: u64) -> Self {
        let layouts: Vec<_> = rooms.iter().map(|&members| Layout { members, home: None }).collect();
        Self::of(Installation::alone().await, &layouts, seed).await
    }

    /// Three nodes, rooms of so many members on all of them, and one room on each node alone.
    pub async fn together(rooms: &[usize], seed: u64) -> Self {
        let spread = rooms.iter().map(|&members| Layout { members, home: None });
        let local = (0..NODES).map(|home| Layout { members: 3, home: Some(home) });
        let layouts: Vec<_> = spread.chain(local).collect();
        Self::of(Installation::together(NODES).await, &layouts, seed).await
    }

    /// Three nodes, and rooms of so many members on one node each.
    pub async fn apart(rooms: &[usize], seed: u64) -> Self {
        let layouts: Vec<_> = rooms
            .iter()
            .enumerate()
            .map(|(number, &members)| Layout { members, home: Some(number % NODES) })
            .collect();
        Self::of(Installation::together(NODES).await, &layouts, seed).await
    }

    /// Three nodes, and rooms on all of them.
    pub async fn spread(rooms: &[usize], seed: u64) -> Self {
        let layouts: Vec<_> = rooms.iter().map(|&members| Layout { members, home: None }).collect();
        Self::of(Installation::together(NODES).await, &layouts, seed).await
    }

    async fn of(installation: Installation, layouts: &[Layout], seed: u64) -> Self {
        println!("CAUSEWAY_CHAOS_SEED={seed}");
        let installation = Arc::new(installation);
        // As a load balancer would: nodes that are not ready are asked for nothing new.
        ready(&installation).await;
        let began = now();
        let crowd = Arc::new(Crowd::gather(&installation.doors, layouts, seed).await);
        let log = Arc::new(Mutex::new(Log { over: began, ..Log::default() }));
        let scene = Self { storm: Storm { installation, crowd, log, seed } };
        scene.storm.crowd.works_since(began, PATIENCE).await;
        scene
    }

    pub async fn strike(&self, fault: Fault) {
        self.storm.strike(&fault).await;
    }

    /// Waits until so much has been heard in all rooms together.
    pub async fn hears(&self, count: u64) {
        let enough = async {
            while self.storm.crowd.tally().heard < count {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, enough).await.expect("members talk twice a second");
    }

    /// What Redis has passed on until so much more has been heard.
    pub async fn published_until_heard(&self, more: u64) -> u64 {
        let redis = self.storm.installation.redis.as_ref().expect("nodes that are together have one");
        let before = redis.lock().await.published().await;
        self.hears(self.storm.crowd.tally().heard + more).await;
        redis.lock().await.published().await - before
    }

    /// Waits until rooms work since the last fault, and says how long that took; everything is to work as promised.
    pub async fn recovers(&self) -> Duration {
        self.recovers_within(PROMISED).await
    }

    /// The same, where something else is promised.
    pub async fn recovers_within(&self, within: Duration) -> Duration {
        let over = self.storm.log.lock().unwrap().over;
        self.storm.crowd.works_since(over, within).await
    }

    /// Waits until all nodes say that they are ready.
    pub async fn ready(&self) {
        ready(&self.storm.installation).await;
    }

    /// Whether a node says that it is not ready while something goes on that should make it say so.
    pub async fn unready(&self, node: usize) -> bool {
        let health = &self.storm.installation.health;
        let unready = async {
            while health.ready(node) != Some(false) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PROMISED, unready).await.is_ok()
    }

    /// The end: rooms work, what was said last arrives, and nothing was found that must not be.
    pub async fn ends_well(self) -> Outcome {
        let recovered = self.recovers().await;
        self.ready().await;
        self.storm.crowd.last_round(PATIENCE).await;
        let outcome = Outcome {
            tally: self.storm.crowd.tally(),
            kills: self.storm.log.lock().unwrap().kills.clone(),
            recovered,
        };
        println!("{}", self.report(&outcome));
        let wrong = self.wrong();
        if !wrong.is_empty() {
            let logs = self.storm.installation.log_ends().await;
            panic!("{wrong}{logs}CAUSEWAY_CHAOS_SEED={} repeats the faults", self.storm.seed);
        }
        outcome
    }

    fn report(&self, outcome: &Outcome) -> String {
        let Tally { said, heard, stays, resumed, resyncs, degraded, excused, slowest } = &outcome.tally;
        let log = self.storm.log.lock().unwrap();
        let count: Vec<_> = log.count.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
        let told = |kill: &Option<Duration>| match kill {
            Some(after) => format!("{:.1} s", after.as_secs_f64()),
            None => "not within a minute".to_owned(),
        };
        let kills: Vec<_> = outcome.kills.iter().map(told).collect();
        format!(
            "seed {}\nfaults: {}\nsaid {said}, heard {heard}, stays {stays}, resumed {resumed}, resyncs {resyncs}, \
             degraded {degraded}, lost and told so {excused}, slowest {:.1} s\nSIGKILL to all rooms working: {}\n\
             last fault to all rooms working: {:.1} s",
            self.storm.seed,
            if count.is_empty() { "none".to_owned() } else { count.join(", ") },
            slowest.as_secs_f64(),
            if kills.is_empty() { "–".to_owned() } else { kills.join(", ") },
            outcome.recovered.as_secs_f64(),
        )
    }

    /// Everything that was found, with what happened before it.
    fn wrong(&self) -> String {
        const TOLD: usize = 5;
        let mut wrong = String::new();
        let findings = self.storm.crowd.findings();
        let write = "a String takes any text";
        for complaint in self.storm.installation.health.complaints() {
            writeln!(wrong, "{complaint}").expect(write);
        }
        for (room, finding) in &findings {
            let at = finding.at.since_origin().as_secs_f64();
            writeln!(wrong, "{at:9.3} room {room}: {}", finding.violation).expect(write);
        }
        for (room, finding) in findings.iter().take(TOLD) {
            writeln!(wrong, "--- room {room} before: {}", finding.violation).expect(write);
            writeln!(wrong, "{}", finding.before.join("\n")).expect(write);
        }
        if !wrong.is_empty() {
            let lines = self.storm.log.lock().unwrap().lines.join("\n");
            writeln!(wrong, "--- faults\n{lines}").expect(write);
        }
        wrong
    }
}

async fn ready(installation: &Installation) {
    let ready = async {
        while !installation.health.all_ready() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, ready).await.expect("nodes that are well say so in /readyz");
}
