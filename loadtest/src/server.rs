//! The servers that are compared: started alone on their core, with settings that mean the same, and stopped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{Client, Login};
use crate::clock;
use crate::cores::{Cores, pin_this_thread};
use crate::failure::{Doing, Failure};
use crate::proc::{self, CpuTime};

/// The user that every server is given.
pub(crate) const LOGIN: Login = Login { name: "user", password: "pass" };
const USER: &str = "user:pass";
const REALM: &str = "north.gov";
/// Relayed ports, below those that Linux gives to sockets without one (32,768 and up), so that none is in use.
const RELAY_PORTS: (u16, u16) = (20_000, 32_700);
/// How long a server may take to answer, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two questions whether it is up.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A program that relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ours, at this path.
    Causeway(PathBuf),
    /// Debian's package `coturn`, by this name or path.
    Coturn(PathBuf),
}

impl Program {
    /// What tables call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Causeway(_) => "causeway",
            Self::Coturn(_) => "coturn",
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Causeway(path) | Self::Coturn(path) => path,
        }
    }

    const fn remedy(&self) -> &'static str {
        match self {
            Self::Causeway(_) => {
                "build it with `cargo build --release -p causeway`, or say where it is with --server"
            }
            Self::Coturn(_) => "on Debian, `apt-get install coturn`",
        }
    }

    /// How it is told to relay with one thread, for one user, without secure transports and without limits.
    fn command(&self, address: SocketAddr) -> Command {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let (lowest, highest) = (RELAY_PORTS.0.to_string(), RELAY_PORTS.1.to_string());
        let mut command = Command::new(self.path());
        match self {
            Self::Causeway(_) => {
                command
                    .args([
                        "turn",
                        "--listen",
                        &ip,
                        "--port",
                        &port,
                        "--tls-port",
                        "0",
                        "--ops",
                        "127.0.0.1:0",
                    ])
                    .args(["--realm", REALM, "--user", USER, "--workers", "1", "--allow-loopback-peers"])
                    .args(["--relay-port-min", &lowest, "--relay-port-max", &highest, "--log", "warn"])
                    .env("CAUSEWAY_TURN__DTLS__ENABLED", "false")
                    .env("CAUSEWAY_TURN__STREAMS__TLS", "false")
                    .env("CAUSEWAY_TURN__LIMITS__ALLOCATIONS_PER_USER", "100000")
                    .env("CAUSEWAY_TURN__LIMITS__ALLOCATIONS_PER_SOURCE", "0")
                    .env("CAUSEWAY_TURN__STRANGERS__ANSWERS_PER_SECOND", "100000000")
                    .env("CAUSEWAY_TURN__STRANGERS__BURST", "100000000");
            }
            Self::Coturn(_) => {
                command
                    .args(["-n", "--listening-ip", &ip, "--relay-ip", &ip, "--listening-port", &port])
                    .args(["--realm", REALM, "--lt-cred-mech", "--user", USER, "--relay-threads", "1"])
                    .args(["--min-port", &lowest, "--max-port", &highest, "--allow-loopback-peers"])
                    .args(["--no-tls", "--no-dtls", "--no-cli", "--no-rfc5780"])
                    .args(["--log-file", "stdout", "--simple-log", "--pidfile", "/dev/null"]);
            }
        }
        command
    }
}

/// A server that answers. It ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program on its core and waits until it answers. Its output goes to a file in `logs`.
    pub(crate) fn start(program: &Program, cores: Cores, logs: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(logs).doing("making the output folder")?;
        let log = logs.join(format!("{}.log", program.name()));
        let output = File::create(&log).doing("making a log file")?;
        let errors = output.try_clone().doing("making a log file")?;
        let address = free_address()?;

        pin_this_thread(cores.server)?;
        let spawned = program.command(address).stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        pin_this_thread(cores.sender)?;
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (program, remedy) = (program.path().to_owned(), program.remedy());
                return Err(Failure::NotInstalled { program, remedy });
            }
            Err(source) => return Err(Failure::System { what: "starting a server", source }),
        };

        let mut server = Self { child, address };
        let end = clock::nanoseconds() + clock::of(PATIENCE);
        let mut client = Client::new(address, LOGIN)?;
        while !client.server_is_up(ASK_EVERY)? {
            let ended = server.child.try_wait().doing("looking after a server")?.is_some();
            if ended || clock::nanoseconds() > end {
                return Err(Failure::NotUp { server: program.name(), patience: PATIENCE, log });
            }
        }
        Ok(server)
    }

    /// CPU time that it has used so far.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, Failure> {
        proc::cpu_time(self.child.id())
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        proc::resident(self.child.id())
    }
}

impl Drop for Server {
    /// Asks it to end, and makes it end when it does not.
    fn drop(&mut self) {
        let process = i32::try_from(self.child.id()).map(Pid::from_raw);
        // An error means that it is gone already.
        let _ = process.map(|process| kill(process, Signal::SIGTERM));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address whose port was free a moment ago.
fn free_address() -> Result<SocketAddr, Failure> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .doing("finding a free port")
}
