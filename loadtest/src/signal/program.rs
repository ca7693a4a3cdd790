//! The servers that are compared, and how each is started as one installation of some nodes.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::proc::CpuTime;
use crate::process::{self, Process};
use crate::rounds::{self, Program as _};
use crate::signal::args::Rival;
use crate::signal::dialect::Dialect;
use crate::signal::http::Client;
use crate::table::Other as _;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// What nodes of one installation share.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// What an operator would set for as much as this from one address. Everything else is as it comes.
const SETTINGS: &str = "\
[signal]
max_rooms = 100000
max_capacity = 1000
max_sessions = 100000
max_sessions_per_ip = 100000

[signal.limits]
rooms_per_minute = 10000000
joins_per_minute = 10000000
sockets_per_minute = 10000000
messages_per_second = 1000000
message_burst = 1000000
bytes_per_second = 1000000000
byte_burst = 1000000000
";

/// A program that brings peers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ours, at this path.
    Causeway(PathBuf),
    /// Ours, running already at these addresses.
    Running(Vec<SocketAddr>),
    /// npm `peer`, installed in this folder.
    PeerJs(PathBuf),
    /// npm `socket.io` with its Redis adapter, installed in this folder.
    SocketIo(PathBuf),
}

impl rounds::Program for Program {
    fn name(&self) -> &'static str {
        match self {
            Self::Causeway(_) | Self::Running(_) => "causeway",
            Self::PeerJs(_) => Rival::PeerJs.name(),
            Self::SocketIo(_) => Rival::SocketIo.name(),
        }
    }

    fn find(&self) -> Result<(), Failure> {
        let installed = "`make bench` installs it, or say where it is with --competitors";
        match self {
            Self::Causeway(path) => process::find_ours(path),
            Self::Running(_) => Ok(()),
            Self::PeerJs(folder) => process::find(&folder.join(PEERJS), installed),
            Self::SocketIo(folder) => {
                process::find(Path::new("redis-server"), "on Debian, `apt-get install redis-server`")?;
                process::find(&folder.join("node_modules/socket.io/package.json"), installed)?;
                process::find(&folder.join(SOCKET_IO), installed)
            }
        }
    }
}

impl Program {
    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Causeway(_) | Self::Running(_) => Dialect::Causeway,
            Self::PeerJs(_) => Dialect::PeerJs,
            Self::SocketIo(_) => Dialect::SocketIo,
        }
    }

    /// A path that is answered by a server that is up; with whatever.
    const fn asked(&self) -> &'static str {
        match self {
            Self::Causeway(_) | Self::Running(_) | Self::PeerJs(_) => "/",
            Self::SocketIo(_) => "/socket.io/",
        }
    }

    fn command(
        &self,
        address: SocketAddr,
        redis: Option<SocketAddr>,
        data: &Path,
    ) -> Result<Command, Failure> {
        let port = address.port().to_string();
        let redis = redis.map(|address| format!("redis://{address}"));
        Ok(match self {
            Self::Causeway(path) => {
                fs::create_dir_all(data).doing("making a data folder")?;
                let settings = data.join("causeway.toml");
                fs::write(&settings, SETTINGS).doing("writing settings")?;
                let mut command = Command::new(path);
                command
                    .args(["signal", "--http", &address.to_string()])
                    .args(["--ops", "127.0.0.1:0", "--log", "warn"])
                    .arg("--config")
                    .arg(settings)
                    .arg("--data-dir")
                    .arg(data);
                if let Some(redis) = redis {
                    command.args(["--redis-url", &redis]).env("CAUSEWAY_NODE__SECRET", SECRET);
                }
                command
            }
            Self::Running(_) => return Err(Failure::Usage("what runs already is not started")),
            Self::PeerJs(folder) => {
                let mut command = Command::new("node");
                command.env("NODE_ENV", "production").arg(folder.join(PEERJS)).args([
                    "--host",
                    "127.0.0.1",
                    "--port",
                    &port,
                    "--concurrent_limit",
                    "100000",
                ]);
                command
            }
            Self::SocketIo(folder) => {
                let mut command = Command::new("node");
                let redis = redis.unwrap_or_default();
                command.env("NODE_ENV", "production").arg(folder.join(SOCKET_IO)).args([&port, &redis]);
                command
            }
        })
    }
}

const PEERJS: &str = "node_modules/peer/dist/bin/peerjs.js";
const SOCKET_IO: &str = "socketio.mjs";

/// Servers that answer. They end when this is dropped.
pub(crate) struct Installation {
    pub(crate) nodes: Vec<SocketAddr>,
    processes: Vec<Process>,
    /// Behind them, so that it outlives its clients.
    redis: Option<(Process, SocketAddr)>,
}

impl Installation {
    /// Starts nodes of a program and waits until they answer. What they say goes to files in `logs`.
    pub(crate) fn start(program: &Program, nodes: usize, cores: Cores, logs: &Path) -> Result<Self, Failure> {
        program.find()?;
        if let Program::Running(nodes) = program {
            return Ok(Self { nodes: nodes.clone(), processes: Vec::new(), redis: None });
        }
        let redis = match program {
            Program::SocketIo(_) => Some(start_redis(cores, logs)?),
            // What lives on one node needs none.
            Program::Causeway(_) if nodes > 1 => Some(start_redis(cores, logs)?),
            Program::Causeway(_) | Program::PeerJs(_) | Program::Running(_) => None,
        };
        let mut running = Self { nodes: Vec::new(), processes: Vec::new(), redis };
        for number in 0..nodes {
            let address = process::free_address()?;
            let name = format!("{}-{number}", program.name());
            let data = logs.join("data").join(&name);
            // What an earlier round left there is not part of this one.
            let _ = fs::remove_dir_all(&data);
            let mut command =
                program.command(address, running.redis.as_ref().map(|(_, address)| *address), &data)?;
            let mut client = Client::new(address);
            let process = Process::start(&name, &mut command, cores, logs)?.answering(
                program.name(),
                PATIENCE,
                || Ok(client.is_up(program.asked())),
            )?;
            running.nodes.push(address);
            running.processes.push(process);
        }
        Ok(running)
    }

    /// CPU time that all nodes have used so far. Redis is not in it.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, Failure> {
        self.processes.iter().try_fold(CpuTime::default(), |sum, process| {
            let one = process.cpu_time()?;
            Ok(CpuTime {
                total: sum.total + one.total,
                user: sum.user + one.user,
                system: sum.system + one.system,
            })
        })
    }

    /// Bytes of memory that all nodes hold. Redis is not in it.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        self.processes.iter().map(Process::resident).sum()
    }
}

fn start_redis(cores: Cores, logs: &Path) -> Result<(Process, SocketAddr), Failure> {
    let address = process::free_address()?;
    let mut command = Command::new("redis-server");
    command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no"]);
    let process = Process::start("redis", &mut command, cores, logs)?
        .answering("redis", PATIENCE, || Ok(TcpStream::connect(address).is_ok()))?;
    Ok((process, address))
}
