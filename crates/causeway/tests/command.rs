//! The binary as an operator meets it: flags, mistakes, signals, pages.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};

use common::{BINARY, Running, get, request, room, turn};

#[test]
fn help_names_every_command() {
    let output = causeway(&["--help"]);
    assert!(output.status.success());
    for command in ["serve", "signal", "turn", "config", "health"] {
        assert!(stdout(&output).contains(command), "{}", stdout(&output));
    }
}

#[test]
fn an_unknown_flag_ends_with_64() {
    let output = causeway(&["serve", "--htpp", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("--http"), "the flag that was meant is named: {}", stderr(&output));
}

#[test]
fn every_mistake_in_the_configuration_is_told_at_once_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.toml");
    std::fs::write(&file, "[turn]\nprot = 1\nrealm = ''\n[log]\nformat = 'xml'\n").unwrap();
    let output = Command::new(BINARY)
        .args(["serve", "--config", file.to_str().unwrap(), "--turn-port", "0"])
        .env("CAUSEWAY_SIGNAL__MAX_ROOMS", "many")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    for mistake in ["turn.prot", "turn.realm", "log.format", "CAUSEWAY_SIGNAL__MAX_ROOMS"] {
        assert!(stderr(&output).contains(mistake), "{mistake} is not told:\n{}", stderr(&output));
    }
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn config_print_shows_every_section_and_no_secret() {
    let output = Command::new(BINARY)
        .args(["config", "print"])
        .env("CAUSEWAY_TURN__REST_SECRETS", "swordfish")
        .env("CAUSEWAY_TURN__USERS", "ada:swordfish")
        .env("CAUSEWAY_NODE__SECRET", "5f".repeat(32))
        .env("CAUSEWAY_CLUSTER__REDIS_URL", "redis://:swordfish@redis.example")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    for section in ["[node]", "[log]", "[ops]", "[http]", "[cluster]", "[turn]", "[signal]"] {
        assert!(stdout(&output).contains(section), "{section} is missing:\n{}", stdout(&output));
    }
    assert!(!stdout(&output).contains("swordfish"), "{}", stdout(&output));
    assert!(!stdout(&output).contains("5f5f"), "{}", stdout(&output));
    assert!(stdout(&output).contains("ada"), "names are no secrets");
}

#[test]
fn what_config_print_shows_is_a_configuration_file() {
    let printed = causeway(&["config", "print"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let again = causeway(&["config", "print", "--config", file.to_str().unwrap()]);
    assert_eq!(stdout(&again), stdout(&printed), "{}", stderr(&again));
}

#[test]
fn a_taken_relay_port_is_one_sentence_and_69() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = causeway(&["turn", "--listen", "127.0.0.1", "--port", &port, "--ops", "127.0.0.1:0"]);
    check_taken(&output, &port);
}

#[test]
fn a_taken_tcp_port_of_the_relay_is_one_sentence_that_names_it_and_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = causeway(&["turn", "--listen", "127.0.0.1", "--port", &port, "--ops", "127.0.0.1:0"]);
    check_taken(&output, &port);
    assert!(stderr(&output).contains("TCP 127.0.0.1:"), "{}", stderr(&output));
}

#[test]
fn peers_are_not_told_of_a_transport_that_the_relay_does_not_serve() {
    let output = Command::new(BINARY)
        .args(["config", "print"])
        .env("CAUSEWAY_SIGNAL__RELAY_TRANSPORTS", "udp,tcp")
        .env("CAUSEWAY_TURN__STREAMS__TCP", "false")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("turn.streams.tcp"), "{}", stderr(&output));
}

#[test]
fn a_taken_http_port_is_one_sentence_and_69() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = taken.local_addr().unwrap();
    let output = causeway(&[
        "serve",
        "--http",
        &http.to_string(),
        "--turn-port",
        "0",
        "--listen",
        "127.0.0.1",
        "--ops",
        "127.0.0.1:0",
        "--data-dir",
        folder.path().to_str().unwrap(),
    ]);
    check_taken(&output, &http.port().to_string());
}

#[test]
fn a_taken_operators_port_is_one_sentence_and_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ops = taken.local_addr().unwrap();
    let output = causeway(&["turn", "--listen", "127.0.0.1", "--port", "0", "--ops", &ops.to_string()]);
    check_taken(&output, &ops.port().to_string());
}

#[test]
fn serve_answers_on_all_its_doors_and_ends_cleanly_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let process = Running::serve(folder.path());
    let metrics = get(process.ops, "/metrics");
    assert!(metrics.contains("causeway_turn_allocations"), "{metrics}");
    assert!(metrics.contains("causeway_signal_rooms"), "{metrics}");
    assert!(get(process.ops, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(process.http.unwrap(), "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(process.http.unwrap(), "/").contains("<!doctype html"), "the demo, or how to build it");
    assert!(get(process.http.unwrap(), "/api/v1/nothing").contains("\"code\":\"not-found\""));
    assert!(folder.path().join("secret").exists());

    let health = causeway(&["health", "--ops", &process.ops.to_string()]);
    assert!(health.status.success());
    assert!(stdout(&health).contains("relay ready"), "{}", stdout(&health));
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn the_operators_call_drains_as_a_signal_does_and_the_signal_after_it_cuts_nothing_short() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("causeway.toml");
    std::fs::write(&config, "node.drain_seconds = 600\n").unwrap();
    let arguments =
        ["serve", "--http", "127.0.0.1:0", "--turn-port", "0", "--listen", "127.0.0.1", "--config"];
    let arguments = [&arguments[..], &[config.to_str().unwrap()]].concat();
    let mut process = Running::start(&arguments, folder.path());
    let (http, relay) = (process.http.unwrap(), process.relay);
    let peer = room::join(http, &room::create(http));
    let client = turn::Client::new(relay, &peer.username, &peer.password);
    assert_eq!(client.allocate(), 0);
    assert!(request(process.ops, "POST", "/drain").starts_with("HTTP/1.1 202"));
    process.log_with("POST /drain");
    process.signal("TERM");
    let ready = get(process.ops, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("draining"), "{ready}");
    // Somebody still relays, and may until the time is over; that the process is there shows that it waits.
    assert_eq!(client.refresh(), 0);
    process.signal("TERM");
    process.log_with("stopping at once");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn turn_alone_ends_cleanly_on_sigterm() {
    let process = Running::turn();
    assert!(get(process.ops, "/readyz").contains("relay ready"));
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn health_of_nothing_is_1_and_says_so() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = causeway(&["health", "--ops", &closed.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is the process running?"), "{}", stderr(&output));
}

#[test]
fn logs_are_json_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Running::start(
        &["turn", "--listen", "127.0.0.1", "--port", "0", "--log-format", "json"],
        folder.path(),
    );
    let first = process.log_with("");
    assert!(first.starts_with('{') && first.contains("\"level\":"), "{first}");
    assert_eq!(process.terminate(), Some(0));
}

fn causeway(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn check_taken(output: &Output, port: &str) {
    assert_eq!(output.status.code(), Some(69), "{}", stderr(output));
    let text = stderr(output);
    let sentence = text.lines().find(|line| line.starts_with("causeway: ")).unwrap_or_default();
    assert!(sentence.contains(port) && sentence.contains("in use"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}
