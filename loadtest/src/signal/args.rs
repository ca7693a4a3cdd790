//! The flags of `loadtest signal`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::{Waiting, beside_this_program, seconds, span};
use crate::cores::Cores;
use crate::failure::Failure;
use crate::signal::program::Program;

/// Flags of `loadtest signal`.
#[derive(Clone, Debug, Args)]
pub struct SignalFlags {
    /// The causeway binary [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Servers that run already, such as http://127.0.0.1:8080, as nodes of one installation; repeat for more. Their limits have
    /// to be raised, and their CPU time and memory are not measured.
    #[arg(long, value_name = "URL", conflicts_with_all = ["server", "compare", "standard", "nodes"])]
    pub url: Vec<String>,
    /// Nodes that are started.
    #[arg(long, default_value_t = 1)]
    pub nodes: usize,
    /// Other servers to measure in the same run, by turns.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub compare: Vec<Rival>,
    /// What the members do.
    #[arg(long, value_enum, default_value_t = Work::Talk)]
    pub work: Work,
    /// Members that connect and stay.
    #[arg(long, default_value_t = 1_000)]
    pub connections: usize,
    /// Members of a room.
    #[arg(long, default_value_t = 2)]
    pub room: usize,
    /// A second: joins (churn), or messages that arrive (the others).
    #[arg(long, default_value_t = 1_000)]
    pub rate: u64,
    /// Bytes of what an application says.
    #[arg(long, default_value_t = 200)]
    pub size: usize,
    /// What the generator does while nothing arrives.
    #[arg(long, value_enum, default_value_t = Waiting::Polling)]
    pub waiting: Waiting,
    /// Runs the standard table instead of one load; flags that describe a load are ignored.
    #[arg(long)]
    pub standard: bool,
    /// Only rows of the standard table whose name contains this.
    #[arg(long, value_name = "TEXT", requires = "standard")]
    pub only: Option<String>,
    /// Where the others are installed [default: the folder `competitors` beside this program]
    #[arg(long, value_name = "DIR")]
    pub competitors: Option<PathBuf>,
    /// Measured seconds of a round.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Rounds that count, for each server; one more comes first and does not.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// The cores of servers, members, and their way to join tokens, or `any` [default: the last three of this machine]
    #[arg(long, value_name = "SERVER,MEMBERS,DOOR")]
    pub cores: Option<Cores>,
    /// Where results and the servers' logs go.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub out: PathBuf,
}

/// A server to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rival {
    /// npm `peer`: peerjs-server, which knows no rooms.
    #[value(name = "peerjs")]
    PeerJs,
    /// npm `socket.io` with its Redis adapter.
    #[value(name = "socketio")]
    SocketIo,
}

/// What members do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Connect, and then nothing.
    Idle,
    /// Stay, while others come for a second and go.
    Churn,
    /// Connect in pairs: offer, answer, candidates.
    Ice,
    /// Say what an application has to say to all others of the room.
    Talk,
    /// The same, and in the middle all lose their connections and come back.
    Storm,
}

/// One kind of load, whoever has to bear it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Load {
    /// See [`SignalFlags`] for each.
    pub work: Work,
    /// Nodes of one installation.
    pub nodes: usize,
    /// Members that stay.
    pub connections: usize,
    /// Of a room.
    pub room: usize,
    /// Joins or messages that arrive a second.
    pub rate: u64,
    /// Of what an application says, in bytes.
    pub size: usize,
    /// How the generator waits.
    pub waiting: Waiting,
    /// The measured span.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub span: Duration,
}

impl SignalFlags {
    /// The load that the flags describe.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn load(&self) -> Result<Load, Failure> {
        if self.connections == 0 || self.rounds == 0 || self.nodes == 0 || self.rate == 0 {
            return Err(Failure::Usage("--connections, --rounds, --nodes and --rate start at 1"));
        }
        if !(2..=100).contains(&self.room) || self.connections < self.room {
            return Err(Failure::Usage("--room is at least 2, and at most 100 and --connections"));
        }
        if self.size > 32_000 {
            return Err(Failure::Usage(
                "--size is at most 32000: a message has 64 KiB with what is around it",
            ));
        }
        Ok(Load {
            work: self.work,
            nodes: if self.url.is_empty() { self.nodes } else { self.url.len() },
            connections: self.connections,
            room: self.room,
            rate: self.rate,
            size: self.size,
            waiting: self.waiting,
            span: span(self.seconds)?,
        })
    }

    /// Our program, or the servers that run already.
    ///
    /// # Errors
    /// A URL is none.
    pub fn ours(&self) -> Result<Program, Failure> {
        if self.url.is_empty() {
            let path = self.server.clone();
            return Ok(Program::Causeway(path.unwrap_or_else(|| beside_this_program("causeway"))));
        }
        let address = |url: &String| -> Option<SocketAddr> {
            let host = url.strip_prefix("http://")?.trim_end_matches('/');
            host.to_socket_addrs().ok()?.next()
        };
        let addresses = self.url.iter().map(address).collect::<Option<_>>();
        addresses.map(Program::Running).ok_or(Failure::Usage("--url looks like http://127.0.0.1:8080"))
    }

    /// The program of another.
    pub fn rival(&self, rival: Rival) -> Program {
        let folder = self.competitors.clone().unwrap_or_else(|| beside_this_program("competitors"));
        match rival {
            Rival::PeerJs => Program::PeerJs(folder),
            Rival::SocketIo => Program::SocketIo(folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn flags(flags: &[&str]) -> SignalFlags {
        let cli = Cli::try_parse_from(["loadtest", "signal"].iter().chain(flags)).unwrap();
        match cli.command {
            Command::Signal(flags) => flags,
            Command::Relay(_) => panic!("another command"),
        }
    }

    #[test]
    fn without_flags_a_load_can_be_made() {
        assert!(flags(&[]).load().is_ok());
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for wrong in
            [["--room", "1"], ["--room", "101"], ["--connections", "1"], ["--rate", "0"], ["--nodes", "0"]]
        {
            assert!(flags(&wrong).load().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn servers_that_run_are_found_by_their_urls() {
        let running = flags(&["--url", "http://127.0.0.1:8080/", "--url", "http://127.0.0.1:8081"]);
        let addresses = ["127.0.0.1:8080", "127.0.0.1:8081"].map(|text| text.parse().unwrap());
        assert_eq!(running.ours().unwrap(), Program::Running(addresses.to_vec()));
        assert_eq!(running.load().unwrap().nodes, 2);
        assert!(flags(&["--url", "127.0.0.1:8080"]).ours().is_err());
    }
}
