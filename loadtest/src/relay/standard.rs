//! The standard table: what the relay is held to. docs/benchmarks.md says why each row is as it is.

use std::time::Duration;

use crate::args::Waiting;
use crate::relay::args::{Direction, Framing, Load, Other, Partner, Receivers, Work};
use crate::relay::table::{Goal, Measure, Row};

/// Far below what any of the servers can do with packets that come one by one.
const CALM: u64 = 50_000;
/// About half of what the slowest of them can do.
const BUSY: u64 = 150_000;
/// Packets of each flow that are on their way in each direction. A server's queue under load is deeper.
const DEPTH: u64 = 16;
/// Of a bulk flow: 64 kB, the least that any sender of bulk data has under way.
const BULK_DEPTH: u64 = 64;
/// Allocations that are held. Together with the first ones, well below the relayed ports that servers are given.
const IDLE: usize = 4_000;

/// Every row.
pub(crate) fn rows(span: Duration, rounds: usize, waiting: Waiting) -> Vec<Row> {
    let base = base(span, waiting);
    use Direction::{Both, Down, Up};
    use Measure::{BytesPerAllocation, CpuMicroseconds, LatencyMicroseconds};
    use Other::{Coturn, TurnServer};

    let bulk = |direction| Load { burst: 16, direction, window: 8 * BULK_DEPTH, ..base };
    let thin_bulk = Load { window: 8 * DEPTH, ..bulk(Up) };
    let single = |direction| Load { direction, ..base };
    let calm = |direction| Load { direction, rate: Some(CALM), ..base };
    let busy = |direction| Load { direction, rate: Some(BUSY), ..base };
    let many = Load { flows: 100, size: 200, direction: Both, window: 100 * DEPTH, ..base };
    let thin_many = Load { window: 128, ..many };
    let clients = Load { partner: Partner::Client, direction: Both, ..base };
    let bulk_clients = Load { burst: 16, ..clients };
    let work = |work, flows| Load { work, flows, ..base };
    let (at_most, shown) = (Goal::at_most, Goal::shown);

    [
        ("bulk up: bursts of 16, 8 flows, 1000 B", bulk(Up), CpuMicroseconds, vec![at_most(Coturn, 0.12)]),
        ("bulk down", bulk(Down), CpuMicroseconds, vec![at_most(Coturn, 0.12)]),
        ("bulk up, one burst of each flow under way", thin_bulk, CpuMicroseconds, vec![shown(Coturn)]),
        ("packet by packet up: 8 flows, 1000 B", single(Up), CpuMicroseconds, vec![at_most(Coturn, 0.70)]),
        ("packet by packet down", single(Down), CpuMicroseconds, vec![at_most(Coturn, 0.70)]),
        ("100 flows × 200 B, both ways", many, CpuMicroseconds, vec![at_most(Coturn, 0.70)]),
        ("100 flows × 200 B, 128 packets under way", thin_many, CpuMicroseconds, vec![shown(Coturn)]),
        (
            "both ends our clients, packet by packet",
            clients,
            CpuMicroseconds,
            vec![at_most(Coturn, 0.35), at_most(TurnServer, 0.85)],
        ),
        (
            "both ends our clients, bursts of 16",
            bulk_clients,
            CpuMicroseconds,
            vec![at_most(Coturn, 0.35), at_most(TurnServer, 0.85)],
        ),
        (
            "STUN Binding",
            work(Work::Binding, 8),
            CpuMicroseconds,
            vec![at_most(Coturn, 0.5), shown(TurnServer)],
        ),
        (
            "Allocate + Refresh(0)",
            work(Work::Allocate, 16),
            CpuMicroseconds,
            vec![at_most(Coturn, 0.5), shown(TurnServer)],
        ),
        ("an idle allocation", work(Work::Idle, IDLE), BytesPerAllocation, vec![at_most(Coturn, 1.0)]),
        ("p99 up at 150,000 packets/s", busy(Up), LatencyMicroseconds, vec![at_most(Coturn, 1.0)]),
        ("p99 down at 150,000 packets/s", busy(Down), LatencyMicroseconds, vec![at_most(Coturn, 1.0)]),
        ("p99 up at 50,000 packets/s", calm(Up), LatencyMicroseconds, vec![shown(Coturn)]),
        ("CPU up at 50,000 packets/s", calm(Up), CpuMicroseconds, vec![shown(Coturn)]),
    ]
    .into_iter()
    .map(|(name, load, measure, goals)| Row { name: name.to_owned(), load, rounds, measure, goals })
    .collect()
}

/// The loads that run for long: both ways, since each way has buffers of its own.
pub(crate) fn soaks(span: Duration, waiting: Waiting) -> Vec<Row> {
    let base = base(span, waiting);
    let row = |name: &str, burst| Row {
        name: name.to_owned(),
        load: Load { burst, direction: Direction::Both, ..base },
        rounds: 1,
        measure: Measure::CpuMicroseconds,
        goals: Vec::new(),
    };
    vec![row("soak, bursts of 16 both ways", 16), row("soak, packet by packet both ways", 1)]
}

/// Eight flows of 1,000 bytes to peers, one by one, as fast as they are taken.
fn base(span: Duration, waiting: Waiting) -> Load {
    Load {
        work: Work::Data,
        flows: 8,
        size: 1_000,
        direction: Direction::Up,
        burst: 1,
        rate: None,
        window: 8 * DEPTH,
        partner: Partner::Peer,
        framing: Framing::Channel,
        receivers: Receivers::Joining,
        waiting,
        span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turn_server_is_asked_for_nothing_that_it_cannot_do() {
        for row in rows(Duration::from_secs(1), 1, Waiting::Polling) {
            let asked = row.others().any(|other| other == Other::TurnServer);
            let reaches_a_peer = row.load.work == Work::Data && row.load.partner == Partner::Peer;
            assert!(!(asked && reaches_a_peer), "{}", row.name);
        }
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let rows = rows(Duration::from_secs(1), 1, Waiting::Polling);
        let names: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
        assert_eq!(names.len(), rows.len());
    }
}
