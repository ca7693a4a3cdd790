//! What an operator can set about TLS.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Problems;
use crate::certificates::PairFiles;

/// A minute; whoever needs longer for a handshake cannot use a relay either. A guess.
const MAX_HANDSHAKE_SECONDS: u32 = 60;
/// A day. A certificate is renewed weeks before its end.
const MAX_LOOK_SECONDS: u32 = 86_400;

/// The `turn.tls` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// A PEM file with the certificate and its issuers'. Without it a self-signed one is made at each start, which
    /// clients refuse unless they do not check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// How often the two files are looked at for a change, in seconds. New connections get the new certificate; one
    /// that cannot be used is reported and the old one stays. Default: 5, a guess.
    pub look_seconds: u32,
    /// How long a handshake may take, in seconds. Default: 10, a guess: it takes two round trips.
    pub handshake_seconds: u32,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { certificate: None, key: None, look_seconds: 5, handshake_seconds: 10 }
    }
}

impl TlsSettings {
    /// The pair's files, if they are named.
    pub(crate) fn files(&self) -> Option<PairFiles> {
        let (certificate, key) = (self.certificate.clone()?, self.key.clone()?);
        Some(PairFiles { certificate, key })
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        match (&self.certificate, &self.key) {
            (Some(_), None) => problems.add("tls.key", "name the file of the certificate's key, too"),
            (None, Some(_)) => problems.add("tls.certificate", "name the file of the key's certificate, too"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if self.look_seconds == 0 || self.look_seconds > MAX_LOOK_SECONDS {
            problems.add("tls.look_seconds", format!("use 1 to {MAX_LOOK_SECONDS} (one day)"));
        }
        if self.handshake_seconds == 0 || self.handshake_seconds > MAX_HANDSHAKE_SECONDS {
            problems.add("tls.handshake_seconds", format!("use 1 to {MAX_HANDSHAKE_SECONDS}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_its_key_is_a_problem_and_so_is_the_reverse() {
        let path = || Some(PathBuf::from("x.pem"));
        check(&TlsSettings { certificate: path(), ..TlsSettings::default() }, "tls.key");
        check(&TlsSettings { key: path(), ..TlsSettings::default() }, "tls.certificate");
    }

    #[test]
    fn numbers_that_nothing_can_work_with_are_named() {
        check(&TlsSettings { look_seconds: 0, ..TlsSettings::default() }, "tls.look_seconds");
        check(&TlsSettings { handshake_seconds: 0, ..TlsSettings::default() }, "tls.handshake_seconds");
    }

    fn check(settings: &TlsSettings, key: &str) {
        let mut problems = Problems(Vec::new());
        settings.check(&mut problems);
        assert_eq!(problems.0.iter().map(|problem| problem.key).collect::<Vec<_>>(), [key]);
    }
}
