//! What an operator can set about mobility.

use serde::{Deserialize, Serialize};

/// The `mobility` section: clients that take their allocation along to another address (RFC 8016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MobilitySettings {
    /// Gives tickets to clients that ask for one. Default: true. A ticket is no use without its user's password.
    pub enabled: bool,
}

impl Default for MobilitySettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}
