//! A round of a relay: it is started, bears a load, and ends.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::cores::Cores;
use crate::failure::Failure;
use crate::relay::allocate;
use crate::relay::args::{Load, Work};
use crate::relay::flows;
use crate::relay::generator::{self, Pace, Seen};
use crate::relay::idle;
use crate::relay::server::{Program, Server};
use crate::rounds::Program as _;

/// In nanoseconds.
const MICROSECOND: f64 = 1e3;

/// One round of one server.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The server's CPU time per delivered packet, answer, or pair of Allocate and Refresh, in microseconds.
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
    /// Bytes by which it grew for each idle allocation; 0 if none were held.
    pub bytes_per_allocation: f64,
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
        Ok(Self {
            microseconds,
            user: microseconds * user,
            system: microseconds * (1.0 - user),
            rate: delivered / seen.span.as_secs_f64(),
            loss: seen.lost as f64 / (seen.sent.max(1) as f64),
            busy: used / seen.span.as_secs_f64(),
            memory,
            bytes_per_allocation: 0.0,
            latency: seen.latency.quantiles(MICROSECOND),
        })
    }
}

/// One round of one server.
///
/// # Errors
/// The server cannot be started, does not do what it is asked to, or delivers nothing.
pub(crate) fn one(program: &Program, load: &Load, cores: Cores, logs: &Path) -> Result<Round, Failure> {
    let server = Server::start(program, cores, logs)?;
    let used = || server.process.cpu_time();
    let lanes = match load.work {
        Work::Data => flows::relayed(server.address, load)?,
        Work::Binding => flows::binding(server.address, load)?,
        Work::Allocate => {
            let seen = allocate::run(server.address, load.flows, load.span, &used)?;
            return Round::of(&seen, server.process.resident()?, program.name());
        }
        Work::Idle => return held(&server, load.flows),
    };
    let pace = match load.rate {
        Some(rate) => Pace::Rate(rate),
        None => Pace::Window((load.window / load.flows as u64).max(load.burst as u64)),
    };
    let seen = generator::run(&lanes, load.burst, pace, load.span, load.waiting, cores, &used)?;
    Round::of(&seen, server.process.resident()?, program.name())
}

/// A round that only holds allocations.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵³")]
fn held(server: &Server, count: usize) -> Result<Round, Failure> {
    let (begin, before) = (clock::nanoseconds(), server.process.cpu_time()?);
    let bytes_per_allocation =
        idle::bytes_per_allocation(server.address, count, &|| server.process.resident())?;
    let used = server.process.cpu_time()?.since(before);
    let span = Duration::from_nanos(clock::nanoseconds() - begin).as_secs_f64();
    let each = |used: Duration| used.as_secs_f64() * 1e6 / count as f64;
    Ok(Round {
        microseconds: each(used.total),
        user: each(used.user),
        system: each(used.system),
        rate: count as f64 / span,
        loss: 0.0,
        busy: used.total.as_secs_f64() / span,
        memory: server.process.resident()?,
        bytes_per_allocation,
        latency: [0.0; 3],
    })
}
