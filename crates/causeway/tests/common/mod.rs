//! What tests of the binary share: a process of ours, what it prints and logs, and questions to it.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

pub mod room;
pub mod turn;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

pub const BINARY: &str = env!("CARGO_BIN_EXE_causeway");

/// Longer than anything here takes on a loaded machine; a test that runs into it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A process of ours on free ports. Killed when dropped.
pub struct Running {
    child: Child,
    log: Receiver<String>,
    pub ops: SocketAddr,
    pub http: Option<SocketAddr>,
    /// Port 0 if there is none.
    pub relay: SocketAddr,
}

impl Running {
    pub fn serve(data: &Path) -> Self {
        let data_dir = data.to_str().unwrap();
        let arguments = [
            "serve",
            "--http",
            "127.0.0.1:0",
            "--turn-port",
            "0",
            "--listen",
            "127.0.0.1",
            "--data-dir",
            data_dir,
        ];
        Self::start(&arguments, data)
    }

    pub fn turn() -> Self {
        Self::start(&["turn", "--listen", "127.0.0.1", "--port", "0"], Path::new("/"))
    }

    /// Starts the process and reads its addresses from what it prints for people.
    pub fn start(arguments: &[&str], folder: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(arguments)
            .args(["--ops", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = lines_of(child.stderr.take().unwrap());
        let (mut ops, mut http, mut relay) = (None, None, None);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let Some(line) = lines.next() else { panic!("it ended before it was up: {:?}", child.wait()) };
            let line = line.unwrap();
            let address = line
                .split_once("http://")
                .map(|(_, rest)| rest.split('/').next().unwrap().replace("localhost", "127.0.0.1"));
            if line.trim_start().starts_with("metrics") {
                ops = address.map(|text| text.parse().unwrap());
            } else if line.trim_start().starts_with("demo") {
                http = address.map(|text| text.parse().unwrap());
            } else if let Some(url) = line.trim_start().strip_prefix("relay") {
                let address = url.trim().strip_prefix("turn:").and_then(|rest| rest.split(' ').next());
                relay = relay.or(address.map(|address| address.parse().unwrap()));
            } else if line.starts_with("Stop with") {
                break;
            }
        }
        Self {
            child,
            log,
            ops: ops.unwrap(),
            http,
            relay: relay.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
        }
    }

    /// Waits for a line of the log that contains `part`.
    #[track_caller]
    pub fn log_with(&mut self, part: &str) -> String {
        let mut seen = String::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen = seen + &line + "\n",
                Err(error) => panic!("{error}: the log does not say {part:?}:\n{seen}"),
            }
        }
    }

    /// A whole number among the operator's metrics; 0 if it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        let page = get(self.ops, "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// What it has in memory, in kB.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Sends a signal by its name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Ends at once, without a chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn terminate(self) -> Option<i32> {
        self.signal("TERM");
        self.end()
    }

    /// Waits until it ends by itself.
    pub fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn get(address: SocketAddr, path: &str) -> String {
    request(address, "GET", path)
}

pub fn request(address: SocketAddr, method: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(connection, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// What a process writes, line by line, taken from its pipe so that it never waits for us.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(10_000);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // A test that has seen enough no longer listens.
            let _ = sender.try_send(line);
        }
    });
    receiver
}
