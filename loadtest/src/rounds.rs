//! Rounds: each measures one server from its start to its end, and servers take turns.
//!
//! Every round starts a new process. So none stands idle on the core that another is measured on, none carries what an
//! earlier load left in it, and a chance placement of its memory does not last for the whole run. The first round of each
//! is not counted.

use std::path::Path;

use crate::args::{Load, Work};
use crate::cores::Cores;
use crate::failure::Failure;
use crate::flows;
use crate::generator::{self, Pace, Seen};
use crate::server::{Program, Server};

/// One round of one server.
#[derive(Clone, Debug)]
pub struct Round {
    /// The server's CPU time per delivered packet, in microseconds.
    pub microseconds: f64,
    /// Of that, in user space.
    pub user: f64,
    /// Of that, in the kernel.
    pub system: f64,
    /// Delivered packets a second.
    pub rate: f64,
    /// Share of the sent packets that never arrived.
    pub loss: f64,
    /// Share of its core that the server used.
    pub busy: f64,
    /// Bytes of memory that it held at the end.
    pub memory: u64,
    /// Latency in microseconds that 50 %, 99 % and 99.9 % of the packets do not exceed.
    pub latency: [f64; 3],
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵³")]
    fn of(seen: &Seen, memory: u64, server: &'static str) -> Result<Self, Failure> {
        if seen.delivered == 0 {
            return Err(Failure::NothingDelivered(server));
        }
        let delivered = seen.delivered as f64;
        let used = seen.cpu.total.as_secs_f64();
        let split = (seen.cpu.user + seen.cpu.system).as_secs_f64();
        let user = if split > 0.0 { seen.cpu.user.as_secs_f64() / split } else { 0.0 };
        let microseconds = used * 1e6 / delivered;
        let quantile = |share| seen.latency.quantile(share).unwrap_or(0) as f64 / 1e3;
        Ok(Self {
            microseconds,
            user: microseconds * user,
            system: microseconds * (1.0 - user),
            rate: delivered / seen.span.as_secs_f64(),
            loss: seen.lost as f64 / (seen.sent.max(1) as f64),
            busy: used / seen.span.as_secs_f64(),
            memory,
            latency: [quantile(0.5), quantile(0.99), quantile(0.999)],
        })
    }
}

/// Measures each program `count` times and once before, in turns; the rounds of each, in the order of `programs`.
///
/// # Errors
/// A server cannot be started, does not do what it is asked to, or delivers nothing.
pub fn alternate(
    programs: &[Program],
    load: &Load,
    count: usize,
    cores: Cores,
    logs: &Path,
) -> Result<Vec<Vec<Round>>, Failure> {
    let mut rounds = vec![Vec::with_capacity(count); programs.len()];
    for number in 0..=count {
        for (program, rounds) in programs.iter().zip(&mut rounds) {
            let round = one(program, load, cores, logs)?;
            if number > 0 {
                rounds.push(round);
            }
        }
    }
    Ok(rounds)
}

/// One round of one server.
fn one(program: &Program, load: &Load, cores: Cores, logs: &Path) -> Result<Round, Failure> {
    let server = Server::start(program, cores, logs)?;
    let flows = match load.work {
        Work::Data => flows::relayed(server.address, load)?,
        Work::Binding => flows::binding(server.address, load)?,
    };
    let lanes = &flows.lanes;
    let pace = match load.rate {
        Some(rate) => Pace::Rate(rate),
        None => Pace::Window((load.window / load.flows as u64).max(load.burst as u64)),
    };
    let seen = generator::run(lanes, load.burst, pace, load.span, cores, &|| server.cpu_time())?;
    Round::of(&seen, server.resident()?, program.name())
}
