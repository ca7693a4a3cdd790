//! An installation: nodes, their Redis, and the network between them.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::doors::Doors;
use crate::health::{Health, Status};
use crate::node::{Node, Recipe};
use crate::proxy::Proxy;
use crate::redis::Redis;

/// Everything that runs. Ends when dropped.
pub struct Installation {
    /// Locked by whatever happens to a node, so that one thing happens to it at a time.
    pub nodes: Vec<Mutex<Node>>,
    /// One in front of Redis for each node.
    pub proxies: Vec<Proxy>,
    pub redis: Option<Mutex<Redis>>,
    pub doors: Arc<Doors>,
    pub health: Health,
    _folder: Folder,
}

/// A folder that is removed unless somebody has to look at it.
struct Folder(Option<tempfile::TempDir>);

impl Folder {
    fn path(&self) -> &Path {
        self.0.as_ref().expect("it is kept at the end only").path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take()
            && std::thread::panicking()
        {
            eprintln!("logs of the nodes: {}/node-*/log", folder.keep().display());
        }
    }
}

impl Installation {
    /// One process that is its own cluster.
    pub async fn alone() -> Self {
        let folder = Folder(Some(tempfile::tempdir().unwrap()));
        let recipe = Recipe {
            arguments: vec!["serve", "--listen", "127.0.0.1", "--turn-port", "0"],
            settings: settings(""),
            folder: folder.path().join("node-0"),
        };
        Self::of(folder, vec![recipe], Vec::new(), None).await
    }

    /// Several nodes that share a Redis.
    pub async fn together(nodes: usize) -> Self {
        let folder = Folder(Some(tempfile::tempdir().unwrap()));
        let redis = Redis::start(folder.path().to_owned()).await;
        let (mut proxies, mut recipes) = (Vec::new(), Vec::new());
        for node in 0..nodes {
            let proxy = Proxy::start(redis.address).await;
            recipes.push(Recipe {
                arguments: vec!["signal"],
                settings: settings(&format!("[cluster]\nredis_url = 'redis://{}'\n", proxy.address)),
                folder: folder.path().join(format!("node-{node}")),
            });
            proxies.push(proxy);
        }
        Self::of(folder, recipes, proxies, Some(Mutex::new(redis))).await
    }

    async fn of(
        folder: Folder,
        recipes: Vec<Recipe>,
        proxies: Vec<Proxy>,
        redis: Option<Mutex<Redis>>,
    ) -> Self {
        let (doors, health) = (Arc::new(Doors::default()), Health::watch(recipes.len()));
        let mut nodes = Vec::new();
        for (number, recipe) in recipes.into_iter().enumerate() {
            let node = Node::start(recipe).await;
            doors.set(number, node.http);
            health.set(number, Status::Up { ops: node.ops });
            nodes.push(Mutex::new(node));
        }
        Self { nodes, proxies, redis, doors, health, _folder: folder }
    }

    /// After a node has been started again.
    pub fn is_up(&self, number: usize, node: &Node) {
        self.doors.set(number, node.http);
        self.health.set(number, Status::Up { ops: node.ops });
    }

    /// What the nodes logged last, for people.
    pub async fn log_ends(&self) -> String {
        let mut ends = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            ends += &format!("--- log of node {number}\n{}\n", node.lock().await.log_end());
        }
        ends
    }
}

/// The same for all nodes, but for what joins them. Everybody comes from one address here, so what strangers may do is not
/// limited; a drain is short, so that three fit into a test.
fn settings(cluster: &str) -> String {
    let secret = "c0".repeat(32);
    format!(
        "[node]\nsecret = '{secret}'\ndrain_seconds = 3\n\
         [log]\nfilter = 'info,causeway_signal=debug,causeway_cluster=debug'\n\
         [ops]\nlisten = '127.0.0.1:0'\n[http]\nlisten = '127.0.0.1:0'\n\
         [signal]\nhttp_threads = 1\nroom_threads = 1\nmax_sessions_per_ip = 10000\n\
         ice_urls = ['stun:127.0.0.1:3478']\n\
         [signal.limits]\nrooms_per_minute = 100000\njoins_per_minute = 100000\nsockets_per_minute = 100000\n\
         {cluster}"
    )
}
