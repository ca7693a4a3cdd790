//! Reads a certificate and its key from PEM files, and says in one sentence what is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{CertificateError, Pair};

/// Where a pair is kept. Both may be the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PairFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

pub(super) fn pair(files: &PairFiles) -> Result<Pair, CertificateError> {
    let chain = chain(&files.certificate)?;
    let key = key(&files.key)?;
    let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &aws_lc_rs::default_provider())
        .map_err(|source| CertificateError::Pair {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        })?;
    Ok(Pair { chain, key, certified: Arc::new(certified) })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_pem(path, &error))?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::NoKey { path: path.to_owned() },
        _ => not_pem(path, &error),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Unreadable { path: path.to_owned(), source })
}

fn not_pem(path: &Path, error: &pem::Error) -> CertificateError {
    CertificateError::NotPem { path: path.to_owned(), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::self_signed;

    #[test]
    fn a_pair_is_read_with_its_whole_chain() {
        let folder = tempfile::tempdir().unwrap();
        let ours = self_signed::pem("relay.example");
        let issuer = self_signed::pem("issuer.example");
        let files = write(&folder, &format!("{}{}", ours.certificate, issuer.certificate), &ours.key);
        assert_eq!(pair(&files).unwrap().chain.len(), 2);
    }

    #[test]
    fn both_may_be_in_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let ours = self_signed::pem("relay.example");
        let files = write(&folder, &format!("{}{}", ours.key, ours.certificate), "");
        let one = PairFiles { key: files.certificate.clone(), ..files };
        assert!(pair(&one).is_ok());
    }

    #[test]
    fn each_mistake_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (self_signed::pem("relay.example"), self_signed::pem("relay.example"));
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (certificate, key, expected) in [
            ("", &ours.key[..], format!("there is no certificate in {}; give", path("certificate"))),
            (&ours.certificate[..], "", format!("there is no private key in {}; give", path("key"))),
            (
                &ours.certificate,
                &ours.certificate,
                format!("there is no private key in {}; give", path("key")),
            ),
            (
                &ours.certificate,
                &other.key,
                format!("the certificate in {} and the key in {}", path("certificate"), path("key")),
            ),
            (&ours.certificate[..200], &ours.key, format!("{} is no PEM file: ", path("certificate"))),
        ] {
            let error = pair(&write(&folder, certificate, key)).err().unwrap().to_string();
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere.pem");
        let error = pair(&PairFiles { certificate: path.clone(), key: path.clone() }).err().unwrap();
        assert!(error.to_string().starts_with(&format!("cannot read {}", path.display())), "{error}");
    }

    fn write(folder: &tempfile::TempDir, certificate: &str, key: &str) -> PairFiles {
        let files =
            PairFiles { certificate: folder.path().join("certificate"), key: folder.path().join("key") };
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        files
    }
}
