//! The command line. A flag is a setting of the last layer; see `causeway config print` for all settings.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Everything that WebRTC apps need to connect: rooms, signaling, and a STUN/TURN relay.
#[derive(Parser)]
#[command(name = "causeway", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Subcommand)]
pub enum Command {
    /// Run everything in one process: rooms, signaling, relay, and the file-transfer demo
    Serve(ServeFlags),
    /// Run rooms and signaling, and the demo, without a relay
    Signal(SignalFlags),
    /// Run the STUN/TURN relay alone
    Turn(TurnFlags),
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running process whether it is ready; exits with 0 or 1
    Health(HealthFlags),
}

/// `causeway config …`.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the effective settings as TOML, with secrets redacted
    Print(CommonFlags),
}

/// What every command with settings takes.
#[derive(Args, Default)]
pub struct CommonFlags {
    /// A configuration file in TOML; environment variables (CAUSEWAY_TURN__PORT=3478) and flags override it
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the installation's secret and data are kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where /metrics, /livez and /readyz are served [default: 127.0.0.1:9641]
    #[arg(long, value_name = "ADDRESS")]
    pub ops: Option<SocketAddr>,
    /// How log lines look: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What is logged, for example info,causeway_turn=debug
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// What both `serve` and `turn` say about the relay.
#[derive(Args, Default)]
pub struct RelayFlags {
    /// The realm that TURN clients authenticate in
    #[arg(long)]
    pub realm: Option<String>,
    /// An address that TURN clients reach the relay at; repeat for more [default: every address of this host]
    #[arg(long, value_name = "IP")]
    pub listen: Vec<IpAddr>,
    /// The relay's second port, for `turns:` [default: 5349]
    #[arg(long, value_name = "PORT")]
    pub tls_port: Option<u16>,
    /// The certificate that TLS clients are shown, with its issuers', as a PEM file [default: self-signed]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A static TURN user; repeat for more
    #[arg(long, value_name = "NAME:PASSWORD")]
    pub user: Vec<String>,
    /// A secret of time-limited `expiry:user` credentials; repeat for more. Other users of this machine can see
    /// flags: outside of tests use CAUSEWAY_TURN__REST_SECRETS or the configuration file
    #[arg(long, value_name = "SECRET")]
    pub rest_secret: Vec<String>,
    /// Relay worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,
    /// The lowest UDP port of relayed addresses [default: 49152]
    #[arg(long, value_name = "PORT")]
    pub relay_port_min: Option<u16>,
    /// The highest UDP port of relayed addresses [default: 65535]
    #[arg(long, value_name = "PORT")]
    pub relay_port_max: Option<u16>,
    /// The address that others reach the relay at, if a NAT stands in front of it: for all addresses of its family, or
    /// for one of them as EXTERNAL/LOCAL; repeat for more
    #[arg(long, value_name = "EXTERNAL[/LOCAL]")]
    pub external_ip: Vec<String>,
    /// A second relay port, such as 3479, with which clients can examine their NAT (RFC 5780); it takes two addresses
    /// of one family
    #[arg(long, value_name = "PORT")]
    pub discovery_port: Option<u16>,
    /// Let TURN clients reach this host's own loopback addresses. For tests only: it exposes local services
    #[arg(long)]
    pub allow_loopback_peers: bool,
}

/// `causeway serve`.
#[derive(Args, Default)]
pub struct ServeFlags {
    /// Where the demo, the API and the WebSocket are served [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// The relay's port [default: 3478]
    #[arg(long, value_name = "PORT")]
    pub turn_port: Option<u16>,
    /// The address people open, if it differs, such as `https://causeway.example`
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Settings of every command.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Settings of commands with rooms.
    #[command(flatten)]
    pub cluster: ClusterFlags,
    /// Settings of the relay.
    #[command(flatten)]
    pub relay: RelayFlags,
}

/// `causeway signal`.
#[derive(Args, Default)]
pub struct SignalFlags {
    /// Where the demo, the API and the WebSocket are served [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// The address people open, if it differs, such as `https://causeway.example`
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Settings of every command.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Settings of commands with rooms.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// What commands with rooms say about other nodes.
#[derive(Args, Default)]
pub struct ClusterFlags {
    /// The Redis that joins all nodes, such as `redis://host:6379`. Other users of this machine can see flags: if it holds a
    /// password use CAUSEWAY_CLUSTER__REDIS_URL or the configuration file [default: this process is alone]
    #[arg(long, value_name = "URL")]
    pub redis_url: Option<String>,
    /// Where clients reach this very node, such as `https://node-1.example`
    #[arg(long, value_name = "URL")]
    pub node_url: Option<String>,
}

/// `causeway turn`.
#[derive(Args, Default)]
pub struct TurnFlags {
    /// The relay's port [default: 3478]
    #[arg(long)]
    pub port: Option<u16>,
    /// The Redis by which it hears of rooms on other machines, as for `serve`
    #[arg(long, value_name = "URL")]
    pub redis_url: Option<String>,
    /// Settings of every command.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Settings of the relay.
    #[command(flatten)]
    pub relay: RelayFlags,
}

/// `causeway health`.
#[derive(Args)]
pub struct HealthFlags {
    /// The operator's address of the process to ask
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9641", env = "CAUSEWAY_OPS__LISTEN")]
    pub ops: SocketAddr,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
