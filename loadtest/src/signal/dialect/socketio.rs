//! Socket.IO 5 in Engine.IO 4 over WebSocket: a digit for each layer, then JSON. The events are those of
//! `competitors/socketio.mjs`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::{Heard, Ticket};
use crate::signal::body::Kind;

/// Engine.IO: message; Socket.IO: connect, event.
const CONNECT: &str = "40";
const EVENT: &str = "42";
/// Engine.IO's own.
const PING: &str = "2";
const PONG: &str = "3";

pub(super) fn ticket(peer: &str, room: &str) -> Ticket {
    Ticket {
        peer: peer.to_owned(),
        path: "/socket.io/?EIO=4&transport=websocket".to_owned(),
        subprotocol: None,
        hello: Some(format!("{CONNECT}{}", json!({"peer": peer, "room": room}))),
    }
}

pub(super) fn say(kind: Kind, to: Option<&str>, body: &str) -> String {
    let kind = match kind {
        Kind::Offer => "offer",
        Kind::Answer => "answer",
        Kind::Candidate => "candidate",
        Kind::App => "app",
    };
    format!("{EVENT}{}", json!([kind, {"to": to, "body": body}]))
}

#[derive(Deserialize)]
struct Event<'t>(#[serde(borrow)] Cow<'t, str>, #[serde(borrow)] Facts<'t>);

#[derive(Deserialize)]
struct Facts<'t> {
    #[serde(borrow)]
    from: Cow<'t, str>,
    #[serde(borrow)]
    body: Option<Cow<'t, str>>,
}

#[derive(Deserialize)]
struct Connected<'t> {
    #[serde(borrow)]
    sid: Cow<'t, str>,
}

pub(super) fn hear(text: &str) -> Heard<'_> {
    if let Some(event) = text.strip_prefix(EVENT) {
        return hear_event(event);
    }
    if let Some(connected) = text.strip_prefix(CONNECT) {
        return match serde_json::from_str(connected) {
            Ok(Connected { sid }) => Heard::Inside { address: Some(sid), position: None, token: None },
            Err(_) => Heard::Garbage,
        };
    }
    match text {
        PING => Heard::Alive(PONG),
        "1" | "41" => Heard::Refused("closed".into()),
        text if text.starts_with('0') => Heard::Open,
        text if text.starts_with("44") => Heard::Refused(text.into()),
        _ => Heard::Nothing,
    }
}

fn hear_event(event: &str) -> Heard<'_> {
    let Ok(Event(name, Facts { from, body })) = serde_json::from_str(event) else { return Heard::Garbage };
    match (name.as_ref(), body) {
        ("peer-joined", _) => Heard::Joined { peer: from, seq: None },
        ("peer-left", _) => Heard::Left { peer: from, seq: None },
        (_, Some(body)) => Heard::Said { from, body, seq: None },
        (_, None) => Heard::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_says_another_understands() {
        let said = say(Kind::Offer, Some("sid"), "a\r\nb");
        assert_eq!(said, r#"42["offer",{"body":"a\r\nb","to":"sid"}]"#);
        let heard = hear(r#"42["offer",{"from":"p1","body":"a\r\nb"}]"#);
        assert_eq!(heard, Heard::Said { from: "p1".into(), body: "a\r\nb".into(), seq: None });
    }

    #[test]
    fn both_layers_open_and_stay_alive() {
        assert_eq!(hear(r#"0{"sid":"x","upgrades":[],"pingInterval":25000}"#), Heard::Open);
        let inside = Heard::Inside { address: Some("abc".into()), position: None, token: None };
        assert_eq!(hear(r#"40{"sid":"abc"}"#), inside);
        assert_eq!(hear("2"), Heard::Alive("3"));
        assert_eq!(hear(r#"44{"message":"no"}"#), Heard::Refused(r#"44{"message":"no"}"#.into()));
        assert_eq!(
            hear(r#"42["peer-joined",{"from":"p1"}]"#),
            Heard::Joined { peer: "p1".into(), seq: None }
        );
    }
}
