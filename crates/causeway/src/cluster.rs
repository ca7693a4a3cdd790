//! What joins this process with others: a Redis, if the settings name one; else memory, and a file for what is kept of rooms.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use causeway_cluster::{
    Bus, Cluster, Connection, DiskRecords, LeaseTimes, MemoryBus, MemoryCluster, MemoryHub, NodeFacts, Redis,
    RedisBus, RedisCluster, RedisUrl,
};
use causeway_protocol::secret::Secret;
use causeway_service::health::{Condition, Health};
use causeway_service::{Hidden, clock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::exit::Exit;
use crate::settings::Settings;
use crate::startup::Process;

/// The name of what joins the nodes in `/readyz`.
const PART: &str = "cluster";
/// Where a single process keeps its rooms in the data directory.
const ROOMS: &str = "rooms.redb";
/// How often a single process forgets what has expired.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// What leases may last, in seconds: renewals need some time, and rooms of a dead node wait for the end of its lease.
const LEASE_SECONDS: std::ops::RangeInclusive<u64> = 2..=60;

/// The `cluster` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSettings {
    /// The Redis that joins all nodes of the installation: `redis://host:6379`,
    /// `redis+sentinel://host:26379,host:26379/service` or `redis+cluster://host:6379,host:6379`; `rediss` for TLS, `name:password@`
    /// before the first host. Absent: this process is alone. All nodes need the same `node.secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_url: Option<Hidden>,
    /// Where clients reach this very node, such as `https://node-1.example`, if they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_url: Option<String>,
    /// After so long without a sign of life a node counts as dead, and others take its rooms. The same on all nodes.
    pub lease_seconds: u64,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self { redis_url: None, node_url: None, lease_seconds: LeaseTimes::default().lease.as_secs() }
    }
}

impl ClusterSettings {
    /// What is wrong, by setting.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if let Some(Err(error)) = self.url() {
            problems.push(("cluster.redis_url", error.to_string()));
        }
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if self.node_url.as_ref().is_some_and(|url| !is_url(url)) {
            problems.push(("cluster.node_url", "wants a URL such as https://node-1.example".to_owned()));
        }
        if !LEASE_SECONDS.contains(&self.lease_seconds) {
            let (least, most) = (LEASE_SECONDS.start(), LEASE_SECONDS.end());
            problems.push(("cluster.lease_seconds", format!("wants {least} to {most} seconds")));
        }
        problems
    }

    fn url(&self) -> Option<Result<RedisUrl, causeway_cluster::RedisUrlError>> {
        self.redis_url.as_ref().map(|url| url.expose().trim().parse())
    }

    /// The Redis of valid settings.
    fn redis(&self, process: &Process) -> Option<Arc<Redis>> {
        // The settings' own check has ruled out what is no address.
        let url = self.url()?.ok()?;
        tracing::info!(node = %process.node, "joining other nodes by {url}");
        Some(Redis::connect(url, process.node.clone(), clock::now))
    }
}

/// What joins this process with others.
pub struct ClusterPart {
    /// Topics that every process hears.
    pub bus: Arc<dyn Bus>,
    /// The other nodes with rooms.
    pub cluster: Arc<dyn Cluster>,
    redis: Option<Arc<RedisCluster>>,
}

impl ClusterPart {
    /// Joins the other nodes, or begins to try; or makes a cluster of this process alone, with its records in `data_dir`.
    ///
    /// # Errors
    /// [`Exit::Start`] if the data directory cannot be used.
    pub fn start(
        settings: &Settings,
        secret: &Secret,
        data_dir: &Path,
        process: &Process,
    ) -> Result<Self, Exit> {
        let facts = NodeFacts { url: settings.cluster.node_url.clone(), ..NodeFacts::default() };
        let Some(redis) = settings.cluster.redis(process) else {
            let alone = alone(data_dir, process)?;
            alone.announce(facts);
            return Ok(Self { bus: Arc::new(MemoryBus::new()), cluster: alone, redis: None });
        };
        let relay_secret = settings.relay_secret(None).unwrap_or_else(|| secret.clone());
        let bus = RedisBus::new(Arc::clone(&redis), &relay_secret);
        let times = LeaseTimes { lease: Duration::from_secs(settings.cluster.lease_seconds) };
        let cluster = RedisCluster::join(redis, secret, times);
        cluster.announce(facts);
        let connection = cluster.connection();
        report(process.health.clone(), connection, |connection| *connection == Connection::Connected);
        Ok(Self { bus, cluster: Arc::clone(&cluster) as Arc<dyn Cluster>, redis: Some(cluster) })
    }

    /// Tells the others that this node is gone, so that they need not wait until its lease is over.
    pub async fn leave(&self) {
        if let Some(redis) = &self.redis
            && let Err(error) = redis.leave().await
        {
            tracing::warn!(%error, "the other nodes notice only when the lease is over that this one has gone");
        }
    }
}

/// The Bus of a relay that runs alone.
///
/// # Errors
/// [`Exit::Start`] if the settings name a Redis and no secret that others share.
pub fn bus_of_relay(
    settings: &Settings,
    secret: Option<Secret>,
    process: &Process,
) -> Result<Arc<dyn Bus>, Exit> {
    let Some(redis) = settings.cluster.redis(process) else { return Ok(Arc::new(MemoryBus::new())) };
    let Some(secret) = settings.relay_secret(secret) else {
        let wanted = "cluster.redis_url needs node.relay_secret or node.secret: by it processes know one another's messages";
        return Err(Exit::Start(wanted.to_owned()));
    };
    report(process.health.clone(), redis.listening(), |listening| *listening);
    Ok(RedisBus::new(redis, &secret))
}

fn alone(data_dir: &Path, process: &Process) -> Result<Arc<MemoryCluster>, Exit> {
    let records = std::fs::create_dir_all(data_dir)
        .map_err(|error| {
            format!("{} cannot be made ({error}); choose another --data-dir", data_dir.display())
        })
        .and_then(|()| DiskRecords::open(&data_dir.join(ROOMS)).map_err(|error| error.to_string()))
        .map_err(Exit::Start)?;
    let node = MemoryHub::with_records(clock::now, Arc::new(records)).node(process.node.clone());
    let forgetful = Arc::downgrade(&node);
    actix_web::rt::spawn(async move {
        let mut times = tokio::time::interval(FORGET_EVERY);
        loop {
            times.tick().await;
            let Some(node) = forgetful.upgrade() else { return };
            if let Err(error) = node.forget_expired().await {
                tracing::warn!(%error, "records of rooms that are over were not removed");
            }
        }
    });
    Ok(node)
}

/// Says in `/readyz` whether others are reached, for as long as somebody tries.
fn report<T: Send + Sync + 'static>(
    health: Health,
    mut state: watch::Receiver<T>,
    well: impl Fn(&T) -> bool + 'static,
) {
    health.set(PART, Condition::Starting);
    actix_web::rt::spawn(async move {
        let mut was_well = false;
        loop {
            let is_well = well(&state.borrow_and_update());
            was_well |= is_well;
            health.set(
                PART,
                match (is_well, was_well) {
                    (true, _) => Condition::Ready,
                    (false, true) => Condition::Failed,
                    (false, false) => Condition::Starting,
                },
            );
            if state.changed().await.is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_well() {
        assert_eq!(ClusterSettings::default().problems(), []);
    }

    #[test]
    fn every_mistake_is_a_sentence_without_the_password() {
        let settings = ClusterSettings {
            redis_url: Some(Hidden::new("http://:swordfish@host")),
            node_url: Some("node-1".to_owned()),
            lease_seconds: 0,
        };
        let problems = settings.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(
            problems.iter().all(|(_, problem)| problem.contains("wants") && !problem.contains("swordfish"))
        );
    }
}
