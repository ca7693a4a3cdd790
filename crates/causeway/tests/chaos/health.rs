//! Asks the nodes all the time whether they live, which they have to whatever happens to Redis, and whether they are ready.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::http;
use crate::life::now;

/// Between two questions.
const EVERY: Duration = Duration::from_millis(500);
/// A busy machine answers within this.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What the test does to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is to answer here.
    Up { ops: SocketAddr },
    /// It is stopped, ends, or is not there.
    Away,
}

/// Watches all nodes. Ends when dropped.
pub struct Health {
    nodes: Arc<Vec<Mutex<Watched>>>,
    tasks: Vec<JoinHandle<()>>,
}

struct Watched {
    status: Status,
    /// Whether `/readyz` said so the last time.
    ready: Option<bool>,
    complaints: Vec<String>,
}

impl Health {
    pub fn watch(nodes: usize) -> Self {
        let watched = || Mutex::new(Watched { status: Status::Away, ready: None, complaints: Vec::new() });
        let nodes: Arc<Vec<_>> = Arc::new((0..nodes).map(|_| watched()).collect());
        let task = |node| tokio::spawn(watch(Arc::clone(&nodes), node));
        let tasks = (0..nodes.len()).map(task).collect();
        Self { nodes, tasks }
    }

    pub fn set(&self, node: usize, status: Status) {
        let mut watched = self.nodes[node].lock().unwrap();
        watched.status = status;
        watched.ready = None;
    }

    /// Whether `/readyz` of a node says so; `None`: not asked yet, or away.
    pub fn ready(&self, node: usize) -> Option<bool> {
        self.nodes[node].lock().unwrap().ready
    }

    /// Whether all nodes say that they are ready.
    pub fn all_ready(&self) -> bool {
        (0..self.nodes.len()).all(|node| self.ready(node) == Some(true))
    }

    /// When a node that was up did not say that it lives.
    pub fn complaints(&self) -> Vec<String> {
        self.nodes.iter().flat_map(|node| node.lock().unwrap().complaints.clone()).collect()
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn watch(nodes: Arc<Vec<Mutex<Watched>>>, node: usize) {
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        let status = nodes[node].lock().unwrap().status;
        let Status::Up { ops } = status else { continue };
        let lives = timeout(ANSWERS_WITHIN, http::get(ops, "/livez")).await;
        let ready = timeout(ANSWERS_WITHIN, http::get(ops, "/readyz")).await;
        let mut watched = nodes[node].lock().unwrap();
        // Something has happened to it while it was asked.
        if watched.status != status {
            continue;
        }
        match &lives {
            Ok(Ok(answer)) if answer.status == 200 => {}
            other => {
                let at = now().since_origin().as_secs_f64();
                watched.complaints.push(format!("{at:.3} node {node} answered /livez with {other:?}"));
            }
        }
        if let Ok(Ok(answer)) = ready {
            watched.ready = Some(answer.status == 200);
        }
    }
}
