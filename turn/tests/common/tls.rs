//! A TLS client that looks at what it is shown and accepts everything.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

use super::transport::{Bytes, Stream, connect};

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

impl Bytes for TlsStream {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

/// A client's TLS, before its handshake.
pub fn client(versions: &[&'static SupportedProtocolVersion], protocols: &[&[u8]]) -> ClientConnection {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("versions that the provider has")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("relay.example").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

/// Connects over TLS; the handshake is done with the first bytes.
pub fn tls(server: SocketAddr) -> Stream<TlsStream> {
    Stream::over(StreamOwned::new(client(rustls::ALL_VERSIONS, &[]), connect(server)))
}

/// The certificate that `server` shows.
pub fn shown(server: SocketAddr) -> CertificateDer<'static> {
    let mut connection = client(rustls::ALL_VERSIONS, &[]);
    let mut tcp = connect(server);
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).expect("a handshake");
    }
    connection.peer_certificates().expect("a certificate")[0].clone().into_owned()
}

/// A self-signed pair: the certificate, and both as PEM.
pub struct Pair {
    pub der: CertificateDer<'static>,
    pub certificate: String,
    pub key: String,
}

pub fn pair() -> Pair {
    use base64::Engine as _;

    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["relay.example".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let block = |label: &str, der: &[u8]| {
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    Pair {
        der: certificate.der().clone(),
        certificate: block("CERTIFICATE", certificate.der()),
        key: block("PRIVATE KEY", &key.serialize_der()),
    }
}

/// Accepts every certificate whose key signed the handshake.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _issuers: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
