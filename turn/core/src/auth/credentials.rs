//! The kinds of credentials with a password: signed JWTs of rooms, `expiry:user` with a shared secret, static users.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use causeway_protocol::UnixSeconds;
use causeway_protocol::ids::TokenId;
use causeway_protocol::token::{PeerPolicy, TurnClaims, TurnVerifier};
use causeway_stun::attributes::Userhash;
use causeway_stun::{IntegrityKey, SecurityFeatures};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::check::{KeyKind, PasswordKind};
use super::tokens::{ThirdParty, Tokens};
use super::verified::Credential;
use crate::event::Subject;

/// What a relay accepts. A username is tried, in this order, as a room's JWT, as a REST username and as a static user,
/// each only if it has the form.
pub struct Credentials {
    /// Checks the JWTs that rooms issue; `None`: there are no rooms.
    pub rooms: Option<TurnVerifier>,
    /// Secrets shared with web services that issue `expiry:user` credentials (draft-uberti-behave-turn-rest). All are
    /// tried, so that they can rotate.
    pub rest_secrets: Vec<RestSecret>,
    /// Users that never expire.
    pub users: Vec<StaticUser>,
    /// Authorization servers whose access tokens are accepted (RFC 7635).
    pub third_party: Option<ThirdParty>,
}

impl Credentials {
    /// Accepts nobody; a start to fill in.
    #[must_use]
    pub const fn none() -> Self {
        Self { rooms: None, rest_secrets: Vec::new(), users: Vec::new(), third_party: None }
    }
}

/// A secret shared with a web service. `Debug` does not show it.
#[derive(Clone)]
pub struct RestSecret(String);

impl RestSecret {
    /// Takes the secret as it is configured at the other side, byte by byte.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for RestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RestSecret(…)")
    }
}

/// A user of the configuration. `Debug` does not show the password.
#[derive(Clone)]
pub struct StaticUser {
    /// The username.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for StaticUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a genuine credential permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) subject: Subject,
    pub(crate) jti: Option<TokenId>,
    pub(crate) expires: Option<UnixSeconds>,
    /// Allocations at a time; `None`: as many as [`Limits`](crate::Limits) says.
    pub(crate) allocations: Option<u32>,
    /// Bytes of payload in total, both ways.
    pub(crate) bytes: Option<u64>,
    /// Bytes per second of one allocation, each way. Reported with the allocation; nothing here slows it down to it.
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) peers: PeerPolicy,
}

impl Grant {
    pub(super) fn plain(subject: Subject, expires: Option<UnixSeconds>) -> Self {
        Self {
            subject,
            jti: None,
            expires,
            allocations: None,
            bytes: None,
            bytes_per_second: None,
            peers: PeerPolicy::Public,
        }
    }

    fn of_room(claims: TurnClaims) -> Self {
        Self {
            subject: Subject::RoomPeer { room: claims.room, peer: claims.sub },
            jti: Some(claims.jti),
            expires: Some(claims.exp),
            allocations: claims.allocs,
            bytes: claims.bytes,
            bytes_per_second: claims.bps,
            peers: claims.peers,
        }
    }

    pub(crate) fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

/// No credential of ours has this username and sealed this message. Strangers are told no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unauthenticated;

/// Credentials with every key derived that can be derived beforehand.
pub(crate) struct Keyring {
    realm: String,
    rooms: Option<TurnVerifier>,
    rest: Vec<Hmac<Sha1>>,
    users: HashMap<Box<str>, User, foldhash::fast::FixedState>,
    /// The users' names by their USERHASH; empty unless every name can be found so.
    names: HashMap<[u8; 32], Box<str>, foldhash::fast::FixedState>,
    pub(super) tokens: Option<Tokens>,
}

/// A static user by both password algorithms.
struct User {
    md5: Arc<Credential>,
    sha256: Arc<Credential>,
}

impl User {
    const fn of(&self, kind: PasswordKind) -> &Arc<Credential> {
        match kind {
            PasswordKind::Md5 => &self.md5,
            PasswordKind::Sha256 => &self.sha256,
        }
    }
}

impl Keyring {
    pub(crate) fn new(credentials: Credentials, realm: &str, hasher: foldhash::fast::FixedState) -> Self {
        let mut keyring = Self {
            realm: realm.to_owned(),
            rooms: credentials.rooms,
            rest: Vec::new(),
            users: HashMap::with_hasher(hasher.clone()),
            names: HashMap::with_hasher(hasher.clone()),
            tokens: credentials.third_party.map(|third_party| Tokens::new(third_party, hasher)),
        };
        keyring.replace(&credentials.rest_secrets, credentials.users);
        keyring
    }

    /// What a nonce may announce. A client that reads of username anonymity must send USERHASH (RFC 8489 §9.2.5), so
    /// it is only announced where every name can be found by its hash: with static users alone.
    pub(crate) fn features(&self) -> SecurityFeatures {
        let algorithms = SecurityFeatures::PASSWORD_ALGORITHMS;
        if self.names.is_empty() {
            return algorithms;
        }
        algorithms.with(SecurityFeatures::USERNAME_ANONYMITY)
    }

    /// The name under which authorization servers know us, if any do.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.tokens.as_ref().map(Tokens::server_name)
    }

    /// The static user with this USERHASH.
    pub(crate) fn named_by(&self, Userhash(hash): &Userhash) -> Option<&str> {
        self.names.get(hash).map(AsRef::as_ref)
    }

    /// The credential with this username under whose key the request is sealed; `sealed_with`
    /// says whether a key is that one, `kind` how it comes from the password.
    pub(crate) fn find(
        &self,
        username: &str,
        kind: PasswordKind,
        now: UnixSeconds,
        sealed_with: impl Fn(&IntegrityKey) -> bool,
    ) -> Result<Arc<Credential>, Unauthenticated> {
        if let Some(verifier) = self.rooms.as_ref().filter(|_| looks_like_jwt(username))
            && let Ok(claims) = verifier.check(username, now)
        {
            let key = self.key(kind, username, &verifier.password(username));
            return match sealed_with(&key) {
                true => Ok(credential(username, key, kind, Grant::of_room(claims))),
                false => Err(Unauthenticated),
            };
        }
        if let Some((expires, user)) = rest_username(username)
            && now < expires
        {
            for secret in &self.rest {
                let mut mac = secret.clone();
                mac.update(username.as_bytes());
                let password = STANDARD.encode(mac.finalize().into_bytes());
                let key = self.key(kind, username, &password);
                if sealed_with(&key) {
                    let grant = Grant::plain(Subject::Rest(user.into()), Some(expires));
                    return Ok(credential(username, key, kind, grant));
                }
            }
        }
        match self.users.get(username).map(|user| user.of(kind)) {
            Some(credential) if sealed_with(&credential.key) => Ok(Arc::clone(credential)),
            Some(_) | None => Err(Unauthenticated),
        }
    }

    /// Replaces the REST secrets and static users; the rooms' verifier stays.
    pub(crate) fn replace(&mut self, rest_secrets: &[RestSecret], users: Vec<StaticUser>) {
        self.rest = rest_secrets.iter().map(keyed).collect();
        self.users.clear();
        self.names.clear();
        // A JWT or an `expiry:user` cannot be found by its hash: it is on no list of ours.
        let is_enumerable = self.rooms.is_none() && self.rest.is_empty() && self.tokens.is_none();
        for StaticUser { name, password } in users {
            let subject = Subject::Static(name.as_str().into());
            let of = |kind| {
                let key = derive(kind, &name, &self.realm, &password);
                credential(&name, key, kind, Grant::plain(subject.clone(), None))
            };
            let user = User { md5: of(PasswordKind::Md5), sha256: of(PasswordKind::Sha256) };
            if is_enumerable {
                self.names.insert(Userhash::of(&name, &self.realm).0, name.as_str().into());
            }
            self.users.insert(name.into_boxed_str(), user);
        }
    }

    /// Whether the credential would be granted under its key again, its expiry aside.
    pub(crate) fn still_holds(&self, credential: &Credential) -> bool {
        match credential.grant.subject {
            Subject::RoomPeer { .. } | Subject::Token(_) => true,
            Subject::Rest(_) | Subject::Static(_) => match credential.kind {
                KeyKind::Password(kind) => {
                    let sealed_with = |candidate: &IntegrityKey| candidate.seals_like(&credential.key);
                    // At the beginning of time no credential has expired.
                    self.find(&credential.username, kind, UnixSeconds(0), sealed_with).is_ok()
                }
                KeyKind::Token(_) => false,
            },
        }
    }

    fn key(&self, kind: PasswordKind, username: &str, password: &str) -> IntegrityKey {
        derive(kind, username, &self.realm, password)
    }
}

fn credential(username: &str, key: IntegrityKey, kind: PasswordKind, grant: Grant) -> Arc<Credential> {
    Arc::new(Credential { username: username.into(), key, kind: KeyKind::Password(kind), grant })
}

/// RFC 8489 §18.5.1.
fn derive(kind: PasswordKind, username: &str, realm: &str, password: &str) -> IntegrityKey {
    match kind {
        PasswordKind::Md5 => IntegrityKey::long_term_md5(username, realm, password),
        PasswordKind::Sha256 => IntegrityKey::long_term_sha256(username, realm, password),
    }
}

fn keyed(secret: &RestSecret) -> Hmac<Sha1> {
    Hmac::new_from_slice(secret.0.as_bytes()).expect("HMAC takes keys of every length (RFC 2104 §2)")
}

/// RFC 7515 §3.1: three parts with dots between them.
fn looks_like_jwt(username: &str) -> bool {
    username.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Expiry and user of `expiry:user`, or of an expiry alone, which is its own user.
fn rest_username(username: &str) -> Option<(UnixSeconds, &str)> {
    let (expiry, user) = username.split_once(':').unwrap_or((username, username));
    if expiry.is_empty() || !expiry.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((UnixSeconds(expiry.parse().ok()?), user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_with_or_without_a_user_is_a_rest_username() {
        for (username, parsed) in [
            ("1800000000:alice", Some((1_800_000_000, "alice"))),
            ("1800000000", Some((1_800_000_000, "1800000000"))),
            ("1800000000:", Some((1_800_000_000, ""))),
            ("1800000000:a:b", Some((1_800_000_000, "a:b"))),
            ("alice", None),
            ("alice:1800000000", None),
            ("+1800000000:alice", None),
            (":alice", None),
            ("", None),
            ("99999999999999999999999:alice", None),
        ] {
            let parsed = parsed.map(|(expiry, user)| (UnixSeconds(expiry), user));
            assert_eq!(rest_username(username), parsed, "{username:?}");
        }
    }

    #[test]
    fn secrets_do_not_show_themselves() {
        assert_eq!(format!("{:?}", RestSecret::new("hush")), "RestSecret(…)");
        let user = StaticUser { name: "alice".to_owned(), password: "hush".to_owned() };
        assert!(!format!("{user:?}").contains("hush"));
    }
}
