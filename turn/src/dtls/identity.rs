//! The certificate of DTLS: that of TLS if dimpl can show it, which is one leaf with an ECDSA key.

use std::sync::{Arc, Mutex, PoisonError};

use dimpl::{Config, DtlsCertificate};

use super::NoDtls;
use crate::certificates::{Certificates, Pair};
use crate::settings::TurnSettings;

/// What new sessions of all workers show.
#[derive(Clone)]
pub(crate) struct Identity(Option<Arc<Mutex<Shown>>>);

struct Shown {
    certificates: Certificates,
    /// What stood there when it was looked at last.
    pair: Arc<Pair>,
    certificate: DtlsCertificate,
    /// For as long as the pair has no ECDSA key.
    own: DtlsCertificate,
}

/// What the settings say. Without `certificates` DTLS is off.
pub(crate) fn identity(
    settings: &TurnSettings,
    certificates: Option<&Certificates>,
) -> Result<Identity, NoDtls> {
    let Some(certificates) = certificates.filter(|_| settings.dtls.enabled) else {
        return Ok(Identity(None));
    };
    let own = Pair::self_signed(settings).map_err(|error| NoDtls::Certificate(error.to_string()))?;
    let own = DtlsCertificate::from(&own);
    let pair = certificates.current();
    let certificate = own.clone();
    let mut shown = Shown { certificates: certificates.clone(), pair, certificate, own };
    shown.choose();
    Ok(Identity(Some(Arc::new(Mutex::new(shown)))))
}

impl Identity {
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The certificate for a session that begins. The lock is taken once a handshake.
    pub(super) fn current(&self) -> Option<DtlsCertificate> {
        let mut shown = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = shown.certificates.current();
        if !Arc::ptr_eq(&pair, &shown.pair) {
            shown.pair = pair;
            shown.choose();
        }
        Some(shown.certificate.clone())
    }
}

impl Shown {
    fn choose(&mut self) {
        let configured = DtlsCertificate::from(&*self.pair);
        self.certificate = if usable(&configured) {
            configured
        } else {
            tracing::warn!(
                "DTLS shows a self-signed certificate: it needs a key on P-256 or P-384, and the configured one is another"
            );
            self.own.clone()
        };
    }
}

impl From<&Pair> for DtlsCertificate {
    fn from(pair: &Pair) -> Self {
        Self {
            certificate: pair.chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default(),
            private_key: pair.key.secret_der().to_vec(),
        }
    }
}

/// Whether dimpl can sign with the key.
fn usable(certificate: &DtlsCertificate) -> bool {
    let provider = Config::default();
    let keys = provider.crypto_provider().key_provider;
    !certificate.certificate.is_empty() && keys.load_private_key(&certificate.private_key).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_of_tls_is_shown_if_its_key_is_on_a_curve() {
        let settings = TurnSettings::default();
        let certificates = Certificates::of(&settings).unwrap();
        let identity = identity(&settings, Some(&certificates)).unwrap();
        let leaf = certificates.current().chain[0].to_vec();
        assert_eq!(identity.current().unwrap().certificate, leaf);
    }

    #[test]
    fn another_key_is_of_no_use() {
        let own = Pair::self_signed(&TurnSettings::default()).unwrap();
        let good = DtlsCertificate::from(&own);
        assert!(usable(&good));
        assert!(!usable(&DtlsCertificate { private_key: vec![0x30, 0x03, 0x02, 0x01, 0x00], ..good }));
    }

    #[test]
    fn dtls_that_is_off_shows_nothing() {
        let settings = TurnSettings::default();
        assert!(!identity(&settings, None).unwrap().is_some());
    }
}
