//! Who sends a request: the long-term credential mechanism of RFC 8489 §9.2, without any state for strangers.

pub(crate) mod challenge;
pub(crate) mod check;
pub(crate) mod credentials;
pub(crate) mod nonce;
pub(crate) mod tokens;
pub(crate) mod verified;
