//! A server that was started for a measurement: kept on its core, looked after in /proc, and ended with the measurement.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::clock;
use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::proc::{self, CpuTime};

/// Ports that are free for UDP are looked at for TCP, so many of them.
const PORTS_TRIED: usize = 100;
/// Between two questions whether a server is up.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Programs that run, by numbers of ours. Who starts or ends one holds this meanwhile, so that a signal
/// overlooks none.
static RUNNING: Mutex<BTreeMap<u64, Child>> = Mutex::new(BTreeMap::new());

/// A running program. It ends when it is dropped.
pub(crate) struct Process {
    number: u64,
    id: u32,
    /// Where its output is.
    log: PathBuf,
}

impl Process {
    /// Starts a program on its core. Its output goes to `NAME.log` in `logs`.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        cores: Cores,
        logs: &Path,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(logs).doing("making the output folder")?;
        let log = logs.join(format!("{name}.log"));
        let output = File::create(&log).doing("making a log file")?;
        let errors = output.try_clone().doing("making a log file")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        cores.pin_server()?;
        let started = Self::spawn(command, log);
        cores.pin_sender()?;
        started
    }

    fn spawn(command: &mut Command, log: PathBuf) -> Result<Self, Failure> {
        let mut running = running();
        let child = command.spawn().doing("starting a server")?;
        let number = running.last_key_value().map_or(0, |(last, _)| last + 1);
        let id = child.id();
        running.insert(number, child);
        Ok(Self { number, id, log })
    }

    /// Waits until `server` answers, as `is_up` says.
    pub(crate) fn answering(
        self,
        server: &'static str,
        patience: Duration,
        mut is_up: impl FnMut() -> Result<bool, Failure>,
    ) -> Result<Self, Failure> {
        let end = clock::nanoseconds() + clock::of(patience);
        while !is_up()? {
            if self.has_ended()? || clock::nanoseconds() > end {
                return Err(Failure::NotUp { server, patience, log: self.log.clone() });
            }
            // A process tells nobody when it listens.
            thread::park_timeout(ASK_EVERY);
        }
        Ok(self)
    }

    /// Whether it has ended by itself.
    fn has_ended(&self) -> Result<bool, Failure> {
        let mut running = running();
        let Some(child) = running.get_mut(&self.number) else { return Ok(true) };
        Ok(child.try_wait().doing("looking after a server")?.is_some())
    }

    /// CPU time that it has used so far.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, Failure> {
        proc::cpu_time(self.id)
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        proc::resident(self.id)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut running = running();
        if let Some(mut child) = running.remove(&self.number) {
            end(&mut child);
        }
    }
}

/// Has every server that was started end before this program, if SIGINT or SIGTERM ends it.
///
/// # Errors
/// The operating system lets nobody listen for signals, or has no thread to spare.
pub fn end_servers_first() -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).doing("listening for signals")?;
    let listen = move || {
        if let Some(signal) = signals.forever().next() {
            // Held to the end: nobody starts another one.
            let mut running = running();
            running.values_mut().for_each(end);
            // It does not return, since these two signals end a program.
            let _ = emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listen).doing("starting a thread")?;
    Ok(())
}

/// Ends a program at once: nothing in it is worth a tidy end, and ours would wait for its clients to go elsewhere.
fn end(child: &mut Child) {
    // Errors mean that it is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

fn running() -> MutexGuard<'static, BTreeMap<u64, Child>> {
    // Who panicked here left each program in the map or out of it.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether our own program is there.
pub(crate) fn find_ours(path: &Path) -> Result<(), Failure> {
    find(path, "build it with `cargo build --release -p causeway`, or say where it is with --server")
}

/// Whether a program is there, by its path or by its name.
///
/// # Errors
/// It is not; `remedy` says what to do about that.
pub(crate) fn find(program: &Path, remedy: &'static str) -> Result<(), Failure> {
    let on_the_path = || {
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders).any(|folder| folder.join(program).is_file())
    };
    if program.is_file() || (program.components().count() == 1 && on_the_path()) {
        return Ok(());
    }
    Err(Failure::NotInstalled { program: program.to_owned(), remedy })
}

/// An address whose port was free for UDP and TCP a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    let mut tried = 0;
    loop {
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let address = address.doing("finding a free port")?;
        tried += 1;
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(_) if tried < PORTS_TRIED => {}
            Err(source) => {
                return Err(Failure::System { what: "finding a port free for UDP and TCP", source });
            }
        }
    }
}
