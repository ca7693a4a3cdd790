//! Tokens that apps mint: JWTs under a key that the operator gave an app, or that its identity provider publishes.
//!
//! A token names its key: by `kid` in its header, or by `iss` among its claims where the keys come from a JWK set, in which
//! `kid` then finds one. Which algorithm a key takes is the key's to say and never the token's.

mod claims;
mod key;
mod key_set;
mod verify;

pub use claims::{AppGrants, AppToken};
pub use key::{AppAlgorithm, AppKey, AppKeyError};
pub use key_set::{KeySet, KeySetError};
pub use verify::{AppTokenError, AppTokenRules, KeyHint, MAX_APP_TOKEN_LEN, verify_app_token};
