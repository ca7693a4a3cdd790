//! Any datagram: STUN, ChannelData, a stream's front, or nothing of the kind.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway_stun::fuzzing::datagram(bytes));
