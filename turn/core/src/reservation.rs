//! Ports that EVEN-PORT kept back for whoever presents the token (RFC 8656 §7.2).

use std::time::Duration;

use causeway_protocol::Moment;
use causeway_stun::attributes::ReservationToken;
use subtle::ConstantTimeEq;

use crate::address::RelayPort;
use crate::event::Subject;
use crate::slab::Slab;
use crate::wheel::Wheel;

/// RFC 8656 §7.2: "The server MUST hold this reservation for at least 30 seconds."
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// The reservations of one relay.
#[derive(Debug)]
pub(crate) struct Reservations {
    entries: Slab<Reservation>,
    expiry: Wheel,
}

#[derive(Debug)]
struct Reservation {
    token: ReservationToken,
    port: RelayPort,
    subject: Subject,
    expires: Moment,
}

impl Reservations {
    pub(crate) fn new() -> Self {
        Self { entries: Slab::new(), expiry: Wheel::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn insert(&mut self, token: ReservationToken, port: RelayPort, subject: Subject, now: Moment) {
        let expires = now.plus(RESERVATION_LIFETIME);
        let number = self.entries.insert(Reservation { token, port, subject, expires });
        self.expiry.arm(number, expires);
    }

    /// The port that this token was given for, if it was given to this subject and is still kept. A scan in constant
    /// time per entry: there are few, and how far a guess came must not show.
    pub(crate) fn take(
        &mut self,
        token: ReservationToken,
        subject: &Subject,
        now: Moment,
    ) -> Option<RelayPort> {
        let (number, _) = self.entries.iter().find(|(_, kept)| {
            bool::from(kept.token.0.ct_eq(&token.0)) && kept.subject.may_be(subject) && now < kept.expires
        })?;
        self.expiry.disarm(number);
        self.entries.remove(number).map(|reservation| reservation.port)
    }

    /// A port that nobody asked for in time; call until there is none.
    pub(crate) fn pop_expired(&mut self, now: Moment) -> Option<RelayPort> {
        let number = self.expiry.pop_due(now)?;
        self.entries.remove(number).map(|reservation| reservation.port)
    }

    pub(crate) fn next_expiry(&self) -> Option<Moment> {
        self.expiry.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once_for_its_user_and_for_thirty_seconds() {
        let mut reservations = Reservations::new();
        let (alice, bob) = (Subject::Static("alice".into()), Subject::Static("bob".into()));
        reservations.insert(TOKEN, port(), alice.clone(), at(0));
        assert_eq!(reservations.take(ReservationToken([0; 8]), &alice, at(0)), None);
        assert_eq!(reservations.take(TOKEN, &bob, at(0)), None);
        assert_eq!(reservations.take(TOKEN, &alice, at(30)), None);
        assert_eq!(reservations.take(TOKEN, &alice, at(29)), Some(port()));
        assert_eq!(reservations.take(TOKEN, &alice, at(29)), None);
        assert_eq!(reservations.pop_expired(at(31)), None);
    }

    #[test]
    fn what_nobody_asks_for_comes_back() {
        let mut reservations = Reservations::new();
        reservations.insert(TOKEN, port(), Subject::Static("alice".into()), at(0));
        assert_eq!(reservations.pop_expired(at(29)), None);
        assert_eq!(reservations.pop_expired(at(30)), Some(port()));
        assert_eq!(reservations.len(), 0);
    }

    const TOKEN: ReservationToken = ReservationToken([7; 8]);

    fn port() -> RelayPort {
        RelayPort { slot: 3, address: "192.0.2.1:50001".parse().unwrap() }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
