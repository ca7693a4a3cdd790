//! Servers that tests start on free ports and end themselves.
#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than anything here takes on a loaded machine; a test that runs into it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A `redis-server`, or a Sentinel, that keeps nothing. Killed when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// One that stands alone.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Somebody else may take the port between our look and the server's bind.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = begin(port, &arguments, &folder) {
                return Self { child, port, arguments, folder };
            }
        }
        panic!("redis-server does not start");
    }

    /// A Sentinel that watches `master` under the name `rooms` and fails over alone.
    pub fn sentinel(master: &Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..10 {
            let port = free_port();
            let file = folder.path().join("sentinel.conf");
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor rooms 127.0.0.1 {} 1\n\
                 sentinel down-after-milliseconds rooms 1000\nsentinel failover-timeout rooms 5000\n",
                master.port
            );
            std::fs::write(&file, settings).unwrap();
            let arguments = vec![file.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
            if let Some(child) = run(&arguments, &folder, "+monitor master") {
                return Self { child, port, arguments, folder };
            }
        }
        panic!("the Sentinel does not start");
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, empty.
    pub fn start_again(&mut self) {
        self.child = begin(self.port, &self.arguments, &self.folder).expect("nobody else took the port");
    }

    /// Stops or continues it without its knowing.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// What it answers to a command, as `redis-cli` shows it.
    pub fn ask(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(command)
            .output()
            .expect("redis-cli is installed");
        String::from_utf8(output.stdout).unwrap()
    }

    /// How often a command was called.
    pub fn calls(&self, command: &str) -> u64 {
        let statistics = self.ask(&["INFO", "commandstats"]);
        let line =
            statistics.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    }

    /// Publishes bytes, as anybody may who reaches the server.
    pub fn publish(&self, channel: &str, bytes: &[u8]) {
        let mut connection = TcpStream::connect(self.address()).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        for part in [&b"SPUBLISH"[..], channel.as_bytes(), bytes].iter().enumerate() {
            if part.0 == 0 {
                connection.write_all(b"*3\r\n").unwrap();
            }
            write!(connection, "${}\r\n", part.1.len()).unwrap();
            connection.write_all(part.1).unwrap();
            connection.write_all(b"\r\n").unwrap();
        }
        let mut answer = String::new();
        BufReader::new(connection).read_line(&mut answer).unwrap();
        assert!(answer.starts_with(':'), "{answer}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on, and whose cluster port (10,000 more) exists.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}

fn begin(port: u16, arguments: &[String], folder: &tempfile::TempDir) -> Option<Child> {
    let port = port.to_string();
    let own = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned);
    run(&own.iter().chain(arguments).cloned().collect::<Vec<_>>(), folder, "Ready to accept connections")
}

/// Starts `redis-server` and waits until it says that it is ready; `None` if it ends instead.
fn run(arguments: &[String], folder: &tempfile::TempDir, ready: &str) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(arguments)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    if lines.any(|line| line.contains(ready)) {
        // Its pipe is emptied, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        return Some(child);
    }
    child.wait().unwrap();
    None
}
