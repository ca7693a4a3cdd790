//! The flags of `loadtest relay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::server::Program;
use super::stamp;
use crate::args::{Waiting, beside_this_program, seconds, span};
use crate::cores::Cores;
use crate::failure::Failure;

/// Flags of `loadtest relay`.
#[derive(Clone, Debug, Args)]
pub struct RelayFlags {
    /// The causeway binary [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Other relays to measure in the same run, by turns.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub compare: Vec<Other>,
    /// Clients that have an allocation and a peer each.
    #[arg(long, default_value_t = 8)]
    pub flows: usize,
    /// Application bytes of a packet.
    #[arg(long, default_value_t = 1_000)]
    pub size: usize,
    /// Which way data goes.
    #[arg(long, value_enum, default_value_t = Direction::Up)]
    pub direction: Direction,
    /// Packets that are sent in one piece and cut by the kernel (UDP_SEGMENT); 1: packet by packet.
    #[arg(long, default_value_t = 1)]
    pub burst: usize,
    /// Packets a second on all flows together, evenly spaced [default: as fast as the server takes them]
    #[arg(long)]
    pub rate: Option<u64>,
    /// Packets on their way through the server at a time, on all flows and in each direction, if no rate is given.
    #[arg(long, default_value_t = 128)]
    pub window: u64,
    /// Who the other end of a flow is.
    #[arg(long, value_enum, default_value_t = Partner::Peer)]
    pub partner: Partner,
    /// How data travels between client and server.
    #[arg(long, value_enum, default_value_t = Framing::Channel)]
    pub framing: Framing,
    /// Whether the generator's sockets take joined packets (UDP_GRO).
    #[arg(long, value_enum, default_value_t = Receivers::Joining)]
    pub receivers: Receivers,
    /// What the generator does while nothing arrives.
    #[arg(long, value_enum, default_value_t = Waiting::Polling)]
    pub waiting: Waiting,
    /// What the server is asked to do.
    #[arg(long, value_enum, default_value_t = Work::Data)]
    pub work: Work,
    /// Runs the standard table instead of one load; flags that describe a load are ignored.
    #[arg(long)]
    pub standard: bool,
    /// Only rows of the standard table whose name contains this.
    #[arg(long, value_name = "TEXT", requires = "standard")]
    pub only: Option<String>,
    /// Seconds of ours at half the rate that saturates it, which have to pass without a loss; 0: none.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub soak: u64,
    /// The `turn-server` binary [default: turn-server in the folder `competitors/bin` beside this program]
    #[arg(long, value_name = "PATH")]
    pub turn_server: Option<PathBuf>,
    /// Measured seconds of a round.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Rounds that count, for each server; one more comes first and does not.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// The cores of server, sender and receiver, or `any` [default: the last three of this machine]
    #[arg(long, value_name = "SERVER,SENDER,RECEIVER")]
    pub cores: Option<Cores>,
    /// Where results and the servers' logs go.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub out: PathBuf,
}

/// A relay to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Other {
    /// coturn, as Debian has it.
    Coturn,
    /// The crate `turn-server` (turn-rs), which relays only between its own clients.
    TurnServer,
}

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client.
    Up,
    /// To the client.
    Down,
    /// Both ways at a time.
    Both,
}

/// The other end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Partner {
    /// A socket that knows nothing of TURN.
    Peer,
    /// Another client of the same server, at its relayed address.
    Client,
}

/// How data travels between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// ChannelData.
    Channel,
    /// Send and Data indications.
    Indication,
}

/// How the generator's sockets receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Receivers {
    /// Packets that were sent in one piece arrive in one piece, as with network hardware that cuts them.
    Joining,
    /// Each packet alone: the server's core has to cut what it sent in one piece.
    Plain,
}

/// What the server is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Relay data.
    Data,
    /// Answer STUN Binding requests.
    Binding,
    /// Make and end allocations: Allocate with the long-term mechanism, then Refresh with a lifetime of 0.
    Allocate,
    /// Hold as many allocations as there are flows.
    Idle,
}

/// One kind of load, whoever has to bear it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Load {
    /// See [`RelayFlags`] for each.
    pub work: Work,
    /// Clients.
    pub flows: usize,
    /// Application bytes.
    pub size: usize,
    /// Which way.
    pub direction: Direction,
    /// Packets in one piece.
    pub burst: usize,
    /// Packets a second; `None`: as fast as they are taken.
    pub rate: Option<u64>,
    /// Packets on their way.
    pub window: u64,
    /// The other end.
    pub partner: Partner,
    /// Around the data.
    pub framing: Framing,
    /// How the generator receives.
    pub receivers: Receivers,
    /// How it waits.
    pub waiting: Waiting,
    /// The measured span.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub span: Duration,
}

/// What UDP carries over IPv4, and what one send with `UDP_SEGMENT` takes (`UDP_MAX_SEGMENTS`).
const LONGEST_DATAGRAM: usize = 65_507;
const LONGEST_BURST: usize = 64;
/// Room for the header of ChannelData or of a Send indication.
const HEADERS: usize = 36;

impl RelayFlags {
    /// The load that the flags describe.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn load(&self) -> Result<Load, Failure> {
        if self.flows == 0 || self.burst == 0 || self.rounds == 0 {
            return Err(Failure::Usage("--flows, --burst and --rounds start at 1"));
        }
        if self.size < stamp::LENGTH {
            return Err(Failure::Usage("--size starts at 12: each packet says when it was sent"));
        }
        if self.burst > LONGEST_BURST || self.burst * (self.size + HEADERS) > LONGEST_DATAGRAM {
            return Err(Failure::Usage("a burst has at most 64 packets and 65,507 bytes with their headers"));
        }
        Ok(Load {
            work: self.work,
            flows: self.flows,
            size: self.size,
            direction: self.direction,
            burst: self.burst,
            rate: self.rate,
            window: self.window,
            partner: self.partner,
            framing: self.framing,
            receivers: self.receivers,
            waiting: self.waiting,
            span: span(self.seconds)?,
        })
    }

    /// Our program.
    pub fn ours(&self) -> Program {
        Program::Causeway(self.server.clone().unwrap_or_else(|| beside_this_program("causeway")))
    }

    /// The program of another.
    pub fn other(&self, other: Other) -> Program {
        match other {
            Other::Coturn => Program::Coturn(PathBuf::from("turnserver")),
            Other::TurnServer => {
                let path = self.turn_server.clone();
                Program::TurnServer(
                    path.unwrap_or_else(|| beside_this_program("competitors/bin/turn-server")),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn load(flags: &[&str]) -> Result<Load, Failure> {
        let cli = Cli::try_parse_from(["loadtest", "relay"].iter().chain(flags)).unwrap();
        match cli.command {
            Command::Relay(flags) => flags.load(),
            Command::Signal(_) => panic!("another command"),
        }
    }

    #[test]
    fn without_flags_a_load_can_be_made() {
        assert!(load(&[]).is_ok());
    }

    #[test]
    fn what_the_kernel_does_not_send_in_one_piece_is_refused() {
        assert!(load(&["--burst", "64", "--size", "900"]).is_ok());
        assert!(load(&["--burst", "65", "--size", "12"]).is_err());
        assert!(load(&["--burst", "64", "--size", "1000"]).is_err());
    }

    #[test]
    fn nothing_cannot_be_measured() {
        for flags in
            [["--flows", "0"], ["--burst", "0"], ["--rounds", "0"], ["--size", "11"], ["--seconds", "0"]]
        {
            assert!(load(&flags).is_err(), "{flags:?}");
        }
    }
}
