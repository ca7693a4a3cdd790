//! Refuses a WebSocket message by its frames' headers, before the payload is read.
//!
//! The codec underneath waits for a whole frame before it looks at the size limit, so a client could announce
//! gigabytes and have them buffered. The gate sees the bytes first and follows only the headers:
//! ```text
//!  byte 0: FIN, opcode   byte 1: MASK, length 0–125 │ 126: 2 bytes follow │ 127: 8 bytes follow
//! ```

/// Fragments of one message (RFC 6455 §5.4). Browsers send one; empty fragments cost memory and count for no
/// size limit, so there is a limit of their own.
const MAX_FRAGMENTS: u32 = 128;

enum At {
    Flags,
    Length,
    /// The big-endian length is `value` so far.
    LongLength {
        missing: u8,
        value: u64,
        masked: bool,
    },
    Payload {
        missing: u64,
    },
}

/// Follows the bytes of one connection.
pub(crate) struct FrameGate {
    at: At,
    /// Whether the frame is a control frame, which belongs to no message (RFC 6455 §5.4).
    control: bool,
    fragments: u32,
    /// What the frames of the unfinished message announced so far.
    message_len: u64,
    max_message_len: u64,
}

impl FrameGate {
    pub(crate) const fn new(max_message_len: u64) -> Self {
        Self { at: At::Flags, control: false, fragments: 0, message_len: 0, max_message_len }
    }

    /// Whether all frames that begin in these bytes may pass.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.at = match self.at {
                At::Flags => {
                    self.on_flags(byte);
                    At::Length
                }
                At::Length => match (byte & 0x7f, byte & 0x80 != 0) {
                    (126, masked) => At::LongLength { missing: 2, value: 0, masked },
                    (127, masked) => At::LongLength { missing: 8, value: 0, masked },
                    (short, masked) => self.on_length(u64::from(short), masked),
                },
                At::LongLength { missing: 1, value, masked } => {
                    self.on_length(value << 8 | u64::from(byte), masked)
                }
                At::LongLength { missing, value, masked } => {
                    At::LongLength { missing: missing - 1, value: value << 8 | u64::from(byte), masked }
                }
                At::Payload { missing } => {
                    let here = usize::try_from(missing).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[here..];
                    self.at = payload(missing.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX)));
                    continue;
                }
            };
            if self.message_len > self.max_message_len || self.fragments > MAX_FRAGMENTS {
                return false;
            }
            bytes = rest;
        }
        true
    }

    fn on_flags(&mut self, flags: u8) {
        let (fin, opcode) = (flags & 0x80 != 0, flags & 0x0f);
        self.control = opcode & 0x08 != 0;
        if self.control {
            return;
        }
        if opcode != 0 {
            self.message_len = 0;
        }
        self.fragments = if fin { 0 } else { self.fragments + 1 };
    }

    fn on_length(&mut self, len: u64, masked: bool) -> At {
        if !self.control {
            self.message_len = self.message_len.saturating_add(len);
        }
        // The masking key (RFC 6455 §5.3) is skipped with the payload.
        payload(len.saturating_add(if masked { 4 } else { 0 }))
    }
}

const fn payload(missing: u64) -> At {
    if missing == 0 { At::Flags } else { At::Payload { missing } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 64 * 1024;

    #[test]
    fn frames_within_the_limit_pass_however_they_are_cut() {
        let mut stream = frame(0x81, 5);
        stream.extend(frame(0x89, 0));
        stream.extend(frame(0x82, 300));
        stream.extend(frame(0x81, 65_536));
        stream.extend(frame(0x88, 2));
        for size in [1, 2, 3, 7, 1000, stream.len()] {
            let mut gate = FrameGate::new(LIMIT);
            assert!(stream.chunks(size).all(|chunk| gate.follow(chunk)), "in pieces of {size}");
            assert!(matches!(gate.at, At::Flags), "in pieces of {size}");
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_at_its_header() {
        let header = &frame(0x81, 65_537)[..10];
        for size in [1, 4, 10] {
            let mut gate = FrameGate::new(LIMIT);
            assert!(!header.chunks(size).all(|chunk| gate.follow(chunk)), "in pieces of {size}");
        }
        let mut huge = vec![0x82, 0xff];
        huge.extend(u64::MAX.to_be_bytes());
        assert!(!FrameGate::new(LIMIT).follow(&huge));
    }

    #[test]
    fn fragments_are_refused_where_together_they_exceed_the_limit() {
        let mut gate = FrameGate::new(LIMIT);
        assert!(gate.follow(&frame(0x01, 40_000)));
        assert!(gate.follow(&frame(0x89, 100)));
        assert!(gate.follow(&frame(0x00, 25_536)));
        assert!(!gate.follow(&frame(0x80, 1)));
    }

    #[test]
    fn a_message_in_endless_fragments_is_refused() {
        let mut gate = FrameGate::new(LIMIT);
        assert!(gate.follow(&frame(0x01, 0)));
        let passed = (0..1000).take_while(|_| gate.follow(&frame(0x00, 0))).count();
        assert_eq!(passed, 127);
    }

    #[test]
    fn a_finished_message_forgets_its_fragments() {
        let mut gate = FrameGate::new(LIMIT);
        for _ in 0..1000 {
            assert!(gate.follow(&frame(0x01, 1)));
            assert!(gate.follow(&frame(0x89, 1)));
            assert!(gate.follow(&frame(0x80, 1)));
        }
    }

    fn frame(flags: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![flags];
        match len {
            0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
            126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend(u64::try_from(len).unwrap().to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0xff, len + 4));
        frame
    }
}
