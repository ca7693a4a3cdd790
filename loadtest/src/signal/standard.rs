//! The standard table: what signaling is held to. docs/benchmarks.md says why each row is as it is.

use std::time::Duration;

use crate::args::Waiting;
use crate::signal::args::{Load, Rival, Work};
use crate::signal::table::{Goal, Measure, Row};

/// Messages that arrive a second, where servers are compared: what Node.js does on a part of one core.
const CALM: u64 = 4_000;
/// Joins a second.
const JOINS: u64 = 200;
/// What one node has to carry for a minute.
const MANY: usize = 10_000;
const BUSY: u64 = 10_000;
const LONG: Duration = Duration::from_secs(60);
/// An idle connection.
const RESIDENT: f64 = 12.0 * 1024.0;

/// Whether another server can do this at all.
pub(crate) fn can(rival: Rival, load: &Load) -> bool {
    match (rival, load.work) {
        (_, Work::Storm) | (Rival::PeerJs, Work::Churn) => false,
        (Rival::PeerJs, Work::Idle) => load.nodes == 1,
        (Rival::PeerJs, Work::Ice | Work::Talk) => load.nodes == 1 && load.room == 2,
        (Rival::SocketIo, Work::Idle | Work::Churn | Work::Ice | Work::Talk) => true,
    }
}

/// Every row.
pub(crate) fn rows(span: Duration, rounds: usize, waiting: Waiting) -> Vec<Row> {
    use Measure::{
        BytesPerConnection, CpuMicroseconds, JoinMilliseconds, MessageMilliseconds, ReturnMilliseconds,
    };
    use Rival::{PeerJs, SocketIo};

    let base = Load {
        work: Work::Talk,
        nodes: 1,
        connections: 1_000,
        room: 2,
        rate: CALM,
        size: 200,
        waiting,
        span,
    };
    let (limit, shown) = (Goal::limit, Goal::shown);
    let below = |rival| Goal::at_most(rival, 1.0);
    let idle = Load { work: Work::Idle, connections: MANY, ..base };
    let churn = Load { work: Work::Churn, room: 4, rate: JOINS, ..base };
    let ice = Load { work: Work::Ice, ..base };
    let eight = Load { room: 8, ..base };
    let busy = Load { connections: MANY, room: 4, rate: BUSY, span: LONG, ..base };
    let three = |load: Load| Load { nodes: 3, ..load };
    let storm = Load { work: Work::Storm, connections: 5_000, room: 4, rate: 2_000, ..base };
    [
        (
            "an idle connection, rooms of 2",
            idle,
            3,
            BytesPerConnection,
            vec![limit(RESIDENT), below(PeerJs), below(SocketIo)],
        ),
        (
            "making a connection",
            Load { connections: 2_000, span: Duration::from_millis(50), ..idle },
            rounds,
            CpuMicroseconds,
            vec![shown(PeerJs), shown(SocketIo)],
        ),
        (
            "hello to peer-joined, 200 joins/s",
            churn,
            rounds,
            JoinMilliseconds,
            vec![limit(20.0), shown(SocketIo)],
        ),
        ("CPU of a guest, 200 joins/s", churn, rounds, CpuMicroseconds, vec![shown(SocketIo)]),
        (
            "ICE between pairs: 2 × 2 kB, 16 × 200 B",
            ice,
            rounds,
            CpuMicroseconds,
            vec![below(PeerJs), below(SocketIo)],
        ),
        (
            "app messages between pairs, 200 B",
            base,
            rounds,
            CpuMicroseconds,
            vec![below(PeerJs), below(SocketIo)],
        ),
        ("app messages in rooms of 8", eight, rounds, CpuMicroseconds, vec![below(SocketIo)]),
        ("10,000 messages/s for 60 s", busy, 1, MessageMilliseconds, vec![limit(50.0)]),
        ("all connections lost and resumed", storm, rounds, ReturnMilliseconds, vec![]),
        (
            "three nodes: hello to peer-joined",
            three(churn),
            rounds,
            JoinMilliseconds,
            vec![limit(40.0), shown(SocketIo)],
        ),
        (
            "three nodes: app messages in rooms of 8",
            three(eight),
            rounds,
            CpuMicroseconds,
            vec![below(SocketIo)],
        ),
        ("three nodes: p99 of the same", three(eight), rounds, MessageMilliseconds, vec![shown(SocketIo)]),
        ("three nodes: all connections lost and resumed", three(storm), rounds, ReturnMilliseconds, vec![]),
    ]
    .into_iter()
    .map(|(name, load, rounds, measure, goals)| Row { name: name.to_owned(), load, rounds, measure, goals })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_for_what_it_cannot_do() {
        for row in rows(Duration::from_secs(1), 1, Waiting::Polling) {
            for rival in row.others() {
                assert!(can(rival, &row.load), "{}: {rival:?}", row.name);
            }
        }
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let rows = rows(Duration::from_secs(1), 1, Waiting::Polling);
        let names: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
        assert_eq!(names.len(), rows.len());
    }
}
