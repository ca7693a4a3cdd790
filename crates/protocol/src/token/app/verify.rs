//! Checks a token of an app: which key it names, its signature, its times, its issuer and audience.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::grants::Grant;
use super::claims::{AppClaims, AppToken};
use super::key::AppKey;
use crate::{ErrorCode, UnixSeconds};

/// The longest token that is read, in bytes. Ours have 300; identity providers write up to about 2,000.
pub const MAX_APP_TOKEN_LEN: usize = 4096;

/// How far an app's clock may be off, in seconds. A guess at what a host without NTP drifts in weeks.
pub(super) const LEEWAY: u64 = 30;

/// What the operator wants of a key's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppTokenRules {
    /// Their `iss`; `None`: anything.
    pub issuer: Option<String>,
    /// What has to be in their `aud`; `None`: they have none (RFC 7519 §4.1.3).
    pub audience: Option<String>,
    /// The longest time from now to their `exp`, in seconds.
    pub longest_life: u64,
}

/// By what a token, unverified, names its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHint {
    /// The header's `kid`.
    pub kid: Option<String>,
    /// The claim `iss`.
    pub issuer: Option<String>,
}

/// Why a token of an app is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppTokenError {
    /// Not three parts of base64url, the first two of which are JSON.
    #[error("the token is no JWT in compact form")]
    Malformed,
    /// Longer than [`MAX_APP_TOKEN_LEN`].
    #[error("the token is longer than {MAX_APP_TOKEN_LEN} bytes")]
    TooLong,
    /// No key of this name here.
    #[error("the token names no key of this server; its header needs the kid of a key in signal.api_keys")]
    UnknownKey,
    /// Not in the issuer's set, also after that was fetched again.
    #[error("the token's kid is not in the JWK set of its issuer")]
    UnknownKid,
    /// The issuer's keys were never fetched.
    #[error("the keys of the token's issuer cannot be fetched now; try again in a minute")]
    KeysUnavailable,
    /// `none`, or not the key's own.
    #[error("the token is not signed with the algorithm of its key")]
    Algorithm,
    /// Forged, damaged, or signed with another key of that name.
    #[error("the token's signature does not fit its key")]
    Signature,
    /// A claim that is needed is missing, or one has another form.
    #[error(
        "the token's claims do not have the documented form; it needs exp and room, and grants that exist"
    )]
    Claims,
    /// `iss` is not the key's.
    #[error("the token's iss is not the one that its key wants")]
    Issuer,
    /// `aud` is not the key's.
    #[error("the token's aud is not the one that its key wants")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet; check the clock of who minted it")]
    NotYet,
    /// It would live longer than the operator lets it.
    #[error("the token lives longer than its key permits (max_token_seconds); mint one with an earlier exp")]
    LivesTooLong,
    /// It asks for what its key may not give.
    #[error("the token asks for the grant '{}', which its key may not give (allowed_grants)", .0.as_str())]
    NotGranted(Grant),
    /// It does not grant what it is used for.
    #[error("the token does not grant '{}', which this takes", .0.as_str())]
    Lacks(Grant),
    /// It is for another room, or for none.
    #[error("the token is for another room")]
    OtherRoom,
}

impl AppTokenError {
    /// The same in the protocol's words.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Malformed
            | Self::TooLong
            | Self::UnknownKey
            | Self::UnknownKid
            | Self::Algorithm
            | Self::Signature
            | Self::Claims
            | Self::Issuer
            | Self::Audience
            | Self::NotYet
            | Self::LivesTooLong
            | Self::OtherRoom => ErrorCode::TokenInvalid,
            Self::Expired => ErrorCode::TokenExpired,
            Self::NotGranted(_) | Self::Lacks(_) => ErrorCode::NotAllowed,
            Self::KeysUnavailable => ErrorCode::Unavailable,
        }
    }
}

/// What of a header is read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl KeyHint {
    /// What a token says of its key. Nothing of it is verified: it only finds the key that then decides.
    ///
    /// # Errors
    /// [`AppTokenError::TooLong`], [`AppTokenError::Malformed`]
    pub fn of(token: &str) -> Result<Self, AppTokenError> {
        #[derive(Deserialize)]
        struct Claims {
            iss: Option<String>,
        }
        if token.len() > MAX_APP_TOKEN_LEN {
            return Err(AppTokenError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AppTokenError::Malformed);
        };
        let header: Header = json(header).ok_or(AppTokenError::Malformed)?;
        let claims: Claims = json(claims).ok_or(AppTokenError::Malformed)?;
        Ok(Self { kid: header.kid, issuer: claims.iss })
    }

    /// Whether the token may be an app's. Tokens of our own name neither.
    #[must_use]
    pub const fn is_an_apps(&self) -> bool {
        self.kid.is_some() || self.issuer.is_some()
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// What a genuine token says whose times are right at `now`.
///
/// # Errors
/// [`AppTokenError`] for any other text.
pub fn verify_app_token(
    token: &str,
    key: &AppKey,
    rules: &AppTokenRules,
    now: UnixSeconds,
) -> Result<AppToken, AppTokenError> {
    if token.len() > MAX_APP_TOKEN_LEN {
        return Err(AppTokenError::TooLong);
    }
    let Header { alg, crit, kid: _ } =
        token.split('.').next().and_then(json).ok_or(AppTokenError::Malformed)?;
    if alg != key.algorithm().as_str() {
        return Err(AppTokenError::Algorithm);
    }
    // RFC 7515 §4.1.11: it names extensions that must be understood. We understand none.
    if crit.is_some() {
        return Err(AppTokenError::Malformed);
    }
    let data = jsonwebtoken::decode::<AppClaims>(token, key.decoding_key(), &validation(key, rules))
        .map_err(|error| refusal(error.kind()))?;
    let AppClaims { exp, nbf, .. } = &data.claims;
    if nbf.is_some_and(|nbf| nbf > now.plus(LEEWAY)) {
        return Err(AppTokenError::NotYet);
    }
    if *exp > now.plus(rules.longest_life).plus(LEEWAY) {
        return Err(AppTokenError::LivesTooLong);
    }
    let signature = token.rsplit('.').next().unwrap_or_default();
    let token = data.claims.into_token(signature);
    if now >= token.refused_from { Err(AppTokenError::Expired) } else { Ok(token) }
}

/// Only the key's own algorithm: a token's header cannot choose `none`, or HMAC under a public key (RFC 8725 §2.1).
fn validation(key: &AppKey, rules: &AppTokenRules) -> Validation {
    let mut validation = Validation::new(key.algorithm().of_jwt());
    // The library would read the system's clock; the caller's counts.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.required_spec_claims = HashSet::new();
    if let Some(issuer) = &rules.issuer {
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    if let Some(audience) = &rules.audience {
        validation.set_audience(&[audience]);
        validation.required_spec_claims.insert("aud".to_owned());
    }
    validation
}

fn refusal(kind: &ErrorKind) -> AppTokenError {
    match kind {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => AppTokenError::Algorithm,
        ErrorKind::InvalidSignature => AppTokenError::Signature,
        ErrorKind::InvalidIssuer => AppTokenError::Issuer,
        ErrorKind::InvalidAudience => AppTokenError::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => AppTokenError::Issuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => AppTokenError::Audience,
        // A claim of another form, or a header of one: `ErrorKind` may grow.
        _ => AppTokenError::Claims,
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
    use base64::engine::general_purpose::STANDARD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::{Value, json};

    use super::super::key_set::KeySet;
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const ED25519: (&str, &str) = (
        "MC4CAQAwBQYDK2VwBCIEIG0OkDEbFJRaYqBzzTp1YWQXjL+jZDd6dCE5czJcJzwS",
        "MCowBQYDK2VwAyEA2knU239gAQ5WNVa21tCVYsPn9/JX+qHVX4/HDRyOd6k=",
    );
    const P256: (&str, &str) = (
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIWhN4zZ6Prj5qomI0SzO1/FOMAZOgeOV968ZP2FQ3e2hRANCAARnS//6zmM6\
         gWXF9QqRQkEoKBKfzqsxBM6f3lnxLwsybP6S6t6B61J6lg7aU0TWL/FcJEouIXPeH+UoUFyUY/Ha",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ0v/+s5jOoFlxfUKkUJBKCgSn86rMQTOn95Z8S8LMmz+kuregetSepYO2lNE1i/xXCRKLiFz\
         3h/lKFBclGPx2g==",
    );

    #[test]
    fn each_kind_of_key_takes_what_it_signed() {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        for (key, token) in [
            (AppKey::secret(SECRET).unwrap(), signed(Algorithm::HS256, &hs256(), &claims())),
            (AppKey::public(ED25519.1).unwrap(), signed(Algorithm::EdDSA, &ed25519(), &claims())),
            (AppKey::public(P256.1).unwrap(), signed(Algorithm::ES256, &p256(), &claims())),
            (rsa_key(&rsa), signed(Algorithm::RS256, &rsa_signing_key(&rsa), &claims())),
        ] {
            let said = verify_app_token(&token, &key, &rules(), NOW).unwrap();
            assert_eq!(
                (said.peer, said.room),
                (Some("alice".parse().unwrap()), Some("standup".parse().unwrap()))
            );
            let other = signed(Algorithm::HS256, &EncodingKey::from_secret(&[b'y'; 32]), &claims());
            let refused = verify_app_token(&other, &key, &rules(), NOW).unwrap_err();
            assert!(matches!(refused, AppTokenError::Signature | AppTokenError::Algorithm), "{refused}");
        }
    }

    #[test]
    fn the_key_and_not_the_token_chooses_the_algorithm() {
        // RFC 8725 §2.1: what everybody knows of a public key, as the secret of an HMAC.
        let public = AppKey::public(P256.1).unwrap();
        let point = STANDARD.decode(P256.1).unwrap();
        for secret in [P256.1.as_bytes(), &point, &point[26..]] {
            let forged = signed(Algorithm::HS256, &EncodingKey::from_secret(secret), &claims());
            check(&forged, &public, Err(AppTokenError::Algorithm));
        }
        for alg in ["none", "None", "NONE", "HS384", "RS256", "ES256", ""] {
            let unsigned = format!("{}.{}.", part(&json!({"alg": alg})), part(&claims()));
            check(&unsigned, &AppKey::secret(SECRET).unwrap(), Err(AppTokenError::Algorithm));
        }
        let no_signature = format!("{}.{}.", part(&json!({"alg": "HS256"})), part(&claims()));
        check(&no_signature, &AppKey::secret(SECRET).unwrap(), Err(AppTokenError::Signature));
    }

    #[test]
    fn every_single_changed_character_is_noticed() {
        let token = signed(Algorithm::HS256, &hs256(), &claims());
        let key = AppKey::secret(SECRET).unwrap();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert!(verify_app_token(&forged, &key, &rules(), NOW).is_err(), "byte {at} of {token}");
        }
    }

    #[test]
    fn times_count_with_half_a_minute_for_clocks_that_differ() {
        let longest = rules().longest_life;
        for (change, expected) in [
            (json!({"exp": NOW.0 + 60}), Ok(())),
            (json!({"exp": NOW.0 - LEEWAY + 1}), Ok(())),
            (json!({"exp": NOW.0 - LEEWAY}), Err(AppTokenError::Expired)),
            (json!({"exp": 0}), Err(AppTokenError::Expired)),
            (json!({"exp": NOW.0 + longest + LEEWAY}), Ok(())),
            (json!({"exp": NOW.0 + longest + LEEWAY + 1}), Err(AppTokenError::LivesTooLong)),
            (json!({"exp": u64::MAX}), Err(AppTokenError::LivesTooLong)),
            (json!({"exp": Value::Null}), Err(AppTokenError::Claims)),
            (json!({"exp": "tomorrow"}), Err(AppTokenError::Claims)),
            (json!({"nbf": NOW.0 + LEEWAY}), Ok(())),
            (json!({"nbf": NOW.0 + LEEWAY + 1}), Err(AppTokenError::NotYet)),
            (json!({"iat": NOW.0 + 1_000_000}), Ok(())),
        ] {
            check_claims(&change, &rules(), expected);
        }
        let mut without = claims();
        without.as_object_mut().unwrap().remove("exp");
        check(
            &signed(Algorithm::HS256, &hs256(), &without),
            &AppKey::secret(SECRET).unwrap(),
            Err(AppTokenError::Claims),
        );
    }

    #[test]
    fn issuer_and_audience_are_what_the_key_wants() {
        let wants =
            AppTokenRules { issuer: Some("app".to_owned()), audience: Some("rtc".to_owned()), ..rules() };
        for (change, expected) in [
            (json!({"iss": "app", "aud": "rtc"}), Ok(())),
            (json!({"iss": "app", "aud": ["other", "rtc"]}), Ok(())),
            (json!({"aud": "rtc"}), Err(AppTokenError::Issuer)),
            (json!({"iss": "evil", "aud": "rtc"}), Err(AppTokenError::Issuer)),
            (json!({"iss": "app"}), Err(AppTokenError::Audience)),
            (json!({"iss": "app", "aud": "other"}), Err(AppTokenError::Audience)),
            (json!({"iss": "app", "aud": 7}), Err(AppTokenError::Audience)),
        ] {
            check_claims(&change, &wants, expected);
        }
        // A token for somebody else, under a key of which no audience is asked.
        check_claims(&json!({"aud": "other"}), &rules(), Err(AppTokenError::Audience));
    }

    #[test]
    fn claims_of_another_form_are_refused_and_further_ones_are_not() {
        for (change, expected) in [
            (json!({"room": "a b"}), Err(AppTokenError::Claims)),
            (json!({"room": 7}), Err(AppTokenError::Claims)),
            (json!({"grants": ["join"]}), Err(AppTokenError::Claims)),
            (json!({"grants": {"kik": true}}), Err(AppTokenError::Claims)),
            (json!({"grants": {"relay_bytes": -1}}), Err(AppTokenError::Claims)),
            (json!({"grants": {"relay_bytes": 1e40}}), Err(AppTokenError::Claims)),
            (json!({"email": "a@b.example", "scope": ["x"]}), Ok(())),
        ] {
            check_claims(&change, &rules(), expected);
        }
        let array = signed(Algorithm::HS256, &hs256(), &json!([1, 2]));
        check(&array, &AppKey::secret(SECRET).unwrap(), Err(AppTokenError::Claims));
    }

    #[test]
    fn a_subject_of_another_alphabet_becomes_a_peer_of_its_own() {
        let peer = |sub: &str| said(&json!({"sub": sub})).peer.unwrap();
        assert_eq!(peer("alice").as_str(), "alice");
        assert_eq!(peer("auth0|5f7c8ec7").as_str().len(), 16);
        assert_eq!(peer("auth0|5f7c8ec7"), peer("auth0|5f7c8ec7"));
        assert_ne!(peer("auth0|5f7c8ec7"), peer("auth0|5f7c8ec8"));
    }

    #[test]
    fn a_token_has_a_name_of_its_own_and_opens_once_if_it_has_a_jti() {
        let (one, other) = (said(&json!({"jti": "x y"})), said(&json!({"jti": "x y", "name": "Al"})));
        assert_eq!((one.once, &one.id), (true, &other.id));
        let (one, other) = (said(&json!({})), said(&json!({"name": "Al"})));
        assert!(!one.once && one.id != other.id);
        assert_eq!(one.id, said(&json!({})).id);
    }

    #[test]
    fn a_token_names_its_key_and_our_own_names_none() {
        let token = signed(Algorithm::HS256, &hs256(), &claims());
        assert_eq!(KeyHint::of(&token).unwrap(), KeyHint { kid: Some("k".to_owned()), issuer: None });
        let own = format!("{}.{}.x", part(&json!({"alg": "HS256"})), part(&json!({"aud": "causeway:join"})));
        assert!(!KeyHint::of(&own).unwrap().is_an_apps());
        for (text, expected) in [
            ("", AppTokenError::Malformed),
            ("a.b.c", AppTokenError::Malformed),
            ("e30.e30", AppTokenError::Malformed),
            ("e30.e30.x.y", AppTokenError::Malformed),
            (&"x".repeat(MAX_APP_TOKEN_LEN + 1), AppTokenError::TooLong),
        ] {
            assert_eq!(KeyHint::of(text).unwrap_err(), expected, "{text:.20}");
        }
    }

    #[test]
    fn a_header_that_must_be_understood_and_is_not_is_refused() {
        let head = part(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}));
        let rest = signed(Algorithm::HS256, &hs256(), &claims());
        let token = format!("{head}.{}", rest.split_once('.').unwrap().1);
        check(&token, &AppKey::secret(SECRET).unwrap(), Err(AppTokenError::Malformed));
    }

    #[test]
    fn deep_nesting_within_a_token_is_no_way_in() {
        let deep = URL_SAFE_NO_PAD.encode("[".repeat(2900));
        let token = format!("{}.{deep}.x", part(&json!({"alg": "HS256"})));
        assert_eq!(KeyHint::of(&token), Err(AppTokenError::Malformed));
    }

    fn rules() -> AppTokenRules {
        AppTokenRules { issuer: None, audience: None, longest_life: 3600 }
    }

    fn claims() -> Value {
        json!({"sub": "alice", "room": "standup", "exp": NOW.0 + 60})
    }

    fn with(change: &Value) -> Value {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    }

    fn said(change: &Value) -> AppToken {
        let token = signed(Algorithm::HS256, &hs256(), &with(change));
        verify_app_token(&token, &AppKey::secret(SECRET).unwrap(), &rules(), NOW).unwrap()
    }

    fn check_claims(change: &Value, rules: &AppTokenRules, expected: Result<(), AppTokenError>) {
        let token = signed(Algorithm::HS256, &hs256(), &with(change));
        let result = verify_app_token(&token, &AppKey::secret(SECRET).unwrap(), rules, NOW).map(|_| ());
        assert_eq!(result, expected, "{change}");
    }

    fn check(token: &str, key: &AppKey, expected: Result<(), AppTokenError>) {
        assert_eq!(verify_app_token(token, key, &rules(), NOW).map(|_| ()), expected, "{token}");
    }

    fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
        let header = Header { kid: Some("k".to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, key).unwrap()
    }

    fn part(json: &Value) -> String {
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn hs256() -> EncodingKey {
        EncodingKey::from_secret(SECRET)
    }

    fn ed25519() -> EncodingKey {
        EncodingKey::from_ed_der(&STANDARD.decode(ED25519.0).unwrap())
    }

    fn p256() -> EncodingKey {
        EncodingKey::from_ec_der(&STANDARD.decode(P256.0).unwrap())
    }

    fn rsa_signing_key(pair: &RsaKeyPair) -> EncodingKey {
        // RFC 5208 §5 around RFC 8017 A.1.2, which the library wants: 26 bytes for a key of this size.
        EncodingKey::from_rsa_der(&pair.as_der().unwrap().as_ref()[26..])
    }

    fn rsa_key(pair: &RsaKeyPair) -> AppKey {
        let public = pair.public_key();
        let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
        AppKey::rsa(n, e.big_endian_without_leading_zero()).unwrap()
    }

    #[test]
    fn a_set_and_a_token_go_together() {
        let x = URL_SAFE_NO_PAD.encode(&STANDARD.decode(ED25519.1).unwrap()[12..]);
        let set = json!({"keys": [{"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": x}]}).to_string();
        let set = KeySet::parse(set.as_bytes()).unwrap();
        let token = signed(Algorithm::EdDSA, &ed25519(), &claims());
        let kid = KeyHint::of(&token).unwrap().kid.unwrap();
        check(&token, set.find(&kid).unwrap(), Ok(()));
    }
}
