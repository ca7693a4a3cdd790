//! Datagrams of several sources for the table of DTLS sessions.
#![no_main]

// The table catches panics of the library below it; libFuzzer's own hook would abort before that. One that escapes
// ends the run all the same.
libfuzzer_sys::fuzz_target!(
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| causeway_turn::fuzzing::dtls_records(bytes)
);
