//! The codec beside two others, on the same bytes in the same run: read the ratios, not the times.

#![allow(clippy::unwrap_used, reason = "a benchmark's input is its own")]
#![allow(missing_docs, reason = "nothing here is public")]

use bytecodec::DecodeExt;
use causeway_stun::attributes::{Data, Lifetime, Nonce, Realm, RequestedTransport, Username, XorPeerAddress};
use causeway_stun::{Class, IntegrityKey, Message, MessageWriter, Method, TransactionId};
use divan::{Bencher, black_box};
use stun_codec::MessageDecoder;
use stun_codec::rfc5389::attributes::{
    Fingerprint, MessageIntegrity, Nonce as TheirNonce, Realm as TheirRealm, Username as TheirUsername,
};
use stun_codec::rfc5766::attributes::{
    Data as TheirData, Lifetime as TheirLifetime, RequestedTransport as TheirTransport,
    XorPeerAddress as TheirPeer,
};
use stun_types::message::{LongTermKeyCredentials, MessageIntegrityCredentials};

stun_codec::define_attribute_enums!(
    Attribute,
    AttributeDecoder,
    AttributeEncoder,
    [
        TheirUsername,
        TheirRealm,
        TheirNonce,
        MessageIntegrity,
        Fingerprint,
        TheirLifetime,
        TheirTransport,
        TheirPeer,
        TheirData
    ]
);

const USER: &str = "user";
const REALM: &str = "north.gov";
const PASSWORD: &str = "password";

fn main() {
    divan::main();
}

mod allocate_read_and_verified {
    use super::*;

    #[divan::bench]
    fn causeway(bencher: Bencher) {
        let bytes = allocate();
        let key = IntegrityKey::long_term_md5(USER, REALM, PASSWORD);
        bencher.bench(|| {
            let message = Message::decode(black_box(&bytes)).unwrap();
            message.verify_integrity(&key).unwrap();
            (message.get::<Username<'_>>().unwrap(), message.get::<Lifetime>().unwrap()).1.unwrap().seconds
        });
    }

    #[divan::bench]
    fn stun_codec(bencher: Bencher) {
        let bytes = allocate();
        let username = TheirUsername::new(USER.to_owned()).unwrap();
        let realm = TheirRealm::new(REALM.to_owned()).unwrap();
        bencher.bench(|| {
            let message = decode_with_stun_codec(black_box(&bytes));
            let integrity = message.get_attribute::<MessageIntegrity>().unwrap();
            integrity.check_long_term_credential(&username, &realm, PASSWORD).unwrap();
            message.get_attribute::<TheirLifetime>().unwrap().lifetime()
        });
    }

    #[divan::bench]
    fn stun_types(bencher: Bencher) {
        let bytes = allocate();
        let credentials: MessageIntegrityCredentials =
            LongTermKeyCredentials::new(USER.to_owned(), PASSWORD.to_owned(), REALM.to_owned()).into();
        bencher.bench(|| {
            let message = stun_types::message::Message::from_bytes(black_box(&bytes)).unwrap();
            message.validate_integrity(&credentials).unwrap();
            message.attribute::<turn_types::attribute::Lifetime>().unwrap().seconds()
        });
    }
}

mod send_indication_read {
    use super::*;

    #[divan::bench]
    fn causeway(bencher: Bencher) {
        let bytes = send_indication();
        bencher.bench(|| {
            let message = Message::decode(black_box(&bytes)).unwrap();
            let peer = message.get::<XorPeerAddress>().unwrap().unwrap();
            (peer.0.port(), message.get::<Data<'_>>().unwrap().unwrap().0.len())
        });
    }

    #[divan::bench]
    fn stun_codec(bencher: Bencher) {
        let bytes = send_indication();
        bencher.bench(|| {
            let message = decode_with_stun_codec(black_box(&bytes));
            let peer = message.get_attribute::<TheirPeer>().unwrap().address();
            (peer.port(), message.get_attribute::<TheirData>().unwrap().data().len())
        });
    }

    #[divan::bench]
    fn stun_types(bencher: Bencher) {
        let bytes = send_indication();
        bencher.bench(|| {
            let message = stun_types::message::Message::from_bytes(black_box(&bytes)).unwrap();
            let peer = message.attribute::<turn_types::attribute::XorPeerAddress>().unwrap();
            let port = peer.addr(message.transaction_id()).port();
            (port, message.attribute::<turn_types::attribute::Data>().unwrap().data().len())
        });
    }
}

fn decode_with_stun_codec(bytes: &[u8]) -> stun_codec::Message<Attribute> {
    MessageDecoder::<Attribute>::new().decode_from_bytes(bytes).unwrap().unwrap()
}

fn allocate() -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let mut writer = writer(&mut buffer, Class::Request, Method::Allocate);
    writer.put(&RequestedTransport::UDP).unwrap();
    writer.put(&Lifetime { seconds: 600 }).unwrap();
    writer.put(&Username::new(USER).unwrap()).unwrap();
    writer.put(&Realm::new(REALM).unwrap()).unwrap();
    writer.put(&Nonce::new(b"0123456789abcdef0123456789abcdef").unwrap()).unwrap();
    writer.put_integrity(&IntegrityKey::long_term_md5(USER, REALM, PASSWORD)).unwrap();
    writer.put_fingerprint().unwrap();
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

fn send_indication() -> Vec<u8> {
    let mut buffer = vec![0; 1200];
    let mut writer = writer(&mut buffer, Class::Indication, Method::Send);
    writer.put(&XorPeerAddress("192.0.2.1:5000".parse().unwrap())).unwrap();
    writer.put(&Data(&[0x5A; 1000])).unwrap();
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

fn writer(buffer: &mut [u8], class: Class, method: Method) -> MessageWriter<'_> {
    MessageWriter::new(buffer, class, method, TransactionId([7; 12])).unwrap()
}
