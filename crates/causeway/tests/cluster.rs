//! Processes of ours that are joined by a real Redis, as operators see them.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;
#[path = "../../cluster/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Output};

use common::{BINARY, Running, get};
use support::RedisServer;

#[test]
fn readyz_says_when_redis_is_away_and_livez_never_does() {
    let mut redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let mut process = signal(&redis, folder.path());
    process.log_with("connected with the other nodes");
    becomes(&process, "/readyz", "cluster ready");
    becomes(&process, "/metrics", "causeway_cluster_connected 1");
    assert!(get(process.ops, "/readyz").starts_with("HTTP/1.1 200"));

    redis.kill();
    process.log_with("Redis is away");
    becomes(&process, "/readyz", "cluster failed");
    becomes(&process, "/metrics", "causeway_cluster_connected 0");
    assert!(get(process.ops, "/readyz").starts_with("HTTP/1.1 503"));
    assert!(get(process.ops, "/livez").starts_with("HTTP/1.1 200"));

    redis.start_again();
    process.log_with("connected with the other nodes");
    becomes(&process, "/readyz", "cluster ready");
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn a_node_that_ends_gives_its_lease_back() {
    let redis = RedisServer::start();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut nodes = folders.each_ref().map(|folder| signal(&redis, folder.path()));
    for node in &mut nodes {
        node.log_with("connected with the other nodes");
    }
    let leases = || redis.ask(&["ZCARD", "causeway:{nodes}:leases"]).trim().to_owned();
    assert_eq!(leases(), "2");
    let [first, _second] = nodes;
    assert_eq!(first.terminate(), Some(0));
    assert_eq!(leases(), "1");
}

#[test]
fn a_process_starts_without_its_redis_and_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = "redis://127.0.0.1:1";
    let process = start("signal", nobody, folder.path());
    becomes(&process, "/readyz", "cluster starting");
    assert!(get(process.http.unwrap(), "/livez").starts_with("HTTP/1.1 200"));
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn a_redis_that_cannot_be_meant_is_one_sentence_and_64() {
    for (url, sentence) in [
        ("http://:swordfish@redis.example", "wants redis://"),
        ("redis+sentinel://redis.example", "needs the name of the service"),
    ] {
        let output = Command::new(BINARY).args(["signal", "--redis-url", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let told = stderr(&output);
        assert!(told.contains("cluster.redis_url") && told.contains(sentence), "{told}");
        assert!(!told.contains("swordfish"), "{told}");
    }
}

#[test]
fn a_relay_on_redis_needs_a_secret() {
    let arguments = ["turn", "--listen", "127.0.0.1", "--port", "0", "--ops", "127.0.0.1:0"];
    let output =
        Command::new(BINARY).args(arguments).args(["--redis-url", "redis://127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(stderr(&output).contains("node.relay_secret"), "{}", stderr(&output));
}

#[test]
fn two_processes_do_not_share_a_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Running::serve(folder.path());
    let data = folder.path().to_str().unwrap();
    let arguments = ["signal", "--http", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--data-dir", data];
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(stderr(&output).contains("in use by another process"), "{}", stderr(&output));
}

fn signal(redis: &RedisServer, folder: &Path) -> Running {
    start("signal", &redis.url(), folder)
}

fn start(command: &str, redis_url: &str, folder: &Path) -> Running {
    let data = folder.to_str().unwrap();
    Running::start(&[command, "--http", "127.0.0.1:0", "--data-dir", data, "--redis-url", redis_url], folder)
}

/// Asks until the page says `part`.
#[track_caller]
fn becomes(process: &Running, path: &str, part: &str) {
    let mut page = String::new();
    for _ in 0..5000 {
        page = get(process.ops, path);
        if page.contains(part) {
            return;
        }
    }
    panic!("{path} does not say {part:?}:\n{page}");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
