//! A certificate for development, made at start and kept in memory.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::{CertificateError, Pair};

/// A new key on P-256 and a certificate that it signed itself, for the realm and these addresses.
pub(super) fn pair(name: &str, addresses: &[IpAddr]) -> Result<Pair, CertificateError> {
    let failed = |error: &dyn std::error::Error| CertificateError::SelfSigned(error.to_string());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed(&error))?;
    let certificate = params(name, addresses)
        .and_then(|params| params.self_signed(&key))
        .map_err(|error| failed(&error))?;
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|problem| CertificateError::SelfSigned(problem.to_owned()))?;
    let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &aws_lc_rs::default_provider())
        .map_err(|error| failed(&error))?;
    Ok(Pair { chain, key, certified: Arc::new(certified) })
}

fn params(name: &str, addresses: &[IpAddr]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A realm need not be a name of the DNS.
    params.subject_alt_names.extend(name.try_into().ok().map(SanType::DnsName));
    params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
    Ok(params)
}

/// A pair as it stands in files.
#[cfg(test)]
pub(super) struct Pem {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A self-signed pair for `name`.
#[cfg(test)]
pub(super) fn pem(name: &str) -> Pem {
    use base64::Engine as _;

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = params(name, &[]).unwrap().self_signed(&key).unwrap();
    let block = |label: &str, der: &[u8]| {
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    Pem {
        certificate: block("CERTIFICATE", certificate.der()),
        key: block("PRIVATE KEY", &key.serialize_der()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_realm_gets_a_certificate() {
        for realm in ["causeway", "turn.example.org", "two words", "größer", ""] {
            assert_eq!(pair(realm, &[]).unwrap().chain.len(), 1, "{realm}");
        }
    }
}
