//! The certificate of DTLS: what dimpl can show, which is one leaf with an ECDSA key.

use dimpl::DtlsCertificate;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::NoDtls;
use crate::settings::TurnSettings;

/// What new sessions show. `None`: DTLS is off.
#[derive(Clone)]
pub(crate) struct Identity(pub(super) Option<DtlsCertificate>);

/// What the settings say, for all workers.
pub(crate) fn identity(settings: &TurnSettings) -> Result<Identity, NoDtls> {
    let certificate = settings.dtls.enabled.then(|| self_signed(&settings.realm)).transpose();
    certificate.map(Identity).map_err(|error| NoDtls::Certificate(error.to_string()))
}

/// A new key on P-256 and a certificate that it signed itself, in the name of the realm.
fn self_signed(name: &str) -> Result<DtlsCertificate, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key)?;
    Ok(DtlsCertificate { certificate: certificate.der().to_vec(), private_key: key.serialize_der() })
}
