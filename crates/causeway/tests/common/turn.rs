//! One question of a TURN client: is this user served?

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use causeway_stun::attributes::{ErrorCode, Nonce, Realm, RequestedTransport, Username};
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
}

impl<'a> Client<'a> {
    pub fn new(relay: SocketAddr, user: &'a str, password: &'a str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(RETRANSMIT_AFTER)).unwrap();
        Self { relay, user, password, socket }
    }

    /// Allocates: 0 for success, or the error code.
    pub fn allocate(&self) -> u16 {
        self.ask(Method::Allocate)
    }

    /// Refreshes: 0 for success, or the error code.
    pub fn refresh(&self) -> u16 {
        self.ask(Method::Refresh)
    }

    fn ask(&self, method: Method) -> u16 {
        let (code, challenge) = self.exchange(method, 1, None);
        assert_eq!(code, 401, "the first request has no credential");
        self.exchange(method, 2, challenge.as_ref()).0
    }

    /// The answer's code, and the realm and nonce in it.
    fn exchange(
        &self,
        method: Method,
        number: u8,
        challenge: Option<&(String, Vec<u8>)>,
    ) -> (u16, Option<(String, Vec<u8>)>) {
        let id = TransactionId([method as u8 ^ number; 12]);
        let mut buffer = [0; 1024];
        let mut writer = MessageWriter::new(&mut buffer, Class::Request, method, id).unwrap();
        writer.put(&RequestedTransport::UDP).unwrap();
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
                return (
                    code,
                    challenge.map(|(realm, nonce)| (realm.as_str().to_owned(), nonce.as_bytes().to_vec())),
                );
            }
        }
        panic!("{method:?} is not answered");
    }
}
