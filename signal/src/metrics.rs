//! The metrics of signaling: their names and what they mean.
//!
//! Labels come from enums of ours: `type` is a message's type, `code` an error code or the way a connection ended.

use causeway_protocol::message::Greeting;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::slots::{Counted, NoSlot};

const ROOMS: &str = "causeway_signal_rooms";
const ROOMS_CREATED: &str = "causeway_signal_room_created_total";
const SESSIONS: &str = "causeway_signal_sessions";
const CONNECTIONS: &str = "causeway_signal_connections";
const MESSAGES: &str = "causeway_signal_messages_total";
const GREETED: &str = "causeway_signal_greeted_total";
const REFUSED: &str = "causeway_signal_refused_total";
const LETTERS_REFUSED: &str = "causeway_signal_letters_refused_total";
const JWKS: &str = "causeway_signal_jwks_fetches_total";
const CONNECTIONS_REFUSED: &str = "causeway_signal_connections_refused_total";
const CLOSED: &str = "causeway_signal_closed_total";

/// Tells the recorder what the metrics mean.
pub(crate) fn describe() {
    describe_gauge!(ROOMS, "Rooms that are open.");
    describe_counter!(ROOMS_CREATED, "Rooms opened.");
    describe_gauge!(SESSIONS, "WebSockets that are open.");
    describe_gauge!(CONNECTIONS, "TCP connections that are open, those of WebSockets among them.");
    describe_counter!(MESSAGES, "Messages of clients, by type.");
    describe_counter!(
        GREETED,
        "Members greeted, by `how`: `welcome`, `resumed` with nothing lost, or `resync` because something may be."
    );
    describe_counter!(REFUSED, "Requests and messages refused, by error code.");
    describe_counter!(CLOSED, "WebSockets ended, by close code; `client` closed itself, `gone` was lost.");
    describe_counter!(LETTERS_REFUSED, "Letters of other nodes that were not acted on, by reason.");
    describe_counter!(JWKS, "Fetches of the keys of issuers, by result: `good` or `failed`.");
    describe_counter!(
        CONNECTIONS_REFUSED,
        "TCP connections reset at once, by whose limit they exceeded: `server` or `address`."
    );
    // A dashboard that is set up on a quiet day finds its series.
    gauge!(ROOMS).increment(0.0);
    gauge!(SESSIONS).increment(0.0);
    gauge!(CONNECTIONS).increment(0.0);
    counter!(ROOMS_CREATED).increment(0);
    for result in ["good", "failed"] {
        counter!(JWKS, "result" => result).increment(0);
    }
}

pub(crate) fn room_opened() {
    gauge!(ROOMS).increment(1.0);
    counter!(ROOMS_CREATED).increment(1);
}

pub(crate) fn room_closed() {
    gauge!(ROOMS).decrement(1.0);
}

pub(crate) fn opened(what: Counted) {
    gauge!(gauge_of(what)).increment(1.0);
}

pub(crate) fn ended(what: Counted) {
    gauge!(gauge_of(what)).decrement(1.0);
}

const fn gauge_of(what: Counted) -> &'static str {
    match what {
        Counted::Sessions => SESSIONS,
        Counted::Connections => CONNECTIONS,
    }
}

pub(crate) fn message(kind: &'static str) {
    counter!(MESSAGES, "type" => kind).increment(1);
}

pub(crate) fn greeted(greeting: &Greeting) {
    let how = match greeting {
        Greeting::Welcome { .. } => "welcome",
        Greeting::Resumed { .. } => "resumed",
        Greeting::Resync { .. } => "resync",
    };
    counter!(GREETED, "how" => how).increment(1);
}

pub(crate) fn refused(code: &'static str) {
    counter!(REFUSED, "code" => code).increment(1);
}

pub(crate) fn jwks_fetched(good: bool) {
    counter!(JWKS, "result" => if good { "good" } else { "failed" }).increment(1);
}

pub(crate) fn connection_refused(refused: NoSlot) {
    let limit = match refused {
        NoSlot::Server => "server",
        NoSlot::Stranger => "address",
    };
    counter!(CONNECTIONS_REFUSED, "limit" => limit).increment(1);
}

pub(crate) fn closed(code: &'static str) {
    counter!(CLOSED, "code" => code).increment(1);
}

pub(crate) fn letter_refused(reason: &'static str) {
    counter!(LETTERS_REFUSED, "reason" => reason).increment(1);
}
