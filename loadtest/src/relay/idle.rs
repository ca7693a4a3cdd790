//! Memory of allocations that nobody uses.

use std::net::SocketAddr;

use crate::failure::Failure;
use crate::relay::client::Client;
use crate::relay::server::LOGIN;

/// Made before the first look at the server's memory, so that what any allocation brings along is not counted.
const BEFORE: usize = 200;

/// Bytes by which the server grows for each of `count` allocations that are held.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes far below 2⁵³")]
pub(crate) fn bytes_per_allocation(
    server: SocketAddr,
    count: usize,
    resident: &dyn Fn() -> Result<u64, Failure>,
) -> Result<f64, Failure> {
    let mut held = Vec::with_capacity(BEFORE + count);
    let mut hold = |count: usize| {
        for _ in 0..count {
            let mut client = Client::new(server, LOGIN)?;
            client.allocate()?;
            held.push(client);
        }
        Ok::<(), Failure>(())
    };
    hold(BEFORE)?;
    let before = resident()?;
    hold(count)?;
    let after = resident()?;
    Ok((after as f64 - before as f64) / count as f64)
}
