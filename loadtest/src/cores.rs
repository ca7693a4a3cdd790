//! Which core runs what: the server alone on one, the generator on others.

use std::str::FromStr;
use std::thread;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde::Serialize;

use crate::failure::{Doing, Failure};

/// Who runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cores {
    /// Each on a core, as the kernel numbers them.
    Pinned {
        /// The server's, and nobody else's.
        server: usize,
        /// Where packets are made and sent.
        sender: usize,
        /// Where they are received and counted. The same as `sender`: one thread does both.
        receiver: usize,
    },
    /// Wherever the kernel puts them, with one thread for the generator. For tests, which have to share: what it
    /// measures is not worth comparing.
    Anywhere,
}

/// Text that names no cores.
#[derive(Debug, thiserror::Error)]
#[error(
    "give the cores as SERVER,SENDER,RECEIVER, such as 3,2,1, of which the last two may be the same, or `any`"
)]
pub struct NoCores;

impl Cores {
    /// The last three of this machine; of two, the generator has one.
    pub fn of_this_machine() -> Self {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let from_the_end = |number: usize| count.saturating_sub(number);
        match count {
            0..=2 => Self::Pinned { server: from_the_end(1), sender: 0, receiver: 0 },
            _ => Self::Pinned { server: from_the_end(1), sender: from_the_end(2), receiver: from_the_end(3) },
        }
    }

    /// Whether one thread sends and receives.
    pub(crate) fn one_thread(self) -> bool {
        match self {
            Self::Pinned { sender, receiver, .. } => sender == receiver,
            Self::Anywhere => true,
        }
    }

    /// Keeps the calling thread, and what it spawns from now on, where the server belongs.
    pub(crate) fn pin_server(self) -> Result<(), Failure> {
        self.keep(|server, _, _| server)
    }

    /// Keeps the calling thread where packets are sent.
    pub(crate) fn pin_sender(self) -> Result<(), Failure> {
        self.keep(|_, sender, _| sender)
    }

    /// Keeps the calling thread where packets are received.
    pub(crate) fn pin_receiver(self) -> Result<(), Failure> {
        self.keep(|_, _, receiver| receiver)
    }

    fn keep(self, which: impl Fn(usize, usize, usize) -> usize) -> Result<(), Failure> {
        let Self::Pinned { server, sender, receiver } = self else { return Ok(()) };
        let mut set = CpuSet::new();
        let pinned = set.set(which(server, sender, receiver));
        pinned.and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).doing("pinning a thread to a core")
    }
}

impl FromStr for Cores {
    type Err = NoCores;

    fn from_str(text: &str) -> Result<Self, NoCores> {
        if text == "any" {
            return Ok(Self::Anywhere);
        }
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[server, sender, receiver]) if server != sender && server != receiver => {
                Ok(Self::Pinned { server, sender, receiver })
            }
            Ok(_) | Err(_) => Err(NoCores),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_read_from_a_list() {
        let cores: Cores = "3,2,1".parse().unwrap();
        assert_eq!(cores, Cores::Pinned { server: 3, sender: 2, receiver: 1 });
        assert!("3,1,1".parse::<Cores>().is_ok_and(Cores::one_thread));
        assert!("any".parse::<Cores>().is_ok_and(Cores::one_thread));
    }

    #[test]
    fn the_server_has_its_core_alone() {
        for text in ["1,1,2", "1,2,1", "1,2", "", "a,b,c"] {
            assert!(text.parse::<Cores>().is_err(), "{text}");
        }
    }
}
