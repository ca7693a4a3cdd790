//! A sound message around arbitrary attribute values.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway_stun::fuzzing::attributes(bytes));
