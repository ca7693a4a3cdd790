//! The messages in the bytes of one WebSocket: behind the gate the codec, and fragments put together again.

use actix_codec::Decoder;
use actix_http::ws::{CloseReason, Codec, Frame, Item};
use actix_web::web::{Bytes, BytesMut};
use bytestring::ByteString;
use causeway_protocol::message::MAX_MESSAGE_LEN;

use crate::frame_gate::FrameGate;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(ByteString),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<CloseReason>),
}

impl Heard {
    /// Bytes of a message; control frames have none.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Ping(_) | Self::Pong | Self::Close(_) => 0,
        }
    }
}

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A message announces more than it may.
    TooLarge,
    /// The bytes are no WebSocket frames, or their text is no UTF-8.
    NotFrames,
}

/// What has been received and not heard yet. While that is nothing it holds no memory.
pub(crate) struct Frames {
    buffer: BytesMut,
    gate: FrameGate,
    codec: Codec,
    fragments: Option<Fragments>,
}

struct Fragments {
    is_text: bool,
    bytes: BytesMut,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            gate: FrameGate::new(u64::try_from(MAX_MESSAGE_LEN).unwrap_or(u64::MAX)),
            codec: Codec::new().max_size(MAX_MESSAGE_LEN),
            fragments: None,
        }
    }

    /// Takes what was received. After a refusal there is nothing more to hear.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        if !self.gate.follow(bytes) {
            return Err(Unreadable::TooLarge);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next of what was received; `None`: more has to come first.
    pub(crate) fn next(&mut self) -> Result<Option<Heard>, Unreadable> {
        while let Some(frame) = self.decode()? {
            let heard = match frame {
                Frame::Text(bytes) => text(bytes)?,
                Frame::Binary(bytes) => Heard::Binary(bytes),
                Frame::Ping(payload) => Heard::Ping(payload),
                Frame::Pong(_) => Heard::Pong,
                Frame::Close(reason) => Heard::Close(reason),
                Frame::Continuation(item) => match self.put_together(item)? {
                    Some(heard) => heard,
                    None => continue,
                },
            };
            return Ok(Some(heard));
        }
        Ok(None)
    }

    fn decode(&mut self) -> Result<Option<Frame>, Unreadable> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            return Ok(None);
        }
        self.codec.decode(&mut self.buffer).map_err(|_whatever_it_is| Unreadable::NotFrames)
    }

    /// The gate has seen to it that these are not too many, and not too much together.
    fn put_together(&mut self, item: Item) -> Result<Option<Heard>, Unreadable> {
        let (is_text, first) = match item {
            Item::FirstText(first) => (true, first),
            Item::FirstBinary(first) => (false, first),
            Item::Continue(more) => {
                self.fragments.as_mut().ok_or(Unreadable::NotFrames)?.bytes.extend_from_slice(&more);
                return Ok(None);
            }
            Item::Last(last) => {
                let Fragments { is_text, mut bytes } = self.fragments.take().ok_or(Unreadable::NotFrames)?;
                bytes.extend_from_slice(&last);
                let bytes = bytes.freeze();
                return if is_text { text(bytes).map(Some) } else { Ok(Some(Heard::Binary(bytes))) };
            }
        };
        self.fragments = Some(Fragments { is_text, bytes: BytesMut::from(&*first) });
        Ok(None)
    }
}

fn text(bytes: Bytes) -> Result<Heard, Unreadable> {
    ByteString::try_from(bytes).map(Heard::Text).map_err(|_not_utf8| Unreadable::NotFrames)
}

#[cfg(test)]
mod tests {
    use actix_codec::Encoder;
    use actix_http::ws::Message;

    use super::*;

    #[test]
    fn messages_are_the_same_however_their_bytes_are_cut() {
        let sent = bytes_of([
            Message::Text("one".into()),
            Message::Continuation(Item::FirstText("tw".into())),
            Message::Ping("between".into()),
            Message::Continuation(Item::Continue("o".into())),
            Message::Continuation(Item::Last("!".into())),
            Message::Binary("three".into()),
            Message::Close(None),
        ]);
        for size in [1, 2, 3, 7, sent.len()] {
            let mut frames = Frames::new();
            let mut heard = Vec::new();
            for chunk in sent.chunks(size) {
                frames.feed(chunk).unwrap();
                heard.extend(std::iter::from_fn(|| frames.next().unwrap()));
            }
            let [one, ping, two, three, close] = &heard[..] else { panic!("{heard:?} in pieces of {size}") };
            assert_eq!((one, two), (&Heard::Text("one".into()), &Heard::Text("two!".into())));
            assert_eq!((ping, three), (&Heard::Ping("between".into()), &Heard::Binary("three".into())));
            assert_eq!(close, &Heard::Close(None));
            assert_eq!(frames.buffer.capacity(), 0, "nothing waits, and nothing is held");
        }
    }

    #[test]
    fn what_is_no_frame_or_no_text_is_unreadable() {
        for bytes in [&bytes_of([Message::Continuation(Item::Last("x".into()))])[..], &[0x81, 0x01, b'x']] {
            let mut frames = Frames::new();
            frames.feed(bytes).unwrap();
            assert_eq!(frames.next(), Err(Unreadable::NotFrames), "{bytes:x?}");
        }
        let mut frames = Frames::new();
        frames.feed(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).unwrap();
        assert_eq!(frames.next(), Err(Unreadable::NotFrames));
    }

    #[test]
    fn too_much_is_refused_before_it_is_kept() {
        let mut frames = Frames::new();
        assert_eq!(frames.feed(&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0]), Err(Unreadable::TooLarge));
        assert_eq!(frames.buffer.capacity(), 0);
    }

    /// As a client sends them; what it continues without having begun goes through all the same.
    fn bytes_of<const N: usize>(messages: [Message; N]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        let mut client = Codec::new().client_mode();
        for message in messages {
            if let Err(refused) = client.encode(message, &mut bytes) {
                assert!(bytes.is_empty(), "{refused}");
                bytes.extend_from_slice(&[0x80, 0x81, 0, 0, 0, 0, b'x']);
            }
        }
        bytes.to_vec()
    }
}
