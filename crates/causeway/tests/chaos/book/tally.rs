//! What a room's members did and met, in numbers.

use std::ops::AddAssign;
use std::time::Duration;

/// Numbers of one room, or of several together.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub said: u64,
    pub heard: u64,
    pub stays: u64,
    pub resumed: u64,
    pub resyncs: u64,
    pub degraded: u64,
    /// Numbers that were skipped and that their speaker knows may be lost.
    pub excused: u64,
    /// From saying to hearing, over every pause.
    pub slowest: Duration,
}

impl Tally {
    pub fn heard(&mut self, after: Duration) {
        self.heard += 1;
        self.slowest = self.slowest.max(after);
    }
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        let Tally { said, heard, stays, resumed, resyncs, degraded, excused, slowest } = other;
        self.said += said;
        self.heard += heard;
        self.stays += stays;
        self.resumed += resumed;
        self.resyncs += resyncs;
        self.degraded += degraded;
        self.excused += excused;
        self.slowest = self.slowest.max(*slowest);
    }
}
