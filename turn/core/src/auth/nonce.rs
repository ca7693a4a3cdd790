//! Nonces that need no memory: a time, and a MAC over it and the client's address.
//!
//! ```text
//! obMatJos2 | 4 characters of security features            13 characters, if something is announced
//! base64url( low 16 bits of the second of issue            11 characters
//!          | first 6 bytes of HMAC-SHA256(key, whole second | client) )
//! ```
//! Every character counts, since a stranger gets the nonce in an answer that must stay small. 48 bits of MAC are out of
//! reach for someone who must ask us about every guess and has some minutes for it; who guesses right has proved
//! nothing but an address. The MAC covers the whole second, so a nonce does not come back to life when 16 bits come
//! round. A nonce of another client, or of this client behind another NAT port, is stale.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use causeway_protocol::Moment;
use causeway_stun::SecurityFeatures;
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

const TIME_LENGTH: usize = 2;
const MAC_LENGTH: usize = 6;
const RAW_LENGTH: usize = TIME_LENGTH + MAC_LENGTH;
/// Eight bytes in base64 without padding.
const BODY_LENGTH: usize = 11;
const LONGEST: usize = SecurityFeatures::COOKIE_LENGTH + BODY_LENGTH;

/// One nonce, as it stands in NONCE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NonceText {
    text: [u8; LONGEST],
    /// Where it begins: without a cookie, behind the place of one.
    start: usize,
}

impl NonceText {
    /// Bytes of a nonce that announces something, and of one that does not.
    pub(crate) const LENGTHS: (usize, usize) = (LONGEST, BODY_LENGTH);

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
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

    /// A nonce for this client; it starts with a cookie if there are features to announce.
    pub(crate) fn issue(
        &self,
        client: &ClientAddr,
        now: Moment,
        features: Option<SecurityFeatures>,
    ) -> NonceText {
        let issued = now.since_origin().as_secs();
        let [.., t0, t1] = issued.to_be_bytes();
        let [m0, m1, m2, m3, m4, m5] = self.mac(issued, client);
        let mut text = [0; LONGEST];
        let (cookie, body) = text.split_at_mut(SecurityFeatures::COOKIE_LENGTH);
        cookie.copy_from_slice(&features.unwrap_or_default().cookie());
        URL_SAFE_NO_PAD
            .encode_slice([t0, t1, m0, m1, m2, m3, m4, m5], body)
            .expect("8 bytes are 11 characters of base64");
        let start = if features.is_some() { 0 } else { SecurityFeatures::COOKIE_LENGTH };
        NonceText { text, start }
    }

    /// Whether a nonce is one that this client would have been given within the lifetime, under the same features.
    pub(crate) fn check(
        &self,
        nonce: &[u8],
        client: &ClientAddr,
        now: Moment,
        features: Option<SecurityFeatures>,
    ) -> Result<(), Stale> {
        let body = match features {
            Some(features) => nonce.strip_prefix(&features.cookie()).ok_or(Stale)?,
            None => nonce,
        };
        if body.len() != BODY_LENGTH {
            return Err(Stale);
        }
        // The decoder estimates in groups of three bytes.
        let mut raw = [0; RAW_LENGTH.next_multiple_of(3)];
        let Ok(RAW_LENGTH) = URL_SAFE_NO_PAD.decode_slice(body, &mut raw) else {
            return Err(Stale);
        };
        let [t0, t1, mac @ .., _] = raw;
        let now = now.since_origin().as_secs();
        let age = low_bits(now).wrapping_sub(u16::from_be_bytes([t0, t1]));
        let issued = now.checked_sub(age.into()).ok_or(Stale)?;
        if u64::from(age) >= self.lifetime.as_secs() || !bool::from(self.mac(issued, client).ct_eq(&mac)) {
            return Err(Stale);
        }
        Ok(())
    }

    fn mac(&self, issued: u64, client: &ClientAddr) -> [u8; MAC_LENGTH] {
        let mut mac = self.mac.clone();
        mac.update(&issued.to_be_bytes());
        mac.update(&client.listener.0.to_be_bytes());
        mac.update(&client.source.port().to_be_bytes());
        match client.source.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let [m0, m1, m2, m3, m4, m5, ..] = whole;
        [m0, m1, m2, m3, m4, m5]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "ages are compared modulo 2^16")]
const fn low_bits(seconds: u64) -> u16 {
    seconds as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{ListenerId, Via};

    const NONE: Option<SecurityFeatures> = None;
    const SOME: Option<SecurityFeatures> = Some(SecurityFeatures::PASSWORD_ALGORITHMS);

    #[test]
    fn a_nonce_is_good_for_its_client_until_its_lifetime_is_over() {
        let nonces = nonces(1);
        for features in [NONE, SOME] {
            let nonce = nonces.issue(&client("192.0.2.1:1000"), at(50), features);
            let check =
                |seconds| nonces.check(nonce.as_bytes(), &client("192.0.2.1:1000"), at(seconds), features);
            assert_eq!(check(50), Ok(()));
            assert_eq!(check(649), Ok(()));
            assert_eq!(check(650), Err(Stale));
        }
    }

    #[test]
    fn a_nonce_is_twenty_four_characters_with_a_cookie_and_eleven_without() {
        let length = |features| nonces(1).issue(&client("192.0.2.1:1000"), at(0), features).as_bytes().len();
        assert_eq!((length(SOME), length(NONE)), NonceText::LENGTHS);
        assert_eq!(NonceText::LENGTHS, (24, 11));
    }

    #[test]
    fn an_old_nonce_stays_stale_when_its_sixteen_bits_come_round() {
        let nonces = nonces(1);
        let nonce = nonces.issue(&client("192.0.2.1:1000"), at(50), NONE);
        for rounds in 1..4 {
            let later = at(50 + 65_536 * rounds);
            assert_eq!(nonces.check(nonce.as_bytes(), &client("192.0.2.1:1000"), later, NONE), Err(Stale));
        }
    }

    #[test]
    fn a_nonce_of_another_client_port_listener_or_key_is_stale() {
        let nonce = nonces(1).issue(&client("192.0.2.1:1000"), at(0), SOME);
        let check = |nonces: &Nonces, client| nonces.check(nonce.as_bytes(), &client, at(0), SOME);
        assert_eq!(check(&nonces(1), client("192.0.2.1:1000")), Ok(()));
        assert_eq!(check(&nonces(1), client("192.0.2.2:1000")), Err(Stale));
        assert_eq!(check(&nonces(1), client("192.0.2.1:1001")), Err(Stale));
        let elsewhere = ClientAddr { listener: ListenerId(1), ..client("192.0.2.1:1000") };
        assert_eq!(check(&nonces(1), elsewhere), Err(Stale));
        assert_eq!(check(&nonces(2), client("192.0.2.1:1000")), Err(Stale));
    }

    #[test]
    fn a_nonce_with_other_features_than_ours_is_stale() {
        let client = client("192.0.2.1:1000");
        let nonces = nonces(1);
        let both = SOME.map(|features| features.with(SecurityFeatures::USERNAME_ANONYMITY));
        for (issued, expected) in [(SOME, NONE), (NONE, SOME), (SOME, both), (both, SOME)] {
            let nonce = nonces.issue(&client, at(0), issued);
            assert_eq!(nonces.check(nonce.as_bytes(), &client, at(0), expected), Err(Stale));
        }
    }

    #[test]
    fn a_nonce_from_the_future_is_stale() {
        let nonce = nonces(1).issue(&client("192.0.2.1:1000"), at(100), NONE);
        assert_eq!(nonces(1).check(nonce.as_bytes(), &client("192.0.2.1:1000"), at(99), NONE), Err(Stale));
    }

    #[test]
    fn garbage_and_every_flipped_character_are_stale() {
        let nonces = nonces(1);
        let client = client("[2001:db8::1]:1000");
        for garbage in [&b""[..], b"x", &[b'A'; 11], &[b'A'; 24], &[0xFF; 11], &[b'='; 11], b"obMatJos2gAAA"]
        {
            assert_eq!(nonces.check(garbage, &client, at(0), NONE), Err(Stale));
            assert_eq!(nonces.check(garbage, &client, at(0), SOME), Err(Stale));
        }
        let nonce = nonces.issue(&client, at(0), SOME);
        for position in 0..LONGEST {
            for other in b"ABCD-_09" {
                let mut forged = nonce.text;
                if forged[position] != *other {
                    forged[position] = *other;
                    assert_eq!(nonces.check(&forged, &client, at(0), SOME), Err(Stale), "{position}");
                }
            }
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
