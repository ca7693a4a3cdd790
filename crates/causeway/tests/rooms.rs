//! Relay credentials that the server itself mints: whom they reach, and what a kill does not undo.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use causeway_protocol::bus::{RelayOrder, Revocation};
use common::turn::Client;
use common::{Running, room};

#[test]
fn a_rooms_credential_reaches_the_rooms_relayed_addresses_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve_rooms(folder.path());
    let http = server.http.unwrap();
    let kitchen = room::create(http);
    let (alice, bob) = (room::join(http, &kitchen), room::join(http, &kitchen));
    let (alice, bob) = (client(&server, &alice), client(&server, &bob));
    alice.relayed();
    let at_bob = bob.relayed();
    assert_eq!(alice.permit(at_bob), 0);
    for outside in ["9.9.9.9:443", "10.0.0.5:80", "192.168.0.1:80", "169.254.169.254:80"] {
        assert_eq!(alice.permit(outside.parse().unwrap()), 403, "{outside}");
    }
}

#[test]
fn without_the_setting_a_credential_is_public() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::serve(folder.path());
    let http = server.http.unwrap();
    let alice = room::join(http, &room::create(http));
    let alice = client(&server, &alice);
    alice.relayed();
    assert_eq!(alice.permit("9.9.9.9:443".parse().unwrap()), 0);
    assert_eq!(alice.permit("10.0.0.5:80".parse().unwrap()), 403);
}

#[test]
fn a_revoked_room_stays_so_over_a_kill_and_another_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::serve(folder.path());
    let http = server.http.unwrap();
    let (revoked, other) = (room::create(http), room::create(http));
    let (alice, bob) = (room::join(http, &revoked), room::join(http, &other));
    assert_eq!(client(&server, &alice).allocate(), 0);
    server.kill();
    // What a process leaves that is killed while it writes: the order about the room, and a piece of the next.
    let revoke = Revocation::Room { room: revoked.parse().unwrap() };
    let order = RelayOrder { revoke, until: causeway_service::clock::now().unix.plus(600) };
    let line = serde_json::to_string(&order).unwrap();
    let mut file = OpenOptions::new().append(true).open(folder.path().join("revocations")).unwrap();
    write!(file, "{line}\n{}", &line[..line.len() / 2]).unwrap();
    drop(file);

    for _restart in 0..2 {
        let server = Running::serve(folder.path());
        assert_eq!(client(&server, &alice).allocate(), 401);
        assert_eq!(client(&server, &bob).allocate(), 0);
        server.kill();
    }
}

/// With credentials for the room's peers only.
fn serve_rooms(folder: &Path) -> Running {
    let file = folder.join("causeway.toml");
    std::fs::write(&file, "[signal]\nrelay_peers = 'room'\n").unwrap();
    let (file, data) = (file.to_str().unwrap(), folder.to_str().unwrap());
    let arguments = ["serve", "--http", "127.0.0.1:0", "--turn-port", "0", "--listen", "127.0.0.1"];
    Running::start(&[&arguments[..], &["--data-dir", data, "--config", file]].concat(), folder)
}

fn client<'a>(server: &Running, who: &'a room::Credential) -> Client<'a> {
    Client::new(server.relay, &who.username, &who.password)
}
