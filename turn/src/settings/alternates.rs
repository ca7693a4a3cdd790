//! What an operator can set about clients that this relay sends to another node's.

use serde::{Deserialize, Serialize};

use super::Problems;

/// RFC 8489 §14.16 bounds it no further than text of STUN is; RFC 1035 §2.3.4 gives names 255 bytes, STUN 127
/// characters.
const MAX_DOMAIN_BYTES: usize = 127;

/// The `turn.alternates` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlternateSettings {
    /// Sends clients that come while this relay is full or draining to the relay of another node (300, RFC 8489 §10),
    /// and tells other nodes about this one. Default: true; where there is one node only, clients are answered 508.
    pub enabled: bool,
    /// The name in this node's certificate, told to clients that other nodes send here over TLS or DTLS. Default:
    /// empty; they check the name they know.
    pub domain: String,
}

impl Default for AlternateSettings {
    fn default() -> Self {
        Self { enabled: true, domain: String::new() }
    }
}

impl AlternateSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if self.domain.len() > MAX_DOMAIN_BYTES || !self.domain.chars().all(is_name) {
            problems.add("alternates.domain", "write a domain name, such as relay1.example.org");
        }
    }

    /// The name to tell.
    pub(crate) fn domain(&self) -> Option<String> {
        (!self.domain.is_empty()).then(|| self.domain.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_name_or_nothing() {
        let long = "a".repeat(128);
        for (domain, expected) in
            [("", 0), ("relay1.example.org", 0), ("https://example.org", 1), ("a b", 1), (long.as_str(), 1)]
        {
            let mut problems = Problems(Vec::new());
            AlternateSettings { domain: domain.to_owned(), ..AlternateSettings::default() }
                .check(&mut problems);
            assert_eq!(problems.0.len(), expected, "{domain}");
        }
    }
}
