//! How much a room may pass on: one message for all costs as many bytes as there are others, and whoever has many members in
//! a room could have a small stream become a flood.

use std::time::Duration;

use causeway_protocol::Moment;

/// Bytes of events that a room passes on per second in the long run, to all members together. A guess: a quarter of a
/// gigabit, which sixty members who send 500 bytes to all ten times a second stay below.
pub const DELIVERY_PER_SECOND: u64 = 32 * 1024 * 1024;

/// How far a room may be ahead of that.
pub const DELIVERY_AHEAD: Duration = Duration::from_secs(4);

/// What a room has passed on, as the time at which it would be done at the rate above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    done_at: Moment,
}

impl Delivery {
    /// Whether members may have something passed on.
    pub(crate) fn may(self, now: Moment) -> bool {
        self.done_at.since(now) < DELIVERY_AHEAD
    }

    /// Counts an event of so many bytes that went to so many members.
    pub(crate) fn count(&mut self, bytes: usize, members: usize, now: Moment) {
        let bytes = u64::try_from(bytes.saturating_mul(members)).unwrap_or(u64::MAX);
        let cost = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / DELIVERY_PER_SECOND);
        self.done_at = self.done_at.max(now).plus(cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_seconds_worth_pass_at_once_and_then_as_much_as_the_rate() {
        let mut delivery = Delivery::default();
        let second = usize::try_from(DELIVERY_PER_SECOND).unwrap();
        assert_eq!(passed(&mut delivery, second, at(100)), 4);
        assert_eq!(passed(&mut delivery, second, at(101)), 1);
        assert_eq!(passed(&mut delivery, second, at(1000)), 4, "quiet time is not saved up");
    }

    #[test]
    fn the_largest_event_for_the_largest_room_is_counted_and_nothing_overflows() {
        let mut delivery = Delivery::default();
        delivery.count(64 * 1024, 64, at(0));
        assert_eq!(delivery.done_at, Moment::from_origin(Duration::from_millis(125)));
        delivery.count(usize::MAX, usize::MAX, at(0));
        assert!(!delivery.may(at(1)));
    }

    fn passed(delivery: &mut Delivery, bytes: usize, now: Moment) -> usize {
        let mut passed = 0;
        while delivery.may(now) && passed < 10 {
            delivery.count(bytes, 1, now);
            passed += 1;
        }
        passed
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
