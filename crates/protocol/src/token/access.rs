//! The self-contained access token of RFC 7635: a session key that an authorization server sealed for a relay.
//!
//! ```text
//! nonce (12 bytes) | AEAD( key length (16), key, timestamp (64), lifetime (32) ) with a tag of 16 bytes
//! ```
//! The relay's name is the AEAD's associated data, so that a token for one relay opens nothing at another (§6.2). A
//! client is given the token and, apart from it, the session key in clear: with that it seals its messages.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::UnixSeconds;

/// Bytes of the AEAD's tag.
const TAG_LENGTH: usize = 16;
/// Length of the key, timestamp, lifetime.
const FIXED_LENGTH: usize = 2 + 8 + 4;
/// RFC 7635 §6.2 asks for 160 bits, the key of HMAC-SHA1, at least to be supported. Shorter than 128 bits is guessable.
const SHORTEST_KEY: usize = 16;
/// A block of HMAC-SHA256: a longer key gains nothing.
const LONGEST_KEY: usize = 64;
/// The longest token that can be one, without its nonce. Whatever is longer is refused unread.
const LONGEST: usize = FIXED_LENGTH + LONGEST_KEY + TAG_LENGTH;
/// RFC 7635 §9: how far the clocks of the two servers may be apart, in seconds.
const CLOCK_DELTA: u64 = 5;

/// How tokens are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenAlgorithm {
    /// AES-128 in Galois/Counter mode.
    A128Gcm,
    /// AES-256 in Galois/Counter mode.
    A256Gcm,
}

impl AccessTokenAlgorithm {
    /// Bytes of its key.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm => 32,
        }
    }

    const fn aead(self) -> &'static Algorithm {
        match self {
            Self::A128Gcm => &AES_128_GCM,
            Self::A256Gcm => &AES_256_GCM,
        }
    }
}

/// A key that relay and authorization server share (RFC 7635 §5). `Debug` does not show it.
pub struct AccessTokenKey(LessSafeKey);

/// The key is too short for its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has {length} bytes and needs at least {needed}")]
pub struct AccessTokenKeyError {
    /// Bytes given.
    pub length: usize,
    /// Bytes of the algorithm's key.
    pub needed: usize,
}

/// What a genuine token that has not expired brings.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessGrant {
    key: [u8; LONGEST_KEY],
    key_length: usize,
    /// From when on the token is refused, the allowance for clocks included.
    pub expires: UnixSeconds,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// No token of this form could have been sealed by us.
    #[error("the token has an impossible form")]
    Malformed,
    /// Sealed with another key, for another relay, or changed.
    #[error("the token does not open with this key")]
    Forged,
    /// Genuine, and its time is over or far from beginning.
    #[error("the token has expired")]
    Expired,
}

impl AccessTokenKey {
    /// Takes a key. What is longer than the algorithm's is cut, as coturn does: its own test keys end in a line feed.
    ///
    /// # Errors
    /// It is too short.
    pub fn new(algorithm: AccessTokenAlgorithm, key: &[u8]) -> Result<Self, AccessTokenKeyError> {
        let needed = algorithm.key_length();
        let unbound = key.get(..needed).and_then(|key| UnboundKey::new(algorithm.aead(), key).ok());
        unbound
            .map(|key| Self(LessSafeKey::new(key)))
            .ok_or(AccessTokenKeyError { length: key.len(), needed })
    }

    /// Opens a token: `nonce` and `encrypted` are the two parts of ACCESS-TOKEN, `server` the relay's name.
    ///
    /// # Errors
    /// [`AccessTokenError`], each of which is a 401 to the client (RFC 7635 §9).
    pub fn open(
        &self,
        nonce: &[u8],
        encrypted: &[u8],
        server: &str,
        now: UnixSeconds,
    ) -> Result<AccessGrant, AccessTokenError> {
        let nonce = <[u8; NONCE_LEN]>::try_from(nonce).map_err(|_length| AccessTokenError::Malformed)?;
        let mut buffer = [0; LONGEST];
        let block = buffer.get_mut(..encrypted.len()).ok_or(AccessTokenError::Malformed)?;
        block.copy_from_slice(encrypted);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let block = self
            .0
            .open_in_place(nonce, Aad::from(server.as_bytes()), block)
            .map_err(|_unspecified| AccessTokenError::Forged)?;
        let token = Block::parse(block).ok_or(AccessTokenError::Malformed)?;
        token.granted(now).ok_or(AccessTokenError::Expired)
    }

    /// Seals a token as an authorization server does: the encrypted part of ACCESS-TOKEN, which goes with `nonce`. A
    /// nonce must never be used twice with a key (RFC 5116 §3.1).
    ///
    /// # Errors
    /// [`AccessTokenError::Malformed`] if `session_key` has fewer than 16 or more than 64 bytes.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        server: &str,
        session_key: &[u8],
        issued: UnixSeconds,
        lifetime: u32,
    ) -> Result<Vec<u8>, AccessTokenError> {
        if !(SHORTEST_KEY..=LONGEST_KEY).contains(&session_key.len()) {
            return Err(AccessTokenError::Malformed);
        }
        let length = u16::try_from(session_key.len()).map_err(|_long| AccessTokenError::Malformed)?;
        let mut block = Vec::with_capacity(LONGEST);
        block.extend(length.to_be_bytes());
        block.extend(session_key);
        block.extend((issued.0 << 16).to_be_bytes());
        block.extend(lifetime.to_be_bytes());
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(server.as_bytes()),
                &mut block,
            )
            .map_err(|_unspecified| AccessTokenError::Malformed)?;
        Ok(block)
    }
}

/// The decrypted block.
struct Block<'a> {
    key: &'a [u8],
    issued: UnixSeconds,
    lifetime: u32,
}

impl<'a> Block<'a> {
    fn parse(block: &'a [u8]) -> Option<Self> {
        let (length, rest) = block.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (timestamp, rest) = rest.split_first_chunk()?;
        let lifetime = <[u8; 4]>::try_from(rest).ok()?;
        if !(SHORTEST_KEY..=LONGEST_KEY).contains(&key.len()) {
            return None;
        }
        // RFC 7635 §6.2: 48 bits of seconds, 16 bits of fractions.
        let issued = UnixSeconds(u64::from_be_bytes(*timestamp) >> 16);
        Some(Self { key, issued, lifetime: u32::from_be_bytes(lifetime) })
    }

    /// RFC 7635 §9: `lifetime + Delta > abs(RDnew - TS)`.
    fn granted(&self, now: UnixSeconds) -> Option<AccessGrant> {
        let allowed = u64::from(self.lifetime).saturating_add(CLOCK_DELTA);
        if now.0.abs_diff(self.issued.0) >= allowed {
            return None;
        }
        let mut key = [0; LONGEST_KEY];
        key.get_mut(..self.key.len())?.copy_from_slice(self.key);
        Some(AccessGrant { key, key_length: self.key.len(), expires: self.issued.plus(allowed) })
    }
}

impl AccessGrant {
    /// The session key, for the integrity checks of client and relay.
    #[must_use]
    pub fn session_key(&self) -> &[u8] {
        self.key.get(..self.key_length).unwrap_or_default()
    }
}

impl fmt::Debug for AccessGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessGrant").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessTokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessTokenKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const SERVER: &str = "turn.example.org";
    const NONCE: [u8; 12] = *b"h4j3k2l2n4b5";
    const SESSION: &[u8] = &[7; 20];

    #[test]
    fn both_algorithms_open_what_they_seal() {
        for algorithm in [AccessTokenAlgorithm::A128Gcm, AccessTokenAlgorithm::A256Gcm] {
            let key = AccessTokenKey::new(algorithm, &[9; 33]).unwrap();
            for session in [&[1; 16][..], &[2; 20], &[3; 32], &[4; 64]] {
                let sealed = key.seal(NONCE, SERVER, session, NOW, 3600).unwrap();
                let grant = key.open(&NONCE, &sealed, SERVER, NOW).unwrap();
                assert_eq!(grant.session_key(), session);
                assert_eq!(grant.expires, NOW.plus(3605));
            }
        }
    }

    #[test]
    fn a_token_of_coturns_own_tool_opens() {
        // turnutils_oauth -e -i turn.example.org -k <32 "k"> -n A256GCM -o <nonce> -p <32 "m"> -q <NOW << 16> -r 3600
        let token = "AAxoNGozazJsMm40YjUugoaAWGMK2rtUQg0meIVMZDnAj5FaR7rT0wnrSqdNoV1RGexAkCpFamneR1ZCXnBWJNmShTTw\
                     63KLEdEcLA==";
        let token = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token).unwrap();
        let (nonce, encrypted) = token[2..].split_at(12);
        assert_eq!((&token[..2], nonce), (&[0, 12][..], &NONCE[..]));
        let key = AccessTokenKey::new(AccessTokenAlgorithm::A256Gcm, &[b'k'; 32]).unwrap();
        let grant = key.open(nonce, encrypted, SERVER, NOW).unwrap();
        assert_eq!((grant.session_key(), grant.expires), (&[b'm'; 32][..], NOW.plus(3605)));
    }

    #[test]
    fn a_token_is_good_within_its_lifetime_and_five_seconds_of_either_clock() {
        let sealed = key().seal(NONCE, SERVER, SESSION, NOW, 60).unwrap();
        let open = |now| key().open(&NONCE, &sealed, SERVER, UnixSeconds(now)).map(|_| ());
        for (now, result) in [
            (NOW.0, Ok(())),
            (NOW.0 + 64, Ok(())),
            (NOW.0 + 65, Err(AccessTokenError::Expired)),
            (NOW.0 - 64, Ok(())),
            (NOW.0 - 65, Err(AccessTokenError::Expired)),
            (u64::MAX, Err(AccessTokenError::Expired)),
        ] {
            assert_eq!(open(now), result, "{now}");
        }
    }

    #[test]
    fn a_token_opens_only_with_its_key_at_its_relay_and_unchanged() {
        let sealed = key().seal(NONCE, SERVER, SESSION, NOW, 60).unwrap();
        let other = AccessTokenKey::new(AccessTokenAlgorithm::A256Gcm, &[8; 32]).unwrap();
        assert_eq!(other.open(&NONCE, &sealed, SERVER, NOW), Err(AccessTokenError::Forged));
        assert_eq!(key().open(&NONCE, &sealed, "turn.example.com", NOW), Err(AccessTokenError::Forged));
        assert_eq!(key().open(b"h4j3k2l2n4b6", &sealed, SERVER, NOW), Err(AccessTokenError::Forged));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key().open(&NONCE, &changed, SERVER, NOW), Err(AccessTokenError::Forged), "{at}");
        }
    }

    #[test]
    fn regression_a_token_of_impossible_length_is_refused_unread() {
        // CVE-2026-43994: coturn copied a nonce of up to 65,535 bytes into 256 before it checked anything.
        for length in [0, 1, 11, 13, 256, 65_535] {
            let nonce = vec![1; length];
            assert_eq!(key().open(&nonce, &[0; 60], SERVER, NOW), Err(AccessTokenError::Malformed));
        }
        for length in [LONGEST + 1, 735, 65_535] {
            assert_eq!(key().open(&NONCE, &vec![1; length], SERVER, NOW), Err(AccessTokenError::Malformed));
        }
        for length in 0..=LONGEST {
            assert_eq!(key().open(&NONCE, &vec![1; length], SERVER, NOW), Err(AccessTokenError::Forged));
        }
    }

    #[test]
    fn a_genuine_block_whose_lengths_lie_is_malformed() {
        for block in [
            &[][..],
            &[0],
            &[0, 20],
            &[0xFF; 34],
            // No key, a short key, a byte too many, a byte too few.
            &[0; 14],
            &[&[0, 15][..], &[1; 15 + 12]].concat(),
            &[&[0, 20][..], &[1; 20 + 13]].concat(),
            &[&[0, 20][..], &[1; 20 + 11]].concat(),
        ] {
            let mut sealed = block.to_vec();
            let nonce = Nonce::assume_unique_for_key(NONCE);
            key().0.seal_in_place_append_tag(nonce, Aad::from(SERVER.as_bytes()), &mut sealed).unwrap();
            let opened = key().open(&NONCE, &sealed, SERVER, NOW);
            assert_eq!(opened, Err(AccessTokenError::Malformed), "{block:?}");
        }
    }

    #[test]
    fn keys_that_are_too_short_are_refused() {
        for (algorithm, needed) in [(AccessTokenAlgorithm::A128Gcm, 16), (AccessTokenAlgorithm::A256Gcm, 32)]
        {
            let error = AccessTokenKey::new(algorithm, &vec![1; needed - 1]).unwrap_err();
            assert_eq!(error, AccessTokenKeyError { length: needed - 1, needed });
        }
        for session in [&[1; 15][..], &[1; 65]] {
            assert_eq!(key().seal(NONCE, SERVER, session, NOW, 60), Err(AccessTokenError::Malformed));
        }
    }

    #[test]
    fn neither_key_shows_itself() {
        let sealed = key().seal(NONCE, SERVER, SESSION, NOW, 60).unwrap();
        let grant = key().open(&NONCE, &sealed, SERVER, NOW).unwrap();
        assert_eq!(format!("{:?}", key()), "AccessTokenKey(…)");
        assert!(!format!("{grant:?}").contains('['));
    }

    fn key() -> AccessTokenKey {
        AccessTokenKey::new(AccessTokenAlgorithm::A256Gcm, &[9; 32]).unwrap()
    }
}
