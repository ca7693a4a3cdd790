//! What the crowd does in a round: come in, warm up, be measured, and wait for what is still on its way.

use std::time::Duration;

use mio::Events;

use super::args::{Load, Work};
use super::body::Kind;
use super::crowd::{Crowd, MESSAGES_OF_A_PAIR};
use super::program::Installation;
use super::round::Span;
use crate::clock;
use crate::failure::Failure;
use crate::schedule::Schedule;

/// Connected before the first look at the servers' memory, so that what any connection brings along is not counted.
const BEFORE: usize = 200;
/// For servers to give back what connecting took. A guess.
const SETTLE: Duration = Duration::from_secs(2);
/// Before the measured span, if that is not shorter: code is compiled (Node.js does that meanwhile), buffers reach their size.
/// A guess.
const WARM_UP: Duration = Duration::from_secs(2);
/// What has not arrived when nothing has arrived for so long is lost.
const DRAIN: Duration = Duration::from_secs(3);
/// For everybody to be inside.
const GATHERING: Duration = Duration::from_secs(120);
/// How long a guest stays, in nanoseconds.
const STAY: u64 = 1_000_000_000;

/// A round of a load.
pub(crate) fn run(crowd: &mut Crowd, load: &Load, servers: &Installation) -> Result<Span, Failure> {
    let mut shift = Shift { crowd, events: Crowd::events(), servers };
    match load.work {
        Work::Idle => shift.idle(load),
        Work::Churn => {
            shift.gather(load.connections, load.room)?;
            let (rooms, mut room) = (shift.crowd.rooms(), 0);
            let mut schedule = Schedule::new(load.rate, 1);
            shift.measure(load.span, &mut |crowd, now| {
                while schedule.take(now) {
                    crowd.enter(room, Some(STAY))?;
                    room = (room + 1) % rooms;
                }
                Ok(())
            })
        }
        Work::Ice => {
            shift.gather(load.connections, load.room)?;
            let mut pairs = Pairs::new(Schedule::new(load.rate, MESSAGES_OF_A_PAIR));
            shift.measure(load.span, &mut |crowd, now| {
                pairs.connect(crowd, now);
                Ok(())
            })
        }
        Work::Talk => {
            shift.gather(load.connections, load.room)?;
            let mut talk = Talk::new(load);
            shift.measure(load.span, &mut |crowd, now| {
                talk.go_on(crowd, now);
                Ok(())
            })
        }
        Work::Storm => {
            shift.crowd.keep();
            shift.gather(load.connections, load.room)?;
            let mut talk = Talk::new(load);
            let storm = clock::nanoseconds() + clock::of(warm_up(load.span)) + clock::of(load.span) / 2;
            let mut due = true;
            shift.measure(load.span, &mut |crowd, now| {
                if due && now >= storm {
                    due = false;
                    crowd.cut();
                }
                talk.go_on(crowd, now);
                Ok(())
            })
        }
    }
}

fn warm_up(span: Duration) -> Duration {
    WARM_UP.min(span)
}

/// What is done between two looks at the sockets.
type Step<'s> = &'s mut dyn FnMut(&mut Crowd, u64) -> Result<(), Failure>;

struct Shift<'a> {
    crowd: &'a mut Crowd,
    events: Events,
    servers: &'a Installation,
}

impl Shift<'_> {
    /// Lets `count` members in, `room` to a room: first one in each, then the second in each.
    fn gather(&mut self, count: usize, room: usize) -> Result<(), Failure> {
        let first = self.crowd.rooms();
        let rooms = u32::try_from(count / room).unwrap_or(u32::MAX).max(1);
        let wanted = self.crowd.inside() + rooms as usize * room;
        for _ in 0..room {
            for number in 0..rooms {
                self.crowd.enter(first + number, None)?;
            }
        }
        let end = clock::nanoseconds() + clock::of(GATHERING);
        while self.crowd.inside() < wanted {
            if clock::nanoseconds() > end || !self.crowd.tally.troubles.is_empty() {
                let trouble = self.crowd.tally.troubles.keys().next().cloned();
                return Err(Failure::NotGathered {
                    inside: self.crowd.inside(),
                    wanted,
                    trouble: trouble.unwrap_or_else(|| "it took too long".to_owned()),
                });
            }
            self.crowd.turn(&mut self.events, end)?;
        }
        self.drain()
    }

    /// Waits until everything has been heard, or nothing has been for a while.
    fn drain(&mut self) -> Result<(), Failure> {
        let (mut left, mut since) = (self.crowd.outstanding(), clock::nanoseconds());
        while left > 0 || !self.crowd.is_calm() {
            let now = clock::nanoseconds();
            let so_far = self.crowd.outstanding();
            if so_far != left {
                (left, since) = (so_far, now);
            } else if now > since + clock::of(DRAIN) {
                break;
            }
            self.crowd.turn(&mut self.events, now + clock::of(DRAIN))?;
        }
        Ok(())
    }

    /// Does something until `until`.
    fn pass(&mut self, until: u64, step: Step<'_>) -> Result<(), Failure> {
        loop {
            let now = clock::nanoseconds();
            if now >= until {
                return Ok(());
            }
            step(self.crowd, now)?;
            self.crowd.turn(&mut self.events, until)?;
        }
    }

    /// Warms up, measures, and waits for the rest.
    fn measure(&mut self, span: Duration, step: Step<'_>) -> Result<Span, Failure> {
        self.pass(clock::nanoseconds() + clock::of(warm_up(span)), step)?;
        let (begin, before) = (clock::nanoseconds(), self.servers.cpu_time()?);
        self.crowd.tally.measuring = true;
        self.pass(begin + clock::of(span), step)?;
        let (end, after) = (clock::nanoseconds(), self.servers.cpu_time()?);
        self.crowd.tally.measuring = false;
        self.drain()?;
        let tally = &self.crowd.tally;
        Ok(Span {
            took: Duration::from_nanos(end - begin),
            cpu: after.since(before),
            units: if tally.entered > 0 { tally.entered } else { tally.delivered },
            bytes_per_connection: 0.0,
        })
    }

    /// Connects, and looks at the memory.
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes far below 2⁵³")]
    fn idle(&mut self, load: &Load) -> Result<Span, Failure> {
        self.gather(BEFORE, load.room)?;
        self.rest(SETTLE)?;
        let (empty, before, begin) =
            (self.servers.resident()?, self.servers.cpu_time()?, clock::nanoseconds());
        let held = self.crowd.inside();
        self.gather(load.connections, load.room)?;
        let (end, after) = (clock::nanoseconds(), self.servers.cpu_time()?);
        self.rest(SETTLE + load.span)?;
        let count = self.crowd.inside() - held;
        Ok(Span {
            took: Duration::from_nanos(end - begin),
            cpu: after.since(before),
            units: count as u64,
            bytes_per_connection: (self.servers.resident()? as f64 - empty as f64) / count as f64,
        })
    }

    fn rest(&mut self, span: Duration) -> Result<(), Failure> {
        self.pass(clock::nanoseconds() + clock::of(span), &mut |_, _| Ok(()))
    }
}

/// Members of the rooms in turn connect to others.
struct Pairs {
    schedule: Schedule,
    turn: usize,
}

impl Pairs {
    const fn new(schedule: Schedule) -> Self {
        Self { schedule, turn: 0 }
    }

    fn connect(&mut self, crowd: &mut Crowd, now: u64) {
        while self.schedule.take(now) {
            let (rooms, turn) = (crowd.rooms() as usize, self.turn);
            self.turn += 1;
            let room = u32::try_from(turn % rooms).unwrap_or(0);
            let inside = crowd.room(room);
            let of = |number: usize| inside.get(number % inside.len().max(1)).copied();
            let (offering, distance) =
                (turn / rooms, 1 + turn / rooms % inside.len().saturating_sub(1).max(1));
            if let (Some(from), Some(to)) = (of(offering), of(offering + distance))
                && from != to
            {
                // One who cannot just now does not.
                let _ = crowd.offer(from, to);
            }
        }
    }
}

/// Members of the rooms in turn say something to all others.
struct Talk {
    schedule: Schedule,
    size: usize,
    turn: usize,
}

impl Talk {
    fn new(load: &Load) -> Self {
        Self { schedule: Schedule::new(load.rate, load.room as u64 - 1), size: load.size, turn: 0 }
    }

    fn go_on(&mut self, crowd: &mut Crowd, now: u64) {
        while self.schedule.take(now) {
            let (rooms, turn) = (crowd.rooms() as usize, self.turn);
            self.turn += 1;
            let inside = crowd.room(u32::try_from(turn % rooms).unwrap_or(0));
            let speaker = turn / rooms % inside.len().max(1);
            let Some(&from) = inside.get(speaker) else { continue };
            // Without rooms there are only pairs.
            let to = if crowd.dialect().has_rooms() {
                None
            } else {
                inside.iter().copied().find(|&other| other != from)
            };
            // One who cannot just now does not.
            let _ = crowd.say(from, to, Kind::App, self.size);
        }
    }
}
