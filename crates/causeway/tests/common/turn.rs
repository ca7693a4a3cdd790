//! The questions of a TURN client: is this user served, and whom does it reach?

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use causeway_stun::attributes::{
    ErrorCode, Nonce, Realm, RequestedTransport, Username, XorPeerAddress, XorRelayedAddress,
};
use causeway_stun::{Class, IntegrityKey, Message, MessageWriter, Method, TransactionId};

/// RFC 8489 §6.2.1: the first retransmission comes after 500 ms.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
const ATTEMPTS: u8 = 20;

/// A client on a socket of its own.
pub struct Client<'a> {
    pub relay: SocketAddr,
    pub user: &'a str,
    pub password: &'a str,
    socket: UdpSocket,
    transactions: Cell<u8>,
}

/// What an answer says.
struct Answer {
    /// 0 for success.
    code: u16,
    /// Realm and nonce.
    challenge: Option<(String, Vec<u8>)>,
    relayed: Option<SocketAddr>,
}

impl<'a> Client<'a> {
    pub fn new(relay: SocketAddr, user: &'a str, password: &'a str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(RETRANSMIT_AFTER)).unwrap();
        Self { relay, user, password, socket, transactions: Cell::new(0) }
    }

    /// Allocates: 0 for success, or the error code.
    pub fn allocate(&self) -> u16 {
        self.ask(Method::Allocate, None).code
    }

    /// Allocates and says where.
    pub fn relayed(&self) -> SocketAddr {
        self.ask(Method::Allocate, None).relayed.expect("an allocation")
    }

    /// Asks for a permission: 0 for success, or the error code.
    pub fn permit(&self, peer: SocketAddr) -> u16 {
        self.ask(Method::CreatePermission, Some(peer)).code
    }

    /// Refreshes: 0 for success, or the error code.
    pub fn refresh(&self) -> u16 {
        self.ask(Method::Refresh, None).code
    }

    fn ask(&self, method: Method, peer: Option<SocketAddr>) -> Answer {
        let Answer { code, challenge, .. } = self.exchange(method, peer, None);
        assert_eq!(code, 401, "the first request has no credential");
        self.exchange(method, peer, challenge.as_ref())
    }

    fn exchange(
        &self,
        method: Method,
        peer: Option<SocketAddr>,
        challenge: Option<&(String, Vec<u8>)>,
    ) -> Answer {
        self.transactions.set(self.transactions.get() + 1);
        let id = TransactionId([self.transactions.get(); 12]);
        let mut buffer = [0; 1024];
        let mut writer = MessageWriter::new(&mut buffer, Class::Request, method, id).unwrap();
        match peer {
            Some(peer) => writer.put(&XorPeerAddress(peer)).unwrap(),
            None => writer.put(&RequestedTransport::UDP).unwrap(),
        }
        if let Some((realm, nonce)) = challenge {
            writer.put(&Username::new(self.user).unwrap()).unwrap();
            writer.put(&Realm::new(realm).unwrap()).unwrap();
            writer.put(&Nonce::new(nonce).unwrap()).unwrap();
            writer.put_integrity(&IntegrityKey::long_term_md5(self.user, realm, self.password)).unwrap();
        }
        let length = writer.finish();
        for _ in 0..ATTEMPTS {
            self.socket.send_to(&buffer[..length], self.relay).unwrap();
            let mut answer = [0; 1024];
            let Ok(length) = self.socket.recv(&mut answer) else { continue };
            let message = Message::decode(&answer[..length]).unwrap();
            if message.transaction_id() == id {
                let code = message.get::<ErrorCode<'_>>().unwrap().map_or(0, |code| code.number());
                let realm = message.get::<Realm<'_>>().unwrap();
                let nonce = message.get::<Nonce<'_>>().unwrap();
                let challenge = realm.zip(nonce);
                return Answer {
                    code,
                    challenge: challenge
                        .map(|(realm, nonce)| (realm.as_str().to_owned(), nonce.as_bytes().to_vec())),
                    relayed: message.get::<XorRelayedAddress>().unwrap().map(|relayed| relayed.0),
                };
            }
        }
        panic!("{method:?} is not answered");
    }
}
