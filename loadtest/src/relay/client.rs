//! The control side of a TURN client over UDP: allocate, permit, bind a channel (RFC 8656), all of it blocking.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use causeway_stun::attributes::{
    ChannelNumber, ErrorCode, Nonce, Realm, RequestedTransport, Username, XorPeerAddress, XorRelayedAddress,
};
use causeway_stun::{Class, EncodeError, IntegrityKey, Message, MessageWriter, Method, TransactionId};

use crate::failure::{Doing, Failure};

/// RFC 8489 §6.2.1: the first retransmission comes after 500 ms.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
/// Together ten seconds, more than any server here needs on a busy machine.
const ATTEMPTS: usize = 20;
/// Asked of the kernel for each socket of the generator, so that what is lost is lost by the server.
const BUFFER: usize = 4 << 20;
/// The longest request that is sent and answer that is read.
const LONGEST: usize = 2048;

/// Name and password of the long-term mechanism (RFC 8489 §9.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
}

/// What a 401 said, and the key that follows from it.
pub(crate) struct Challenge {
    realm: String,
    nonce: Vec<u8>,
    key: IntegrityKey,
}

impl Challenge {
    /// Of a 401 or 438; `None`: it lacks realm or nonce.
    pub(crate) fn of(answer: &Message<'_>, login: Login) -> Option<Self> {
        let realm = answer.get::<Realm<'_>>().ok()??.as_str().to_owned();
        let nonce = answer.get::<Nonce<'_>>().ok()??.as_bytes().to_vec();
        let key = IntegrityKey::long_term_md5(login.name, &realm, login.password);
        Some(Self { realm, nonce, key })
    }

    /// Ends a request with the credential.
    pub(crate) fn seal(&self, login: Login, writer: &mut MessageWriter<'_>) -> Result<(), Failure> {
        writer.put(&Username::new(login.name)?)?;
        writer.put(&Realm::new(&self.realm)?)?;
        writer.put(&Nonce::new(&self.nonce)?)?;
        writer.put_integrity(&self.key)?;
        Ok(())
    }
}

/// A client with a socket of its own.
pub(crate) struct Client {
    pub(crate) socket: Arc<UdpSocket>,
    server: SocketAddr,
    login: Login,
    challenge: Option<Challenge>,
    transactions: u64,
    next_channel: ChannelNumber,
}

/// A socket of the generator on a free port of the loopback.
pub(crate) fn socket() -> Result<UdpSocket, Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).doing("binding a socket")?;
    let options = socket2::SockRef::from(&socket);
    options.set_recv_buffer_size(BUFFER).doing("growing a socket's buffer")?;
    options.set_send_buffer_size(BUFFER).doing("growing a socket's buffer")?;
    Ok(socket)
}

impl Client {
    pub(crate) fn new(server: SocketAddr, login: Login) -> Result<Self, Failure> {
        let socket = socket()?;
        socket.connect(server).doing("connecting a socket")?;
        Ok(Self {
            socket: Arc::new(socket),
            server,
            login,
            challenge: None,
            transactions: 0,
            next_channel: ChannelNumber::MIN,
        })
    }

    /// Whether the server answers a Binding request within `patience`.
    pub(crate) fn server_is_up(&mut self, patience: Duration) -> Result<bool, Failure> {
        let (request, transaction) = self.encode(Method::Binding, &|_| Ok(()))?;
        // Refused as long as nobody listens: ICMP has come back about an earlier one.
        if self.socket.send(&request).is_err() {
            return Ok(false);
        }
        self.socket.set_read_timeout(Some(patience)).doing("setting a time limit")?;
        let mut buffer = [0; LONGEST];
        Ok(self.answer(transaction, &mut buffer)?.is_some())
    }

    /// Makes an allocation and says where it relays.
    pub(crate) fn allocate(&mut self) -> Result<SocketAddr, Failure> {
        let method = Method::Allocate;
        let answer = self.request(method, &|writer| writer.put(&RequestedTransport::UDP))?;
        let relayed = Message::decode(&answer).ok().and_then(|answer| answer.get().ok()).flatten();
        let lacks = "XOR-RELAYED-ADDRESS";
        let XorRelayedAddress(relayed) =
            relayed.ok_or(Failure::Senseless { server: self.server, method, lacks })?;
        Ok(relayed)
    }

    /// Lets a peer's address through.
    pub(crate) fn permit(&mut self, peer: SocketAddr) -> Result<(), Failure> {
        self.request(Method::CreatePermission, &|writer| writer.put(&XorPeerAddress(peer)))?;
        Ok(())
    }

    /// Binds the next free channel to a peer.
    pub(crate) fn bind_channel(&mut self, peer: SocketAddr) -> Result<ChannelNumber, Failure> {
        let channel = self.next_channel;
        self.next_channel = ChannelNumber::new(channel.number() + 1).ok_or(Failure::NoChannel(channel))?;
        self.request(Method::ChannelBind, &|writer| {
            writer.put(&channel)?;
            writer.put(&XorPeerAddress(peer))
        })?;
        Ok(channel)
    }

    /// Sends a request, answers challenges, and returns the success.
    fn request(
        &mut self,
        method: Method,
        put: &dyn Fn(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
    ) -> Result<Vec<u8>, Failure> {
        // Without a nonce, with one, and with another in case that it went stale.
        for _ in 0..3 {
            let answer = self.exchange(method, put)?;
            let lacks = "a message that can be read";
            let senseless = || Failure::Senseless { server: self.server, method, lacks };
            let message = Message::decode(&answer).map_err(|_malformed| senseless())?;
            if message.class() == Class::Success {
                return Ok(answer);
            }
            match error_code(&message) {
                401 | 438 => self.challenge = Challenge::of(&message, self.login),
                code => return Err(Failure::Refused { server: self.server, method, code }),
            }
        }
        Err(Failure::Refused { server: self.server, method, code: 401 })
    }

    fn exchange(
        &mut self,
        method: Method,
        put: &dyn Fn(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
    ) -> Result<Vec<u8>, Failure> {
        let (request, transaction) = self.encode(method, put)?;
        self.socket.set_read_timeout(Some(RETRANSMIT_AFTER)).doing("setting a time limit")?;
        let mut buffer = [0; LONGEST];
        for _ in 0..ATTEMPTS {
            self.socket.send(&request).doing("sending a request")?;
            if let Some(answer) = self.answer(transaction, &mut buffer)? {
                return Ok(answer.to_vec());
            }
        }
        Err(Failure::Unanswered { server: self.server, method })
    }

    fn encode(
        &mut self,
        method: Method,
        put: &dyn Fn(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
    ) -> Result<(Vec<u8>, TransactionId), Failure> {
        self.transactions += 1;
        let transaction = transaction_id(self.transactions);
        let mut buffer = vec![0; LONGEST];
        let mut writer = MessageWriter::new(&mut buffer, Class::Request, method, transaction)?;
        put(&mut writer)?;
        if let Some(challenge) = &self.challenge {
            challenge.seal(self.login, &mut writer)?;
        }
        let length = writer.finish();
        buffer.truncate(length);
        Ok((buffer, transaction))
    }

    /// The answer of a transaction; `None`: the time is up, or nobody listens.
    fn answer<'b>(
        &self,
        transaction: TransactionId,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, Failure> {
        loop {
            let length = match self.socket.recv(buffer) {
                Ok(length) => length,
                Err(error) if is_silence(&error) => return Ok(None),
                Err(source) => return Err(Failure::System { what: "waiting for an answer", source }),
            };
            let datagram = buffer.get(..length).unwrap_or_default();
            if Message::decode(datagram).is_ok_and(|message| message.transaction_id() == transaction) {
                return Ok(buffer.get(..length));
            }
        }
    }
}

/// An id that no other request of this process has had on the same socket.
pub(crate) fn transaction_id(number: u64) -> TransactionId {
    let mut id = *b"load\0\0\0\0\0\0\0\0";
    if let Some(tail) = id.last_chunk_mut() {
        *tail = number.to_be_bytes();
    }
    TransactionId(id)
}

/// The code of an error answer; 0: it names none.
pub(crate) fn error_code(answer: &Message<'_>) -> u16 {
    answer.get::<ErrorCode<'_>>().ok().flatten().map_or(0, |code| code.number())
}

/// Whether a failed receive means that there is no answer.
fn is_silence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused)
}
