//! Nonces that need no memory: a time, and a MAC over it and the client's address.
//!
//! ```text
//! base64url( issued (32 bits, seconds) | first 8 bytes of HMAC-SHA256(key, issued | client) )    16 characters
//! ```
//! Sixteen characters keep the answer to a stranger small, and 64 bits of MAC are out of reach for someone who must
//! ask us about every guess. A nonce of another client, or of this client behind another NAT port, is stale.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use causeway_protocol::Moment;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::Rng;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::address::ClientAddr;

/// The key of nonces. Relays of one process share it: a client may reach another worker after a change of address.
#[derive(Clone)]
pub struct NonceKey([u8; 32]);

impl NonceKey {
    /// Draws a key.
    #[must_use]
    pub fn random(random: &mut impl Rng) -> Self {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Takes bytes that are already uniformly random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl NonceKey {
    /// A key for another purpose, as good as a key of its own.
    pub(crate) fn derive(&self, label: &[u8]) -> [u8; 32] {
        let mut mac: Hmac<Sha256> =
            Hmac::new_from_slice(&self.0).expect("HMAC takes keys of every length (RFC 2104 §2)");
        mac.update(label);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(…)")
    }
}

const TIME_LENGTH: usize = 4;
const MAC_LENGTH: usize = 8;
const RAW_LENGTH: usize = TIME_LENGTH + MAC_LENGTH;
const TEXT_LENGTH: usize = RAW_LENGTH / 3 * 4;

/// One nonce, as it stands in NONCE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NonceText([u8; TEXT_LENGTH]);

impl NonceText {
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The nonce is none of ours, or not for this client, or too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stale;

/// Issues and checks nonces.
#[derive(Debug)]
pub(crate) struct Nonces {
    mac: Hmac<Sha256>,
    lifetime: Duration,
}

impl Nonces {
    pub(crate) fn new(key: &NonceKey, lifetime: Duration) -> Self {
        let mac = Hmac::new_from_slice(&key.0).expect("HMAC takes keys of every length (RFC 2104 §2)");
        Self { mac, lifetime }
    }

    pub(crate) fn issue(&self, client: &ClientAddr, now: Moment) -> NonceText {
        let issued = seconds(now);
        let mut raw = [0; RAW_LENGTH];
        let (time, mac) = raw.split_at_mut(TIME_LENGTH);
        time.copy_from_slice(&issued);
        mac.copy_from_slice(&self.mac(issued, client));
        let mut text = [0; TEXT_LENGTH];
        URL_SAFE_NO_PAD.encode_slice(raw, &mut text).expect("12 bytes are 16 characters of base64");
        NonceText(text)
    }

    pub(crate) fn check(&self, nonce: &[u8], client: &ClientAddr, now: Moment) -> Result<(), Stale> {
        // The decoder estimates in groups of three bytes; twelve are four of them exactly.
        let mut raw = [0; RAW_LENGTH];
        if nonce.len() != TEXT_LENGTH {
            return Err(Stale);
        }
        let Ok(RAW_LENGTH) = URL_SAFE_NO_PAD.decode_slice(nonce, &mut raw) else {
            return Err(Stale);
        };
        let [t0, t1, t2, t3, mac @ ..] = raw;
        let issued = [t0, t1, t2, t3];
        if !bool::from(self.mac(issued, client).ct_eq(&mac)) {
            return Err(Stale);
        }
        let age = u32::from_be_bytes(seconds(now)).wrapping_sub(u32::from_be_bytes(issued));
        if u64::from(age) >= self.lifetime.as_secs() { Err(Stale) } else { Ok(()) }
    }

    fn mac(&self, issued: [u8; TIME_LENGTH], client: &ClientAddr) -> [u8; MAC_LENGTH] {
        let mut mac = self.mac.clone();
        mac.update(&issued);
        mac.update(&client.listener.0.to_be_bytes());
        mac.update(&client.source.port().to_be_bytes());
        match client.source.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let [m0, m1, m2, m3, m4, m5, m6, m7, ..] = whole;
        [m0, m1, m2, m3, m4, m5, m6, m7]
    }
}

/// Seconds since the process's origin; they come round after 136 years.
#[expect(clippy::cast_possible_truncation, reason = "ages are compared modulo 2^32")]
const fn seconds(moment: Moment) -> [u8; TIME_LENGTH] {
    (moment.since_origin().as_secs() as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{ListenerId, Via};

    #[test]
    fn a_nonce_is_good_for_its_client_until_its_lifetime_is_over() {
        let nonces = nonces(1);
        let nonce = nonces.issue(&client("192.0.2.1:1000"), at(50));
        assert_eq!(nonces.check(nonce.as_bytes(), &client("192.0.2.1:1000"), at(50)), Ok(()));
        assert_eq!(nonces.check(nonce.as_bytes(), &client("192.0.2.1:1000"), at(649)), Ok(()));
        assert_eq!(nonces.check(nonce.as_bytes(), &client("192.0.2.1:1000"), at(650)), Err(Stale));
    }

    #[test]
    fn a_nonce_of_another_client_port_listener_or_key_is_stale() {
        let nonce = nonces(1).issue(&client("192.0.2.1:1000"), at(0));
        let check = |nonces: &Nonces, client| nonces.check(nonce.as_bytes(), &client, at(0));
        assert_eq!(check(&nonces(1), client("192.0.2.2:1000")), Err(Stale));
        assert_eq!(check(&nonces(1), client("192.0.2.1:1001")), Err(Stale));
        let elsewhere = ClientAddr { listener: ListenerId(1), ..client("192.0.2.1:1000") };
        assert_eq!(check(&nonces(1), elsewhere), Err(Stale));
        assert_eq!(check(&nonces(2), client("192.0.2.1:1000")), Err(Stale));
    }

    #[test]
    fn a_nonce_from_the_future_is_stale() {
        let nonce = nonces(1).issue(&client("192.0.2.1:1000"), at(100));
        assert_eq!(nonces(1).check(nonce.as_bytes(), &client("192.0.2.1:1000"), at(99)), Err(Stale));
    }

    #[test]
    fn garbage_and_every_flipped_character_are_stale() {
        let nonces = nonces(1);
        let client = client("[2001:db8::1]:1000");
        for garbage in [&b""[..], b"x", &[b'A'; 16], &[b'A'; 17], &[0xFF; 16], &[b'='; 16]] {
            assert_eq!(nonces.check(garbage, &client, at(0)), Err(Stale));
        }
        let nonce = nonces.issue(&client, at(0));
        for position in 0..TEXT_LENGTH {
            let mut forged = nonce.0;
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(nonces.check(&forged, &client, at(0)), Err(Stale), "{position}");
        }
    }

    fn nonces(key: u8) -> Nonces {
        Nonces::new(&NonceKey::from_bytes([key; 32]), Duration::from_secs(600))
    }

    fn client(source: &str) -> ClientAddr {
        ClientAddr { source: source.parse().unwrap(), listener: ListenerId(0), via: Via::Udp }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
