//! Both versions of the PROXY protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway_turn::fuzzing::proxy_header(bytes));
