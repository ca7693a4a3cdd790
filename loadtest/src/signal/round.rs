//! A round of rooms: an installation is started, bears a load, and ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::cores::Cores;
use crate::failure::Failure;
use crate::proc::CpuTime;
use crate::signal::args::Load;
use crate::signal::checker::Faults;
use crate::signal::crowd::Crowd;
use crate::signal::program::{Installation, Program};
use crate::signal::works;

/// In nanoseconds.
const MILLISECOND: f64 = 1e6;

/// One round of one server.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The nodes' CPU time per message that arrived; churn: per guest that came and went; idle: per connection made. In
    /// microseconds.
    pub microseconds: f64,
    /// Of those, so many a second.
    pub rate: f64,
    /// Share of one core that the nodes used.
    pub busy: f64,
    /// Connections that were held.
    pub connections: usize,
    /// Milliseconds from handing a message to the kernel until a member had it, that 50 %, 99 % and 99.9 % do not exceed.
    pub message_ms: [f64; 3],
    /// The same from a member's hello until another one of the room knew.
    pub join_ms: [f64; 3],
    /// The same from the loss of all connections until a member was back.
    pub return_ms: [f64; 3],
    /// What the checker found.
    pub faults: Faults,
    /// Members that came back to where they were.
    pub resumed: u64,
    /// Members that came back to a snapshot.
    pub resynced: u64,
    /// Events that those may have missed, and know it.
    pub pardoned: u64,
    /// Whatever else went wrong, and how often.
    pub troubles: BTreeMap<String, u64>,
    /// Bytes by which the nodes grew for each connection; 0 if that was not asked.
    pub bytes_per_connection: f64,
    /// Bytes that they held at the end.
    pub memory: u64,
}

/// A measured span.
pub(crate) struct Span {
    pub(crate) took: Duration,
    pub(crate) cpu: CpuTime,
    /// What the CPU time is divided by.
    pub(crate) units: u64,
    pub(crate) bytes_per_connection: f64,
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵³")]
    pub(crate) fn of(crowd: &Crowd, span: &Span, memory: u64) -> Self {
        let tally = &crowd.tally;
        let (units, seconds) = (span.units as f64, span.took.as_secs_f64());
        Self {
            microseconds: span.cpu.total.as_secs_f64() * 1e6 / units,
            rate: units / seconds,
            busy: span.cpu.total.as_secs_f64() / seconds,
            connections: crowd.inside(),
            message_ms: tally.messages.quantiles(MILLISECOND),
            join_ms: tally.joins.quantiles(MILLISECOND),
            return_ms: tally.returns.quantiles(MILLISECOND),
            faults: crowd.faults(),
            resumed: tally.resumed,
            resynced: tally.resynced,
            pardoned: tally.pardoned,
            troubles: tally.troubles.clone(),
            bytes_per_connection: span.bytes_per_connection,
            memory,
        }
    }

    /// Whether every event arrived once and in order, and nothing else went wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.none() && self.troubles.is_empty()
    }
}

/// One round of one server.
///
/// # Errors
/// A server cannot be started, or does not do what it is asked to.
pub(crate) fn one(program: &Program, load: &Load, cores: Cores, logs: &Path) -> Result<Round, Failure> {
    // Before anything is measured by it.
    clock::nanoseconds();
    let installation = Installation::start(program, load.nodes, cores, logs)?;
    cores.pin_sender()?;
    let nodes = installation.nodes.clone();
    let mut crowd = Crowd::new(program.dialect(), nodes, load.room, cores, load.waiting)?;
    let span = works::run(&mut crowd, load, &installation)?;
    Ok(Round::of(&crowd, &span, installation.resident()?))
}
