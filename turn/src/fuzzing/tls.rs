//! TLS clients, honest ones and others.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::pipe::{Pipe, Who};
use super::script::Script;
use crate::certificates::Certificates;
use crate::settings::TurnSettings;
use crate::stream::{Fill, Load, tls_config};

const NAME: &str = "relay.example";
const HIGH_WATER: usize = 4096;
/// A script that is longer says nothing new and makes fuzzing slow.
const MAX_STEPS: usize = 64;
/// What a stranger gets out of us at most: two flights with a certificate, and alerts. A guess well above both.
const STRANGERS_BYTES: usize = 16 << 10;

/// A TLS session takes whatever a client sends: bytes of any kind, a real client's flights, the same with a byte
/// changed or cut. The relay shows no plaintext that no client wrote, and strangers get little out of it.
///
/// ```text
/// version (1) | step = kind (1) | operands …
/// ```
///
/// # Panics
/// It is not so.
pub fn tls_records(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some(version) = script.byte() else { return };
    let mut talk = Talk::new(version);
    for _ in 0..MAX_STEPS {
        if talk.step(&mut script).is_none() || !talk.relay_reads() {
            break;
        }
    }
    talk.pipe.connection.close();
}

struct Talk {
    pipe: Pipe,
    client: ClientConnection,
    /// What the client has said and nobody has sent yet.
    flight: Vec<u8>,
    written: Vec<u8>,
    read: Vec<u8>,
    answered: usize,
    /// The relay has queued something for the client.
    served: bool,
}

struct Configs {
    relay: Arc<ServerConfig>,
    clients: [Arc<ClientConfig>; 2],
}

fn configs() -> &'static Configs {
    static CONFIGS: OnceLock<Configs> = OnceLock::new();
    CONFIGS.get_or_init(|| {
        let settings = TurnSettings { realm: NAME.to_owned(), ..TurnSettings::default() };
        let certificates = Certificates::of(&settings).expect("a certificate that signs itself");
        let mut roots = RootCertStore::empty();
        for certificate in &certificates.current().chain {
            roots.add(certificate.clone()).expect("a certificate");
        }
        let client = |version| {
            let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[version])
                .expect("a version that the provider has");
            Arc::new(client.with_root_certificates(roots.clone()).with_no_client_auth())
        };
        let clients = [client(&rustls::version::TLS12), client(&rustls::version::TLS13)];
        Configs { relay: tls_config(certificates).expect("a sound configuration"), clients }
    })
}

impl Talk {
    fn new(version: u8) -> Self {
        let configs = configs();
        let [old, new] = &configs.clients;
        let client = if version & 1 == 0 { old } else { new };
        let name = ServerName::try_from(NAME).expect("a name");
        let client = ClientConnection::new(Arc::clone(client), name).expect("a sound configuration");
        Self {
            pipe: Pipe::new(Who::Client, Some(Arc::clone(&configs.relay)), HIGH_WATER),
            client,
            flight: Vec::new(),
            written: Vec::new(),
            read: Vec::new(),
            answered: 0,
            served: false,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        match script.byte()? % 7 {
            0 => {
                let bytes = script.bytes()?;
                self.pipe.send(bytes);
            }
            1 => self.pass_on(usize::MAX),
            2 => {
                let length = script.byte()?;
                self.pass_on(usize::from(length) << 2);
            }
            3 => {
                let change = script.change()?;
                self.take_flight();
                change.apply(&mut self.flight);
            }
            4 => {
                let data = vec![0x2A; usize::from(script.byte()?)];
                if !self.client.is_handshaking() {
                    self.client.writer().write_all(&data).expect("room for a few bytes");
                    self.written.extend(data);
                }
            }
            5 => {
                let length = script.byte()?;
                let load = if length & 1 == 0 { Load::Relayed } else { Load::Answer };
                let data = vec![0x2A; usize::from(length) << 2];
                let pushed = self.pipe.connection.push([&data, &[], &[]], load);
                self.served |= pushed.is_ok();
                let _ = self.pipe.connection.flush();
            }
            _ => self.client_reads(),
        }
        Some(())
    }

    fn take_flight(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.flight).expect("memory takes everything");
        }
    }

    fn pass_on(&mut self, most: usize) {
        self.take_flight();
        let now: Vec<u8> = self.flight.drain(..most.min(self.flight.len())).collect();
        self.pipe.send(&now);
    }

    /// The relay reads all there is; `false`: it closes the connection.
    fn relay_reads(&mut self) -> bool {
        loop {
            let read = &mut self.read;
            let fill = self.pipe.receive(|_, plaintext| {
                read.extend_from_slice(plaintext);
                Ok(0)
            });
            let _ = self.pipe.connection.flush();
            match fill {
                Ok(Fill::Bytes(_) | Fill::Later) => {}
                Ok(Fill::Blocked) => break,
                Err(_) => return false,
            }
        }
        assert_eq!(self.pipe.connection.kept(), 0, "a TLS session keeps nothing outside of it");
        assert!(self.pipe.connection.queued() <= HIGH_WATER.saturating_add(16 << 10));
        if self.pipe.connection.is_tls() {
            assert!(self.written.starts_with(&self.read), "plaintext is what the client wrote");
        }
        true
    }

    fn client_reads(&mut self) {
        let bytes = self.pipe.read(64 << 10);
        self.answered = self.answered.saturating_add(bytes.len());
        assert!(self.served || self.answered <= STRANGERS_BYTES, "{} bytes for a stranger", self.answered);
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            if self.client.read_tls(&mut bytes).is_err() || self.client.process_new_packets().is_err() {
                return;
            }
            let mut plaintext = Vec::new();
            // Whatever ends the reading, the client goes on.
            let _ = std::io::Read::read_to_end(&mut self.client.reader(), &mut plaintext);
            assert!(plaintext.iter().all(|byte| *byte == 0x2A), "the client reads what the relay wrote");
        }
    }
}
