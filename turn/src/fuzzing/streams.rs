//! Streams cut anywhere, and clients that read slowly.

use super::pipe::{Pipe, Who};
use super::script::Script;
use crate::proxy;
use crate::stream::{CloseReason, Fill, Load, next_frame};

/// Above the longest piece that the script pushes.
const HIGH_WATER: usize = 4096;
/// What [`Queue`](crate::stream) keeps for answers.
const ANSWER_ROOM: usize = 16 << 10;
/// A script that is longer says nothing new.
const MAX_STEPS: usize = 256;

/// The frames of a stream, and why it was closed.
type Outcome = (Vec<Vec<u8>>, Option<CloseReason>);

/// A stream has the same frames and the same end however it is cut, and no more of it is kept than the beginning of
/// one frame or header.
///
/// ```text
/// kind (1) | cuts (1) | length of a piece (1) … | stream …
/// ```
/// Kind: 1 is a proxy's connection, 2 has an allocation.
///
/// # Panics
/// It is not so.
pub fn stream_framing(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some((kind, pieces)) = head(&mut script) else { return };
    let Script(stream) = script;
    let whole = outcome(kind, stream, std::iter::empty());
    assert_eq!(outcome(kind, stream, pieces.iter().map(|length| usize::from(*length))), whole);
    assert_eq!(outcome(kind, stream, std::iter::repeat_n(1, stream.len().min(512))), whole);
}

fn head<'a>(script: &mut Script<'a>) -> Option<(u8, &'a [u8])> {
    let (kind, cuts) = (script.byte()?, usize::from(script.byte()?));
    let (pieces, rest) = script.0.split_at(cuts.min(script.0.len()));
    script.0 = rest;
    Some((kind, pieces))
}

fn outcome(kind: u8, mut stream: &[u8], pieces: impl Iterator<Item = usize>) -> Outcome {
    let who = if kind & 1 == 0 { Who::Client } else { Who::Proxy };
    let mut pipe = Pipe::new(who, None, HIGH_WATER);
    pipe.connection.authenticated = kind & 2 != 0;
    let mut frames = Vec::new();
    for length in pieces.chain(std::iter::once(usize::MAX)) {
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        stream = rest;
        assert_eq!(pipe.send(piece), piece.len(), "the relay reads everything at once");
        if let Err(reason) = read(&mut pipe, &mut frames) {
            return (frames, Some(reason));
        }
    }
    (frames, None)
}

fn read(pipe: &mut Pipe, frames: &mut Vec<Vec<u8>>) -> Result<(), CloseReason> {
    loop {
        let fill = pipe.receive(|connection, mut stream| {
            while let Some((frame, behind)) = next_frame(stream, connection.longest_frame())? {
                assert!(frame.len() <= connection.longest_frame());
                frames.push(frame.to_vec());
                stream = behind;
            }
            Ok(stream.len())
        })?;
        let most = pipe.connection.longest_frame().max(proxy::LONGEST);
        assert!(pipe.connection.kept() < most, "{} bytes are kept", pipe.connection.kept());
        if fill == Fill::Blocked {
            return Ok(());
        }
    }
}

/// What was accepted for a client arrives in order and whole; no more waits than the high-water mark and the room for
/// answers above it, and data never takes that room.
///
/// ```text
/// step = length (1): even is relayed data, odd an answer | read (1)
/// ```
///
/// # Panics
/// It is not so.
pub fn write_queue(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut pipe = Pipe::new(Who::Client, None, HIGH_WATER);
    rustix::net::sockopt::set_socket_send_buffer_size(&pipe.client, 1).expect("an open socket");
    pipe.send(b"\0");
    let _ = pipe.receive(|_, _| Ok(0));
    let (mut accepted, mut arrived) = (Vec::new(), Vec::new());
    for number in 0..MAX_STEPS {
        let (Some(length), Some(most)) = (script.byte(), script.byte()) else { break };
        let load = if length & 1 == 0 { Load::Relayed } else { Load::Answer };
        let data = vec![number.to_le_bytes()[0]; usize::from(length) << 4];
        let (front, back) = data.split_at(data.len() >> 1);
        let before = pipe.connection.queued();
        let room = match load {
            Load::Relayed => HIGH_WATER,
            Load::Answer => HIGH_WATER.saturating_add(ANSWER_ROOM),
        };
        let pushed = pipe.connection.push([front, &[], back], load);
        assert_eq!(pushed.is_ok(), before.saturating_add(data.len()) <= room);
        if pushed.is_ok() {
            accepted.extend(data);
        }
        if most & 1 == 0 {
            pipe.connection.flush().expect("the client is there");
        }
        arrived.extend(pipe.read(usize::from(most) << 5));
    }
    while arrived.len() < accepted.len() {
        pipe.connection.flush().expect("the client is there");
        let more = pipe.read(accepted.len());
        assert!(!more.is_empty(), "what was accepted arrives");
        arrived.extend(more);
    }
    assert!(arrived == accepted, "what arrives is what was accepted");
    assert!(!pipe.connection.waits());
}
