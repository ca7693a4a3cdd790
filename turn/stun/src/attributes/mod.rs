//! Every attribute of the RFCs, one (or one family of twins) a file.
//!
//! Each type reads its value ([`Attribute`](crate::Attribute)) and writes it ([`Encode`](crate::Encode)).
//! MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT vouch for a whole message and therefore belong to
//! [`Message`](crate::Message) and [`MessageWriter`](crate::MessageWriter).

mod access_token;
mod address;
mod address_error_code;
mod address_family;
mod cache_timeout;
mod change_request;
mod connection_id;
mod data;
mod dont_fragment;
mod error_code;
mod even_port;
mod ice;
mod icmp;
mod known;
mod lifetime;
mod mobility_ticket;
mod nonce;
mod padding;
mod password_algorithm;
mod plain_address;
mod requested_transport;
mod reservation_token;
mod response_port;
mod text;
mod unknown_attribute_list;
mod userhash;
mod username;
mod xor_address;

pub use crate::channel_data::ChannelNumber;
pub use crate::unknown::UnknownAttributes;
pub use access_token::AccessToken;
pub use address_error_code::AddressErrorCode;
pub use address_family::{
    AdditionalAddressFamily, AddressFamily, DraftAdditionalAddressFamily, RequestedAddressFamily,
};
pub use cache_timeout::CacheTimeout;
pub use change_request::ChangeRequest;
pub use connection_id::ConnectionId;
pub use data::Data;
pub use dont_fragment::DontFragment;
pub use error_code::{Code, ErrorCode};
pub use even_port::EvenPort;
pub use ice::{IceControlled, IceControlling, Priority, UseCandidate};
pub use icmp::Icmp;
pub use known::Known;
pub use lifetime::Lifetime;
pub use mobility_ticket::MobilityTicket;
pub use nonce::Nonce;
pub use padding::Padding;
pub use password_algorithm::{Algorithm, PasswordAlgorithm, PasswordAlgorithmIter, PasswordAlgorithms};
pub use plain_address::{AlternateServer, MappedAddress, OtherAddress, ResponseOrigin};
pub use requested_transport::RequestedTransport;
pub use reservation_token::ReservationToken;
pub use response_port::ResponsePort;
pub use text::{AlternateDomain, Realm, Software, ThirdPartyAuthorization};
pub use unknown_attribute_list::UnknownAttributeList;
pub use userhash::Userhash;
pub use username::Username;
pub use xor_address::{XorMappedAddress, XorPeerAddress, XorRelayedAddress};
