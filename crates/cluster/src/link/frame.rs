//! Frames as bytes, sealed so that nobody without the installation's secret can make, change or redirect one.
//!
//! ```text
//! ┌─────────┬──────────┬─────┬───────────────────────────────────────────────────────────────────────────────┐
//! │ version │ tag (16) │ from│ sender · receiver · acknowledged · first (8 each) · flags (1) · length+letter … │
//! └─────────┴──────────┴─────┴───────────────────────────────────────────────────────────────────────────────┘
//!   tag = HMAC-SHA256(key, version · to · everything after the tag), its first 128 bits (RFC 2104 §5)
//!   from, to: a byte of length, then the name
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use causeway_protocol::NodeId;
use causeway_protocol::secret::Secret;

use super::Frame;
use crate::mail::LONGEST_LETTER;
use crate::seal::{self, TAG};

const VERSION: u8 = 1;
const GAVE_UP: u8 = 1;
const MET: u8 = 2;

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// Of another version, or garbage.
    Malformed,
    /// Not sealed with the installation's secret, changed, or meant for another node.
    Forged,
}

/// The frame as bytes.
pub(crate) fn seal(key: &Secret, from: &NodeId, to: &NodeId, frame: &Frame) -> Bytes {
    let length: usize = frame.letters.iter().map(|letter| letter.len() + 4).sum();
    let mut bytes = BytesMut::with_capacity(1 + TAG + 65 + 33 + length);
    bytes.put_u8(VERSION);
    bytes.put_bytes(0, TAG);
    put_name(&mut bytes, from);
    for number in [frame.sender, frame.receiver, frame.acknowledged, frame.first] {
        bytes.put_u64(number);
    }
    bytes.put_u8(if frame.gave_up { GAVE_UP } else { 0 } | if frame.met { MET } else { 0 });
    for letter in &frame.letters {
        bytes.put_u32(u32::try_from(letter.len()).expect("letters are at most LONGEST_LETTER bytes"));
        bytes.put_slice(letter);
    }
    let tag = seal::tag(key, &[&[VERSION], to.as_str().as_bytes(), &bytes[1 + TAG..]]);
    bytes[1..=TAG].copy_from_slice(&tag);
    bytes.freeze()
}

/// The frame, and who sent it, if it was sealed for `to`.
pub(crate) fn open(key: &Secret, to: &NodeId, bytes: &Bytes) -> Result<(NodeId, Frame), FrameError> {
    let mut rest = bytes.clone();
    if rest.try_get_u8() != Ok(VERSION) || rest.remaining() < TAG {
        return Err(FrameError::Malformed);
    }
    let tag = rest.split_to(TAG);
    if !seal::is_tag(key, &[&[VERSION], to.as_str().as_bytes(), &rest], &tag) {
        return Err(FrameError::Forged);
    }
    // From here on the bytes are ours, of this version or a later one that says more.
    read(rest).ok_or(FrameError::Malformed)
}

fn read(mut rest: Bytes) -> Option<(NodeId, Frame)> {
    let from = name(&mut rest)?;
    let mut number = || rest.try_get_u64().ok();
    let (sender, receiver, acknowledged, first) = (number()?, number()?, number()?, number()?);
    let flags = rest.try_get_u8().ok()?;
    let mut letters = Vec::new();
    while rest.has_remaining() {
        let length = usize::try_from(rest.try_get_u32().ok()?).ok()?;
        if length > LONGEST_LETTER || length > rest.remaining() {
            return None;
        }
        letters.push(rest.split_to(length));
    }
    let (met, gave_up) = (flags & MET != 0, flags & GAVE_UP != 0);
    Some((from, Frame { sender, receiver, met, gave_up, acknowledged, first, letters }))
}

fn put_name(bytes: &mut BytesMut, name: &NodeId) {
    let name = name.as_str().as_bytes();
    bytes.put_u8(u8::try_from(name.len()).expect("ids are at most 64 bytes"));
    bytes.put_slice(name);
}

fn name(rest: &mut Bytes) -> Option<NodeId> {
    let length = usize::from(rest.try_get_u8().ok()?);
    if length > rest.remaining() {
        return None;
    }
    std::str::from_utf8(&rest.split_to(length)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        for letters in [vec![], vec![Bytes::new(), Bytes::from_static(b"hello")]] {
            let frame = Frame { letters, ..frame() };
            let sealed = seal(&key(), &node("a"), &node("b"), &frame);
            assert_eq!(open(&key(), &node("b"), &sealed), Ok((node("a"), frame)));
        }
    }

    #[test]
    fn a_frame_for_another_node_or_of_another_installation_is_forged() {
        let sealed = seal(&key(), &node("a"), &node("b"), &frame());
        assert_eq!(open(&key(), &node("c"), &sealed), Err(FrameError::Forged));
        assert_eq!(open(&Secret::from_bytes([8; 32]), &node("b"), &sealed), Err(FrameError::Forged));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&key(), &node("b"), &Bytes::from(bytes)).is_err());
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..80, change in 1u8..) {
            let mut sealed = seal(&key(), &node("a"), &node("b"), &frame()).to_vec();
            let at = at % sealed.len();
            sealed[at] ^= change;
            prop_assert!(open(&key(), &node("b"), &Bytes::from(sealed)).is_err());
        }

        #[test]
        fn what_is_ours_but_cut_off_is_no_panic(length in 0usize..60) {
            let whole = seal(&key(), &node("a"), &node("b"), &frame());
            let cut = whole.slice(1 + TAG..(1 + TAG + length).min(whole.len() - 1));
            prop_assert!(read(cut).is_none_or(|(_, frame)| frame.letters.len() < 2));
        }
    }

    fn key() -> Secret {
        Secret::from_bytes([7; 32])
    }

    fn node(name: &str) -> NodeId {
        name.parse().unwrap()
    }

    fn frame() -> Frame {
        let letters = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        Frame { sender: 7, receiver: 3, met: true, gave_up: true, acknowledged: 12, first: 9, letters }
    }
}
