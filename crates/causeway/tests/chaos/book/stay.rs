//! One stay: what it has said, and how far it has heard everybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use causeway_protocol::Moment;

use crate::said::{Said, Stay, To};

/// Something was skipped. Whether that is a loss shows when its speaker has been told what it is told.
pub struct Gap {
    pub at: Moment,
    pub hearer: Stay,
    pub speaker: Stay,
    pub to: To,
    pub number: u64,
    pub before: Vec<String>,
}

/// Heard after something that was said later, or twice.
pub struct Late;

/// One stay.
pub struct StayBook {
    pub member: usize,
    pub standing: bool,
    pub epoch: u64,
    pub seq: u64,
    /// Who else is there, as this stay was told.
    pub view: BTreeSet<Stay>,
    /// What was said to each, from number 1.
    said: BTreeMap<To, Vec<Saying>>,
    orders: u64,
    heard: BTreeMap<Stay, HeardFrom>,
}

struct Saying {
    at: Moment,
    order: u64,
    doubtful: bool,
}

#[derive(Default)]
struct HeardFrom {
    /// The latest, over both streams.
    order: u64,
    to_all: Stream,
    to_me: Stream,
    /// When the latest was said.
    said_at: Moment,
}

struct Stream {
    /// Everything from this number on has to be heard.
    due: u64,
    last: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self { due: 1, last: 0 }
    }
}

impl StayBook {
    pub fn new(member: usize, epoch: u64, seq: u64, view: BTreeSet<Stay>) -> Self {
        let (said, heard) = (BTreeMap::new(), BTreeMap::new());
        Self { member, standing: true, epoch, seq, view, said, orders: 0, heard }
    }

    pub fn say(&mut self, at: Moment, by: &Stay, to: To) -> Said {
        self.orders += 1;
        let order = self.orders;
        let before = self.said.entry(to.clone()).or_default();
        before.push(Saying { at, order, doubtful: false });
        let number = u64::try_from(before.len()).expect("a test does not say that much");
        Said { by: by.clone(), to, number, order }
    }

    pub fn said_at(&self, said: &Said) -> Option<Moment> {
        let saying = self.saying(&said.to, said.number)?;
        (saying.order == said.order).then_some(saying.at)
    }

    fn saying(&self, to: &To, number: u64) -> Option<&Saying> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.said.get(to)?.get(at)
    }

    pub fn doubt(&mut self, said: &Said) {
        let at = usize::try_from(said.number).unwrap_or(0).saturating_sub(1);
        if let Some(saying) = self.said.get_mut(&said.to).and_then(|sayings| sayings.get_mut(at)) {
            saying.doubtful = true;
        }
    }

    pub fn doubt_before(&mut self, order: u64) {
        for saying in self.said.values_mut().flatten().filter(|saying| saying.order < order) {
            saying.doubtful = true;
        }
    }

    pub fn is_doubtful(&self, to: &To, number: u64) -> bool {
        self.saying(to, number).is_some_and(|saying| saying.doubtful)
    }

    /// How many things were said to these.
    fn count(&self, to: &To) -> u64 {
        self.said.get(to).map_or(0, |sayings| u64::try_from(sayings.len()).unwrap_or(u64::MAX))
    }

    /// The snapshot of a newcomer stands for everything that was said to all before; to itself nothing was.
    pub fn excuse_newcomer(&mut self, others: &BTreeMap<Stay, StayBook>) {
        for (speaker, other) in others {
            let heard = self.heard.entry(speaker.clone()).or_default();
            heard.to_all.due = heard.to_all.due.max(other.count(&To::All) + 1);
        }
    }

    /// The snapshot of `me`, told anew, stands for everything that others have said up to here.
    pub fn excuse(&mut self, me: &Stay, others: &BTreeMap<Stay, StayBook>) {
        self.excuse_newcomer(others);
        for (speaker, other) in others {
            let heard = self.heard.entry(speaker.clone()).or_default();
            heard.to_me.due = heard.to_me.due.max(other.count(&To::One(me.clone())) + 1);
        }
    }

    /// Hears something; returns the numbers that were skipped.
    pub fn hear(&mut self, said: &Said, said_at: Moment) -> Result<Range<u64>, Late> {
        let from = self.heard.entry(said.by.clone()).or_default();
        let stream = match said.to {
            To::All => &mut from.to_all,
            To::One(_) => &mut from.to_me,
        };
        if said.number <= stream.last || said.order <= from.order {
            return Err(Late);
        }
        let skipped = stream.due..said.number.max(stream.due);
        *stream = Stream { due: said.number + 1, last: said.number };
        from.order = said.order;
        from.said_at = said_at;
        Ok(skipped)
    }

    /// The numbers of what this stay said to these, and `hearer` has to hear yet.
    pub fn unheard<'a>(
        &'a self,
        to: &'a To,
        hearer: &StayBook,
        me: &Stay,
    ) -> impl Iterator<Item = u64> + use<'a> {
        let fresh = HeardFrom::default();
        let from = hearer.heard.get(me).unwrap_or(&fresh);
        let due = match to {
            To::All => from.to_all.due,
            To::One(_) => from.to_me.due,
        };
        (due..=self.count(to)).filter(move |&number| !self.is_doubtful(to, number))
    }

    /// Whether something of `speaker` was heard that was said after `since`.
    pub fn heard_since(&self, speaker: &Stay, since: Moment) -> bool {
        self.heard.get(speaker).is_some_and(|heard| heard.order > 0 && heard.said_at >= since)
    }
}
