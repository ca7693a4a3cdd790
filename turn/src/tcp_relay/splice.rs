//! One client's data connection and the connection to its peer, passing bytes to each other.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use causeway_protocol::Moment;
use causeway_turn_core::Direction;
use mio::net::TcpStream;

use crate::stream::{CloseReason, Connection, Fill, Load};

/// Bytes read at once, and so the most that waits in one direction; no longer than the shortest queue of a client.
pub(crate) const CHUNK: usize = 64 << 10;

/// How far a splice has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// Both sides wait for the kernel.
    Blocked,
    /// There is more to do at once: others are to have their turn first.
    More,
    /// The limits of the credential hold bytes back: try again in some milliseconds.
    Held,
    /// It is over.
    Over,
}

/// A splice. Both sockets are registered for reading and writing.
pub(crate) struct Splice {
    client: Connection,
    to_peer: Pipe,
    to_client: Pipe,
    /// When something last passed.
    pub(crate) last_passed: Moment,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    /// Read and not yet written.
    bytes: Vec<u8>,
    /// How many of them may pass; the others are held back.
    allowed: usize,
    end: End,
}

/// How far the end of a direction has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// Its sender may send more.
    #[default]
    Open,
    /// Its sender has sent its last byte.
    Read,
    /// And its receiver was told so.
    Told,
}

/// What one step of a direction brought.
enum Step {
    Moved,
    Blocked,
    Held,
}

/// The splice is broken.
struct Broken;

impl Splice {
    pub(crate) fn new(client: Connection, now: Moment) -> Self {
        Self { client, to_peer: Pipe::default(), to_client: Pipe::default(), last_passed: now }
    }

    /// Says goodbye to the client before it is dropped.
    pub(crate) fn close(&mut self) {
        self.client.close();
    }

    /// One direction is at its end.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.to_peer.end != End::Open || self.to_client.end != End::Open
    }

    /// Passes what can pass: at most one chunk each way. `allow` says how many of so many bytes may.
    pub(crate) fn pump(
        &mut self,
        now: Moment,
        peer: &mut TcpStream,
        scratch: &mut [u8],
        mut allow: impl FnMut(Direction, usize) -> usize,
    ) -> Pumped {
        let up = self.step_to_peer(peer, scratch, &mut allow);
        let down = self.step_to_client(peer, scratch, &mut allow);
        let (Ok(up), Ok(down)) = (up, down) else { return Pumped::Over };
        if self.to_peer.end == End::Told && self.to_client.end == End::Told {
            return Pumped::Over;
        }
        match (up, down) {
            (Step::Moved, _) | (_, Step::Moved) => {
                self.last_passed = now;
                Pumped::More
            }
            (Step::Held, _) | (_, Step::Held) => Pumped::Held,
            (Step::Blocked, Step::Blocked) => Pumped::Blocked,
        }
    }

    fn step_to_peer(
        &mut self,
        peer: &mut TcpStream,
        scratch: &mut [u8],
        allow: &mut impl FnMut(Direction, usize) -> usize,
    ) -> Result<Step, Broken> {
        let pipe = &mut self.to_peer;
        let mut step = Step::Blocked;
        if pipe.bytes.is_empty() && pipe.end == End::Open {
            match self.client.receive_raw(scratch) {
                Ok(Fill::Bytes(length)) => {
                    pipe.bytes.extend_from_slice(scratch.get(..length).unwrap_or_default());
                    step = Step::Moved;
                }
                Ok(Fill::Blocked) => {}
                Ok(Fill::Later) => step = Step::Moved,
                Err(CloseReason::Client) => pipe.end = End::Read,
                Err(_broken) => return Err(Broken),
            }
        }
        let held = pipe.admit(|length| allow(Direction::ToPeer, length));
        while pipe.allowed > 0 {
            match peer.write(pipe.bytes.get(..pipe.allowed).unwrap_or_default()) {
                Ok(sent) => {
                    pipe.consume(sent);
                    step = Step::Moved;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Step::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_broken) => return Err(Broken),
            }
        }
        if pipe.bytes.is_empty() && pipe.end == End::Read {
            pipe.end = End::Told;
            peer.shutdown(Shutdown::Write).map_err(|_gone| Broken)?;
        }
        Ok(if held { Step::Held } else { step })
    }

    fn step_to_client(
        &mut self,
        peer: &mut TcpStream,
        scratch: &mut [u8],
        allow: &mut impl FnMut(Direction, usize) -> usize,
    ) -> Result<Step, Broken> {
        self.client.flush().map_err(|_broken| Broken)?;
        if self.client.waits() {
            return Ok(Step::Blocked);
        }
        let pipe = &mut self.to_client;
        let mut step = Step::Blocked;
        if pipe.bytes.is_empty() && pipe.end == End::Open {
            match peer.read(scratch) {
                Ok(0) => pipe.end = End::Read,
                Ok(length) => {
                    pipe.bytes.extend_from_slice(scratch.get(..length).unwrap_or_default());
                    step = Step::Moved;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => step = Step::Moved,
                Err(_broken) => return Err(Broken),
            }
        }
        let held = pipe.admit(|length| allow(Direction::ToClient, length));
        if pipe.allowed > 0 {
            let parts = [pipe.bytes.get(..pipe.allowed).unwrap_or_default(), &[], &[]];
            // The queue is empty and holds at least a chunk.
            self.client.push(parts, Load::Relayed).map_err(|_full| Broken)?;
            pipe.consume(pipe.allowed);
            self.client.flush().map_err(|_broken| Broken)?;
            step = Step::Moved;
        }
        if pipe.bytes.is_empty() && pipe.end == End::Read && !self.client.waits() {
            pipe.end = End::Told;
            self.client.finish().map_err(|_broken| Broken)?;
        }
        Ok(if held { Step::Held } else { step })
    }
}

impl Pipe {
    /// Asks about what is not allowed yet; `true`: something is held back.
    fn admit(&mut self, allow: impl FnOnce(usize) -> usize) -> bool {
        let asked = self.bytes.len().saturating_sub(self.allowed);
        if asked > 0 {
            self.allowed += allow(asked).min(asked);
        }
        self.allowed < self.bytes.len()
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        self.allowed = self.allowed.saturating_sub(count);
    }
}
