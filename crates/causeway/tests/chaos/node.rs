//! A real node: a process of the binary with its own configuration, ports and data directory.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than a start or an end takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a node is told.
#[derive(Clone)]
pub struct Recipe {
    /// `signal` in a cluster, `serve` alone.
    pub arguments: Vec<&'static str>,
    /// The configuration file.
    pub settings: String,
    pub folder: PathBuf,
}

/// A running node. Killed when dropped, also while it is stopped.
pub struct Node {
    recipe: Recipe,
    child: Child,
    pub http: SocketAddr,
    pub ops: SocketAddr,
}

impl Node {
    /// Starts it and waits until it says that it is up.
    pub async fn start(recipe: Recipe) -> Self {
        fs::create_dir_all(&recipe.folder).unwrap();
        let (child, http, ops) = up(&recipe).await;
        Self { recipe, child, http, ops }
    }

    /// Ends at once.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// After it has ended: another process with the same configuration and data.
    pub async fn restart(&mut self) {
        (self.child, self.http, self.ops) = up(&self.recipe).await;
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log_end())).unwrap()
    }

    /// What it logged last.
    pub fn log_end(&self) -> String {
        log_end(&self.recipe)
    }
}

async fn up(recipe: &Recipe) -> (Child, SocketAddr, SocketAddr) {
    let file = recipe.folder.join("causeway.toml");
    fs::write(&file, &recipe.settings).unwrap();
    let log = File::options().append(true).create(true).open(recipe.folder.join("log")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(&recipe.arguments)
        .arg("--config")
        .arg(&file)
        .arg("--data-dir")
        .arg(recipe.folder.join("data"))
        .current_dir(&recipe.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let printed = child.stdout.take().expect("piped above");
    match timeout(PATIENCE, addresses(printed)).await {
        Ok(Some((http, ops))) => (child, http, ops),
        Ok(None) | Err(_) => panic!("the node does not start:\n{}", log_end(recipe)),
    }
}

/// Reads its addresses from what it prints for people, up to the last line.
async fn addresses(printed: ChildStdout) -> Option<(SocketAddr, SocketAddr)> {
    let (mut http, mut ops) = (None, None);
    let mut lines = BufReader::new(printed).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        if line.starts_with("Stop with") {
            // Its last line; the pipe is read on so that it never waits for us.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some((http?, ops?));
        }
        let Some((_, rest)) = line.split_once("http://") else { continue };
        let address = rest.split(['/', ' ']).next()?.replace("localhost", "127.0.0.1").parse().ok();
        if line.trim_start().starts_with("metrics") {
            ops = address;
        } else {
            http = http.or(address);
        }
    }
    None
}

fn log_end(recipe: &Recipe) -> String {
    const LINES: usize = 30;
    let log = fs::read(recipe.folder.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
