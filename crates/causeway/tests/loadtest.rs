//! `loadtest relay` against the real binary: half a second of packets, all of which arrive.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use causeway_loadtest::args::Cli;
use causeway_loadtest::verdict::Outcome;
use clap::Parser;
use serde_json::Value;

/// Runs a load against the binary and returns its report.
fn run(folder: &Path, flags: &[&str]) -> Value {
    let program = ["loadtest", "relay", "--server", env!("CARGO_BIN_EXE_causeway")];
    // Other tests use the cores too.
    let program = program.iter().chain(&["--cores", "any", "--rounds", "1", "--out"]);
    let arguments = program.map(OsString::from).chain([folder.into()]);
    let cli = Cli::try_parse_from(arguments.chain(flags.iter().map(OsString::from))).unwrap();
    let mut printed = Vec::new();
    assert_eq!(causeway_loadtest::run(&cli, &mut printed).unwrap(), Outcome::Holds);
    assert!(String::from_utf8(printed).unwrap().contains("causeway"));
    assert!(fs::read_to_string(folder.join("relay.svg")).unwrap().ends_with("</svg>\n"));
    serde_json::from_slice(&fs::read(folder.join("relay.json")).unwrap()).unwrap()
}

#[track_caller]
fn assert_delivered(report: &Value) {
    let round = &report["lines"][0]["measured"][0]["rounds"][0];
    assert!(round["loss"].as_f64().unwrap() <= 0.0, "{round}");
    assert!(round["rate"].as_f64().unwrap() > 0.0, "{round}");
    assert!(round["microseconds"].as_f64().unwrap() > 0.0, "{round}");
}

#[test]
fn every_packet_of_a_calm_load_arrives_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let calm = ["--seconds", "0.5", "--rate", "500", "--direction", "both"];
    for way in [["--framing", "channel"], ["--framing", "indication"], ["--partner", "client"]] {
        let report = run(folder.path(), &[&calm[..], &way].concat());
        assert_delivered(&report);
    }
}

#[test]
fn bursts_arrive_whole() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(folder.path(), &["--seconds", "0.5", "--rate", "1600", "--burst", "16"]);
    assert_delivered(&report);
}

#[test]
fn requests_are_answered_and_allocations_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    for work in ["binding", "allocate", "idle"] {
        let report =
            run(folder.path(), &["--seconds", "0.2", "--flows", "4", "--work", work, "--window", "4"]);
        assert_delivered(&report);
    }
}
