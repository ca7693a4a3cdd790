//! The mark by which the processes of an installation know one another's messages.

use causeway_protocol::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The length of a mark in bytes: half of HMAC-SHA256, as RFC 2104 §5 allows.
pub(crate) const TAG: usize = 16;

/// The mark of the parts, one after the other.
pub(crate) fn tag(key: &Secret, parts: &[&[u8]]) -> [u8; TAG] {
    let whole: [u8; 32] = mac(key, parts).finalize().into_bytes().into();
    std::array::from_fn(|i| whole[i])
}

/// Whether it is their mark; takes as long if it is not.
pub(crate) fn is_tag(key: &Secret, parts: &[&[u8]], tag: &[u8]) -> bool {
    tag.len() == TAG && mac(key, parts).verify_truncated_left(tag).is_ok()
}

fn mac(key: &Secret, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key.expose()).expect("HMAC takes keys of any length (RFC 2104 §2)");
    for part in parts {
        // Parts that are cut elsewhere are another message.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_key_and_of_these_parts() {
        let (key, other) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
        let mark = tag(&key, &[b"ab", b"c"]);
        assert!(is_tag(&key, &[b"ab", b"c"], &mark));
        assert!(!is_tag(&key, &[b"a", b"bc"], &mark), "cut elsewhere");
        assert!(!is_tag(&other, &[b"ab", b"c"], &mark));
        assert!(!is_tag(&key, &[b"ab", b"c"], &mark[..TAG - 1]), "too short");
    }
}
