//! Integrity keys: derived from credentials once, then cloned per message.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A key under which messages are sealed and checked.
///
/// It holds HMAC states that have already absorbed the key, for HMAC-SHA1 and for HMAC-SHA256, so that a check costs
/// the message's blocks and no more. It is about 300 bytes and its `Debug` shows nothing.
///
/// # Text that is not ASCII
///
/// RFC 8489 §9.1.1 and §9.2.2 have username, realm and password processed with the OpaqueString profile of RFC 8265
/// first. That leaves printable ASCII as it is. These constructors use the bytes they are given: who accepts other
/// text must map its spaces to U+0020 and normalize it to NFC before it comes here, and a client that skips this will
/// not match a server that does not.
#[derive(Clone)]
pub struct IntegrityKey {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

impl IntegrityKey {
    /// The short-term key: the password itself (RFC 8489 §9.1.1).
    #[must_use]
    pub fn short_term(password: &str) -> Self {
        Self::from_bytes(password.as_bytes())
    }

    /// The long-term key of the password algorithm MD5: `MD5(username ":" realm ":" password)`, also the key of
    /// everyone who negotiates no algorithm (RFC 8489 §9.2.2, §18.5.1.1).
    #[must_use]
    pub fn long_term_md5(username: &str, realm: &str, password: &str) -> Self {
        Self::from_bytes(&joined::<Md5>(&[username, realm, password]))
    }

    /// The long-term key of the password algorithm SHA-256: `SHA-256(username ":" realm ":" password)`
    /// (RFC 8489 §18.5.1.2).
    #[must_use]
    pub fn long_term_sha256(username: &str, realm: &str, password: &str) -> Self {
        Self::from_bytes(&joined::<Sha256>(&[username, realm, password]))
    }

    /// A key that was derived elsewhere: a stored digest, or the session key of RFC 7635 §4.
    #[must_use]
    pub fn from_bytes(key: &[u8]) -> Self {
        Self { sha1: keyed(key), sha256: keyed(key) }
    }

    /// Whether both seal alike, that is, were made of the same bytes. Takes the same time whether they do or not.
    #[must_use]
    pub fn seals_like(&self, other: &Self) -> bool {
        self.sha256().finalize() == other.sha256().finalize()
    }

    /// An HMAC-SHA1 that has absorbed the key.
    pub(crate) fn sha1(&self) -> Hmac<Sha1> {
        self.sha1.clone()
    }

    /// An HMAC-SHA256 that has absorbed the key.
    pub(crate) fn sha256(&self) -> Hmac<Sha256> {
        self.sha256.clone()
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKey(redacted)")
    }
}

/// The digest of the parts with colons between them.
pub(crate) fn joined<D: Digest>(parts: &[&str]) -> hmac::digest::Output<D> {
    let mut digest = D::new();
    let mut separator = "";
    for part in parts {
        digest.update(separator.as_bytes());
        digest.update(part.as_bytes());
        separator = ":";
    }
    digest.finalize()
}

#[expect(clippy::expect_used, reason = "RFC 2104 defines HMAC for keys of every length")]
fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_term_md5_key_is_that_of_the_rfc() {
        // RFC 8489 §9.2.2: the example "user", "realm", "pass".
        check(&joined::<Md5>(&["user", "realm", "pass"]), "8493fbc53ba582fb4c044c456bdc40eb");
    }

    #[test]
    fn the_long_term_sha256_key_is_the_digest_of_the_joined_text() {
        assert_eq!(joined::<Sha256>(&["user", "realm", "pass"]), Sha256::digest("user:realm:pass"));
    }

    #[test]
    fn keys_seal_alike_if_they_were_made_of_the_same_bytes() {
        let key = IntegrityKey::long_term_md5("user", "realm", "pass");
        assert!(key.seals_like(&IntegrityKey::long_term_md5("user", "realm", "pass")));
        assert!(!key.seals_like(&IntegrityKey::long_term_md5("user", "realm", "past")));
        assert!(!key.seals_like(&IntegrityKey::long_term_sha256("user", "realm", "pass")));
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", IntegrityKey::short_term("secret")), "IntegrityKey(redacted)");
    }

    fn check(bytes: &[u8], hex: &str) {
        let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, hex);
    }
}
