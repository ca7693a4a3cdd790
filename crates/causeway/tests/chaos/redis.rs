//! A real `redis-server` on a free port that keeps nothing on disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Longer than a start takes on a loaded machine.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Between two tries to reach it.
const AGAIN: Duration = Duration::from_millis(20);

/// The server. Killed when dropped.
pub struct Redis {
    pub address: SocketAddr,
    folder: PathBuf,
    child: Child,
}

impl Redis {
    pub async fn start(folder: PathBuf) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = spawn(address, &folder);
        let redis = Self { address, folder, child };
        redis.is_up().await;
        redis
    }

    /// Ends at once, and everything that it knew.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts again at the same address, empty.
    pub async fn restart(&mut self) {
        self.child = spawn(self.address, &self.folder);
        self.is_up().await;
    }

    /// How many messages it has been told to pass on.
    pub async fn published(&self) -> u64 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(b"INFO commandstats\r\nQUIT\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let calls = |line: &str| {
            let (command, statistics) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let count = statistics.split(',').next()?;
            matches!(command, "publish" | "spublish").then(|| count.parse::<u64>().unwrap())
        };
        answer.lines().filter_map(calls).sum()
    }

    async fn is_up(&self) {
        let up = async {
            while !answers(self.address).await {
                sleep(AGAIN).await;
            }
        };
        timeout(STARTS_WITHIN, up).await.expect("redis-server starts; is it installed?");
    }
}

fn spawn(address: SocketAddr, folder: &PathBuf) -> Child {
    let port = address.port().to_string();
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server is installed (make setup says how)")
}

async fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && &answer == b"+PONG"
}
