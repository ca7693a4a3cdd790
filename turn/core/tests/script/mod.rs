//! A script for clients, peers and time, read from any bytes: what the fuzz target `relay_script` and the test
//! `scripts.rs` play. Each step is a byte that names it and a few that say how.
//!
//! ```text
//! step = kind (1) | who (1) | operands …        a script that ends in the middle of a step ends before it
//! ```
//! The relay is given an honest shell, so whatever the script says has to hold afterwards: see [`Player::check`].

#![allow(clippy::unwrap_used, reason = "tests")]

mod extras;

use causeway_protocol::UnixSeconds;
use causeway_protocol::bus::{RelayOrder, Revocation};
use causeway_protocol::token::PeerPolicy;
use causeway_stun::attributes::*;
use causeway_stun::{AttributeType, ChannelNumber, Class, Encode, Message, Method, RawAttribute};
use causeway_turn_core::*;

use crate::common::*;

/// Peers: public, its other port, IPv6, private, our own listener, port 0.
const PEERS: [&str; 7] =
    ["8.8.8.8:1", "8.8.8.8:2", "9.9.9.9:9", "[2a00::8]:1", "10.0.0.1:1", "51.0.0.1:3478", "8.8.8.8:0"];
/// A script that is longer says nothing new and makes fuzzing slow.
const MAX_STEPS: usize = 64;
/// What one of the credentials may relay in its life.
const BUDGET: u64 = 300;
/// Longer than any lifetime, nonce or credential here.
const AGES: u64 = 100_000;

/// Plays the script.
///
/// # Panics
/// The relay breaks a promise.
pub fn play(script: &[u8]) {
    let mut player = Player::new();
    let mut script = Script(script);
    for _ in 0..MAX_STEPS {
        if player.step(&mut script).is_none() {
            break;
        }
        player.check();
    }
    player.end();
}

/// The bytes that are left.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// So many bytes as the next byte says.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?);
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::from(self.byte()?);
        Some(from[index % from.len()])
    }
}

struct Player {
    world: World,
    clients: Vec<Client>,
    relayed: Vec<std::net::SocketAddr>,
    /// Connections of TCP allocations, past ones too.
    connections: Vec<PeerConnection>,
    /// Mobility tickets, those that were used too.
    tickets: Vec<Vec<u8>>,
    last: Vec<u8>,
    /// Bytes of payload that the relay let pass.
    passed: u64,
}

impl Player {
    fn new() -> Self {
        let room = room_credential(|_| {});
        let roommate = room_credential(|claims| {
            (claims.sub, claims.jti) = ("peer2".parse().unwrap(), "token2".parse().unwrap());
            (claims.peers, claims.bytes) = (PeerPolicy::Room, Some(BUDGET));
        });
        let mut modern = Client::new("1.1.1.3:1000");
        (modern.sha256, modern.fingerprint) = (true, true);
        let clients = vec![
            Client::new("1.1.1.1:1000"),
            Client::via("1.1.1.1:1000", Via::Tcp(SessionId(1))),
            Client::via("1.1.1.1:1001", Via::Tls(SessionId(2))),
            Client::of("bob", "hush", "1.1.1.1:1001"),
            Client::with(&room, "1.1.1.2:1000"),
            Client::with(&room, "[2a00::1]:1000"),
            modern,
            Client::of("mallory", "guess", "1.1.1.4:1000"),
            Client::with(&roommate, "1.1.1.5:1000"),
            Client::with(&roommate, "1.1.1.5:1001")
                .at(ClientAddr { via: Via::Tls(SessionId(3)), ..client("1.1.1.5:1001") }),
        ];
        let world = World::new();
        let (relayed, connections, tickets, last) = (vec![], vec![], vec![], vec![]);
        Self { world, clients, relayed, connections, tickets, last, passed: 0 }
    }

    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        let kind = script.byte()?;
        let who = usize::from(script.byte()?) % self.clients.len();
        match kind % 19 {
            0 => {
                let datagram = script.bytes()?.to_vec();
                self.send(who, datagram);
            }
            1 => {
                let method = script.pick(&Method::ALL)?;
                let raw = attributes(script)?;
                let attributes: Vec<&dyn Encode> = raw.iter().map(|raw| raw as &dyn Encode).collect();
                self.request(who, method, &attributes);
            }
            2 => self.allocate(who, script.byte()?),
            3 => {
                let seconds = u32::from(script.byte()?) * 30;
                let lifetime = Lifetime { seconds };
                let family = match script.byte()? % 3 {
                    0 => None,
                    1 => Some(RequestedAddressFamily(AddressFamily::Ipv4)),
                    _ => Some(RequestedAddressFamily(AddressFamily::Ipv6)),
                };
                match &family {
                    None => self.request(who, Method::Refresh, &[&lifetime]),
                    Some(family) => self.request(who, Method::Refresh, &[&lifetime, family]),
                }
            }
            4 => {
                let peer = self.peer(script)?;
                self.request(who, Method::CreatePermission, &[&peer]);
            }
            5 => {
                let peer = self.peer(script)?;
                let number = ChannelNumber::new(0x4000 + u16::from(script.byte()? % 4))?;
                self.request(who, Method::ChannelBind, &[&number, &peer]);
            }
            6 => {
                let peer = self.peer(script)?;
                let data = Data(script.bytes()?);
                let id = self.clients[who].transaction();
                let datagram = build(Class::Indication, Method::Send, id, false, |writer| {
                    writer.put(&peer).unwrap();
                    writer.put(&data).unwrap();
                });
                self.send(who, datagram);
            }
            7 => {
                let number = 0x4000 + u16::from(script.byte()? % 4);
                let datagram = channel_data(number, script.bytes()?);
                self.send(who, datagram);
            }
            8 => {
                let on = script
                    .pick(&self.relayed.clone().into_iter().map(Some).chain([None]).collect::<Vec<_>>())?;
                let peer = script.pick(&PEERS)?;
                let data = script.bytes()?;
                if let Some(on) = on {
                    let verdict = self.world.peer_sends(self.inside(on), peer, data);
                    self.passed += inside(verdict, data);
                }
            }
            9 => match script.byte()? {
                seconds @ 0..=199 => self.world.pass(u64::from(seconds) * 5),
                seconds => self.world.pass_without_timers(u64::from(seconds)),
            },
            10 => {
                // The last datagram again, from this client and with one byte changed.
                let at = usize::from(script.byte()?);
                let to = script.byte()?;
                let mut datagram = self.last.clone();
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= to;
                }
                self.send(who, datagram);
            }
            11 => self.interrupt(who, script.byte()?),
            12 => self.stream(who, script)?,
            extra => self.extra(extra - 13, who, script)?,
        }
        Some(())
    }

    /// Something about the connections of TCP allocations.
    fn stream(&mut self, who: usize, script: &mut Script<'_>) -> Option<()> {
        let how = script.byte()?;
        let known = self.connections.get(usize::from(how) % self.connections.len().max(1)).copied();
        match (how % 6, known) {
            (0, _) => {
                let peer = self.peer(script)?;
                self.request(who, Method::Connect, &[&peer]);
                self.connections.extend(self.world.connects.drain(..).map(|(connection, ..)| connection));
            }
            (1, _) => {
                let from = script.pick(&PEERS)?;
                let on = *self.relayed.get(usize::from(how >> 4))?;
                let accepted = self.world.relay.on_peer_accepted(
                    self.world.now,
                    self.world.port(self.inside(on)),
                    peer(from),
                );
                self.connections.extend(accepted);
            }
            (2, Some(known)) => {
                let result = if how & 64 == 0 { Ok(()) } else { Err(ConnectError::Refused) };
                self.world.relay.on_peer_connected(self.world.now, known, result);
            }
            (3, Some(known)) => {
                self.request(who, Method::ConnectionBind, &[&ConnectionId(known.id)]);
            }
            (4, Some(known)) => {
                let length = usize::from(script.byte()?);
                let direction = if how & 64 == 0 { Direction::ToPeer } else { Direction::ToClient };
                let passed = self.world.relay.on_spliced(self.world.now, known, direction, length);
                assert!(passed <= length);
                self.passed += passed as u64;
            }
            (_, Some(known)) => self.world.relay.on_peer_closed(known),
            (_, None) => {}
        }
        self.world.perform();
        Some(())
    }

    fn allocate(&mut self, who: usize, wish: u8) {
        let both = AdditionalAddressFamily(AddressFamily::Ipv6);
        let six = RequestedAddressFamily(AddressFamily::Ipv6);
        let even = EvenPort { reserve_next: wish & 8 != 0 };
        match wish % 5 {
            0 => self.request(who, Method::Allocate, &[UDP]),
            1 => self.request(who, Method::Allocate, &[UDP, &both]),
            2 => self.request(who, Method::Allocate, &[UDP, &six]),
            3 => self.request(who, Method::Allocate, &[UDP, &even]),
            _ => self.request(who, Method::Allocate, &[&RequestedTransport(6)]),
        }
    }

    fn interrupt(&mut self, who: usize, how: u8) {
        match how % 6 {
            0 => {
                let address = self.clients[who].address;
                self.world.relay.on_session_closed(address);
                self.world.perform();
            }
            1 => self.world.slow_binds = true,
            2 => {
                self.world.slow_binds = false;
                self.world.finish_binds();
            }
            3 => {
                let room = "kitchen".parse().unwrap();
                let order =
                    RelayOrder { revoke: Revocation::Room { room }, until: UnixSeconds(UNIX.0 + 3600) };
                self.world.control(Control::Revoke(order));
            }
            4 => self.world.control(Control::Drain),
            _ => {
                let limits = Limits { allocations: 2, permissions: 1, channels: 1, ..Limits::default() };
                self.world.control(Control::Limits(limits));
            }
        }
    }

    /// A peer: one of the list, or one of our own relayed addresses.
    fn peer(&self, script: &mut Script<'_>) -> Option<XorPeerAddress> {
        let index = usize::from(script.byte()?);
        let own = index.checked_sub(128).and_then(|index| self.relayed.get(index % 8).copied());
        Some(XorPeerAddress(own.unwrap_or_else(|| PEERS[index % PEERS.len()].parse().unwrap())))
    }

    fn request(&mut self, who: usize, method: Method, attributes: &[&dyn Encode]) {
        let client = &mut self.clients[who];
        let datagram = client.request(method, attributes);
        self.send(who, datagram);
        // A challenge is taken up, as every client would.
        if let Some((_, answer)) = self.world.replies.back()
            && let Ok(Some(nonce)) = Message::decode(answer).unwrap().get::<Nonce<'_>>()
            && self.clients[who].nonce != nonce.as_bytes()
        {
            self.clients[who].nonce = nonce.as_bytes().to_vec();
            let datagram = self.clients[who].request(method, attributes);
            self.send(who, datagram);
        }
    }

    fn send(&mut self, who: usize, datagram: Vec<u8>) {
        let counted = |world: &World| {
            let counters = world.relay.counters();
            (counters.between(Between::Worker), counters.relayed.sent.bytes)
        };
        let (crossed, sent) = counted(&self.world);
        let verdict = self.world.client_sends(self.clients[who].address, &datagram);
        self.passed += inside(verdict, &datagram);
        // To another relayed address of ours: sent there, whatever became of it.
        let (crossed_since, sent_since) = counted(&self.world);
        if crossed_since > crossed {
            assert!(matches!(verdict, Verdict::ToClient { .. } | Verdict::Dropped(_)));
            self.passed += sent_since - sent;
        }
        self.last = datagram;
    }

    /// What holds after every step.
    fn check(&mut self) {
        for (_, answer) in std::mem::take(&mut self.world.replies) {
            let message = Message::decode(&answer).expect("answers are messages");
            assert!(matches!(message.class(), Class::Success | Class::Error | Class::Indication));
            assert!(answer.len() <= Reply::CAPACITY);
            for relayed in message.get_all::<XorRelayedAddress>().flatten() {
                if !self.relayed.contains(&relayed.0) {
                    self.relayed.push(relayed.0);
                }
            }
            for ticket in message.get_all::<MobilityTicket<'_>>().flatten() {
                self.keep_ticket(ticket.0);
            }
        }
        let own = &self.world.own;
        let is_live = |address: &&std::net::SocketAddr| own.is_live(**address) || own.is_live_tcp(**address);
        let live = self.world.bound.values().filter(is_live).count();
        let allocations = usize::try_from(self.world.relay.counters().allocations).unwrap();
        assert!(live >= allocations, "an allocation has a live address: {allocations} have {live}");
        assert!(live <= 2 * allocations, "no address outlives its allocation: {allocations} have {live}");
    }

    /// What is left when nobody says anything any more: nothing.
    fn end(mut self) {
        self.world.slow_binds = false;
        self.world.finish_binds();
        self.world.pass(AGES);
        assert_eq!(self.world.relay.counters().allocations, 0);
        assert_eq!(self.world.relay.counters().connections, 0);
        assert_eq!(self.world.bound.len(), 0, "every socket is closed");
        let begun = self.world.events.iter().filter(|event| matches!(event, Event::AllocationCreated { .. }));
        assert_eq!(
            begun.count(),
            self.world.end_reasons().len(),
            "what is reported to begin is reported to end"
        );
        let ended = self.world.events.iter().filter_map(|event| match event {
            Event::AllocationEnded { subject, usage, .. } => {
                Some((subject, usage.sent.bytes + usage.received.bytes))
            }
            Event::AllocationCreated { .. }
            | Event::AllocationMoved { .. }
            | Event::AddressesRenamed { .. }
            | Event::AddressReleased { .. }
            | Event::PeerDenied { .. }
            | Event::Usage { .. } => None,
        });
        let limited =
            |subject: &Subject| matches!(subject, Subject::RoomPeer { peer, .. } if peer.as_str() == "peer2");
        let drawn: u64 = ended.clone().filter(|(subject, _)| limited(subject)).map(|(_, bytes)| bytes).sum();
        assert!(drawn <= BUDGET, "{drawn} bytes under a budget of {BUDGET}");
        assert_eq!(
            ended.map(|(_, bytes)| bytes).sum::<u64>(),
            self.passed,
            "what passed is what is reported"
        );
    }
}

/// Attributes of any type with any value.
fn attributes<'a>(script: &mut Script<'a>) -> Option<Vec<RawAttribute<'a>>> {
    (0..script.byte()? % 6)
        .map(|_| {
            let kind = match script.byte()? {
                known @ 0..=199 => Known::TYPES[usize::from(known) % Known::TYPES.len()],
                high => AttributeType(u16::from_be_bytes([high, script.byte()?])),
            };
            Some(RawAttribute { kind, value: script.bytes()? })
        })
        .collect()
}

/// A verdict speaks of the datagram that it is about: how many of its bytes pass.
fn inside(verdict: Verdict, datagram: &[u8]) -> u64 {
    let payload = match verdict {
        Verdict::ToPeer { payload, .. } | Verdict::ToRelay { payload, .. } => payload.range(),
        Verdict::ToClient { payload, header, padding, .. } => {
            assert!(!header.as_bytes().is_empty() && padding < 4);
            payload.range()
        }
        Verdict::Handled | Verdict::Dropped(_) => return 0,
    };
    assert!(payload.end <= datagram.len());
    payload.len() as u64
}
