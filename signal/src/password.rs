//! Room passwords: argon2id, off the HTTP threads, a few at a time.

use std::sync::Arc;

use actix_web::web;
use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

/// Hashes at a time. Each takes 19 MiB and some 30 ms of a core.
const AT_A_TIME: usize = 2;

/// Requests that may wait for their turn: about a second's worth.
const MAX_WAITING: usize = 32;

/// The longest password that is accepted, in bytes: it bounds the work, and no person types more.
pub(crate) const MAX_PASSWORD_LEN: usize = 256;

/// The stored form (PHC string): parameters, salt and hash.
#[derive(Clone)]
pub(crate) struct PasswordHash(Arc<str>);

impl PasswordHash {
    /// As it was stored.
    pub(crate) fn from_phc(text: String) -> Self {
        Self(text.into())
    }

    /// As it is stored.
    pub(crate) fn as_phc(&self) -> &str {
        &self.0
    }
}

/// Why no answer can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    /// Too many others wait.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The thread pool is gone or the hash function failed: a defect.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    turn: Semaphore,
    waiting: Semaphore,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { turn: Semaphore::new(AT_A_TIME), waiting: Semaphore::new(MAX_WAITING) }
    }

    pub(crate) async fn hash(&self, password: String) -> Result<PasswordHash, HashError> {
        self.run(move || {
            let hash = argon2()?.hash_password(password.as_bytes()).map_err(|_defect| HashError::Failed)?;
            Ok(PasswordHash(hash.to_string().into()))
        })
        .await
    }

    /// Whether the password is the one; compared in constant time.
    pub(crate) async fn verify(&self, password: String, hash: PasswordHash) -> Result<bool, HashError> {
        self.run(move || {
            let hash = phc::PasswordHash::new(&hash.0).map_err(|_defect| HashError::Failed)?;
            Ok(argon2()?.verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let _place = self.waiting.try_acquire().map_err(|_full| HashError::Busy)?;
        let _turn = self.turn.acquire().await.map_err(|_closed| HashError::Failed)?;
        web::block(work).await.map_err(|_pool_gone| HashError::Failed)?
    }
}

/// OWASP's smallest recommended argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(|_defect| HashError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn the_right_password_fits_and_no_other() {
        let passwords = Passwords::new();
        let hash = passwords.hash("open sesame".to_owned()).await.unwrap();
        assert_eq!(passwords.verify("open sesame".to_owned(), hash.clone()).await, Ok(true));
        assert_eq!(passwords.verify("open barley".to_owned(), hash.clone()).await, Ok(false));
        assert_eq!(passwords.verify(String::new(), hash).await, Ok(false));
    }

    #[actix_web::test]
    async fn the_same_password_is_stored_differently_each_time() {
        let passwords = Passwords::new();
        let one = passwords.hash("open sesame".to_owned()).await.unwrap();
        let two = passwords.hash("open sesame".to_owned()).await.unwrap();
        assert!(one.0.starts_with("$argon2id$"), "{}", one.0);
        assert_ne!(one.0, two.0);
    }

    #[actix_web::test]
    async fn who_finds_the_waiting_room_full_is_sent_away() {
        let passwords = Passwords { turn: Semaphore::new(1), waiting: Semaphore::new(0) };
        let refused = passwords.hash("open sesame".to_owned()).await;
        assert_eq!(refused.err(), Some(HashError::Busy));
    }
}
