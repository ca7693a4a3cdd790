//! A small TURN client (RFC 8656) over a blocking transport.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use causeway_stun::attributes::{
    AddressFamily, Data, DontFragment, ErrorCode, Icmp, Lifetime, Nonce, Realm, RequestedAddressFamily,
    RequestedTransport, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
use causeway_stun::{
    AttributeType, ChannelData, ChannelNumber, Class, EncodeError, IntegrityKey, Kind, Message,
    MessageWriter, Method, TransactionId, classify,
};

use super::transport::{Datagrams, Stream, Transport};

/// RFC 8489 §6.2.1: the first retransmission comes after 500 ms.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
/// Together [`super::PATIENCE`].
const ATTEMPTS: usize = 20;

pub type Put<'a> = &'a dyn Fn(&mut MessageWriter<'_>) -> Result<(), EncodeError>;

pub struct Client {
    transport: Box<dyn Transport>,
    username: String,
    password: String,
    challenge: Option<Challenge>,
    transactions: u64,
    /// What came while an answer was awaited.
    waiting: VecDeque<Vec<u8>>,
}

struct Challenge {
    realm: String,
    nonce: Vec<u8>,
}

/// Relayed data as it reached the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    Channel(u16, Vec<u8>),
    Indication(SocketAddr, Vec<u8>),
    /// An ICMP error about a datagram to this peer.
    Icmp(SocketAddr, Icmp),
}

/// An answer to a request.
pub struct Answer(Vec<u8>);

impl Answer {
    pub fn message(&self) -> Message<'_> {
        Message::decode(&self.0).expect("an answer that decodes")
    }

    /// The error code; `None` for success.
    pub fn error(&self) -> Option<u16> {
        match self.message().class() {
            Class::Success => None,
            Class::Error => Some(self.message().get::<ErrorCode>().unwrap().expect("ERROR-CODE").number()),
            Class::Request | Class::Indication => panic!("no answer"),
        }
    }

    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.error(), None);
        self
    }

    pub fn relayed(&self) -> SocketAddr {
        self.message().get::<XorRelayedAddress>().unwrap().expect("XOR-RELAYED-ADDRESS").0
    }

    /// In seconds.
    pub fn lifetime(&self) -> u32 {
        self.message().get::<Lifetime>().unwrap().expect("LIFETIME").seconds
    }

    pub fn mapped(&self) -> SocketAddr {
        self.message().get::<XorMappedAddress>().unwrap().expect("XOR-MAPPED-ADDRESS").0
    }
}

impl Client {
    /// Over UDP.
    pub fn new(server: SocketAddr, username: &str, password: &str) -> Self {
        Self::over(Datagrams::new(server), username, password)
    }

    /// Over TCP.
    pub fn tcp(server: SocketAddr, username: &str, password: &str) -> Self {
        Self::over(Stream::tcp(server), username, password)
    }

    pub fn over(transport: impl Transport + 'static, username: &str, password: &str) -> Self {
        Self {
            transport: Box::new(transport),
            username: username.to_owned(),
            password: password.to_owned(),
            challenge: None,
            transactions: 0,
            waiting: VecDeque::new(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.transport.address()
    }

    /// Sends a request as an unknown client and waits for its answer.
    pub fn binding(&mut self) -> Answer {
        self.exchange(Method::Binding, &|_| Ok(()), false)
    }

    /// Sends an authenticated request, with a fresh nonce if the relay wants one, and waits for its answer.
    pub fn request(&mut self, method: Method, put: Put<'_>) -> Answer {
        for _ in 0..3 {
            let answer = self.exchange(method, put, self.challenge.is_some());
            match answer.error() {
                Some(401) if self.challenge.is_some() => return answer,
                Some(401 | 438) => self.challenge = Some(Challenge::of(&answer)),
                Some(_) | None => return answer,
            }
        }
        panic!("the relay keeps asking for another nonce");
    }

    pub fn try_allocate(&mut self) -> Answer {
        self.request(Method::Allocate, &|w| w.put(&RequestedTransport::UDP))
    }

    /// Allocates and says where.
    pub fn allocate(&mut self) -> SocketAddr {
        self.try_allocate().expect_success().relayed()
    }

    pub fn allocate_family(&mut self, family: AddressFamily) -> SocketAddr {
        let put = |w: &mut MessageWriter<'_>| {
            w.put(&RequestedTransport::UDP)?;
            w.put(&RequestedAddressFamily(family))
        };
        self.request(Method::Allocate, &put).expect_success().relayed()
    }

    pub fn try_permit(&mut self, peer: SocketAddr) -> Answer {
        self.request(Method::CreatePermission, &|w| w.put(&XorPeerAddress(peer)))
    }

    pub fn permit(&mut self, peer: SocketAddr) {
        self.try_permit(peer).expect_success();
    }

    pub fn bind_channel(&mut self, number: u16, peer: SocketAddr) {
        let channel = ChannelNumber::new(number).expect("a channel number");
        let put = |w: &mut MessageWriter<'_>| {
            w.put(&channel)?;
            w.put(&XorPeerAddress(peer))
        };
        self.request(Method::ChannelBind, &put).expect_success();
    }

    pub fn refresh(&mut self, seconds: u32) -> Answer {
        self.request(Method::Refresh, &|w| w.put(&Lifetime { seconds }))
    }

    pub fn send_channel(&mut self, number: u16, data: &[u8]) {
        let number = ChannelNumber::new(number).expect("a channel number");
        let mut buffer = vec![0; data.len() + 8];
        let message = ChannelData { number, data };
        let encoded = if self.transport.is_stream() {
            message.encode_stream(&mut buffer)
        } else {
            message.encode_datagram(&mut buffer)
        };
        let length = encoded.expect("room");
        self.send_raw(&buffer[..length]);
    }

    pub fn send_indication(&mut self, peer: SocketAddr, data: &[u8]) {
        self.indicate(peer, data, &|_| Ok(()));
    }

    /// Asks the relay to set the DF bit of what it sends on.
    pub fn send_unfragmented(&mut self, peer: SocketAddr, data: &[u8]) {
        self.indicate(peer, data, &|w| w.put(&DontFragment));
    }

    fn indicate(&mut self, peer: SocketAddr, data: &[u8], put: Put<'_>) {
        let transaction = self.next_transaction();
        let mut buffer = vec![0; data.len() + 100];
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Indication, Method::Send, transaction).expect("room");
        writer.put(&XorPeerAddress(peer)).expect("room");
        put(&mut writer).expect("room");
        writer.put(&Data(data)).expect("room");
        let length = writer.finish();
        self.send_raw(&buffer[..length]);
    }

    pub fn send_raw(&mut self, message: &[u8]) {
        self.transport.send(message);
    }

    /// The next relayed data.
    pub fn receive(&mut self) -> Incoming {
        let datagram = self
            .waiting
            .pop_front()
            .unwrap_or_else(|| self.transport.receive(super::PATIENCE).expect("data in time"));
        Self::incoming(&datagram)
    }

    /// Relayed data, if some comes within a moment.
    pub fn try_receive(&mut self) -> Option<Incoming> {
        let datagram = self.waiting.pop_front().or_else(|| self.transport.receive(RETRANSMIT_AFTER))?;
        Some(Self::incoming(&datagram))
    }

    fn incoming(datagram: &[u8]) -> Incoming {
        match classify(datagram) {
            Kind::ChannelData => {
                let ChannelData { number, data } = ChannelData::decode(datagram).expect("ChannelData");
                Incoming::Channel(number.number(), data.to_vec())
            }
            Kind::Stun => {
                let message = Message::decode(datagram).expect("a STUN message");
                assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
                let peer = message.get::<XorPeerAddress>().unwrap().expect("XOR-PEER-ADDRESS").0;
                if let Some(icmp) = message.get::<Icmp>().unwrap() {
                    return Incoming::Icmp(peer, icmp);
                }
                let data = message.get::<Data>().unwrap().expect("DATA").0;
                Incoming::Indication(peer, data.to_vec())
            }
            kind => panic!("unexpected {kind:?}"),
        }
    }

    fn exchange(&mut self, method: Method, put: Put<'_>, authenticated: bool) -> Answer {
        let transaction = self.next_transaction();
        let request = self.encode(method, transaction, put, authenticated).expect("room");
        for _ in 0..ATTEMPTS {
            self.send_raw(&request);
            while let Some(message) = self.transport.receive(RETRANSMIT_AFTER) {
                match Message::decode(&message) {
                    Ok(answer) if answer.transaction_id() == transaction => {
                        self.check(&answer, authenticated);
                        return Answer(message);
                    }
                    Ok(other) if other.class() != Class::Indication => {}
                    Ok(_) | Err(_) => self.waiting.push_back(message),
                }
            }
        }
        panic!("{method:?} is not answered");
    }

    fn encode(
        &self,
        method: Method,
        transaction: TransactionId,
        put: Put<'_>,
        authenticated: bool,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut buffer = vec![0; 2048];
        let mut writer = MessageWriter::new(&mut buffer, Class::Request, method, transaction)?;
        put(&mut writer)?;
        if let Some(challenge) = self.challenge.as_ref().filter(|_| authenticated) {
            writer.put(&Username::new(&self.username).expect("a username"))?;
            writer.put(&Realm::new(&challenge.realm).expect("a realm"))?;
            writer.put(&Nonce::new(&challenge.nonce).expect("a nonce"))?;
            writer.put_integrity(&self.key(challenge))?;
        }
        let length = writer.finish();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// RFC 8489 §9.2.5: a client takes an authenticated success only with a valid seal. Errors may have none.
    fn check(&self, answer: &Message<'_>, authenticated: bool) {
        if let Some(challenge) = self.challenge.as_ref().filter(|_| authenticated)
            && (answer.class() == Class::Success || answer.has(AttributeType::MESSAGE_INTEGRITY))
        {
            answer.verify_integrity(&self.key(challenge)).expect("a sealed answer");
        }
    }

    fn key(&self, challenge: &Challenge) -> IntegrityKey {
        IntegrityKey::long_term_md5(&self.username, &challenge.realm, &self.password)
    }

    fn next_transaction(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }
}

impl Challenge {
    fn of(answer: &Answer) -> Self {
        let message = answer.message();
        Self {
            realm: message.get::<Realm>().unwrap().expect("REALM").as_str().to_owned(),
            nonce: message.get::<Nonce>().unwrap().expect("NONCE").as_bytes().to_vec(),
        }
    }
}
