//! A relay with clients, peers and time, played from any bytes; see `turn/core/tests/script`.
#![no_main]

#[path = "../../turn/core/tests/common/mod.rs"]
mod common;
#[path = "../../turn/core/tests/script/mod.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| script::play(bytes));
