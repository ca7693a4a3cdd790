//! Credentials that have sealed a request lately: their signature is checked and their key derived once.
//!
//! A browser asks for several allocations under one credential, one for each URL and network interface. Whoever comes
//! in here has sealed a request with the password, so strangers take no memory. Every later request is held to its own
//! seal all the same, and its credential to expiry and revocations.
//!
//! ```text
//! remember ──► recent ──full: all of it──► earlier ──► forgotten
//!                ▲                            │
//!                └────────── found ───────────┘
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use causeway_protocol::UnixSeconds;
use causeway_stun::IntegrityKey;
use foldhash::fast::FixedState;

use super::check::{KeyKind, PasswordKind};
use super::credentials::Grant;
use crate::event::Subject;

/// Credentials of either generation. A guess: with usernames of 300 bytes both together take some 2 MB of a worker.
const CAPACITY: usize = 1024;

/// A genuine credential: who has it, how its holder seals, and what it permits. Allocations share it.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) username: Box<str>,
    pub(crate) key: IntegrityKey,
    pub(crate) kind: KeyKind,
    pub(crate) grant: Grant,
}

impl Credential {
    /// Whether it is a user of the configuration, whose keys are there from the start.
    pub(super) const fn is_static(&self) -> bool {
        match self.grant.subject {
            Subject::Static(_) => true,
            Subject::RoomPeer { .. } | Subject::Rest(_) | Subject::Token(_) => false,
        }
    }
}

/// What is remembered, by the whole username; the last one counts where a username has several keys.
#[derive(Debug)]
pub(crate) struct Verified {
    recent: HashMap<Box<str>, Arc<Credential>, FixedState>,
    earlier: HashMap<Box<str>, Arc<Credential>, FixedState>,
}

impl Verified {
    pub(crate) fn new(hasher: FixedState) -> Self {
        Self { recent: HashMap::with_hasher(hasher.clone()), earlier: HashMap::with_hasher(hasher) }
    }

    /// The credential under which a request is sealed; `sealed_with` says whether a key is its key. `None`: it is not
    /// remembered, has expired, or the username has another key too.
    pub(super) fn find(
        &mut self,
        username: &str,
        kind: PasswordKind,
        now: UnixSeconds,
        sealed_with: impl Fn(&IntegrityKey) -> bool,
    ) -> Option<Arc<Credential>> {
        let (found, is_recent) = match self.recent.get(username) {
            Some(credential) => (credential, true),
            None => (self.earlier.get(username)?, false),
        };
        let fits = found.kind == KeyKind::Password(kind) && !found.grant.is_expired(now);
        if !fits || !sealed_with(&found.key) {
            return None;
        }
        let found = Arc::clone(found);
        if !is_recent {
            self.remember(&found);
        }
        Some(found)
    }

    /// Remembers a credential that has sealed a request.
    pub(super) fn remember(&mut self, credential: &Arc<Credential>) {
        if self.recent.len() >= CAPACITY && !self.recent.contains_key(&credential.username) {
            std::mem::swap(&mut self.recent, &mut self.earlier);
            self.recent.clear();
        }
        self.recent.insert(credential.username.clone(), Arc::clone(credential));
    }

    /// Forgets everything: secrets or users are others from here on.
    pub(crate) fn clear(&mut self) {
        self.recent.clear();
        self.earlier.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_credential_is_found_under_its_whole_name_and_kind_until_it_expires() {
        let mut verified = verified();
        verified.remember(&credential("token.of.alice", 60));
        let mut find = |name, kind, seconds| verified.find(name, kind, NOW.plus(seconds), |_| true).is_some();
        assert!(find("token.of.alice", PasswordKind::Md5, 59));
        assert!(!find("token.of.alice", PasswordKind::Md5, 60));
        assert!(!find("token.of.alice", PasswordKind::Sha256, 0));
        assert!(!find("token.of.alicf", PasswordKind::Md5, 0));
        assert!(!find("token.of.", PasswordKind::Md5, 0));
    }

    #[test]
    fn a_request_under_another_key_is_not_the_credentials() {
        let mut verified = verified();
        let alice = credential("alice", 60);
        verified.remember(&alice);
        let other = IntegrityKey::short_term("other");
        assert!(verified.find("alice", PasswordKind::Md5, NOW, |key| key.seals_like(&other)).is_none());
        assert!(verified.find("alice", PasswordKind::Md5, NOW, |key| key.seals_like(&alice.key)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_who_comes_back_stays() {
        let mut verified = verified();
        verified.remember(&credential("regular", 60));
        for number in 0..10 * CAPACITY {
            verified.remember(&credential(&number.to_string(), 60));
            assert!(verified.recent.len() <= CAPACITY && verified.earlier.len() <= CAPACITY);
            assert!(verified.find("regular", PasswordKind::Md5, NOW, |_| true).is_some(), "{number}");
        }
        assert!(verified.find("0", PasswordKind::Md5, NOW, |_| true).is_none());
    }

    #[test]
    fn nothing_outlives_a_change_of_secrets() {
        let mut verified = verified();
        verified.remember(&credential("alice", 60));
        verified.clear();
        assert!(verified.find("alice", PasswordKind::Md5, NOW, |_| true).is_none());
    }

    fn verified() -> Verified {
        Verified::new(FixedState::default())
    }

    fn credential(username: &str, seconds: u64) -> Arc<Credential> {
        Arc::new(Credential {
            username: username.into(),
            key: IntegrityKey::short_term(username),
            kind: KeyKind::Password(PasswordKind::Md5),
            grant: Grant::plain(Subject::Rest(username.into()), Some(NOW.plus(seconds))),
        })
    }
}
