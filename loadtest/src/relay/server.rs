//! The servers that are compared: started alone on their core, with settings that mean the same, and stopped.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::process::{self, Process};
use crate::relay::args::Other;
use crate::relay::client::{Client, Login};
use crate::rounds::{self, Program as _};
use crate::table::Other as _;

/// The user that every server is given.
pub(crate) const LOGIN: Login = Login { name: "user", password: "pass" };
const USER: &str = "user:pass";
const REALM: &str = "north.gov";
/// Relayed ports, below those that Linux gives to sockets without one (32,768 and up), so that none is in use.
const RELAY_PORTS: (u16, u16) = (20_000, 32_700);
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);

/// A program that relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ours, at this path.
    Causeway(PathBuf),
    /// Debian's package `coturn`, by this name or path.
    Coturn(PathBuf),
    /// The binary of the crate `turn-server`.
    TurnServer(PathBuf),
}

impl rounds::Program for Program {
    fn name(&self) -> &'static str {
        match self {
            Self::Causeway(_) => "causeway",
            Self::Coturn(_) => Other::Coturn.name(),
            Self::TurnServer(_) => Other::TurnServer.name(),
        }
    }

    fn find(&self) -> Result<(), Failure> {
        match self {
            Self::Causeway(path) => process::find_ours(path),
            Self::Coturn(path) => process::find(path, "on Debian, `apt-get install coturn`"),
            Self::TurnServer(path) => {
                process::find(path, "`make bench` builds it, or say where it is with --turn-server")
            }
        }
    }
}

impl Program {
    const fn path(&self) -> &PathBuf {
        match self {
            Self::Causeway(path) | Self::Coturn(path) | Self::TurnServer(path) => path,
        }
    }

    /// How it is told to relay with one thread, for one user, without secure transports and without limits.
    fn command(&self, address: SocketAddr, files: &Path) -> Result<Command, Failure> {
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
            Self::TurnServer(_) => {
                // It hands out ports without opening them; the range is the largest that it takes.
                let settings = format!(
                    "[log]\nlevel = \"error\"\n[server]\nrealm = \"{REALM}\"\nmax-threads = 1\n\
                     [[server.interfaces]]\ntransport = \"udp\"\nlisten = \"{address}\"\nexternal = \"{address}\"\n\
                     [auth.static-credentials]\n{} = \"{}\"\n",
                    LOGIN.name, LOGIN.password
                );
                let file = files.join("turn-server.toml");
                fs::write(&file, settings).doing("writing turn-server's settings")?;
                command.arg("--config").arg(file);
            }
        }
        Ok(command)
    }
}

/// A server that answers. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program on its core and waits until it answers. Its output goes to a file in `logs`.
    pub(crate) fn start(program: &Program, cores: Cores, logs: &Path) -> Result<Self, Failure> {
        program.find()?;
        fs::create_dir_all(logs).doing("making the output folder")?;
        let address = process::free_address()?;
        let mut command = program.command(address, logs)?;
        let mut client = Client::new(address, LOGIN)?;
        let process = Process::start(program.name(), &mut command, cores, logs)?.answering(
            program.name(),
            PATIENCE,
            || client.server_is_up(ANSWER_WITHIN),
        )?;
        Ok(Self { process, address })
    }
}
