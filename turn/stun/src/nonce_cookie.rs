//! The nonce cookie: how a server that knows RFC 8489 says so inside NONCE, safe from a downgrade (§9.2).
//!
//! ```text
//! obMatJos2 | 4 characters: 24 feature bits in base64 | whatever the server likes
//! ```

/// RFC 8489 §9.2: every nonce with security features starts with this.
const PREFIX: &[u8; 9] = b"obMatJos2";

/// RFC 4648 §4.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The features a nonce announces, as 24 bits. RFC 8489 §18.1 counts them from the most significant; the nonce in
/// its appendix B.1 ("AAAC") has a bit set that no feature owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SecurityFeatures(u32);

impl SecurityFeatures {
    /// Bytes the cookie takes at the front of a nonce.
    pub const COOKIE_LENGTH: usize = 13;
    /// Bit 0: the answer lists PASSWORD-ALGORITHMS.
    pub const PASSWORD_ALGORITHMS: Self = Self(0x80_0000);
    /// Bit 1: the server takes USERHASH in place of USERNAME.
    pub const USERNAME_ANONYMITY: Self = Self(0x40_0000);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is announced.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The 24 bits, bit 0 of the RFC being the most significant.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The features of a nonce, or `None` if it does not start with a cookie.
    #[must_use]
    pub fn of_nonce(nonce: &[u8]) -> Option<Self> {
        let digits = nonce.strip_prefix(PREFIX)?.first_chunk::<4>()?;
        let mut bits = 0;
        for digit in digits {
            let value = ALPHABET.iter().position(|letter| letter == digit)?;
            bits = (bits << 6) | u32::try_from(value).ok()?;
        }
        Some(Self(bits))
    }

    /// What a nonce that announces these features starts with.
    #[must_use]
    pub fn cookie(self) -> [u8; Self::COOKIE_LENGTH] {
        let mut cookie = [0; Self::COOKIE_LENGTH];
        let digits = [18, 12, 6, 0].map(|shift: u32| {
            let value = (self.0 >> shift) & 0x3F;
            usize::try_from(value).ok().and_then(|index| ALPHABET.get(index)).copied().unwrap_or(b'A')
        });
        for (to, from) in cookie.iter_mut().zip(PREFIX.iter().chain(&digits)) {
            *to = *from;
        }
        cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_reads_what_it_writes() {
        for features in [
            SecurityFeatures::default(),
            SecurityFeatures::PASSWORD_ALGORITHMS,
            SecurityFeatures::USERNAME_ANONYMITY,
            SecurityFeatures::PASSWORD_ALGORITHMS.with(SecurityFeatures::USERNAME_ANONYMITY),
            SecurityFeatures(0xFF_FFFF),
        ] {
            assert_eq!(SecurityFeatures::of_nonce(&features.cookie()), Some(features));
        }
    }

    #[test]
    fn bit_zero_is_the_leftmost() {
        assert_eq!(&SecurityFeatures::PASSWORD_ALGORITHMS.cookie(), b"obMatJos2gAAA");
        assert_eq!(&SecurityFeatures::USERNAME_ANONYMITY.cookie(), b"obMatJos2QAAA");
    }

    #[test]
    fn a_nonce_without_a_whole_cookie_announces_nothing() {
        for nonce in ["", "obMatJos2", "obMatJos2AAA", "obMatJos3AAAA", "obMatJos2AA-A"] {
            assert_eq!(SecurityFeatures::of_nonce(nonce.as_bytes()), None, "{nonce}");
        }
    }
}
