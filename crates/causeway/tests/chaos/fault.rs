//! What can happen to an installation.

use std::time::Duration;

use crate::proxy::Way;

/// One thing that happens, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL, and after a while another process in its place.
    Kill { node: usize, down: Duration },
    /// SIGSTOP, and SIGCONT when the others have given it up: a zombie.
    Freeze { node: usize, lasting: Duration },
    /// SIGTERM, and another process when it has ended: a deploy.
    Drain { node: usize },
    /// Redis is killed, and starts again without anything.
    EmptyRedis { down: Duration },
    /// Connections of a node to Redis are closed, and new ones too.
    Cut { node: usize, lasting: Duration },
    /// Nothing passes between a node and Redis in these directions; it arrives when that is over.
    Hold { node: usize, ways: Vec<Way>, lasting: Duration },
    /// Everything between a node and Redis takes longer.
    Slow { node: usize, delay: Duration, lasting: Duration },
    /// The subscriptions of a node hear nothing any more, and nobody is told.
    Mute { node: usize },
    /// Sockets of members break or go silent, each with this chance in percent.
    BreakSockets { percent: u32 },
}

/// Their kinds, for the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Kill,
    Freeze,
    Drain,
    EmptyRedis,
    Cut,
    Hold,
    Slow,
    Mute,
    BreakSockets,
}

impl Fault {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Kill { .. } => Kind::Kill,
            Self::Freeze { .. } => Kind::Freeze,
            Self::Drain { .. } => Kind::Drain,
            Self::EmptyRedis { .. } => Kind::EmptyRedis,
            Self::Cut { .. } => Kind::Cut,
            Self::Hold { .. } => Kind::Hold,
            Self::Slow { .. } => Kind::Slow,
            Self::Mute { .. } => Kind::Mute,
            Self::BreakSockets { .. } => Kind::BreakSockets,
        }
    }

    /// How long it lasts, without the time that processes take to start and end.
    pub fn lasting(&self) -> Duration {
        match self {
            Self::Kill { down, .. } | Self::EmptyRedis { down } => *down,
            Self::Freeze { lasting, .. }
            | Self::Cut { lasting, .. }
            | Self::Hold { lasting, .. }
            | Self::Slow { lasting, .. } => *lasting,
            Self::Drain { .. } | Self::Mute { .. } | Self::BreakSockets { .. } => Duration::ZERO,
        }
    }
}
