//! Ports that EVEN-PORT kept back for whoever presents the token (RFC 8656 §7.2).
//!
//! A reserved port is the process's and no relay's: who presents the token comes from another port than who got it, and
//! so perhaps to another relay. The lock is taken for requests with EVEN-PORT or a token, and never for data.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_stun::attributes::ReservationToken;
use subtle::ConstantTimeEq;

use crate::event::Subject;

/// RFC 8656 §7.2: "The server MUST hold this reservation for at least 30 seconds."
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// The reservations of a process.
#[derive(Debug, Default)]
pub(crate) struct Reservations(Mutex<Vec<Reservation>>);

#[derive(Debug)]
struct Reservation {
    token: ReservationToken,
    address: SocketAddr,
    subject: Subject,
    expires: Moment,
}

impl Reservations {
    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    /// Keeps a port, and says until when.
    pub(crate) fn insert(
        &self,
        token: ReservationToken,
        address: SocketAddr,
        subject: Subject,
        now: Moment,
    ) -> Moment {
        let expires = now.plus(RESERVATION_LIFETIME);
        self.entries().push(Reservation { token, address, subject, expires });
        expires
    }

    /// The port that this token was given for, if it was given to this subject and is still kept. A scan in constant
    /// time per entry: there are few, and how far a guess came must not show.
    pub(crate) fn take(&self, token: ReservationToken, subject: &Subject, now: Moment) -> Option<SocketAddr> {
        let mut entries = self.entries();
        let index = entries.iter().position(|kept| {
            bool::from(kept.token.0.ct_eq(&token.0)) && kept.subject.may_be(subject) && now < kept.expires
        })?;
        Some(entries.swap_remove(index).address)
    }

    /// A port that nobody asked for in time, whichever relay reserved it; call until there is none.
    pub(crate) fn pop_expired(&self, now: Moment) -> Option<SocketAddr> {
        let mut entries = self.entries();
        let index = entries.iter().position(|kept| kept.expires <= now)?;
        Some(entries.swap_remove(index).address)
    }

    /// When the first of those that are left expires.
    pub(crate) fn next_expiry(&self) -> Option<Moment> {
        self.entries().iter().map(|kept| kept.expires).min()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Reservation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once_for_its_user_and_for_thirty_seconds() {
        let reservations = Reservations::default();
        let (alice, bob) = (Subject::Static("alice".into()), Subject::Static("bob".into()));
        assert_eq!(reservations.insert(TOKEN, address(), alice.clone(), at(0)), at(30));
        assert_eq!(reservations.take(ReservationToken([0; 8]), &alice, at(0)), None);
        assert_eq!(reservations.take(TOKEN, &bob, at(0)), None);
        assert_eq!(reservations.take(TOKEN, &alice, at(30)), None);
        assert_eq!(reservations.take(TOKEN, &alice, at(29)), Some(address()));
        assert_eq!(reservations.take(TOKEN, &alice, at(29)), None);
        assert_eq!(reservations.pop_expired(at(31)), None);
    }

    #[test]
    fn what_nobody_asks_for_comes_back() {
        let reservations = Reservations::default();
        reservations.insert(TOKEN, address(), Subject::Static("alice".into()), at(0));
        assert_eq!(reservations.next_expiry(), Some(at(30)));
        assert_eq!(reservations.pop_expired(at(29)), None);
        assert_eq!(reservations.pop_expired(at(30)), Some(address()));
        assert_eq!((reservations.len(), reservations.next_expiry()), (0, None));
    }

    const TOKEN: ReservationToken = ReservationToken([7; 8]);

    fn address() -> SocketAddr {
        "192.0.2.1:50001".parse().unwrap()
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
