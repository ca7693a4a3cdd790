//! One member of a room, as the generator knows it.

use std::collections::VecDeque;

use super::dialect::Ticket;
use super::socket::Socket;

/// How far a member has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has no ticket yet.
    #[default]
    Wishing,
    /// It waits for its room, or for a free hand, to connect.
    Waiting,
    /// Its WebSocket opens.
    Opening,
    /// It has introduced itself.
    Entering,
    /// It was welcomed.
    Inside,
    /// It has said that it goes.
    Leaving,
    /// It is gone.
    Gone,
}

/// Somebody.
#[derive(Default)]
pub(crate) struct Member {
    pub(crate) room: u32,
    pub(crate) node: usize,
    pub(crate) stage: Stage,
    /// How long it stays once it is inside, in nanoseconds; `None`: to the end.
    pub(crate) stay: Option<u64>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) socket: Option<Socket>,
    /// What messages to it are addressed to, if that is not its name.
    pub(crate) address: Option<String>,
    /// When it introduced itself, or was cut.
    pub(crate) since: u64,
    /// How many messages it has said.
    pub(crate) said: u64,
    /// With this it comes back.
    pub(crate) token: Option<String>,
    /// Whether it was here before and comes back.
    pub(crate) back: bool,
    /// What it has said since the room last told how much it had taken; kept by those who may be cut.
    pub(crate) kept: VecDeque<String>,
    /// How many it had said before those.
    pub(crate) taken: u64,
}

impl Member {
    pub(crate) fn new(room: u32, node: usize, stay: Option<u64>) -> Self {
        Self { room, node, stay, ..Self::default() }
    }

    /// What messages to it are addressed to.
    pub(crate) fn address(&self) -> &str {
        let name = self.ticket.as_ref().map_or("", |ticket| ticket.peer.as_str());
        self.address.as_deref().unwrap_or(name)
    }

    /// The room has taken so many of its messages; returns those that it has to say again.
    pub(crate) fn still_to_say(&mut self, received: u64) -> Vec<String> {
        while self.taken < received && self.kept.pop_front().is_some() {
            self.taken += 1;
        }
        self.kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_room_has_not_taken_is_said_again() {
        let mut member = Member::new(0, 0, None);
        member.kept.extend(["a", "b", "c"].map(str::to_owned));
        assert_eq!(member.still_to_say(0).len(), 3);
        assert_eq!(member.still_to_say(2), ["c"]);
        assert_eq!(member.still_to_say(3), [""; 0]);
        member.kept.push_back("d".to_owned());
        assert_eq!(member.still_to_say(3), ["d"]);
    }
}
