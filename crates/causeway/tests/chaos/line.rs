//! One stay of a member, over all its sockets: says numbered things, hears the others, and goes on where a socket broke.

use std::time::Duration;

use causeway_protocol::Moment;
use rand::RngExt;
use tokio::time::{Instant, interval, sleep_until, timeout};

use crate::book::{Event, Greeting, Violation};
use crate::life::{ATTEMPT, Backoff, Life, Order, names, now};
use crate::outgoing::{Kept, Outgoing};
use crate::said::{Said, Stay, To};
use crate::socket::{Heard, Socket};
use crate::wire::{self, Form, Message, Snapshot};

/// Between two questions how much the server has, which are signs of life, too.
const PING: Duration = Duration::from_secs(1);
/// A server that says nothing for so long is given up. A quarter of what `@causeway/client` waits at most: the test is short.
const SILENCE: Duration = Duration::from_secs(4);
/// A server that takes nothing for so long is given up.
const WRITE: Duration = Duration::from_secs(4);
/// Between two things said, in milliseconds: two a second.
const PAUSE: std::ops::Range<u64> = 250..750;
/// What may wait to be confirmed. A member with more is silent for a while.
const MOST_KEPT: usize = 60;
/// The room keeps the place of a member for `resume_seconds`, 30 by default; five of them are for the way.
const KEPT_PLACE: Duration = Duration::from_secs(25);

/// How long a member may be without a network when the test takes it away, in milliseconds: others say something meanwhile.
const AWAY: std::ops::Range<u64> = 0..3_000;

/// How a socket ended.
enum End {
    Broken(String),
    /// It is still there, and nothing comes.
    Silent(String),
    Closed(u16),
}

/// Why a resume did not succeed.
enum NotBack {
    /// The stay is over.
    Over(u16),
    Passing(String),
}

/// A stay.
pub struct Line<'a> {
    life: &'a mut Life,
    stay: Stay,
    token: String,
    outgoing: Outgoing,
    talk_at: Instant,
    /// When there is a network again.
    back_at: Instant,
    nonce: u32,
    /// A socket that went silent. It is kept, as a network does that swallows everything.
    silent: Option<Socket>,
}

impl<'a> Line<'a> {
    pub fn new(life: &'a mut Life, snapshot: &Snapshot) -> Self {
        Self {
            stay: snapshot.peer.as_str().into(),
            token: snapshot.resume_token.clone(),
            outgoing: Outgoing::default(),
            talk_at: Instant::now(),
            back_at: Instant::now(),
            nonce: 0,
            silent: None,
            life,
        }
    }

    /// Holds the line until the stay is over.
    pub async fn hold(mut self, mut socket: Socket) {
        loop {
            let end = self.stand(&mut socket).await;
            let lost_at = now();
            let (why, over) = match end {
                End::Broken(why) => (why, None),
                End::Silent(why) => {
                    self.silent = Some(socket);
                    (why, None)
                }
                End::Closed(code) => (format!("closed with {code}"), is_final(code).then_some(code)),
            };
            self.life.book().broke(lost_at, &self.stay, &why);
            self.outgoing.rewind();
            if let Some(code) = over {
                return self.over(Duration::ZERO, code);
            }
            match self.come_back(lost_at).await {
                Some(next) => socket = next,
                None => return,
            }
        }
    }

    async fn stand(&mut self, socket: &mut Socket) -> End {
        let mut pings = interval(PING);
        let mut heard_at = Instant::now();
        loop {
            while let Some(text) = self.outgoing.next() {
                if let Some(end) = write(socket, text).await {
                    return end;
                }
            }
            tokio::select! {
                heard = socket.next() => {
                    heard_at = Instant::now();
                    if let Some(end) = self.on_heard(heard) {
                        return end;
                    }
                }
                () = sleep_until(self.talk_at) => {
                    if *self.life.talking.borrow() {
                        self.talk();
                    }
                    self.talk_at = Instant::now() + Duration::from_millis(self.life.random.random_range(PAUSE));
                }
                _ = pings.tick() => {
                    if heard_at.elapsed() > SILENCE {
                        return End::Silent("nothing comes".to_owned());
                    }
                    self.nonce += 1;
                    if let Some(end) = write(socket, wire::ping(self.nonce)).await {
                        return end;
                    }
                }
                Some(order) = self.life.orders.recv() => match order {
                    Order::SayToEverybody => self.say_to_everybody(),
                    Order::Break => {
                        self.lose_network();
                        return End::Broken("cut by the test".to_owned());
                    }
                    Order::GoSilent => {
                        self.lose_network();
                        return End::Silent("silenced by the test".to_owned());
                    }
                },
            }
        }
    }

    /// Half of the members come back at once.
    fn lose_network(&mut self) {
        let away = if self.life.random.random_bool(0.5) { 0 } else { self.life.random.random_range(AWAY) };
        self.back_at = Instant::now() + Duration::from_millis(away);
    }

    /// Something for all, so that it shows soon who hears whom; at times also an offer or the like for one.
    fn talk(&mut self) {
        if self.outgoing.len() >= MOST_KEPT {
            return;
        }
        self.say(To::All, Form::App);
        let others = self.life.book().others(&self.stay);
        if others.is_empty() || !self.life.random.random_bool(0.4) {
            return;
        }
        let peer = others[self.life.random.random_range(0..others.len())].clone();
        let form = [Form::Offer, Form::Candidate, Form::App][self.life.random.random_range(0..3)];
        self.say(To::One(peer), form);
    }

    fn say_to_everybody(&mut self) {
        self.say(To::All, Form::App);
        let others = self.life.book().others(&self.stay);
        for peer in others {
            self.say(To::One(peer), Form::Offer);
        }
    }

    fn say(&mut self, to: To, form: Form) {
        let said = self.life.book().say(now(), &self.stay, to);
        self.outgoing.push(Kept { kind: form.kind(), text: form.text(&said), said });
    }

    fn on_heard(&mut self, heard: Heard) -> Option<End> {
        let message = match heard {
            Heard::Message(message) => message,
            Heard::Garbage(text) => {
                self.life.book().note(now(), format_args!("{}: not of this protocol: {text}", self.stay));
                return Some(End::Broken("it is not of this protocol".to_owned()));
            }
            Heard::Closed(code) => return Some(End::Closed(code)),
            Heard::Broken(why) => return Some(End::Broken(why)),
        };
        match message {
            Message::PeerJoined { seq, peer } => self.event(seq, Event::Joined(peer.id.into())),
            Message::PeerLeft { seq, peer, reason } => {
                self.life.book().note(now(), format_args!("{peer} went: {reason}"));
                self.event(seq, Event::Left(peer.into()));
            }
            Message::Offer { seq, from, sdp: text }
            | Message::Candidate { seq, from, candidate: wire::Candidate { candidate: text } } => {
                self.event(seq, said(&from, &text));
            }
            Message::App { seq, from, data } => {
                self.event(seq, said(&from, data.as_str().unwrap_or_default()));
            }
            Message::Pong { received } => {
                let _confirmed = self.confirm(received);
            }
            // The room has another owner, and this socket stands.
            Message::Resumed { epoch, received, resume_token, .. } => {
                if !self.resumed(epoch, received, resume_token) {
                    return Some(End::Broken("an owner from before".to_owned()));
                }
            }
            // What is on its way at this moment counts or not, nobody knows which: another socket has a clear beginning.
            Message::Resync { received: None, .. } => {
                return Some(End::Broken("a resync without a count".to_owned()));
            }
            Message::Resync { received, snapshot } => {
                if !self.resynced(received, snapshot) {
                    return Some(End::Broken("an owner from before".to_owned()));
                }
            }
            Message::Degraded {} => self.life.book().degraded(now(), &self.stay),
            Message::Recovered {} => self.life.book().note(now(), format_args!("{}: recovered", self.stay)),
            Message::Error { code, message, refused } => self.refused(code, message, refused.as_deref()),
            Message::Closing { code, reason, reconnect } => {
                let line =
                    format_args!("{}: closing {code} {reason}, reconnect {reconnect}", self.stay).to_string();
                self.life.book().note(now(), line);
                return Some(if reconnect { End::Broken(reason) } else { End::Closed(code) });
            }
            Message::Welcome { .. } => return Some(End::Broken("another welcome".to_owned())),
            Message::Other => {}
        }
        None
    }

    fn event(&mut self, seq: u64, event: Event) {
        self.life.book().heard(now(), &self.stay, seq, event);
    }

    fn confirm(&mut self, received: u64) -> Vec<Said> {
        self.outgoing.confirm(received).unwrap_or_else(|miscount| {
            let crate::outgoing::Miscount { received, least, most } = miscount;
            let stay = self.stay.clone();
            self.life.book().find(now(), Violation::Miscount { stay, received, least, most });
            Vec::new()
        })
    }

    fn resumed(&mut self, epoch: u64, received: u64, token: String) -> bool {
        let member = self.life.member;
        let accepted = self.life.book().greeted(now(), member, &self.stay, Greeting::Resumed { epoch });
        if accepted {
            self.token = token;
            let _confirmed = self.confirm(received);
        }
        accepted
    }

    fn resynced(&mut self, received: Option<u64>, snapshot: Snapshot) -> bool {
        let Snapshot { epoch, seq, .. } = snapshot;
        let greeting = Greeting::Resync { epoch, seq, peers: names(&snapshot) };
        let (before, _) = self.life.book().position(&self.stay);
        if !self.life.book().greeted(now(), self.life.member, &self.stay, greeting) {
            return false;
        }
        self.token = snapshot.resume_token;
        let lost = match received {
            Some(received) => self.confirm(received),
            None => self.outgoing.restart(),
        };
        let mut book = self.life.book();
        book.doubt(&lost);
        if epoch != before {
            book.doubt_all_but(&self.stay, self.outgoing.kept());
        }
        true
    }

    fn refused(&mut self, code: String, message: String, refused: Option<&str>) {
        let mut book = self.life.book();
        book.note(now(), format_args!("{}: error {code} about {refused:?}", self.stay));
        match code.as_str() {
            // It went after this member had last heard of it.
            "peer-not-found" => {}
            // Said by name: some of these were not taken.
            "degraded" | "unavailable" => book.doubt(&self.outgoing.uttered(refused.unwrap_or_default())),
            _ => book.find(now(), Violation::Refused { stay: self.stay.clone(), code, message }),
        }
    }

    /// Tries nodes until one takes the stay back.
    async fn come_back(&mut self, lost_at: Moment) -> Option<Socket> {
        let mut backoff = Backoff::default();
        sleep_until(self.back_at).await;
        loop {
            // People go on talking.
            if *self.life.talking.borrow() && self.life.random.random_bool(0.3) {
                self.talk();
            }
            backoff.wait(&mut self.life.random).await;
            let node = self.life.pick();
            let why = match timeout(ATTEMPT, self.try_to_come_back(node)).await {
                Ok(Ok(socket)) => {
                    self.silent = None;
                    return Some(socket);
                }
                Ok(Err(NotBack::Over(code))) => {
                    self.over(now().since(lost_at), code);
                    return None;
                }
                Ok(Err(NotBack::Passing(why))) => why,
                Err(_elapsed) => "no answer in time".to_owned(),
            };
            self.outgoing.rewind();
            self.life.book().note(now(), format_args!("{} cannot resume at node {node}: {why}", self.stay));
        }
    }

    async fn try_to_come_back(&mut self, node: usize) -> Result<Socket, NotBack> {
        let door = self.life.doors.of(node);
        let mut socket = Socket::open(door, None).await.map_err(NotBack::Passing)?;
        let (epoch, seq) = self.life.book().position(&self.stay);
        socket.send(wire::resume(&self.token, epoch, seq)).await.map_err(NotBack::Passing)?;
        loop {
            let accepted = match socket.next().await {
                Heard::Message(Message::Resumed { epoch, received, resume_token, .. }) => {
                    self.resumed(epoch, received, resume_token)
                }
                Heard::Message(Message::Resync { received, snapshot }) => self.resynced(received, snapshot),
                // They tell why before they close.
                Heard::Message(Message::Error { code, .. }) => {
                    self.life.book().note(now(), format_args!("{}: error {code}", self.stay));
                    continue;
                }
                Heard::Message(Message::Closing { .. } | Message::Degraded {} | Message::Recovered {}) => {
                    continue;
                }
                Heard::Message(other) => {
                    return Err(NotBack::Passing(format!("{other:?} in answer to a resume")));
                }
                Heard::Garbage(text) | Heard::Broken(text) => return Err(NotBack::Passing(text)),
                Heard::Closed(code) if is_final(code) => return Err(NotBack::Over(code)),
                Heard::Closed(code) => return Err(NotBack::Passing(format!("closed with {code}"))),
            };
            if accepted {
                return Ok(socket);
            }
            return Err(NotBack::Passing("an owner from before".to_owned()));
        }
    }

    /// The stay is over; a member whose place was to be kept says so.
    fn over(&mut self, away: Duration, code: u16) {
        let stay = self.stay.clone();
        let unconfirmed: Vec<_> = self.outgoing.kept().cloned().collect();
        let mut book = self.life.book();
        match code {
            4401 | 4412 if away >= KEPT_PLACE => {}
            4401 | 4412 => book.find(now(), Violation::NotTakenBack { stay, code, away }),
            4404 | 4410 => {
                book.find(now(), Violation::RoomGone { answer: format!("{stay} was closed with {code}") });
            }
            _ => book.find(now(), Violation::Closed { stay, code }),
        }
        book.over(now(), &self.stay, &unconfirmed);
    }
}

async fn write(socket: &mut Socket, text: String) -> Option<End> {
    match timeout(WRITE, socket.send(text)).await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(End::Broken(why)),
        Err(_elapsed) => Some(End::Silent("nothing can be written".to_owned())),
    }
}

fn said(from: &str, text: &str) -> Event {
    match text.parse() {
        Ok(said) => Event::Said { from: from.into(), said },
        Err(_) => Event::Unknown(format!("{text} from {from}")),
    }
}

/// docs/protocol.md, "Close codes": whether coming back on another socket makes no sense.
fn is_final(code: u16) -> bool {
    (4400..4500).contains(&code) && code != 4408 && code != 4411
}
