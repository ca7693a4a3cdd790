//! Writing answers: as small as the RFCs allow, with the integrity check and the FINGERPRINT the request had.

use causeway_stun::attributes::{
    self, AlternateDomain, Code, ErrorCode, Nonce, Padding, PasswordAlgorithms, Realm,
    ThirdPartyAuthorization,
};
use causeway_stun::{
    Class, EncodeError, FingerprintError, IntegrityKey, Message, MessageWriter, TransactionId,
};

use crate::action::Reply;
use crate::alternate::AlternateServer;
use crate::auth::challenge::Announcement;
use crate::auth::check::{Authenticated, SealKind};
use crate::auth::nonce::NonceText;
use crate::counters::RequestMethod;
use crate::request::Refusal;

/// What an answer repeats of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    method: RequestMethod,
    transaction: TransactionId,
    fingerprint: Fingerprint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fingerprint {
    Absent,
    Present,
}

/// Whether an answer vouches for itself: to strangers it cannot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seal<'a> {
    Open,
    With(&'a IntegrityKey, SealKind),
}

impl Authenticated {
    /// How answers to this sender are sealed.
    pub(crate) fn answer_seal(&self) -> Seal<'_> {
        Seal::With(&self.credential.key, self.seal)
    }
}

/// What a client needs to authenticate: 401 and 438 bring it (RFC 8489 §9.2.4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge<'a> {
    pub(crate) realm: &'a str,
    pub(crate) announced: &'a Announcement,
    pub(crate) third_party: Option<&'a str>,
    pub(crate) nonce: NonceText,
}

impl Answer {
    /// An answer to this request; the FINGERPRINT was checked before.
    pub(crate) fn to(request: &Message<'_>, method: RequestMethod) -> Self {
        let fingerprint = match request.fingerprint() {
            Err(FingerprintError::Missing) => Fingerprint::Absent,
            Ok(()) | Err(FingerprintError::Mismatch) => Fingerprint::Present,
        };
        Self { method, transaction: request.transaction_id(), fingerprint }
    }

    pub(crate) const fn transaction(&self) -> TransactionId {
        self.transaction
    }

    pub(crate) fn success(
        &self,
        seal: Seal<'_>,
        body: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
    ) -> Reply {
        self.write(Class::Success, seal, body)
    }

    /// 300: ask this server (RFC 8489 §10).
    pub(crate) fn redirect(&self, seal: Seal<'_>, server: &AlternateServer) -> Reply {
        self.write(Class::Error, seal, |writer| {
            writer.put(&ErrorCode::from(Code::TryAlternate))?;
            writer.put(&attributes::AlternateServer(server.address))?;
            match server.certificate_domain().map(AlternateDomain::new) {
                // A name that is no name is left out: the client checks the one it knows.
                None | Some(Err(_)) => Ok(()),
                Some(Ok(domain)) => writer.put(&domain),
            }
        })
    }

    /// A success answer to anyone, so long that it travels in fragments (RFC 5780 §7.6).
    pub(crate) fn padded(
        &self,
        padding: Padding,
        body: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
    ) -> Box<[u8]> {
        let mut buffer = vec![0; Reply::CAPACITY.saturating_add(padding.length.into())];
        let length = self.write_into(&mut buffer, Class::Success, Seal::Open, |writer| {
            body(writer)?;
            writer.put(&padding)
        });
        buffer.truncate(length.expect("an answer without its padding is shorter than Reply::CAPACITY"));
        buffer.into()
    }

    /// The reason phrase stays empty: whoever reads it knows the code.
    pub(crate) fn error(&self, seal: Seal<'_>, refusal: &Refusal, challenge: Option<Challenge<'_>>) -> Reply {
        self.write(Class::Error, seal, |writer| {
            writer.put(&ErrorCode::from(refusal.code()))?;
            if let Refusal::UnknownAttributes(unknown) = refusal {
                writer.put(unknown)?;
            }
            if let Some(Challenge { realm, announced, third_party, nonce }) = challenge {
                writer.put(&Realm::new(realm).expect("RelayConfig::check bounds the realm"))?;
                writer.put(&Nonce::new(nonce.as_bytes()).expect("24 characters are a nonce"))?;
                if announced.password_algorithms() {
                    writer.put(&PasswordAlgorithms::SHA256_AND_MD5)?;
                }
                if let Some(name) = third_party {
                    let name = ThirdPartyAuthorization::new(name);
                    writer.put(&name.expect("Relay::new bounds the name"))?;
                }
            }
            Ok(())
        })
    }

    fn write(
        &self,
        class: Class,
        seal: Seal<'_>,
        body: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
    ) -> Reply {
        Reply::filled(|buffer| self.write_into(buffer, class, seal, body))
            .expect("the longest answer of ours is shorter than Reply::CAPACITY")
    }

    fn write_into(
        &self,
        buffer: &mut [u8],
        class: Class,
        seal: Seal<'_>,
        body: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
    ) -> Result<usize, EncodeError> {
        let mut writer = MessageWriter::new(buffer, class, self.method.method(), self.transaction)?;
        body(&mut writer)?;
        match seal {
            Seal::Open => {}
            Seal::With(key, SealKind::Sha1) => writer.put_integrity(key)?,
            Seal::With(key, SealKind::Sha256) => writer.put_integrity_sha256(key)?,
        }
        match self.fingerprint {
            Fingerprint::Absent => {}
            Fingerprint::Present => writer.put_fingerprint()?,
        }
        Ok(writer.finish())
    }
}
