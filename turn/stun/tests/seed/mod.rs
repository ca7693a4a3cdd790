//! Random values of every attribute, for the tests that write whole messages.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses some of it; a bad sample is a bug of the test"
)]

use std::net::SocketAddr;

use causeway_stun::attributes::*;
use causeway_stun::{Attribute, Class, Method, TransactionId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;

/// A test of this many cases, whose failures are kept in a file beside it.
pub fn config(cases: u32) -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(persistence)), ..ProptestConfig::default() }
}

/// Random material for one value of every attribute.
#[derive(Clone, Debug)]
pub struct Seed {
    pub transaction: TransactionId,
    pub text: String,
    pub bytes: Vec<u8>,
    pub number: u64,
    pub address: SocketAddr,
    pub hash: [u8; 32],
    pub code: Code,
    pub list: Vec<u16>,
}

/// Any material.
pub fn seed() -> impl Strategy<Value = Seed> {
    let text = vec(any::<char>(), 0..=127).prop_map(|characters| {
        let text: String = characters.into_iter().collect();
        text[..text.floor_char_boundary(508)].to_owned()
    });
    let material = (any::<[u8; 12]>(), text, vec(any::<u8>(), 0..128), any::<u64>());
    let rest = (any::<SocketAddr>(), any::<[u8; 32]>(), select(Code::ALL), vec(any::<u16>(), 0..40));
    (material, rest).prop_map(|((transaction, text, bytes, number), (address, hash, code, list))| Seed {
        transaction: TransactionId(transaction),
        text,
        bytes,
        number,
        // A flow label and a scope are not sent.
        address: SocketAddr::new(address.ip(), address.port()),
        hash,
        code,
        list,
    })
}

impl Seed {
    /// The bytes of a list of attribute types.
    pub fn list(&self) -> Vec<u8> {
        self.list.iter().flat_map(|kind| kind.to_be_bytes()).collect()
    }

    /// One value of every attribute, in the order of [`Known::TYPES`]; `list` holds what [`Seed::list`] gave.
    pub fn attributes<'a>(&'a self, list: &'a [u8]) -> Vec<Known<'a>> {
        let [n0, n1, n2, n3, ..] = self.number.to_be_bytes();
        let number = u32::from_be_bytes([n0, n1, n2, n3]);
        let short = u16::from_be_bytes([n0, n1]);
        let flag = n0 & 1 == 1;
        let family = if flag { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
        let algorithm = PasswordAlgorithm::new(Algorithm(short));
        vec![
            Known::AccessToken(AccessToken::new(&self.hash[..usize::from(n0 % 33)], &self.bytes).unwrap()),
            Known::AdditionalAddressFamily(AdditionalAddressFamily(family)),
            Known::AddressErrorCode(AddressErrorCode::with_reason(family, self.code, &self.text).unwrap()),
            Known::AlternateDomain(AlternateDomain::new(&self.text).unwrap()),
            Known::AlternateServer(AlternateServer(self.address)),
            Known::CacheTimeout(CacheTimeout { seconds: number }),
            Known::ChangeRequest(ChangeRequest { ip: flag, port: n1 & 1 == 1 }),
            Known::ChannelNumber(ChannelNumber::new(0x4000 | (short & 0x3FFF)).unwrap()),
            Known::ConnectionId(ConnectionId(number)),
            Known::Data(Data(&self.bytes)),
            Known::DontFragment(DontFragment),
            Known::DraftAdditionalAddressFamily(DraftAdditionalAddressFamily(family)),
            Known::ErrorCode(ErrorCode::with_reason(self.code, &self.text).unwrap()),
            Known::EvenPort(EvenPort { reserve_next: flag }),
            Known::IceControlled(IceControlled(self.number)),
            Known::IceControlling(IceControlling(self.number)),
            Known::Icmp(Icmp::new(n0 & 0x7F, n1, number).unwrap()),
            Known::Lifetime(Lifetime { seconds: number }),
            Known::MappedAddress(MappedAddress(self.address)),
            Known::MobilityTicket(MobilityTicket(&self.bytes)),
            Known::Nonce(Nonce::new(&self.bytes).unwrap()),
            Known::OtherAddress(OtherAddress(self.address)),
            Known::Padding(Padding { length: short & 0x00FC }),
            Known::PasswordAlgorithm(algorithm),
            Known::PasswordAlgorithms(PasswordAlgorithms::SHA256_AND_MD5),
            Known::Priority(Priority(number)),
            Known::Realm(Realm::new(&self.text).unwrap()),
            Known::RequestedAddressFamily(RequestedAddressFamily(family)),
            Known::RequestedTransport(RequestedTransport(n0)),
            Known::ReservationToken(ReservationToken(self.number.to_be_bytes())),
            Known::ResponseOrigin(ResponseOrigin(self.address)),
            Known::ResponsePort(ResponsePort(short)),
            Known::Software(Software::new(&self.text).unwrap()),
            Known::ThirdPartyAuthorization(ThirdPartyAuthorization::new(&self.text).unwrap()),
            Known::UnknownAttributeList(UnknownAttributeList::decode(list, &self.transaction).unwrap()),
            Known::UseCandidate(UseCandidate),
            Known::Userhash(Userhash(self.hash)),
            Known::Username(Username::new(&self.text).unwrap()),
            Known::XorMappedAddress(XorMappedAddress(self.address)),
            Known::XorPeerAddress(XorPeerAddress(self.address)),
            Known::XorRelayedAddress(XorRelayedAddress(self.address)),
        ]
    }
}

/// Any class.
pub fn class() -> impl Strategy<Value = Class> {
    select(&[Class::Request, Class::Indication, Class::Success, Class::Error])
}

/// Any method.
pub fn method() -> impl Strategy<Value = Method> {
    select(&Method::ALL)
}
