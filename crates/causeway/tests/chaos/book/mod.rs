//! The checker: everything that was said and heard in one room, and what is wrong with it. Pure: it is told the time.
//!
//! The law: whoever is in a room hears everything that is said there to all or to it, once and in order. What was said may be
//! lost only if the hearer was told by `resync` (or joined) after it was said, or the speaker was told so before it was confirmed.

mod numbering;
mod stay;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use causeway_protocol::Moment;

use crate::said::{Said, Stay, To};
use numbering::Numbering;
use stay::{Gap, StayBook};
pub use tally::Tally;

/// Something heard that is numbered by the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Said {
        from: Stay,
        said: Said,
    },
    Joined(Stay),
    Left(Stay),
    /// Nobody says that.
    Unknown(String),
}

/// How a connection was greeted.
#[derive(Clone, Debug)]
pub enum Greeting {
    Welcome { epoch: u64, seq: u64, peers: BTreeSet<Stay> },
    Resumed { epoch: u64 },
    Resync { epoch: u64, seq: u64, peers: BTreeSet<Stay> },
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error(
        "{hearer} never heard number {number} of what {speaker} said to {to}, and nobody was told of a loss"
    )]
    Lost { hearer: Stay, speaker: Stay, to: String, number: u64 },
    #[error("{hearer} heard '{said}' after it had heard later or the same from {speaker}")]
    Again { hearer: Stay, speaker: Stay, said: String },
    #[error("{hearer} heard '{said}', which is not for it, or not what {from} said")]
    Forged { hearer: Stay, from: Stay, said: String },
    #[error("{hearer} heard an event with number {seq} when it was at {at} (epoch {epoch})")]
    NumberBack { hearer: Stay, epoch: u64, seq: u64, at: u64 },
    #[error(
        "number {seq} of epoch {epoch} is {one} for {heard_by} and {other} for another: two owners were accepted"
    )]
    TwoEvents { epoch: u64, seq: u64, one: String, heard_by: Stay, other: String },
    #[error("{hearer} was greeted with epoch {epoch} when it had heard of {known}")]
    EpochBack { hearer: Stay, epoch: u64, known: u64 },
    #[error("{hearer} heard from {speaker}, who is not in the room as {hearer} knows it")]
    Stranger { hearer: Stay, speaker: Stay },
    #[error("{hearer} was told that {peer} came, who was there")]
    CameTwice { hearer: Stay, peer: Stay },
    #[error("{hearer} was told that {peer} went, who was not there")]
    WentTwice { hearer: Stay, peer: Stay },
    #[error("{hearer} does not know that {peer} is in the room")]
    Unseen { hearer: Stay, peer: Stay },
    #[error(
        "{stay} was told that {received} of its messages were taken, when it can only be {least} to {most}"
    )]
    Miscount { stay: Stay, received: u64, least: u64, most: u64 },
    #[error("{stay} was refused a resume with {code} after {away:?}")]
    NotTakenBack { stay: Stay, code: u16, away: Duration },
    #[error("{stay} was closed with {code}")]
    Closed { stay: Stay, code: u16 },
    #[error("{stay} was answered with error {code}: {message}")]
    Refused { stay: Stay, code: String, message: String },
    #[error("a room with members was called no room: {answer}")]
    RoomGone { answer: String },
    #[error("{stay}, whose room lives on one node that nothing happened to, had {what}")]
    Noticed { stay: Stay, what: String },
}

/// A violation, when it was found, and what happened in the room before.
#[derive(Clone, Debug)]
pub struct Finding {
    pub at: Moment,
    pub violation: Violation,
    pub before: Vec<String>,
}

/// Lines of the journal that a finding takes along.
const BEFORE: usize = 40;
/// Lines that are kept.
const JOURNAL: usize = 400;
/// Findings that are kept with what was before them: the first ones tell.
const TOLD: usize = 20;
/// What a room on one node may take at most from saying to hearing. A guess for a busy machine.
pub const LOCAL_DELAY: Duration = Duration::from_secs(3);

/// One room.
#[derive(Default)]
pub struct Book {
    stays: BTreeMap<Stay, StayBook>,
    /// The stay of each member at the moment.
    members: Vec<Option<Stay>>,
    numbering: Numbering,
    gaps: Vec<Gap>,
    journal: VecDeque<String>,
    findings: Vec<Finding>,
    tally: Tally,
    /// A room on one node that nothing has happened to since this moment: its members must not notice anything.
    undisturbed: Option<Moment>,
    /// The journal is also printed, as it is written.
    aloud: bool,
}

impl Book {
    /// For so many members.
    pub fn new(members: usize, aloud: bool) -> Self {
        Self { members: vec![None; members], aloud, ..Self::default() }
    }

    /// A line for those who look for the cause.
    pub fn note(&mut self, at: Moment, line: impl std::fmt::Display) {
        if self.journal.len() == JOURNAL {
            self.journal.pop_front();
        }
        let line = format!("{:9.3} {line}", at.since_origin().as_secs_f64());
        if self.aloud {
            println!("{line}");
        }
        self.journal.push_back(line);
    }

    /// Something must not be.
    pub fn find(&mut self, at: Moment, violation: Violation) {
        self.note(at, format_args!("VIOLATION {violation}"));
        let before = self.before();
        if self.findings.len() < TOLD {
            self.findings.push(Finding { at, violation, before });
        }
    }

    fn before(&self) -> Vec<String> {
        self.journal.iter().skip(self.journal.len().saturating_sub(BEFORE)).cloned().collect()
    }

    /// From here on nothing happens to the one node of this room, or (`None`) something does.
    pub fn set_undisturbed(&mut self, since: Option<Moment>) {
        self.undisturbed = since;
    }

    fn notice(&mut self, at: Moment, stay: &Stay, what: &str) {
        if self.undisturbed.is_some() {
            self.find(at, Violation::Noticed { stay: stay.clone(), what: what.to_owned() });
        }
    }

    /// A member was greeted. False: by an owner from before; the member must not accept it.
    pub fn greeted(&mut self, at: Moment, member: usize, stay: &Stay, greeting: Greeting) -> bool {
        self.note(at, format_args!("member {member} as {stay}: {greeting:?}"));
        match greeting {
            Greeting::Welcome { epoch, seq, peers } => {
                self.tally.stays += 1;
                let mut book = StayBook::new(member, epoch, seq, peers);
                book.excuse_newcomer(&self.stays);
                self.stays.insert(stay.clone(), book);
                self.members[member] = Some(stay.clone());
                true
            }
            Greeting::Resumed { epoch } => self.resumed(at, stay, epoch),
            Greeting::Resync { epoch, seq, peers } => {
                self.notice(at, stay, "a resync");
                self.resynced(at, stay, epoch, seq, peers)
            }
        }
    }

    fn resumed(&mut self, at: Moment, stay: &Stay, epoch: u64) -> bool {
        let book = self.stays.get_mut(stay).expect("only who was welcomed resumes");
        book.standing = true;
        let known = book.epoch;
        if epoch < known {
            self.find(at, Violation::EpochBack { hearer: stay.clone(), epoch, known });
            return false;
        }
        self.tally.resumed += 1;
        book.epoch = epoch;
        for conflict in self.numbering.tie(known, epoch) {
            self.find(at, conflict);
        }
        true
    }

    fn resynced(&mut self, at: Moment, stay: &Stay, epoch: u64, seq: u64, peers: BTreeSet<Stay>) -> bool {
        let mut book = self.stays.remove(stay).expect("only who was welcomed is told anew");
        book.standing = true;
        let (known, position) = (book.epoch, book.seq);
        let accepted = epoch >= known && (epoch > known || seq >= position);
        if accepted {
            self.tally.resyncs += 1;
            (book.epoch, book.seq, book.view) = (epoch, seq, peers);
            book.excuse(stay, &self.stays);
        }
        self.stays.insert(stay.clone(), book);
        let hearer = stay.clone();
        if epoch < known {
            self.find(at, Violation::EpochBack { hearer, epoch, known });
        } else if !accepted {
            self.find(at, Violation::NumberBack { hearer, epoch, seq, at: position });
        }
        accepted
    }

    /// The next thing that a member says, which it will write sooner or later.
    pub fn say(&mut self, at: Moment, stay: &Stay, to: To) -> Said {
        self.tally.said += 1;
        let book = self.stays.get_mut(stay).expect("only who was welcomed speaks");
        book.say(at, stay, to)
    }

    /// The room may never hear these: their speaker was told so, or went.
    pub fn doubt(&mut self, lost: &[Said]) {
        for said in lost {
            if let Some(book) = self.stays.get_mut(&said.by) {
                book.doubt(said);
            }
        }
    }

    /// Another owner has set the room up again: what this stay said before may be lost, but for what it still keeps.
    pub fn doubt_all_but<'a>(&mut self, stay: &Stay, kept: impl Iterator<Item = &'a Said>) {
        let first_kept = kept.map(|said| said.order).min().unwrap_or(u64::MAX);
        if let Some(book) = self.stays.get_mut(stay) {
            book.doubt_before(first_kept);
        }
    }

    /// A member hears an event.
    pub fn heard(&mut self, at: Moment, hearer: &Stay, seq: u64, event: Event) {
        let book = self.stays.get_mut(hearer).expect("only who was welcomed hears events");
        let (epoch, position) = (book.epoch, book.seq);
        if seq <= position {
            let hearer = hearer.clone();
            return self.find(at, Violation::NumberBack { hearer, epoch, seq, at: position });
        }
        book.seq = seq;
        if let Some(conflict) = self.numbering.see(epoch, seq, &event, hearer) {
            self.find(at, conflict);
        }
        match event {
            Event::Said { from, said } => self.heard_said(at, hearer, &from, &said),
            Event::Joined(peer) => {
                self.note(at, format_args!("{hearer} is told that {peer} came"));
                if !self.view(hearer).insert(peer.clone()) {
                    self.find(at, Violation::CameTwice { hearer: hearer.clone(), peer });
                }
            }
            Event::Left(peer) => {
                self.note(at, format_args!("{hearer} is told that {peer} went"));
                if !self.view(hearer).remove(&peer) {
                    self.find(at, Violation::WentTwice { hearer: hearer.clone(), peer });
                }
            }
            Event::Unknown(said) => {
                let from = Stay::from("somebody");
                self.find(at, Violation::Forged { hearer: hearer.clone(), from, said });
            }
        }
    }

    fn view(&mut self, stay: &Stay) -> &mut BTreeSet<Stay> {
        &mut self.stays.get_mut(stay).expect("only who was welcomed has a view").view
    }

    fn heard_said(&mut self, at: Moment, hearer: &Stay, from: &Stay, said: &Said) {
        let for_me = match &said.to {
            To::All => from != hearer,
            To::One(peer) => peer == hearer,
        };
        let said_at = self.stays.get(from).and_then(|speaker| speaker.said_at(said));
        let (true, true, Some(said_at)) = (said.by == *from, for_me, said_at) else {
            let (hearer, from, said) = (hearer.clone(), from.clone(), said.to_string());
            return self.find(at, Violation::Forged { hearer, from, said });
        };
        if !self.view(hearer).contains(from) {
            let (hearer, speaker) = (hearer.clone(), from.clone());
            self.find(at, Violation::Stranger { hearer, speaker });
        }
        let before = self.before();
        let book = self.stays.get_mut(hearer).expect("looked up above");
        match book.hear(said, said_at) {
            Ok(missing) => {
                let gap = |number| Gap {
                    at,
                    hearer: hearer.clone(),
                    speaker: from.clone(),
                    to: said.to.clone(),
                    number,
                    before: before.clone(),
                };
                let gaps: Vec<_> = missing.map(gap).collect();
                self.gaps.extend(gaps);
            }
            Err(stay::Late) => {
                let (hearer, speaker, said) = (hearer.clone(), from.clone(), said.to_string());
                self.find(at, Violation::Again { hearer, speaker, said });
            }
        }
        self.tally.heard(at.since(said_at));
        if self.undisturbed.is_some_and(|since| since <= said_at) && at.since(said_at) > LOCAL_DELAY {
            let what = format!("to wait {:?} for '{said}'", at.since(said_at));
            self.notice(at, hearer, &what);
        }
    }

    /// The nodes of the room cannot reach one another.
    pub fn degraded(&mut self, at: Moment, stay: &Stay) {
        self.tally.degraded += 1;
        self.note(at, format_args!("{stay}: degraded"));
        self.notice(at, stay, "the message `degraded`");
    }

    /// A member's socket is no more.
    pub fn broke(&mut self, at: Moment, stay: &Stay, why: &str) {
        self.note(at, format_args!("{stay}: the socket ended: {why}"));
        self.notice(at, stay, "a socket that ended");
        if let Some(book) = self.stays.get_mut(stay) {
            book.standing = false;
        }
    }

    /// A stay is over; what was not confirmed may never be heard.
    pub fn over(&mut self, at: Moment, stay: &Stay, unconfirmed: &[Said]) {
        self.note(at, format_args!("{stay}: the stay is over"));
        self.doubt(unconfirmed);
        if let Some(book) = self.stays.get_mut(stay) {
            book.standing = false;
            let member = book.member;
            self.members[member] = None;
        }
    }

    /// Gaps that nobody was told of, as findings. Speakers may hear of a loss later than hearers, so this comes last.
    pub fn judge(&mut self) {
        for gap in std::mem::take(&mut self.gaps) {
            let doubtful =
                self.stays.get(&gap.speaker).is_some_and(|book| book.is_doubtful(&gap.to, gap.number));
            if doubtful {
                self.tally.excused += 1;
                continue;
            }
            let Gap { at, hearer, speaker, to, number, before } = gap;
            if self.findings.len() < TOLD {
                let violation = Violation::Lost { hearer, speaker, to: to.to_string(), number };
                self.findings.push(Finding { at, violation, before });
            }
        }
    }

    /// What members that are here have not heard yet, and must.
    pub fn missing(&self) -> Vec<Violation> {
        let mut missing = Vec::new();
        for (hearer, stay) in self.here() {
            for (speaker, other) in self.stays.iter().filter(|(speaker, _)| *speaker != hearer) {
                for to in [To::All, To::One(hearer.clone())] {
                    missing.extend(other.unheard(&to, stay, speaker).map(|number| Violation::Lost {
                        hearer: hearer.clone(),
                        speaker: speaker.clone(),
                        to: to.to_string(),
                        number,
                    }));
                }
            }
            for peer in self.members.iter().flatten().filter(|peer| *peer != hearer) {
                if !stay.view.contains(peer) {
                    missing.push(Violation::Unseen { hearer: hearer.clone(), peer: peer.clone() });
                }
            }
        }
        missing
    }

    /// Members that are in the room, as far as they know.
    fn here(&self) -> impl Iterator<Item = (&Stay, &StayBook)> {
        self.members.iter().flatten().filter_map(|stay| self.stays.get_key_value(stay))
    }

    /// Whether all members stand and have all heard something from one another that was said after `since`.
    pub fn works_since(&self, since: Moment) -> bool {
        self.all_stand()
            && self.here().all(|(hearer, stay)| {
                let mut others = self.members.iter().flatten().filter(|peer| *peer != hearer);
                others.all(|peer| stay.heard_since(peer, since))
            })
    }

    /// Whether all members are in the room on sockets that stand.
    pub fn all_stand(&self) -> bool {
        self.here().filter(|(_, stay)| stay.standing).count() == self.members.len()
    }

    /// How the members stand, for people.
    pub fn standing(&self) -> String {
        let lines = self.members.iter().enumerate().map(|(member, stay)| match stay {
            None => format!("member {member} is in no room"),
            Some(stay) => {
                let book = &self.stays[stay];
                let how = if book.standing { "stands" } else { "has no socket" };
                format!("member {member} ({stay}) {how}, epoch {} seq {}", book.epoch, book.seq)
            }
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The journal's last lines.
    pub fn last(&self) -> Vec<String> {
        self.before()
    }

    /// Who else is in the room, as this stay knows it.
    pub fn others(&self, stay: &Stay) -> Vec<Stay> {
        self.stays.get(stay).map(|book| book.view.iter().cloned().collect()).unwrap_or_default()
    }

    /// Where a resume begins.
    pub fn position(&self, stay: &Stay) -> (u64, u64) {
        self.stays.get(stay).map_or((0, 0), |book| (book.epoch, book.seq))
    }
}
