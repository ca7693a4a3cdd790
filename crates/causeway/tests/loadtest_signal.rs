//! `loadtest signal` against the real binary: a few members for half a second, who hear every event once and in order.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use causeway_loadtest::args::Cli;
use causeway_loadtest::verdict::Outcome;
use clap::Parser;
use serde_json::Value;

/// Runs a load against the binary and returns the round of its report.
fn run(folder: &Path, flags: &[&str]) -> Value {
    let program = ["loadtest", "signal", "--server", env!("CARGO_BIN_EXE_causeway")];
    // Other tests use the cores too.
    let calm = ["--cores", "any", "--waiting", "sleeping", "--rounds", "1", "--seconds", "0.5", "--out"];
    let arguments = program.iter().chain(&calm).map(OsString::from).chain([folder.into()]);
    let cli = Cli::try_parse_from(arguments.chain(flags.iter().map(OsString::from))).unwrap();
    let mut printed = Vec::new();
    let outcome = causeway_loadtest::run(&cli, &mut printed).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    assert_eq!(outcome, Outcome::Holds, "{printed}");
    assert!(printed.contains("events of ours: 0 lost, 0 duplicated, 0 out of order"), "{printed}");
    assert!(fs::read_to_string(folder.join("signal.svg")).unwrap().ends_with("</svg>\n"));
    let report: Value = serde_json::from_slice(&fs::read(folder.join("signal.json")).unwrap()).unwrap();
    report["lines"][0]["measured"][0]["rounds"][0].clone()
}

#[track_caller]
fn assert_positive(round: &Value, pointers: &[&str]) {
    for pointer in pointers {
        assert!(round.pointer(pointer).unwrap().as_f64().unwrap() > 0.0, "{pointer}: {round}");
    }
}

#[test]
fn every_message_of_a_calm_load_arrives_once() {
    let folder = tempfile::tempdir().unwrap();
    for load in [["--work", "talk", "--room", "4"], ["--work", "ice", "--room", "3"]] {
        let round = run(folder.path(), &[&load[..], &["--connections", "12", "--rate", "200"]].concat());
        assert_positive(&round, &["/microseconds", "/rate", "/message_ms/1", "/memory"]);
        assert_eq!(round["connections"], 12);
    }
}

#[test]
fn everybody_hears_who_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let round =
        run(folder.path(), &["--work", "churn", "--connections", "12", "--room", "3", "--rate", "20"]);
    assert_positive(&round, &["/microseconds", "/rate", "/join_ms/1"]);
}

#[test]
fn idle_connections_are_held() {
    let folder = tempfile::tempdir().unwrap();
    let round = run(folder.path(), &["--work", "idle", "--connections", "50"]);
    assert_positive(&round, &["/microseconds", "/rate", "/memory"]);
    // Those that come first are not counted.
    assert_eq!(round["connections"], 250);
}

#[test]
fn everybody_comes_back_when_all_connections_break() {
    let folder = tempfile::tempdir().unwrap();
    let round =
        run(folder.path(), &["--work", "storm", "--connections", "12", "--room", "3", "--rate", "200"]);
    assert_positive(&round, &["/return_ms/1", "/message_ms/1"]);
    assert_eq!((&round["resumed"], &round["resynced"]), (&12.into(), &0.into()), "{round}");
}
