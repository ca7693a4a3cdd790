//! The address on the wire that all address attributes share (RFC 8489 §14.1).
//!
//! ```text
//! |0 0 0 0 0 0 0 0|  family 1 or 2 |  port (16)  |  address (32 or 128)  |
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::attribute::{AttributeError, AttributeType, exactly};
use crate::attributes::AddressFamily;
use crate::header::{MAGIC_COOKIE, TransactionId};
use crate::writer::{EncodeError, ValueWriter};

/// Reads an address as it is written.
pub(super) fn decode(kind: AttributeType, value: &[u8]) -> Result<SocketAddr, AttributeError> {
    let Some((&[_, family, p0, p1], ip)) = value.split_first_chunk() else {
        return Err(AttributeError::Length { kind, length: value.len() });
    };
    let wrong_length = |_: AttributeError| AttributeError::Length { kind, length: value.len() };
    let ip = match AddressFamily::from_number(family) {
        Some(AddressFamily::Ipv4) => {
            IpAddr::V4(Ipv4Addr::from(*exactly::<4>(kind, ip).map_err(wrong_length)?))
        }
        Some(AddressFamily::Ipv6) => {
            IpAddr::V6(Ipv6Addr::from(*exactly::<16>(kind, ip).map_err(wrong_length)?))
        }
        None => return Err(AttributeError::AddressFamily { kind, family }),
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([p0, p1])))
}

/// Writes an address as it is; an IPv6 flow label and scope have no place on the wire.
pub(super) fn encode(address: SocketAddr, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
    value.u8(0)?;
    value.u8(AddressFamily::of(address.ip()).number())?;
    value.u16(address.port())?;
    match address.ip() {
        IpAddr::V4(ip) => value.bytes(&ip.octets()),
        IpAddr::V6(ip) => value.bytes(&ip.octets()),
    }
}

/// Hides an address from NATs that rewrite what looks like one, and uncovers it again: the port is XORed with the
/// cookie's upper half, IPv4 with the cookie, IPv6 with cookie and transaction id (RFC 8489 §14.2).
pub(super) fn xor(address: SocketAddr, transaction: &TransactionId) -> SocketAddr {
    let [c0, c1, c2, c3] = MAGIC_COOKIE.to_be_bytes();
    let port = address.port() ^ u16::from_be_bytes([c0, c1]);
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11] = transaction.0;
            let mask = [c0, c1, c2, c3, t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11];
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ u128::from_be_bytes(mask)))
        }
    };
    SocketAddr::new(ip, port)
}
