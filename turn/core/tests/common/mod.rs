//! A relay with a shell of memory, and a client made of the codec: what every test here stands on.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use causeway_protocol::secret::Secret;
use causeway_protocol::token::{PeerPolicy, TurnClaims, TurnCredential, TurnIssuer, TurnVerifier};
use causeway_protocol::{Moment, Now, UnixSeconds};
use causeway_stun::attributes::*;
use causeway_stun::{
    AttributeType, ChannelData, ChannelNumber, Class, Encode, IntegrityKey, Message, MessageWriter, Method,
    TransactionId,
};
use causeway_turn_core::*;
use hmac::{Hmac, KeyInit, Mac};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub const REALM: &str = "causeway";
pub const UNIX: UnixSeconds = UnixSeconds(1_800_000_000);
pub const RELAY_V4: &str = "51.0.0.1";
pub const RELAY_V6: &str = "2a00::51";
pub const PEER: &str = "8.8.8.8:5000";
pub const REST_SECRET: &str = "north";

/// The relay under test, the time, and what a shell would hold.
pub struct World {
    pub relay: Relay,
    pub now: Now,
    pub own: Arc<OwnRelays>,
    pub meters: Arc<Meters>,
    /// The sockets that the shell has bound, by slot.
    pub bound: HashMap<u32, SocketAddr>,
    /// The sockets of reserved ports.
    pub aside: HashSet<SocketAddr>,
    /// Ports that another process has.
    pub taken: Vec<u16>,
    /// Binds that wait for [`World::finish_binds`], when [`World::slow_binds`] is set.
    pub waiting: Vec<(BindTicket, RelayPort, Option<SocketAddr>)>,
    pub slow_binds: bool,
    pub replies: VecDeque<(ClientAddr, Vec<u8>)>,
    pub events: Vec<Event>,
    pub unbound: Vec<SocketAddr>,
    /// Connections to peers that the relay asked for.
    pub connects: Vec<(PeerConnection, SocketAddr, SocketAddr)>,
    /// Connections of clients that have become the ends of peer connections.
    pub spliced: Vec<(ClientAddr, PeerConnection)>,
    pub disconnected: Vec<PeerConnection>,
}

pub fn config() -> RelayConfig {
    let listener = |address: &str| Listener {
        address: address.parse().unwrap(),
        relay_v4: Some(RELAY_V4.parse().unwrap()),
        relay_v6: Some(RELAY_V6.parse().unwrap()),
    };
    RelayConfig::new(REALM, vec![listener("51.0.0.1:3478"), listener("[2a00::51]:3478")])
}

pub fn secret() -> Secret {
    Secret::from_bytes([3; 32])
}

pub fn credentials() -> Credentials {
    Credentials {
        rooms: Some(TurnVerifier::hs256(&secret())),
        rest_secrets: vec![RestSecret::new("old secret"), RestSecret::new(REST_SECRET)],
        users: vec![
            StaticUser { name: "alice".to_owned(), password: "secret".to_owned() },
            StaticUser { name: "bob".to_owned(), password: "hush".to_owned() },
        ],
        third_party: None,
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: RelayConfig) -> Self {
        let own = Arc::new(OwnRelays::new(config.relay_ips()));
        Self::sharing(config, own, 1)
    }

    pub fn sharing(config: RelayConfig, own: Arc<OwnRelays>, seed: u64) -> Self {
        let meters = Arc::new(Meters::new(&mut StdRng::seed_from_u64(seed)));
        Self::of(config, credentials(), own, meters, seed)
    }

    pub fn accepting(config: RelayConfig, credentials: Credentials) -> Self {
        let own = Arc::new(OwnRelays::new(config.relay_ips()));
        let meters = Arc::new(Meters::new(&mut StdRng::seed_from_u64(1)));
        Self::of(config, credentials, own, meters, 1)
    }

    /// Another worker of the same node.
    pub fn sibling(&self, config: RelayConfig, seed: u64) -> Self {
        Self::of(config, credentials(), Arc::clone(&self.own), Arc::clone(&self.meters), seed)
    }

    fn of(
        config: RelayConfig,
        credentials: Credentials,
        own: Arc<OwnRelays>,
        meters: Arc<Meters>,
        seed: u64,
    ) -> Self {
        let key = NonceKey::from_bytes([9; 32]);
        let random = StdRng::seed_from_u64(seed);
        let relay =
            Relay::new(config, credentials, &key, Arc::clone(&own), Arc::clone(&meters), random).unwrap();
        Self {
            relay,
            now: Now { moment: Moment::from_origin(Duration::from_secs(1_000)), unix: UNIX },
            own,
            meters,
            bound: HashMap::new(),
            aside: HashSet::new(),
            taken: vec![],
            waiting: vec![],
            slow_binds: false,
            replies: VecDeque::new(),
            events: vec![],
            unbound: vec![],
            connects: vec![],
            spliced: vec![],
            disconnected: vec![],
        }
    }

    /// Time passes; timers run when they are due, as a shell would have them.
    pub fn pass(&mut self, seconds: u64) {
        self.pass_without_timers(seconds);
        self.relay.on_timeout(self.now);
        self.perform();
    }

    /// Time passes, and the shell is too busy to tell the relay.
    pub fn pass_without_timers(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    pub fn client_sends(&mut self, from: ClientAddr, datagram: &[u8]) -> Verdict {
        let verdict = self.relay.on_client(self.now, from, datagram);
        self.perform();
        verdict
    }

    pub fn peer_sends(&mut self, on: SocketAddr, from: &str, datagram: &[u8]) -> Verdict {
        let verdict = self.relay.on_peer(self.now, self.port(on), peer(from), datagram);
        self.perform();
        verdict
    }

    /// What another worker's relay sends.
    pub fn relay_sends(&mut self, to: LiveRelay, from: PeerAddr, data: &[u8]) -> Verdict {
        let verdict = self.relay.on_relay(self.now, to, from, data);
        self.perform();
        verdict
    }

    pub fn control(&mut self, control: Control) {
        self.relay.on_control(self.now, control);
        self.perform();
    }

    /// The relay port bound to this address.
    pub fn port(&self, address: SocketAddr) -> RelayPort {
        let slot = self.bound.iter().find(|(_, bound)| **bound == address).map(|(slot, _)| *slot);
        RelayPort { slot: slot.unwrap_or(u32::MAX), address }
    }

    /// Does what the relay asks, as a shell would.
    pub fn perform(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Bind { ticket, port, next } if self.slow_binds => {
                    self.waiting.push((ticket, port, next));
                }
                Action::Bind { ticket, port, next } => self.bind(ticket, port, next),
                Action::BindReserved { ticket, port } => {
                    assert!(self.aside.remove(&port.address), "asks for what was set aside");
                    self.bind(ticket, port, None);
                }
                Action::UnbindReserved(address) => {
                    assert!(self.aside.remove(&address), "closes what was set aside");
                    self.unbound.push(address);
                }
                Action::Listen { ticket, port } => self.bind(ticket, port, None),
                Action::Connect { connection, from, to } => {
                    self.connects.push((connection, from.address, to.socket()));
                }
                Action::Splice { client, connection, reply } => {
                    self.replies.push_back((client, reply.as_bytes().to_vec()));
                    self.spliced.push((client, connection));
                }
                Action::Disconnect(connection) => self.disconnected.push(connection),
                Action::Unbind(port) => {
                    assert_eq!(self.bound.remove(&port.slot), Some(port.address), "unbinds what is bound");
                    self.unbound.push(port.address);
                }
                Action::Reply { to, bytes } => self.replies.push_back((to, bytes.as_bytes().to_vec())),
                Action::PaddedReply { to, bytes } => self.replies.push_back((to, bytes.into())),
                Action::Report(event) => self.events.push(event),
            }
        }
    }

    pub fn finish_binds(&mut self) {
        for (ticket, port, next) in std::mem::take(&mut self.waiting) {
            self.bind(ticket, port, next);
        }
        self.perform();
    }

    fn bind(&mut self, ticket: BindTicket, port: RelayPort, next: Option<SocketAddr>) {
        let mut addresses = std::iter::once(port.address).chain(next);
        if addresses.any(|address| self.taken.contains(&address.port())) {
            self.relay.on_bound(self.now, ticket, Err(BindError::AddressInUse));
            return;
        }
        assert_eq!(self.bound.insert(port.slot, port.address), None, "slots are not given twice");
        self.aside.extend(next);
        self.relay.on_bound(self.now, ticket, Ok(()));
    }

    /// A client that has authenticated and allocated an IPv4 address.
    pub fn allocated(&mut self, source: &str) -> (Client, SocketAddr) {
        self.allocated_via(source, Via::Udp)
    }

    /// The same over another transport.
    pub fn allocated_via(&mut self, source: &str, via: Via) -> (Client, SocketAddr) {
        let mut client = Client::via(source, via);
        let relayed = client.allocate(self);
        (client, relayed)
    }

    pub fn end_reasons(&self) -> Vec<EndReason> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::AllocationEnded { reason, .. } => Some(*reason),
                Event::AllocationCreated { .. }
                | Event::AllocationMoved { .. }
                | Event::AddressesRenamed { .. }
                | Event::AddressReleased { .. }
                | Event::PeerDenied { .. }
                | Event::Usage { .. } => None,
            })
            .collect()
    }
}

/// A TURN client: an address, a credential, the nonce it was given.
pub struct Client {
    pub address: ClientAddr,
    pub username: String,
    pub password: String,
    pub nonce: Vec<u8>,
    /// Negotiates SHA-256 for its key and its seals.
    pub sha256: bool,
    pub fingerprint: bool,
    next_transaction: u64,
}

/// An answer, kept whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn message(&self) -> Message<'_> {
        Message::decode(&self.0).unwrap()
    }

    /// 0 for success.
    pub fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 0,
            Class::Error => self.message().get::<ErrorCode<'_>>().unwrap().unwrap().number(),
            Class::Request | Class::Indication => panic!("not an answer"),
        }
    }

    pub fn relayed(&self) -> Vec<SocketAddr> {
        self.message().get_all::<XorRelayedAddress>().map(|address| address.unwrap().0).collect()
    }

    pub fn lifetime(&self) -> u32 {
        self.message().get::<Lifetime>().unwrap().unwrap().seconds
    }

    pub fn kinds(&self) -> Vec<AttributeType> {
        self.message().attributes().map(|attribute| attribute.kind).collect()
    }
}

pub const UDP: &dyn Encode = &RequestedTransport::UDP;

impl Client {
    pub fn new(source: &str) -> Self {
        Self::of("alice", "secret", source)
    }

    pub fn via(source: &str, via: Via) -> Self {
        let client = Self::new(source);
        Self { address: ClientAddr { via, ..client.address }, ..client }
    }

    pub fn of(username: &str, password: &str, source: &str) -> Self {
        Self {
            address: client(source),
            username: username.to_owned(),
            password: password.to_owned(),
            nonce: vec![],
            sha256: false,
            fingerprint: false,
            next_transaction: 0,
        }
    }

    pub fn with(credential: &TurnCredential, source: &str) -> Self {
        Self::of(&credential.username, &credential.password, source)
    }

    /// The same client elsewhere.
    pub fn at(self, address: ClientAddr) -> Self {
        Self { address, ..self }
    }

    pub fn transaction(&mut self) -> TransactionId {
        self.next_transaction += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.next_transaction.to_be_bytes());
        id[8..10].copy_from_slice(&self.address.source.port().to_be_bytes());
        TransactionId(id)
    }

    pub fn key(&self) -> IntegrityKey {
        match self.sha256 {
            true => IntegrityKey::long_term_sha256(&self.username, REALM, &self.password),
            false => IntegrityKey::long_term_md5(&self.username, REALM, &self.password),
        }
    }

    /// A sealed request.
    pub fn request(&mut self, method: Method, attributes: &[&dyn Encode]) -> Vec<u8> {
        let id = self.transaction();
        build(Class::Request, method, id, self.fingerprint, |writer| {
            for attribute in attributes {
                writer.put(*attribute).unwrap();
            }
            writer.put(&Username::new(&self.username).unwrap()).unwrap();
            writer.put(&Realm::new(REALM).unwrap()).unwrap();
            writer.put(&Nonce::new(&self.nonce).unwrap()).unwrap();
            if self.sha256 {
                writer.put(&PasswordAlgorithms::SHA256_AND_MD5).unwrap();
                writer.put(&PasswordAlgorithm::new(Algorithm::SHA256)).unwrap();
            }
            match self.sha256 {
                true => writer.put_integrity_sha256(&self.key()).unwrap(),
                false => writer.put_integrity(&self.key()).unwrap(),
            }
        })
    }

    /// A request without credentials.
    pub fn bare_request(&mut self, method: Method, attributes: &[&dyn Encode]) -> Vec<u8> {
        let id = self.transaction();
        build(Class::Request, method, id, self.fingerprint, |writer| {
            for attribute in attributes {
                writer.put(*attribute).unwrap();
            }
        })
    }

    /// Sends bytes and takes the answer, if there is one.
    pub fn exchange(&mut self, world: &mut World, datagram: &[u8]) -> Option<Answer> {
        assert_eq!(world.replies.len(), 0, "every answer is taken");
        let verdict = world.client_sends(self.address, datagram);
        let answer = world.replies.pop_front().map(|(to, bytes)| {
            assert_eq!(to, self.address);
            Answer(bytes)
        });
        assert!(answer.is_none() || verdict == Verdict::Handled);
        assert_eq!(world.replies.len(), 0, "one request, one answer");
        if let Some(answer) = &answer {
            let (asked, answered) = (Message::decode(datagram).unwrap(), answer.message());
            assert_eq!(asked.transaction_id(), answered.transaction_id());
            assert_eq!(asked.method(), answered.method());
        }
        answer
    }

    /// Sends a sealed request, takes the answer and checks its seal.
    pub fn ask(&mut self, world: &mut World, method: Method, attributes: &[&dyn Encode]) -> Answer {
        if self.nonce.is_empty() {
            self.learn_nonce(world);
        }
        let request = self.request(method, attributes);
        let answer = self.exchange(world, &request).expect("an answer");
        let message = answer.message();
        match (answer.code(), self.sha256) {
            (400 | 401 | 438, _) => {}
            (_, true) => message.verify_integrity_sha256(&self.key()).unwrap(),
            (_, false) => message.verify_integrity(&self.key()).unwrap(),
        }
        answer
    }

    /// Asks until it has a fresh nonce, as clients do.
    pub fn learn_nonce(&mut self, world: &mut World) {
        let request = self.bare_request(Method::Allocate, &[UDP]);
        let answer = self.exchange(world, &request).expect("a challenge");
        assert_eq!(answer.code(), 401);
        self.nonce = answer.message().get::<Nonce<'_>>().unwrap().unwrap().as_bytes().to_vec();
    }

    /// Before a nonce grows stale.
    pub fn learn_nonce_again(&mut self, world: &mut World) {
        self.nonce.clear();
        self.learn_nonce(world);
    }

    pub fn allocate(&mut self, world: &mut World) -> SocketAddr {
        let answer = self.ask(world, Method::Allocate, &[UDP]);
        assert_eq!(answer.code(), 0);
        answer.relayed()[0]
    }

    pub fn permit(&mut self, world: &mut World, peer: &str) -> u16 {
        self.ask(world, Method::CreatePermission, &[&XorPeerAddress(peer.parse().unwrap())]).code()
    }

    pub fn bind(&mut self, world: &mut World, number: u16, peer: &str) -> u16 {
        let number = ChannelNumber::new(number).unwrap();
        let peer = XorPeerAddress(peer.parse().unwrap());
        self.ask(world, Method::ChannelBind, &[&number, &peer]).code()
    }

    pub fn allocate_both(&mut self, world: &mut World) -> Answer {
        self.ask(world, Method::Allocate, &[UDP, &AdditionalAddressFamily(AddressFamily::Ipv6)])
    }

    pub fn refresh(&mut self, world: &mut World, seconds: u32) -> Answer {
        self.ask(world, Method::Refresh, &[&Lifetime { seconds }])
    }

    pub fn send_indication(&mut self, peer: &str, data: &[u8]) -> Vec<u8> {
        send_indication(peer, data, &[])
    }
}

pub fn send_indication(peer: &str, data: &[u8], more: &[&dyn Encode]) -> Vec<u8> {
    build(Class::Indication, Method::Send, TransactionId([5; 12]), false, |writer| {
        writer.put(&XorPeerAddress(peer.parse().unwrap())).unwrap();
        for attribute in more {
            writer.put(*attribute).unwrap();
        }
        writer.put(&Data(data)).unwrap();
    })
}

pub fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; data.len() + 4];
    let message = ChannelData { number: ChannelNumber::new(number).unwrap(), data };
    let length = message.encode_datagram(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

pub fn build(
    class: Class,
    method: Method,
    id: TransactionId,
    fingerprint: bool,
    body: impl FnOnce(&mut MessageWriter<'_>),
) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut writer = MessageWriter::new(&mut buffer, class, method, id).unwrap();
    body(&mut writer);
    if fingerprint {
        writer.put_fingerprint().unwrap();
    }
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

pub fn client(source: &str) -> ClientAddr {
    let source: SocketAddr = source.parse().unwrap();
    let listener = match source {
        SocketAddr::V4(_) => ListenerId(0),
        SocketAddr::V6(_) => ListenerId(1),
    };
    ClientAddr { source, listener, via: Via::Udp }
}

pub fn peer(address: &str) -> PeerAddr {
    PeerAddr::new(address.parse().unwrap())
}

/// A room's credential that is good for an hour.
pub fn room_credential(change: impl FnOnce(&mut TurnClaims)) -> TurnCredential {
    let mut claims = TurnClaims {
        aud: TurnClaims::AUDIENCE.to_owned(),
        sub: "peer1".parse().unwrap(),
        room: "kitchen".parse().unwrap(),
        exp: UNIX.plus(3600),
        jti: "token1".parse().unwrap(),
        bps: None,
        bytes: None,
        allocs: None,
        peers: PeerPolicy::Public,
    };
    change(&mut claims);
    TurnIssuer::hs256(&secret()).issue(&claims).unwrap()
}

/// The password of draft-uberti-behave-turn-rest.
pub fn rest_password(secret: &str, username: &str) -> String {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(username.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// What a verdict sends to a client, put together as a shell would.
pub fn sent_to_client(verdict: Verdict, datagram: &[u8]) -> (ClientAddr, Vec<u8>) {
    let Verdict::ToClient { to, header, payload, padding } = verdict else {
        panic!("{verdict:?} sends nothing to a client");
    };
    (to, [header.as_bytes(), payload.of(datagram), &vec![0; padding.into()]].concat())
}

/// What a verdict sends to a peer.
pub fn sent_to_peer(verdict: Verdict, datagram: &[u8]) -> (SocketAddr, SocketAddr, Vec<u8>) {
    let Verdict::ToPeer { on, to, payload, dont_fragment: _ } = verdict else {
        panic!("{verdict:?} sends nothing to a peer");
    };
    (on.address, to.socket(), payload.of(datagram).to_vec())
}

/// What a verdict gives to another worker.
pub fn sent_to_relay(verdict: Verdict, datagram: &[u8]) -> (LiveRelay, PeerAddr, Vec<u8>) {
    let Verdict::ToRelay { to, from, payload } = verdict else {
        panic!("{verdict:?} gives nothing to another worker");
    };
    (to, from, payload.of(datagram).to_vec())
}
