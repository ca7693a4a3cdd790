//! Access tokens made of any bytes: what the fuzz target `access_token` and the test `access_tokens.rs` open.
//!
//! ```text
//! kind (1) | value of ACCESS-TOKEN …       even: as a stranger sends it
//! kind (1) | block …                       odd: sealed with the right key, as a faulty authorization server would
//! ```
#![allow(clippy::unwrap_used, reason = "tests")]

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use causeway_protocol::UnixSeconds;
use causeway_protocol::token::{AccessTokenAlgorithm, AccessTokenError, AccessTokenKey};
use causeway_stun::attributes::AccessToken;
use causeway_stun::{AttributeType, Class, Message, MessageWriter, Method, RawAttribute, TransactionId};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const SERVER: &str = "turn.example.org";
const NONCE: [u8; 12] = *b"h4j3k2l2n4b5";
const KEY: [u8; 32] = [b'k'; 32];

/// Opens it with either algorithm's key.
///
/// # Panics
/// A promise is broken: a stranger's token opens, or a sealed one opens to something that it does not say.
pub fn open(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    for algorithm in [AccessTokenAlgorithm::A128Gcm, AccessTokenAlgorithm::A256Gcm] {
        if kind & 1 == 0 { stranger(algorithm, bytes) } else { sealed(algorithm, bytes) }
    }
}

fn key(algorithm: AccessTokenAlgorithm) -> AccessTokenKey {
    AccessTokenKey::new(algorithm, &KEY).unwrap()
}

fn stranger(algorithm: AccessTokenAlgorithm, value: &[u8]) {
    let mut buffer = vec![0; value.len() + 64];
    let id = TransactionId([7; 12]);
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::Allocate, id).unwrap();
    if writer.put(&RawAttribute { kind: AttributeType::ACCESS_TOKEN, value }).is_err() {
        return;
    }
    let length = writer.finish();
    let message = Message::decode(&buffer[..length]).unwrap();
    let Ok(Some(token)) = message.get::<AccessToken<'_>>() else { return };
    assert!(token.nonce().len() + token.encrypted().len() <= value.len());
    match key(algorithm).open(token.nonce(), token.encrypted(), SERVER, NOW) {
        Err(AccessTokenError::Malformed | AccessTokenError::Forged) => {}
        // Of the two keys, the seeds hold tokens under this one; nobody finds another.
        Ok(_) | Err(AccessTokenError::Expired) => assert_eq!(algorithm, AccessTokenAlgorithm::A256Gcm),
    }
}

fn sealed(algorithm: AccessTokenAlgorithm, block: &[u8]) {
    let aead = match algorithm {
        AccessTokenAlgorithm::A128Gcm => &AES_128_GCM,
        AccessTokenAlgorithm::A256Gcm => &AES_256_GCM,
    };
    let sealing = LessSafeKey::new(UnboundKey::new(aead, &KEY[..algorithm.key_length()]).unwrap());
    let mut encrypted = block.to_vec();
    let nonce = Nonce::assume_unique_for_key(NONCE);
    sealing.seal_in_place_append_tag(nonce, Aad::from(SERVER.as_bytes()), &mut encrypted).unwrap();

    match key(algorithm).open(&NONCE, &encrypted, SERVER, NOW) {
        Ok(grant) => {
            let session = grant.session_key();
            assert!((16..=64).contains(&session.len()), "a key that nobody guesses, and no padding");
            assert_eq!(block.get(2..2 + session.len()), Some(session), "the key is the block's");
            assert_eq!(block.len(), 2 + session.len() + 8 + 4, "nothing stands behind the lifetime");
            assert!(grant.expires > NOW);
        }
        Err(AccessTokenError::Malformed | AccessTokenError::Expired) => {}
        Err(AccessTokenError::Forged) => panic!("it was sealed with this very key"),
    }
    if let Some(byte) = encrypted.first_mut() {
        *byte ^= 1;
        assert!(key(algorithm).open(&NONCE, &encrypted, SERVER, NOW).is_err(), "a changed token");
    }
    assert!(
        key(algorithm).open(&NONCE, &encrypted, "turn.example.com", NOW).is_err(),
        "another relay's token"
    );
}
