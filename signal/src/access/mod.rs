//! Apps that mint tokens of their own: which key a token names, and what it opens.

mod entry;
mod fetch;
mod jwks;
mod keys;

use std::sync::{Arc, Mutex, PoisonError};

use causeway_protocol::Now;
use causeway_protocol::token::{AppToken, AppTokenError, Grants, KeyHint, verify_app_token};
use tokio::sync::Notify;

use crate::api_keys::ApiKeys;
pub(crate) use entry::{Entered, enter};
pub(crate) use fetch::keep_fresh;
use keys::Source;
pub(crate) use keys::{ApiKey, Keys};

/// The keys in force.
pub(crate) struct Access {
    keys: Mutex<Arc<Keys>>,
    /// Wakes whoever fetches key sets.
    wanted: Notify,
}

/// A genuine token, and the key that it is of.
pub(crate) struct Verified {
    pub(crate) key: Arc<ApiKey>,
    pub(crate) token: AppToken,
    pub(crate) grants: Grants,
}

/// Whether a token is an app's, or pretends to be. Those of our own name no key.
pub(crate) fn is_an_apps(token: &str) -> bool {
    KeyHint::of(token).is_ok_and(|hint| hint.is_an_apps())
}

impl Access {
    pub(crate) fn new(settings: &ApiKeys) -> Self {
        Self { keys: Mutex::new(Arc::new(Keys::default().changed(settings))), wanted: Notify::new() }
    }

    /// Puts other keys in force. A key set that is still wanted is not fetched anew.
    pub(crate) fn replace(&self, settings: &ApiKeys) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        *keys = Arc::new(keys.changed(settings));
        drop(keys);
        self.wanted.notify_one();
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a genuine token says. Waits for an issuer's keys if the token's is not among those that are known.
    ///
    /// # Errors
    /// [`AppTokenError`] for any other text.
    pub(crate) async fn verify(&self, token: &str, now: Now) -> Result<Verified, AppTokenError> {
        let hint = KeyHint::of(token)?;
        let key = self.keys().of(&hint).ok_or(AppTokenError::UnknownKey)?;
        let token = match &key.source {
            Source::Key(checking) => verify_app_token(token, checking, &key.rules, now.unix)?,
            Source::Set(remote) => {
                let kid = hint.kid.ok_or(AppTokenError::UnknownKid)?;
                let set = remote.with(&kid, now.moment, &self.wanted).await?;
                let checking = set.find(&kid).ok_or(AppTokenError::UnknownKid)?;
                verify_app_token(token, checking, &key.rules, now.unix)?
            }
        };
        let grants = token.grants.within(key.allowed)?;
        Ok(Verified { key, token, grants })
    }
}
