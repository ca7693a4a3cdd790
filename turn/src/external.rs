//! The addresses by which others know this relay's: what the settings name, and what a STUN server says.
//!
//! The server is asked at the start, before a client can be told a wrong address, and again every few minutes: a provider
//! may give another address at night. Nobody is asked unless the operator names a server.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use causeway_service::clock;
use causeway_stun::attributes::XorMappedAddress;
use causeway_stun::{Class, HEADER_LENGTH, Message, MessageWriter, Method, TransactionId};
use causeway_turn_core::{Control, ExternalIp, ExternalIps};
use rand::Rng as _;
use tokio::sync::watch;

use crate::control::WorkerHandle;
use crate::settings::{ExternalError, ExternalSettings};

/// RFC 8489 §6.2.1: the first retransmission comes after 500 ms.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
/// Two seconds in all, for which a relay's start may wait. A guess.
const ATTEMPTS: u32 = 4;

/// The external addresses as they are now, and how they come to change.
pub(crate) struct ExternalWatch {
    settings: ExternalSettings,
    locals: Vec<IpAddr>,
    current: watch::Sender<ExternalIps>,
}

impl ExternalWatch {
    /// Asks the server, if there is one, and waits for it for at most two seconds and the name's resolution.
    ///
    /// # Errors
    /// The settings do not fit the addresses that the relay listens on.
    pub(crate) fn start(
        settings: &ExternalSettings,
        locals: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Self, ExternalError> {
        let mut locals: Vec<IpAddr> = locals.into_iter().collect();
        locals.sort_unstable();
        locals.dedup();
        // Mistakes in the settings come before the network.
        let named = settings.resolve(&locals, &[])?;
        let watch = Self { settings: settings.clone(), locals, current: watch::Sender::new(named) };
        if let Some(server) = watch.settings.server() {
            let learned = learn(server, &watch.settings.unnamed(&watch.locals));
            watch.take(learned);
            tracing::info!(server, addresses = %sentence(&watch.current()), "asked for the relay's external addresses");
        }
        Ok(watch)
    }

    /// The addresses as they are now.
    pub(crate) fn current(&self) -> ExternalIps {
        self.current.borrow().clone()
    }

    /// The addresses, for whoever tells others about them.
    pub(crate) fn subscribe(&self) -> watch::Receiver<ExternalIps> {
        self.current.subscribe()
    }

    /// The local addresses in groups that share an external one.
    pub(crate) fn groups(&self) -> Vec<Vec<IpAddr>> {
        self.settings.groups(&self.locals)
    }

    /// Asks again and again, and tells the workers what has changed. Without a server it has nothing to do.
    pub(crate) async fn run(self, workers: Vec<WorkerHandle>) {
        let Some(server) = self.settings.server().map(str::to_owned) else { return };
        let every = Duration::from_secs(self.settings.discover_every_seconds.into());
        loop {
            tokio::time::sleep(every).await;
            let (server, unnamed) = (server.clone(), self.settings.unnamed(&self.locals));
            // A resolver blocks, and so does waiting for an answer.
            let Ok(learned) = tokio::task::spawn_blocking(move || learn(&server, &unnamed)).await else {
                return;
            };
            if !self.take(learned) {
                continue;
            }
            let external = self.current();
            tracing::info!(addresses = %sentence(&external), "the relay's external addresses have changed");
            for worker in &workers {
                worker.order(Control::External(external.clone())).await;
            }
        }
    }

    /// Takes over what was learned; says whether it is news. Without an answer what was known before stays.
    fn take(&self, learned: Result<Vec<ExternalIp>, LearnError>) -> bool {
        let resolved = learned.map(|learned| self.settings.resolve(&self.locals, &learned));
        match resolved {
            Ok(Ok(external)) => self.current.send_if_modified(|current| {
                if *current == external {
                    return false;
                }
                *current = external;
                true
            }),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the STUN server's answer cannot be used");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the relay's external addresses are not known; it goes on with those it has");
                false
            }
        }
    }
}

fn sentence(external: &ExternalIps) -> String {
    let pairs: Vec<_> = external.iter().map(|ip| format!("{} for {}", ip.external, ip.local)).collect();
    if pairs.is_empty() { "those it listens on".to_owned() } else { pairs.join(", ") }
}

/// Why nothing was learned.
#[derive(Debug, thiserror::Error)]
enum LearnError {
    /// The name or the port.
    #[error("cannot resolve {server}: {source}; check turn.external.discover")]
    Resolve {
        server: String,
        #[source]
        source: io::Error,
    },
    /// Neither over IPv4 nor over IPv6.
    #[error("{server} does not answer; check turn.external.discover and the firewall")]
    NoAnswer { server: String },
}

/// Asks `server` as whom it sees each of `locals`. What it sees as it is has no other name.
fn learn(server: &str, locals: &[IpAddr]) -> Result<Vec<ExternalIp>, LearnError> {
    let servers: Vec<SocketAddr> = server
        .to_socket_addrs()
        .map_err(|source| LearnError::Resolve { server: server.to_owned(), source })?
        .collect();
    let seen: Vec<ExternalIp> = std::thread::scope(|scope| {
        let questions: Vec<_> = locals
            .iter()
            .filter_map(|local| Some((*local, *servers.iter().find(|server| can_reach(*local, **server))?)))
            .map(|(local, server)| {
                scope.spawn(move || Some(ExternalIp { local, external: ask(server, local)? }))
            })
            .collect();
        questions.into_iter().filter_map(|question| question.join().ok()?).collect()
    });
    if seen.is_empty() {
        return Err(LearnError::NoAnswer { server: server.to_owned() });
    }
    Ok(seen.into_iter().filter(|ip| ip.external != ip.local).collect())
}

/// Of one family; and from loopback there is no way out.
fn can_reach(local: IpAddr, server: SocketAddr) -> bool {
    local.is_ipv4() == server.is_ipv4() && (!local.is_loopback() || server.ip().is_loopback())
}

/// As whom `server` sees `local`; `None`: it does not answer.
fn ask(server: SocketAddr, local: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((local, 0)).ok()?;
    socket.connect(server).ok()?;
    let mut id = TransactionId([0; 12]);
    rand::rng().fill_bytes(&mut id.0);
    let mut request = [0; HEADER_LENGTH];
    let length = MessageWriter::new(&mut request, Class::Request, Method::Binding, id).ok()?.finish();
    for _ in 0..ATTEMPTS {
        // An ICMP error of the attempt before shows up here; the next attempt tells.
        let _ = socket.send(request.get(..length)?);
        let again = clock::now().moment.plus(RETRANSMIT_AFTER);
        loop {
            let left = again.since(clock::now().moment);
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left)).ok()?;
            let mut answer = [0; 1500];
            let Ok(length) = socket.recv(&mut answer) else { continue };
            if let Some(ip) = answer.get(..length).and_then(|answer| mapped(answer, id)) {
                return Some(ip);
            }
        }
    }
    None
}

/// What an answer says, if it is the one to our request.
fn mapped(answer: &[u8], id: TransactionId) -> Option<IpAddr> {
    let message = Message::decode(answer).ok()?;
    if (message.class(), message.method(), message.transaction_id()) != (Class::Success, Method::Binding, id)
    {
        return None;
    }
    let XorMappedAddress(address) = message.get().ok()??;
    Some(address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_as_whom_it_sees_each_address() {
        let server = server("51.0.0.1");
        let learned =
            learn(&server, &["127.0.0.1", "127.0.0.2", "::1"].map(|ip| ip.parse().unwrap())).unwrap();
        let pairs: Vec<_> =
            learned.iter().map(|ip| (ip.local.to_string(), ip.external.to_string())).collect();
        assert_eq!(pairs, ["127.0.0.1", "127.0.0.2"].map(|local| (local.to_owned(), "51.0.0.1".to_owned())));
    }

    #[test]
    fn an_address_that_is_seen_as_it_is_has_no_other() {
        assert_eq!(learn(&server("127.0.0.1"), &["127.0.0.1".parse().unwrap()]).unwrap(), []);
    }

    #[test]
    fn a_server_that_is_silent_or_unknown_is_told_with_what_to_check() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let error = learn(&address, &["127.0.0.1".parse().unwrap()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{address} does not answer; check turn.external.discover and the firewall")
        );
        let error = learn("nowhere", &[]).unwrap_err();
        assert!(matches!(error, LearnError::Resolve { .. }), "{error}");
    }

    #[test]
    fn another_transactions_answer_says_nothing() {
        let id = TransactionId([1; 12]);
        let answer = answer(id, "51.0.0.1");
        assert_eq!(mapped(&answer, id), Some("51.0.0.1".parse().unwrap()));
        assert_eq!(mapped(&answer, TransactionId([2; 12])), None);
        assert_eq!(mapped(&answer[..answer.len() - 1], id), None);
    }

    #[tokio::test]
    async fn the_workers_are_told_when_the_address_changes_and_not_before() {
        let (seen, see) = std::sync::mpsc::sync_channel(3);
        let settings = ExternalSettings {
            discover: server_that_sees(see.into_iter()),
            discover_every_seconds: 0,
            ..ExternalSettings::default()
        };
        for ip in ["51.0.0.1", "51.0.0.1", "51.0.0.2"] {
            seen.send(ip).unwrap();
        }
        let watch = ExternalWatch::start(&settings, ["127.0.0.1".parse().unwrap()]).unwrap();
        assert_eq!(sentence(&watch.current()), "51.0.0.1 for 127.0.0.1");
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        let (orders, mut received) = tokio::sync::mpsc::channel(1);
        let run = tokio::spawn(watch.run(vec![WorkerHandle { orders, waker: std::sync::Arc::new(waker) }]));
        let Some(Control::External(told)) = received.recv().await else { panic!("the new address") };
        assert_eq!(sentence(&told), "51.0.0.2 for 127.0.0.1");
        run.abort();
    }

    /// A server on loopback that sees everybody as `seen`. It ends with the test's process.
    fn server(seen: &'static str) -> String {
        server_that_sees(std::iter::repeat(seen))
    }

    /// One that answers as long as it is told as what.
    fn server_that_sees(mut seen: impl Iterator<Item = &'static str> + Send + 'static) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut request = [0; 100];
            while let Ok((length, from)) = socket.recv_from(&mut request) {
                let id = Message::decode(&request[..length]).unwrap().transaction_id();
                let Some(seen) = seen.next() else { return };
                socket.send_to(&answer(id, seen), from).unwrap();
            }
        });
        address.to_string()
    }

    fn answer(id: TransactionId, seen: &str) -> Vec<u8> {
        let mut buffer = [0; 100];
        let mut writer = MessageWriter::new(&mut buffer, Class::Success, Method::Binding, id).unwrap();
        writer.put(&XorMappedAddress(SocketAddr::new(seen.parse().unwrap(), 1))).unwrap();
        let length = writer.finish();
        buffer[..length].to_vec()
    }
}
