//! The TURN relay as a state machine: bytes and a time go in, a verdict or an action comes out.
//!
//! One [`Relay`] belongs to one thread; nothing here reads a clock, draws randomness, opens a socket or logs.
//!
//! ```text
//!                       ┌───────────────────────── Relay ─────────────────────────┐
//! on_client(datagram) ─►│ ChannelData, Send ─► data.rs ───────────────────────────┼─► Verdict::ToPeer
//!                       │ requests ─► auth/ ─► request/ ─► queue.rs ──────────────┼─► Action::{Bind, Reply, Report}
//! on_peer(datagram) ───►│ data.rs ────────────────────────────────────────────────┼─► Verdict::ToClient
//! on_relay(datagram) ──►│ between.rs ─────────────────────────────────────────────┼─► Verdict::ToClient
//! on_icmp(error) ──────►│ icmp.rs ────────────────────────────────────────────────┼─► Action::Reply
//! on_bound(ticket) ────►│ request/pending.rs ─────────────────────────────────────┼─► Action::{Reply, Report}
//! on_peer_accepted, … ─►│ tcp/ ───────────────────────────────────────────────────┼─► Action::{Connect, Splice, Disconnect}
//! on_control, on_timeout│ relay.rs ───────────────────────────────────────────────┼─► Action::{Unbind, Report}
//!                       └─────────────────────────────────────────────────────────┘
//! ```
//! Relays share two things: [`OwnRelays`], the set of live relay ports, and [`Meters`], what they count together.
//!
//! # How a shell drives it
//!
//! ```
//! # use std::sync::Arc;
//! # use causeway_protocol::{Moment, Now, UnixSeconds};
//! # use causeway_turn_core::*;
//! # use rand::SeedableRng;
//! # let mut random = rand::rngs::StdRng::seed_from_u64(1);
//! # let listener = Listener {
//! #     address: "192.0.2.1:3478".parse()?,
//! #     relay_v4: Some("192.0.2.1".parse()?),
//! #     relay_v6: None,
//! # };
//! let config = RelayConfig::new("example.org", vec![listener]);
//! let own = Arc::new(OwnRelays::new(config.relay_ips()));
//! let key = NonceKey::random(&mut random);
//! let meters = Arc::new(Meters::new(&mut random));
//! let mut relay = Relay::new(config, Credentials::none(), &key, own, meters, random)?;
//! # let now = Now { moment: Moment::default(), unix: UnixSeconds(0) };
//! # let from = ClientAddr { source: "198.51.100.7:40000".parse()?, listener: ListenerId(0), via: Via::Udp };
//! # let datagram = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
//!
//! // For every datagram on a listener; on a relay socket it is `on_peer`.
//! match relay.on_client(now, from, &datagram) {
//!     Verdict::ToPeer { on, to, payload, .. } => { /* send payload.of(&datagram) from socket `on` */ }
//!     Verdict::ToRelay { to, from, payload } => { /* the worker `to.worker()` asks its `on_relay` */ }
//!     // Also when the peer is another client's relayed address.
//!     Verdict::ToClient { to, header, payload, padding } => { /* send the three pieces as one */ }
//!     Verdict::Handled | Verdict::Dropped(_) => {}
//! }
//! // After a batch, and after every timer and control.
//! while let Some(action) = relay.poll_action() {
//!     match action {
//!         Action::Bind { ticket, .. }
//!         | Action::BindReserved { ticket, .. }
//!         | Action::Listen { ticket, .. } => {
//!             relay.on_bound(now, ticket, Err(BindError::Refused));
//!         }
//!         Action::Unbind(_) | Action::UnbindReserved(_) => {}
//!         Action::Reply { to, bytes } => assert_eq!((to, bytes.as_bytes().len()), (from, 32)),
//!         Action::PaddedReply { to: _, bytes: _ } => {}
//!         Action::Report(_event) => {}
//!         // Only clients of TCP allocations (RFC 6062) bring these.
//!         Action::Connect { .. } | Action::Splice { .. } | Action::Disconnect(_) => {}
//!     }
//! }
//! assert_eq!(relay.poll_timeout(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic)
)]

mod action;
mod address;
mod allocation;
mod alternate;
mod asks;
mod auth;
mod between;
mod channels;
mod config;
mod counters;
mod data;
mod denials;
mod discovery;
mod dropped;
mod event;
mod external;
mod forbidden;
mod homes;
mod icmp;
mod losses;
mod meter;
mod mobility;
mod own;
mod peer_rules;
mod permissions;
mod policy;
mod ports;
mod queue;
mod reconfigure;
mod relay;
mod reply;
mod reports;
mod request;
mod reservation;
mod revocation;
mod rooms;
mod slab;
mod special_purpose;
mod strangers;
mod tcp;
mod train;
mod verdict;
mod wheel;

pub use action::{Action, BindError, BindTicket, Control, Reply};
pub use address::{ClientAddr, ListenerId, PeerAddr, RelayPort, SessionId, Transport, Via};
pub use alternate::AlternateServer;
pub use auth::challenge::StrangerAnswers;
pub use auth::credentials::{Credentials, RestSecret, StaticUser};
pub use auth::nonce::NonceKey;
pub use auth::tokens::{ThirdParty, TokenKey};
pub use between::{Between, LiveRelay};
pub use config::{ConfigError, Limits, Listener, LoopbackPeers, Mobility, RelayConfig, TcpRelaying};
pub use counters::{AnswerCode, Counters, RequestMethod};
pub use data::Direction;
pub use discovery::BehaviorDiscovery;
pub use dropped::DropReason;
pub use event::{AllocationId, EndReason, Event, Subject, Traffic, Usage};
pub use external::{ExternalIp, ExternalIpError, ExternalIps};
pub use forbidden::Forbidden;
pub use losses::Loss;
pub use meter::{Bucket, Meters, Quota, Rate};
pub use mobility::Tickets;
pub use own::OwnRelays;
pub use peer_rules::{PeerRules, PrivateRoomPeers};
pub use reconfigure::LiveConfig;
pub use relay::Relay;
pub use rooms::RoomPeers;
pub use strangers::StrangerLimits;
pub use tcp::{ConnectError, PeerConnection, WorkerNumber};
pub use train::Again;
pub use verdict::{Header, Payload, Verdict};
pub use wheel::Wheel;
