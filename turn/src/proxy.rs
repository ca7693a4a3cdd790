//! The PROXY protocol, versions 1 and 2: how a load balancer in front of us says whose connection or datagram it is.
//!
//! ```text
//! v1  PROXY TCP4 192.0.2.1 198.51.100.1 5000 3478 CR LF
//! v2  | 12 bytes signature | version, command | family | length (2) | addresses, ports, TLVs |
//! ```
//! See <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. Whoever may say so is for the caller to know.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// §2.1: the longest line, CR LF included.
const V1_LONGEST: usize = 107;
/// §2.2
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;
/// What may follow the fixed part: addresses take 36 bytes at most, the rest are TLVs, which we pass over. A guess above
/// what load balancers send, certificates of clients aside.
const V2_LONGEST: usize = 2048;

/// The longest header of either version.
#[cfg(any(test, fuzzing))]
pub(crate) const LONGEST: usize = V2_FIXED + V2_LONGEST;

/// What stands at the front of a stream or datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// The beginning of a header; more has to come.
    Incomplete,
    /// A header of so many bytes.
    Header(usize, Origin),
}

/// Whose connection or datagram it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client's.
    Client(SocketAddr),
    /// The proxy's own, such as a health check, or of a kind that has no address.
    Proxy,
}

/// Neither version, or not by the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoHeader;

/// Reads a header of either version.
pub(crate) fn parse(bytes: &[u8]) -> Result<Front, NoHeader> {
    match bytes.first() {
        None => Ok(Front::Incomplete),
        Some(b'P') => parse_v1(bytes),
        Some(_) => parse_v2(bytes),
    }
}

/// Reads a header of version 2, which is all there is for datagrams.
pub(crate) fn parse_datagram(bytes: &[u8]) -> Result<(usize, Origin), NoHeader> {
    match parse_v2(bytes)? {
        Front::Header(length, origin) => Ok((length, origin)),
        Front::Incomplete => Err(NoHeader),
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Front, NoHeader> {
    let start = bytes.get(..bytes.len().min(V1_LONGEST)).unwrap_or_default();
    let Some(end) = start.windows(2).position(|pair| pair == b"\r\n") else {
        let prefix = b"PROXY ";
        let known = start.len().min(prefix.len());
        let begins_well = start.get(..known) == prefix.get(..known);
        return if begins_well && bytes.len() < V1_LONGEST { Ok(Front::Incomplete) } else { Err(NoHeader) };
    };
    let line = start.get(..end).and_then(|line| std::str::from_utf8(line).ok()).ok_or(NoHeader)?;
    let origin = v1_origin(line)?;
    Ok(Front::Header(end + 2, origin))
}

fn v1_origin(line: &str) -> Result<Origin, NoHeader> {
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return Err(NoHeader);
    }
    let family = words.next();
    // §2.1: whatever follows UNKNOWN is to be ignored.
    if family == Some("UNKNOWN") {
        return Ok(Origin::Proxy);
    }
    let (source, destination) = (words.next().ok_or(NoHeader)?, words.next().ok_or(NoHeader)?);
    let source_port = port(words.next())?;
    // Where the client wanted to go is of no use, and has to be there all the same.
    port(words.next())?;
    if words.next().is_some() {
        return Err(NoHeader);
    }
    let source = match family {
        Some("TCP4") => {
            let _: Ipv4Addr = destination.parse().map_err(|_unreadable| NoHeader)?;
            SocketAddr::from((source.parse::<Ipv4Addr>().map_err(|_unreadable| NoHeader)?, source_port))
        }
        Some("TCP6") => {
            let _: Ipv6Addr = destination.parse().map_err(|_unreadable| NoHeader)?;
            SocketAddr::from((source.parse::<Ipv6Addr>().map_err(|_unreadable| NoHeader)?, source_port))
        }
        Some(_) | None => return Err(NoHeader),
    };
    Ok(Origin::Client(source))
}

/// Digits only: `parse` would take a sign.
fn port(word: Option<&str>) -> Result<u16, NoHeader> {
    let word = word.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit())).ok_or(NoHeader)?;
    word.parse().map_err(|_unreadable| NoHeader)
}

fn parse_v2(bytes: &[u8]) -> Result<Front, NoHeader> {
    let known = bytes.len().min(V2_SIGNATURE.len());
    if bytes.get(..known) != V2_SIGNATURE.get(..known) {
        return Err(NoHeader);
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED>() else {
        return Ok(Front::Incomplete);
    };
    let &[.., version_and_command, family_and_protocol, l0, l1] = fixed;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    // §2.2: version 2, command LOCAL or PROXY; everything else must be refused.
    let (0x20 | 0x21) = version_and_command else { return Err(NoHeader) };
    if length > V2_LONGEST {
        return Err(NoHeader);
    }
    let Some(addresses) = rest.get(..length) else { return Ok(Front::Incomplete) };
    let origin = if version_and_command == 0x20 {
        Origin::Proxy
    } else {
        v2_origin(family_and_protocol >> 4, addresses)?
    };
    Ok(Front::Header(V2_FIXED + length, origin))
}

/// | source IP | destination IP | source port | destination port |
fn v2_origin(family: u8, addresses: &[u8]) -> Result<Origin, NoHeader> {
    match family {
        // AF_UNSPEC and AF_UNIX have no address that means anything to us.
        0 | 3 => Ok(Origin::Proxy),
        1 => {
            let (&source, ports) = addresses.split_first_chunk::<4>().ok_or(NoHeader)?;
            Ok(Origin::Client(SocketAddr::from((source, v2_source_port(ports.get(4..))?))))
        }
        2 => {
            let (&source, ports) = addresses.split_first_chunk::<16>().ok_or(NoHeader)?;
            Ok(Origin::Client(SocketAddr::from((source, v2_source_port(ports.get(16..))?))))
        }
        _ => Err(NoHeader),
    }
}

fn v2_source_port(ports: Option<&[u8]>) -> Result<u16, NoHeader> {
    match ports {
        Some(&[s0, s1, _, _, ..]) => Ok(u16::from_be_bytes([s0, s1])),
        Some(_) | None => Err(NoHeader),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 3478\r\n";

    #[test]
    fn a_line_of_version_1_names_the_client() {
        check(V4, Ok(Front::Header(V4.len(), client("192.0.2.1:5000"))));
        let v6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 3478\r\n";
        check(v6, Ok(Front::Header(v6.len(), client("[2001:db8::1]:5000"))));
        let unknown = b"PROXY UNKNOWN ffff::1 whatever\r\n";
        check(unknown, Ok(Front::Header(unknown.len(), Origin::Proxy)));
    }

    #[test]
    fn a_header_is_followed_by_what_it_is_about() {
        check(&[V4, b"\x16\x03\x01"].concat(), Ok(Front::Header(V4.len(), client("192.0.2.1:5000"))));
    }

    #[test]
    fn every_beginning_of_a_header_waits_for_its_rest() {
        for header in [V4.to_vec(), v2(0x21, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0x13, 0x88, 0x0D, 0x96])]
        {
            for length in 0..header.len() {
                check(&header[..length], Ok(Front::Incomplete));
            }
        }
    }

    #[test]
    fn version_2_names_the_client_and_its_extensions_are_passed_over() {
        let mut v4 = vec![192, 0, 2, 1, 198, 51, 100, 1, 0x13, 0x88, 0x0D, 0x96];
        check(&v2(0x21, 0x11, &v4), Ok(Front::Header(28, client("192.0.2.1:5000"))));
        v4.extend_from_slice(&[0x04, 0, 3, 1, 2, 3]);
        check(&v2(0x21, 0x12, &v4), Ok(Front::Header(34, client("192.0.2.1:5000"))));
        let mut v6 = [0; 36];
        v6[15] = 1;
        v6[32..34].copy_from_slice(&[0x13, 0x88]);
        check(&v2(0x21, 0x22, &v6), Ok(Front::Header(52, client("[::1]:5000"))));
    }

    #[test]
    fn a_health_check_of_the_proxy_is_the_proxys_own() {
        check(&v2(0x20, 0x00, &[]), Ok(Front::Header(16, Origin::Proxy)));
        check(&v2(0x20, 0x11, &[0; 12]), Ok(Front::Header(28, Origin::Proxy)));
        check(&v2(0x21, 0x00, &[]), Ok(Front::Header(16, Origin::Proxy)));
    }

    #[test]
    fn what_is_not_by_the_rules_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 5000\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 5000 3478 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +500 3478\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 65536 3478\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 5000 3478\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.1 5000 3478\r\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.1 5000 3478\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.1 5000 3478\r\n",
            "PROXY\r\n",
            "POST / HTTP/1.1\r\n",
            "\x16\x03\x01",
        ] {
            check(line.as_bytes(), Err(NoHeader));
        }
        check(&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(), Err(NoHeader));
        check(&v2(0x11, 0x11, &[0; 12]), Err(NoHeader));
        check(&v2(0x22, 0x11, &[0; 12]), Err(NoHeader));
        check(&v2(0x21, 0x11, &[0; 11]), Err(NoHeader));
        check(&v2(0x21, 0x21, &[0; 35]), Err(NoHeader));
        check(&v2(0x21, 0x41, &[0; 12]), Err(NoHeader));
        check(&v2(0x21, 0x11, &[0; V2_LONGEST + 1]), Err(NoHeader));
    }

    #[test]
    fn a_datagram_has_its_whole_header_or_none() {
        let header = v2(0x21, 0x12, &[192, 0, 2, 1, 198, 51, 100, 1, 0x13, 0x88, 0x0D, 0x96]);
        assert_eq!(parse_datagram(&header), Ok((28, client("192.0.2.1:5000"))));
        assert_eq!(parse_datagram(&header[..27]), Err(NoHeader));
        assert_eq!(parse_datagram(V4), Err(NoHeader));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_no_header_is_longer_than_what_is_there(
            start in prop_oneof![Just(Vec::new()), Just(b"PROXY TCP4 ".to_vec()), Just(V2_SIGNATURE.to_vec())],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [start, rest].concat();
            if let Ok(Front::Header(length, _)) = parse(&bytes) {
                prop_assert!(length <= bytes.len() && length <= V2_FIXED + V2_LONGEST);
            }
            let _ = parse_datagram(&bytes);
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Front, NoHeader>) {
        assert_eq!(parse(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }

    fn client(address: &str) -> Origin {
        Origin::Client(address.parse().unwrap())
    }

    fn v2(version_and_command: u8, family_and_protocol: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE, &[version_and_command, family_and_protocol][..], &length, addresses].concat()
    }
}
