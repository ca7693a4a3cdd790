//! The keys of an issuer: what was fetched last, and when to fetch again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::token::{AppTokenError, KeySet};
use tokio::sync::{Notify, watch};

/// Between two fetches if nothing happens. Providers announce a new key for hours before they use it.
const REFRESH: Duration = Duration::from_secs(600);

/// The least time between two fetches: after a failure, and for a `kid` that is not known. Whoever invents one costs the
/// issuer a request a minute.
const AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// For a fetch that somebody waits for to come back, or to fail.
const PATIENCE: Duration = Duration::from_secs(6);

/// The keys that one issuer publishes.
pub(crate) struct RemoteKeys {
    pub(super) key: ApiKeyId,
    pub(super) url: String,
    pub(super) ca: Option<PathBuf>,
    schedule: Mutex<Schedule>,
    fetched: watch::Sender<Fetched>,
}

/// What was fetched. A set stays until the next good one: an issuer that is down lets its users in all the same.
#[derive(Clone, Default)]
struct Fetched {
    set: Option<Arc<KeySet>>,
    /// How often it was tried.
    attempts: u64,
}

/// When to fetch.
#[derive(Debug, Default)]
struct Schedule {
    /// When the latest fetch began.
    last: Option<Moment>,
    running: bool,
    failing: bool,
    /// Somebody has a `kid` that is not known.
    asked: bool,
}

impl Schedule {
    /// Asks for a fetch. `false`: the latest is too young for another.
    fn ask(&mut self, now: Moment) -> bool {
        if self.running {
            return true;
        }
        let may = self.last.is_none_or(|last| now >= last.plus(AT_MOST_EVERY));
        self.asked |= may;
        may
    }

    /// When the next fetch begins if nobody asks.
    fn next(&self) -> Moment {
        let pause = if self.failing { AT_MOST_EVERY } else { REFRESH };
        self.last.map_or_else(Moment::default, |last| last.plus(pause))
    }

    /// Begins a fetch if it is time.
    fn begin(&mut self, now: Moment) -> bool {
        if self.running || !(self.asked || now >= self.next()) {
            return false;
        }
        *self = Self { last: Some(now), running: true, asked: false, ..*self };
        true
    }

    const fn end(&mut self, failing: bool) {
        self.running = false;
        self.failing = failing;
    }
}

impl RemoteKeys {
    pub(super) fn new(key: ApiKeyId, url: &str, ca: Option<&Path>) -> Self {
        Self {
            key,
            url: url.to_owned(),
            ca: ca.map(Path::to_owned),
            schedule: Mutex::default(),
            fetched: watch::Sender::default(),
        }
    }

    /// Whether these are the keys from there.
    pub(super) fn is_from(&self, url: &str, ca: Option<&Path>) -> bool {
        self.url == url && self.ca.as_deref() == ca
    }

    /// The set with this key. Waits for a fetch if that may bring it.
    pub(super) async fn with(
        &self,
        kid: &str,
        now: Moment,
        wanted: &Notify,
    ) -> Result<Arc<KeySet>, AppTokenError> {
        let Fetched { set, attempts } = self.fetched.borrow().clone();
        if let Some(set) = set.filter(|set| set.find(kid).is_some()) {
            return Ok(set);
        }
        if self.schedule().ask(now) {
            wanted.notify_one();
            let mut fetched = self.fetched.subscribe();
            let later = fetched.wait_for(|fetched| fetched.attempts > attempts);
            // Out of patience, or the key was taken out of the settings meanwhile: what there is decides.
            let _come_what_may = tokio::time::timeout(PATIENCE, later).await;
        }
        self.fetched.borrow().set.clone().ok_or(AppTokenError::KeysUnavailable)
    }

    /// Begins a fetch if it is time; [`Self::end`] follows.
    pub(super) fn begin(&self, now: Moment) -> bool {
        self.schedule().begin(now)
    }

    /// A fetch is over; `None`: it failed.
    pub(super) fn end(&self, set: Option<KeySet>) {
        self.schedule().end(set.is_none());
        self.fetched.send_modify(|fetched| {
            fetched.attempts += 1;
            if let Some(set) = set {
                fetched.set = Some(Arc::new(set));
            }
        });
    }

    /// When the next fetch begins if nobody asks.
    pub(super) fn next(&self) -> Moment {
        self.schedule().next()
    }

    /// Whether any fetch was good.
    pub(super) fn has_keys(&self) -> bool {
        self.fetched.borrow().set.is_some()
    }

    fn schedule(&self) -> std::sync::MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_fetched_at_once_and_then_every_ten_minutes() {
        let mut schedule = Schedule::default();
        assert!(schedule.begin(at(0)) && !schedule.begin(at(0)));
        schedule.end(false);
        assert!(!schedule.begin(at(599)));
        assert!(schedule.begin(at(600)));
    }

    #[test]
    fn after_a_failure_it_is_tried_again_in_a_minute() {
        let mut schedule = Schedule::default();
        schedule.begin(at(0));
        schedule.end(true);
        assert!(!schedule.begin(at(59)));
        assert!(schedule.begin(at(60)));
    }

    #[test]
    fn an_unknown_kid_fetches_at_most_once_a_minute() {
        let mut schedule = Schedule::default();
        schedule.begin(at(0));
        assert!(schedule.ask(at(1)), "one that is running is waited for");
        schedule.end(false);
        assert!(!schedule.begin(at(1)), "and is not followed by another");
        assert!(!schedule.ask(at(59)) && !schedule.begin(at(59)));
        assert!(schedule.ask(at(60)) && schedule.begin(at(60)));
        schedule.end(false);
        assert!(!schedule.begin(at(61)));
    }

    #[actix_web::test]
    async fn the_last_good_set_is_kept_while_the_issuer_is_down() {
        let remote = RemoteKeys::new("idp".parse().unwrap(), "https://idp.example", None);
        let wanted = Notify::new();
        assert!(remote.begin(at(0)));
        remote.end(None);
        let none = remote.with("k", at(1), &wanted).await.err();
        assert_eq!(none, Some(AppTokenError::KeysUnavailable));
        assert!(remote.begin(at(60)));
        remote.end(Some(set()));
        assert!(remote.begin(at(660)));
        remote.end(None);
        assert!(remote.with("k", at(661), &wanted).await.unwrap().find("k").is_some());
        assert!(remote.with("other", at(661), &wanted).await.unwrap().find("other").is_none());
    }

    fn set() -> KeySet {
        let key = r#"{"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        KeySet::parse(format!(r#"{{"keys": [{key}]}}"#).as_bytes()).unwrap()
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
