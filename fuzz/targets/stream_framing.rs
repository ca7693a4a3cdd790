//! A client's stream cut anywhere, and what waits for a client that reads slowly.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    causeway_turn::fuzzing::stream_framing(bytes);
    causeway_turn::fuzzing::write_queue(bytes);
});
