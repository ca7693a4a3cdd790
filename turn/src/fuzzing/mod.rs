//! What has to hold for any bytes from the network: the entry points of the fuzz targets and of the tests of their
//! seeds.
//!
//! Each function takes arbitrary bytes and panics if a promise is broken. They are compiled for tests and for fuzzing
//! only.
#![allow(clippy::expect_used, clippy::panic, reason = "a broken promise is what these functions report")]

#[cfg(feature = "dtls")]
mod dtls;
mod pipe;
mod script;
mod streams;
mod tls;

#[cfg(feature = "dtls")]
pub use dtls::dtls_records;
pub use streams::{stream_framing, write_queue};
pub use tls::tls_records;

use crate::proxy::{self, Front};

/// No header of the PROXY protocol is longer than what is there, and one that is whole reads the same with anything
/// behind it. The beginning of a header is never refused, and never taken for a whole one.
///
/// # Panics
/// It is not so.
pub fn proxy_header(bytes: &[u8]) {
    let _ = proxy::parse_datagram(bytes);
    let front = proxy::parse(bytes);
    match front {
        Ok(Front::Header(length, origin)) => {
            let header = bytes.get(..length).expect("the header is there");
            assert_eq!(proxy::parse(header), Ok(Front::Header(length, origin)));
            for cut in 0..header.len() {
                let beginning = header.get(..cut).unwrap_or_default();
                assert_eq!(proxy::parse(beginning), Ok(Front::Incomplete), "{cut} of {length} bytes");
            }
            if bytes.first() != Some(&b'P') {
                assert_eq!(proxy::parse_datagram(bytes), Ok((length, origin)));
            }
        }
        Ok(Front::Incomplete) => assert!(bytes.len() < proxy::LONGEST, "nothing is awaited for ever"),
        Err(proxy::NoHeader) => {
            let longer = [bytes, b"\r\n"].concat();
            // A line that is not over yet may become one.
            assert!(!matches!(proxy::parse(&longer), Ok(Front::Incomplete)), "a refusal stands");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_stream_that_is_kept_has_its_frames_however_it_is_cut() {
        each_seed("stream_framing", |bytes| {
            stream_framing(bytes);
            write_queue(bytes);
        });
    }

    #[test]
    fn every_tls_script_that_is_kept_plays_to_its_end() {
        each_seed("tls_records", tls_records);
    }

    #[cfg(feature = "dtls")]
    #[test]
    fn every_dtls_script_that_is_kept_plays_to_its_end() {
        each_seed("dtls_records", dtls_records);
    }

    #[test]
    fn every_proxy_header_that_is_kept_is_read_or_refused() {
        each_seed("proxy_header", proxy_header);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn random_bytes_break_no_promise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            stream_framing(&bytes);
            write_queue(&bytes);
            tls_records(&bytes);
            #[cfg(feature = "dtls")]
            dtls_records(&bytes);
            proxy_header(&bytes);
        }
    }

    /// They are kept beside the fuzz targets, which start from them too.
    fn each_seed(target: &str, play: impl Fn(&[u8])) {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");
        let mut played = 0;
        for seed in std::fs::read_dir(format!("{seeds}/{target}")).unwrap() {
            play(&std::fs::read(seed.unwrap().path()).unwrap());
            played += 1;
        }
        assert!(played >= 2, "the seeds of {target} are where they were: {played}");
    }
}
