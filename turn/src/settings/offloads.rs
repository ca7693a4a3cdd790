//! What an operator can set about work that the kernel or the network card does for the relay.

use serde::{Deserialize, Serialize};

/// The `turn.offloads` section: trains of datagrams that pass through the kernel as one. Each is used where the kernel
/// has it. Switch one off if a network driver mishandles it; `causeway_turn_datagrams_total` tells what is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OffloadSettings {
    /// Receives trains (`UDP_GRO`). Default: true.
    pub receive: bool,
    /// Sends trains (`UDP_SEGMENT`). Default: true.
    pub send: bool,
}

impl Default for OffloadSettings {
    fn default() -> Self {
        Self { receive: true, send: true }
    }
}
