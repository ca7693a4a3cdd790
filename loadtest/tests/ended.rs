//! Who ends `loadtest` ends the servers that it has started.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

#[track_caller]
fn check(command: &str, signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let (server, started) = (folder.path().join("server"), folder.path().join("started"));
    mkfifo(&started, Mode::S_IRWXU).unwrap();
    // A server that never answers, so that it is waited for until the signal comes. It ends by itself in any case.
    fs::write(&server, format!("#!/bin/sh\necho $$ > '{}'\nexec sleep 60\n", started.display())).unwrap();
    fs::set_permissions(&server, Permissions::from_mode(0o700)).unwrap();

    let mut loadtest = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    loadtest.args([command, "--cores", "any", "--server"]).arg(&server).arg("--out").arg(folder.path());
    let mut loadtest = loadtest.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let server = Path::new("/proc").join(fs::read_to_string(&started).unwrap().trim());
    assert!(server.exists());

    kill(Pid::from_raw(loadtest.id().try_into().unwrap()), signal).unwrap();
    assert_eq!(loadtest.wait().unwrap().signal(), Some(signal as i32));
    assert!(!server.exists(), "the server of `loadtest {command}` outlives {signal}");
}

#[test]
fn a_server_ends_before_the_relay_load_that_a_signal_ends() {
    check("relay", Signal::SIGTERM);
    check("relay", Signal::SIGINT);
}

#[test]
fn a_server_ends_before_the_signaling_load_that_a_signal_ends() {
    check("signal", Signal::SIGTERM);
    check("signal", Signal::SIGINT);
}
