//! DTLS clients at several addresses, honest ones and others.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_service::clock;
use causeway_turn_core::{ClientAddr, ListenerId};
use dimpl::{Config, Dtls, DtlsCertificate, Output};

use super::script::Script;
use crate::certificates::Certificates;
use crate::dtls::{DtlsSessions, Identity, identity};
use crate::settings::{DtlsSettings, TurnSettings};

const SESSIONS: usize = 3;
const SETTINGS: DtlsSettings = DtlsSettings {
    enabled: true,
    max_sessions: SESSIONS,
    max_handshakes: 2,
    handshakes_per_source: 1,
    handshake_seconds: 10,
    idle_seconds: 60,
};
/// The first two share an IP, the last two an IPv6 network.
const SOURCES: [&str; 5] =
    ["192.0.2.1:1000", "192.0.2.1:1001", "192.0.2.2:1000", "[2001:db8::1]:1000", "[2001:db8::2]:1000"];
/// What the worker has for a datagram.
const ROOM: usize = 65_536;
/// A script that is longer says nothing new and makes fuzzing slow.
const MAX_STEPS: usize = 64;
/// Flights of a client that wait to be sent.
const MAX_WAITING: usize = 32;

/// The table of DTLS sessions takes whatever comes from whomever: datagrams of any kind, and those of real clients,
/// changed, lost, repeated and late. It stays within its limits, shows no plaintext that no client wrote, and is empty
/// once nobody says anything any more.
///
/// ```text
/// versions (1) | step = kind (1) | who (1) | operands …
/// ```
///
/// # Panics
/// It is not so.
pub fn dtls_records(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some(versions) = script.byte() else { return };
    let mut talk = Talk::new(versions);
    for _ in 0..MAX_STEPS {
        if talk.step(&mut script).is_none() {
            break;
        }
        talk.check();
    }
    talk.end();
}

struct Talk {
    now: Moment,
    sessions: DtlsSessions,
    clients: Vec<Client>,
    room: Vec<u8>,
}

struct Client {
    source: SocketAddr,
    /// 0 is DTLS 1.2.
    version: u8,
    /// Once it has something to do: keys take time.
    dtls: Option<Dtls>,
    /// What it has said and nobody has sent yet.
    waiting: Vec<Vec<u8>>,
    connected: bool,
    broken: bool,
    /// As the relay knows it, once it has sent data.
    known: Option<ClientAddr>,
}

struct Keys {
    relay: Identity,
    client: DtlsCertificate,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let settings = TurnSettings { realm: "relay.example".to_owned(), ..TurnSettings::default() };
        let certificates = Certificates::of(&settings).expect("a certificate that signs itself");
        let client = DtlsCertificate::from(&*certificates.current());
        let relay = identity(&settings, Some(&certificates)).expect("a certificate");
        Keys { relay, client }
    })
}

impl Talk {
    fn new(versions: u8) -> Self {
        let now = clock::now().moment;
        let sessions = DtlsSessions::new(&SETTINGS, 1, keys().relay.clone()).expect("a sound configuration");
        let clients = SOURCES.iter().enumerate();
        let clients = clients.map(|(at, source)| Client::new(source, versions >> at & 1)).collect();
        Self { now, sessions, clients, room: vec![0; ROOM] }
    }

    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        let kind = script.byte()?;
        let who = usize::from(script.byte()?).checked_rem(self.clients.len())?;
        let client = self.clients.get_mut(who)?;
        match kind % 8 {
            1..=4 | 6 => client.begin(self.now),
            _ => {}
        }
        match kind % 8 {
            0 => {
                let datagram = script.bytes()?.to_vec();
                self.deliver(who, &datagram);
            }
            // In order, last first, and twice.
            1 => {
                if !client.waiting.is_empty() {
                    let datagram = client.waiting.remove(0);
                    self.deliver(who, &datagram);
                }
            }
            2 => {
                if let Some(datagram) = client.waiting.pop() {
                    self.deliver(who, &datagram);
                    self.deliver(who, &datagram);
                }
            }
            3 => {
                let change = script.change()?;
                if let Some(datagram) = client.waiting.first_mut() {
                    change.apply(datagram);
                }
            }
            // One client's datagram from another's address.
            4 => {
                let other = usize::from(script.byte()?).checked_rem(SOURCES.len())?;
                if let Some(datagram) = client.waiting.first().cloned() {
                    self.deliver(other, &datagram);
                }
            }
            5 => self.pass(Duration::from_millis(u64::from(script.byte()?) * 50)),
            6 => {
                let data = vec![0x2A; usize::from(script.byte()?)];
                client.write(&data);
            }
            _ => {
                let data = vec![0x2A; usize::from(script.byte()?) << 6];
                self.seal(who, &data);
            }
        }
        Some(())
    }

    fn deliver(&mut self, who: usize, datagram: &[u8]) {
        if !self.sessions.takes(datagram) {
            return;
        }
        let Some(client) = self.clients.get_mut(who) else { return };
        let mut answers = Vec::new();
        let listener = ListenerId(0);
        let known =
            self.sessions.receive(self.now, client.source, listener, datagram, &mut self.room, |record| {
                answers.push(record.to_vec());
            });
        for index in 0.. {
            let Some(range) = self.sessions.plaintext(index) else { break };
            assert!(known.is_some(), "plaintext has a client");
            assert!(range.end <= self.sessions.plaintext_end());
            let plaintext = self.room.get(range).expect("plaintext is in the room");
            assert!(plaintext.iter().all(|byte| *byte == 0x2A), "plaintext is what a client wrote");
        }
        client.known = known.or(client.known);
        client.take(self.now, &answers);
    }

    fn seal(&mut self, who: usize, data: &[u8]) {
        let Some(client) = self.clients.get_mut(who) else { return };
        let Some(known) = client.known else { return };
        let mut records = Vec::new();
        let sealed = self.sessions.seal(known, [data, &[], &[]], |record| {
            records.push(record.to_vec());
            Ok(())
        });
        assert!(sealed.is_err() || records.len() == 1, "one message, one record");
        client.take(self.now, &records);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        let mut records = Vec::new();
        self.sessions.on_timeout(
            self.now,
            |_| false,
            |client, record| records.push((client, record.to_vec())),
        );
        for (to, record) in records {
            for client in self.clients.iter_mut().filter(|client| client.source == to.source) {
                client.take(self.now, std::slice::from_ref(&record));
            }
        }
        for client in &mut self.clients {
            client.on_timeout(self.now);
        }
    }

    fn check(&mut self) {
        let sessions = self.sessions.counts().sessions;
        assert!(sessions <= SESSIONS as u64, "{sessions} sessions");
        while let Some(ended) = self.sessions.pop_ended() {
            for client in self.clients.iter_mut().filter(|client| client.known == Some(ended)) {
                client.known = None;
            }
        }
    }

    fn end(mut self) {
        for _ in 0..100 {
            self.now = self.now.plus(Duration::from_secs(10));
            self.sessions.on_timeout(self.now, |_| false, |_, _| ());
            self.check();
        }
        assert_eq!(self.sessions.counts().sessions, 0, "nothing is kept for those who left");
        assert_eq!(self.sessions.poll_timeout(), None);
        self.sessions.close_all(|_, _| panic!("there is nobody to say goodbye to"));
    }
}

impl Client {
    fn new(source: &str, version: u8) -> Self {
        let source = source.parse().expect("an address");
        Self { source, version, dtls: None, waiting: vec![], connected: false, broken: false, known: None }
    }

    /// It says hello, if it has not said anything yet.
    fn begin(&mut self, now: Moment) {
        if self.dtls.is_some() {
            return;
        }
        let (config, certificate) = (Arc::new(Config::default()), keys().client.clone());
        let mut dtls = match self.version {
            0 => Dtls::new_12(config, certificate, clock::instant(now)),
            _ => Dtls::new_13(config, certificate, clock::instant(now)),
        };
        dtls.set_active(true);
        self.dtls = Some(dtls);
        self.on_timeout(now);
    }

    fn on_timeout(&mut self, now: Moment) {
        self.call(|dtls| dtls.handle_timeout(clock::instant(now)));
    }

    fn take(&mut self, now: Moment, records: &[Vec<u8>]) {
        for record in records {
            self.call(|dtls| dtls.handle_packet(record));
            self.on_timeout(now);
        }
    }

    fn write(&mut self, data: &[u8]) {
        if self.connected {
            self.call(|dtls| dtls.send_application_data(data).map(drop));
        }
    }

    /// Asks something of it, unless it has failed before.
    fn call(&mut self, ask: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) {
        let Some(dtls) = self.dtls.as_mut().filter(|_| !self.broken) else { return };
        self.broken = ask(dtls).is_err();
        let mut room = vec![0; 20_000];
        while !self.broken && self.next(&mut room).is_continue() {}
        self.waiting.truncate(MAX_WAITING);
    }

    fn next(&mut self, room: &mut [u8]) -> ControlFlow<()> {
        let Some(dtls) = &mut self.dtls else { return ControlFlow::Break(()) };
        match dtls.poll_output(room) {
            Output::Packet(record) => self.waiting.push(record.to_vec()),
            Output::Connected => self.connected = true,
            Output::ApplicationData(data) => {
                assert!(data.iter().all(|byte| *byte == 0x2A), "the client reads what the relay wrote");
            }
            Output::Timeout(_) | Output::CloseNotify => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
