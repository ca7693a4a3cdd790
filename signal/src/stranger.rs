//! The key by which an address is counted.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one stranger: an IPv4 address, or an IPv6 /64, which is what one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stranger(u128);

impl From<IpAddr> for Stranger {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_bits())
            }
        }
    }
}

impl Stranger {
    /// A name for a count that several nodes share.
    pub(crate) fn name(self) -> String {
        format!("{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_is_one_stranger_however_many_addresses_it_has() {
        assert_eq!(stranger("2001:db8:0:1::1"), stranger("2001:db8:0:1:ffff::2"));
        assert_ne!(stranger("2001:db8:0:1::1"), stranger("2001:db8:0:2::1"));
        assert_ne!(stranger("192.0.2.1"), stranger("192.0.2.2"));
        assert_eq!(stranger("192.0.2.1"), stranger("::ffff:192.0.2.1"));
    }

    fn stranger(address: &str) -> Stranger {
        address.parse::<IpAddr>().unwrap().into()
    }
}
