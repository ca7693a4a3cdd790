//! What a client may send to a TLS session.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway_turn::fuzzing::tls_records(bytes));
