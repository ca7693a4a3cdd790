//! Random scripts of clients, peers and time, and those that fuzzing once broke something with.

mod common;
mod script;

use proptest::prelude::*;

/// Kept beside the fuzz target, which starts from them too.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/relay_script");

#[test]
fn every_script_that_is_kept_plays_to_its_end() {
    let mut played = 0;
    for seed in std::fs::read_dir(SEEDS).unwrap() {
        script::play(&std::fs::read(seed.unwrap().path()).unwrap());
        played += 1;
    }
    assert!(played >= 3, "the seeds are where they were: {played}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_scripts_play_to_their_end(script in prop::collection::vec(any::<u8>(), 0..600)) {
        script::play(&script);
    }
}
