//! The configuration of a running process changes.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use common::turn::Client;
use common::{PATIENCE, Running, get};

#[test]
fn a_file_that_is_replaced_takes_effect_without_a_restart() {
    let (mut relay, file) = Configured::turn("[turn]\nusers = ['ada:one']\n");
    let ada = Client::new(relay.relay, "ada", "one");
    assert_eq!(ada.allocate(), 0);
    file.replace("[turn]\nusers = ['bob:two']\n");
    let line = relay.log_with("configuration reloaded");
    assert!(line.contains("turn.users took effect") && line.contains("\"trigger\":\"file\""), "{line}");
    assert!(!line.contains("two"), "{line}");
    // The reload is announced once it is ordered; a worker carries it out before its next datagram.
    assert_eq!(Client::new(relay.relay, "bob", "two").allocate(), 0);
    assert_eq!(ada.refresh(), 401, "who was removed is refused at once");
    assert_eq!(reloads(&relay, "applied"), 1);
    assert_eq!(reloads(&relay, "refused"), 0);
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_the_log_names_every_one() {
    let (mut relay, file) = Configured::turn("[turn]\nusers = ['ada:one']\n");
    file.replace("[turn]\nusers = ['bob']\nprot = 1\nlimits.allocations = 0\nrest_secrets = 'swordfish'\n");
    let line = relay.log_with("configuration refused");
    for mistake in ["turn.users", "turn.prot", "turn.limits.allocations", "turn.rest_secrets"] {
        assert!(line.contains(mistake), "{mistake} is not told: {line}");
    }
    assert!(!line.contains("swordfish"), "{line}");
    assert_eq!(Client::new(relay.relay, "ada", "one").allocate(), 0, "the old one goes on");
    assert_eq!(reloads(&relay, "refused"), 1);
    // Mended, it counts.
    file.replace("[turn]\nusers = ['ada:one', 'bob:two']\n");
    relay.log_with("turn.users took effect");
    assert_eq!(Client::new(relay.relay, "bob", "two").allocate(), 0);
}

#[test]
fn a_file_that_is_gone_is_a_mistake_and_the_old_configuration_stays() {
    let (mut relay, file) = Configured::turn("[turn]\nusers = ['ada:one']\n");
    std::fs::remove_file(&file.path).unwrap();
    let line = relay.log_with("configuration refused");
    assert!(line.contains("cannot be read"), "{line}");
    assert_eq!(Client::new(relay.relay, "ada", "one").allocate(), 0);
}

#[test]
fn sighup_reads_the_configuration_again() {
    let (mut relay, file) = Configured::turn("[turn]\nusers = ['ada:one']\n");
    relay.signal("HUP");
    let line = relay.log_with("configuration read again: nothing has changed");
    assert!(line.contains("SIGHUP"), "{line}");
    assert_eq!(reloads(&relay, "unchanged"), 1);
    file.replace("[turn]\nusers = ['bob:two']\n");
    relay.signal("HUP");
    relay.log_with("turn.users took effect");
    assert_eq!(Client::new(relay.relay, "bob", "two").allocate(), 0);
    assert_eq!(relay.terminate(), Some(0), "it can still be stopped");
}

#[test]
fn what_needs_a_restart_keeps_its_value_and_is_named() {
    let (mut relay, file) = Configured::turn("[turn]\nusers = ['ada:one']\n");
    file.replace("[log]\nfilter = 'debug'\n[turn]\nusers = ['ada:one']\nrealm = 'other'\nworkers = 1\n");
    let line = relay.log_with("configuration reloaded");
    let sentence =
        "log.filter took effect; turn.realm and turn.workers need a restart and keep their old value";
    assert!(line.contains(sentence), "{line}");
    assert_eq!(Client::new(relay.relay, "ada", "one").allocate(), 0, "in the old realm");
    relay.log_with("allocation created");
}

#[test]
fn rooms_take_new_settings_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::new("[signal]\nmax_capacity = 10\n");
    let mut process = Running::start(
        &[
            "serve",
            "--http",
            "127.0.0.1:0",
            "--turn-port",
            "0",
            "--listen",
            "127.0.0.1",
            "--config",
            file.path.to_str().unwrap(),
        ],
        folder.path(),
    );
    let http = process.http.unwrap();
    assert!(create_room(http, 20).contains("400"));
    file.replace("[signal]\nmax_capacity = 20\n");
    process.log_with("signal.max_capacity took effect");
    let answer = create_room(http, 20);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// A relay with a configuration file, in JSON logs.
struct Configured;

impl Configured {
    fn turn(text: &str) -> (Running, File) {
        let file = File::new(text);
        let path = file.path.to_str().unwrap();
        let arguments =
            ["turn", "--listen", "127.0.0.1", "--port", "0", "--log-format", "json", "--config", path];
        (Running::start(&arguments, Path::new("/")), file)
    }
}

/// A configuration file in a folder of its own.
struct File {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("causeway.toml");
        std::fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    /// As editors do it: another file takes the name.
    fn replace(&self, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &self.path).unwrap();
    }
}

/// How many reloads ended like this.
fn reloads(process: &Running, result: &str) -> u64 {
    let metrics = get(process.ops, "/metrics");
    let series = format!("causeway_config_reloads_total{{result=\"{result}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("{series} is missing:\n{metrics}")).parse().unwrap()
}

fn create_room(http: SocketAddr, capacity: u16) -> String {
    let mut connection = TcpStream::connect(http).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = format!("{{\"capacity\":{capacity}}}");
    write!(
        connection,
        "POST /api/v1/rooms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}
