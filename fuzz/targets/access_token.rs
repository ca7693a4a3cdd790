//! Access tokens of RFC 7635, forged and sealed; see `turn/core/tests/access_token`.
#![no_main]

#[path = "../../turn/core/tests/access_token/mod.rs"]
mod access_token;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| access_token::open(bytes));
