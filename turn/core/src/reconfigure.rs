//! What an operator changes while the relay runs, and what becomes of those whom the change concerns.

use std::time::Duration;

use crate::auth::challenge::Challenges;
use crate::auth::credentials::{RestSecret, StaticUser};
use crate::config::Limits;
use crate::event::EndReason;
use crate::relay::Relay;

/// The part of a relay's configuration that can be replaced while it runs. All of it takes effect at once.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// As in [`Credentials`](crate::Credentials).
    pub rest_secrets: Vec<RestSecret>,
    /// As in [`Credentials`](crate::Credentials).
    pub users: Vec<StaticUser>,
    /// As in [`RelayConfig`](crate::RelayConfig); of allocations and refreshes from here on.
    pub default_lifetime: Duration,
    /// As in [`RelayConfig`](crate::RelayConfig); of allocations and refreshes from here on.
    pub max_lifetime: Duration,
    /// Allocations alive stay, even beyond them.
    pub limits: Limits,
}

impl Relay {
    /// Takes the new configuration over. Who was granted an allocation under a user, password or secret that is gone
    /// loses it as if it had been revoked: what was taken out of a configuration has often leaked.
    pub(crate) fn reconfigure(&mut self, live: LiveConfig) {
        let LiveConfig { rest_secrets, users, default_lifetime, max_lifetime, limits } = live;
        self.config.default_lifetime = default_lifetime;
        self.config.max_lifetime = max_lifetime;
        self.set_limits(limits);
        self.keyring.replace(&rest_secrets, users);
        self.verified.clear();
        self.challenges =
            Challenges::new(&self.config.realm, self.keyring.features(), self.keyring.server_name());
        self.end_the_disowned();
    }

    fn end_the_disowned(&mut self) {
        let keyring = &self.keyring;
        let allocations: Vec<u32> = self
            .allocations
            .iter()
            .filter(|(_, held)| !keyring.still_holds(&held.credential))
            .map(|(number, _)| number)
            .collect();
        let pending: Vec<u64> = self
            .pending
            .iter()
            .map(|(number, pending)| (*number, pending.sender()))
            .filter(|(_, sender)| !keyring.still_holds(&sender.credential))
            .map(|(number, _)| number)
            .collect();
        for number in allocations {
            self.end(number, EndReason::Revoked);
        }
        for number in pending {
            self.abandon(number);
        }
    }
}
