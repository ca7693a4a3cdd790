//! Settings that cannot work are refused before anything starts.

mod common;

use std::sync::Arc;
use std::time::Duration;

use causeway_turn_core::*;
use common::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

#[test]
fn what_cannot_work_is_named() {
    check(|config| config.realm.clear(), ConfigError::Realm);
    check(|config| config.realm = "r".repeat(128), ConfigError::Realm);
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    check(|config| config.relay_ports = 50_001..=50_000, ConfigError::RelayPorts);
    check(|config| config.relay_ports = 0..=50_000, ConfigError::RelayPorts);
    check(|config| config.default_lifetime = Duration::ZERO, ConfigError::Lifetimes);
    check(|config| config.max_lifetime = Duration::from_secs(599), ConfigError::Lifetimes);
}

#[test]
fn every_relay_ip_must_be_in_the_shared_set() {
    let own = OwnRelays::new([RELAY_V4.parse().unwrap()]);
    let missing = RELAY_V6.parse().unwrap();
    assert_eq!(start(config(), own), Err(ConfigError::UnknownRelayIp(missing)));
}

#[test]
fn a_relay_can_move_to_its_thread_and_what_is_shared_to_all() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    sent::<Relay>();
    shared::<OwnRelays>();
    shared::<Meters>();
}

fn check(change: impl FnOnce(&mut RelayConfig), error: ConfigError) {
    let mut config = config();
    change(&mut config);
    let own = OwnRelays::new(config.relay_ips());
    assert_eq!(start(config, own), Err(error));
}

fn start(config: RelayConfig, own: OwnRelays) -> Result<(), ConfigError> {
    let key = NonceKey::from_bytes([0; 32]);
    let mut random = StdRng::seed_from_u64(1);
    let meters = Arc::new(Meters::new(&mut random));
    Relay::new(config, Credentials::none(), &key, Arc::new(own), meters, random).map(drop)
}
