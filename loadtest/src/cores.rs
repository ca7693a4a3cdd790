//! Which core runs what: the server alone on one, the generator on others.

use std::str::FromStr;
use std::thread;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde::Serialize;

use crate::failure::{Doing, Failure};

/// The cores of a measurement, as the kernel numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cores {
    /// The server's, and nobody else's.
    pub server: usize,
    /// Where packets are made and sent.
    pub sender: usize,
    /// Where they are received and counted. The same as `sender`: one thread does both.
    pub receiver: usize,
}

/// Text that names no cores.
#[derive(Debug, thiserror::Error)]
#[error("give the cores as SERVER,SENDER,RECEIVER, such as 3,2,1; the last two may be the same")]
pub struct NoCores;

impl Cores {
    /// The last three of this machine; of two, the generator has one.
    pub fn of_this_machine() -> Self {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let from_the_end = |number: usize| count.saturating_sub(number);
        match count {
            0..=2 => Self { server: from_the_end(1), sender: 0, receiver: 0 },
            _ => Self { server: from_the_end(1), sender: from_the_end(2), receiver: from_the_end(3) },
        }
    }
}

impl FromStr for Cores {
    type Err = NoCores;

    fn from_str(text: &str) -> Result<Self, NoCores> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[server, sender, receiver]) if server != sender && server != receiver => {
                Ok(Self { server, sender, receiver })
            }
            Ok(_) | Err(_) => Err(NoCores),
        }
    }
}

/// Keeps the calling thread, and what it spawns from now on, on a core.
///
/// # Errors
/// There is no such core.
pub(crate) fn pin_this_thread(core: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).doing("pinning a thread to a core")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_read_from_a_list() {
        let cores: Cores = "3,2,1".parse().unwrap();
        assert_eq!(cores, Cores { server: 3, sender: 2, receiver: 1 });
        assert!("3,1,1".parse::<Cores>().is_ok());
    }

    #[test]
    fn the_server_has_its_core_alone() {
        for text in ["1,1,2", "1,2,1", "1,2", "", "a,b,c"] {
            assert!(text.parse::<Cores>().is_err(), "{text}");
        }
    }
}
