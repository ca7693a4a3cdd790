//! Signed tokens: who may join a room, and who may use the relay for it.
//!
//! A token is a compact JWT (RFC 7519) with an audience of its own and a key of its own, so that none can be
//! taken for another. Expiry is compared with a time that the caller passes in.
//! Apps mint tokens under keys of their own, which are checked here, too.
//! Apart from them stands the access token of RFC 7635, which others issue.

mod access;
mod app;
mod grants;
mod join;
mod jwt;
mod room_key;
mod turn;

pub use access::{AccessGrant, AccessTokenAlgorithm, AccessTokenError, AccessTokenKey, AccessTokenKeyError};
pub use app::{
    AppAlgorithm, AppGrants, AppKey, AppKeyError, AppToken, AppTokenError, AppTokenRules, KeyHint, KeySet,
    KeySetError, MAX_APP_TOKEN_LEN, verify_app_token,
};
pub use grants::{Grant, GrantSet, Grants, RelayBudget};
pub use join::{
    HostClaims, HostTokens, InviteClaims, Invites, JoinClaims, JoinTokens, ResumeClaims, ResumeTokens,
    RoomRole,
};
pub use jwt::TokenError;
pub use room_key::{RoomKey, RoomKeyError, RoomSigningKey};
pub use turn::{
    IssueError, MAX_USERNAME_LEN, PeerPolicy, TurnClaims, TurnCredential, TurnIssuer, TurnVerifier,
    turn_password,
};
