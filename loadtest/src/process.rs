//! A server that was started for a measurement: kept on its core, looked after in /proc, and ended with the measurement.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::proc::{self, CpuTime};

/// Ports that are free for UDP are looked at for TCP, so many of them.
const PORTS_TRIED: usize = 100;

/// A running program. It ends when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where its output is.
    pub(crate) log: PathBuf,
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
        cores.pin_server()?;
        let spawned = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        cores.pin_sender()?;
        Ok(Self { child: spawned.doing("starting a server")?, log })
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait().doing("looking after a server")?.is_some())
    }

    /// CPU time that it has used so far.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, Failure> {
        proc::cpu_time(self.child.id())
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        proc::resident(self.child.id())
    }
}

impl Drop for Process {
    /// Ends it at once: nothing in it is worth a tidy end, and ours would wait for its clients to go elsewhere.
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
