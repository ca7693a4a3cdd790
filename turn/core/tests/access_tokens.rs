//! Random access tokens, and those that fuzzing starts from.
#![allow(clippy::unwrap_used, reason = "tests")]

mod access_token;

use proptest::prelude::*;

/// Kept beside the fuzz target, which starts from them too.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/access_token");

#[test]
fn every_access_token_that_is_kept_is_opened_or_refused() {
    let mut opened = 0;
    for seed in std::fs::read_dir(SEEDS).unwrap() {
        access_token::open(&std::fs::read(seed.unwrap().path()).unwrap());
        opened += 1;
    }
    assert!(opened >= 3, "the seeds are where they were: {opened}");
}

proptest! {
    #[test]
    fn random_access_tokens_are_opened_or_refused(token in prop::collection::vec(any::<u8>(), 0..120)) {
        access_token::open(&token);
    }
}
