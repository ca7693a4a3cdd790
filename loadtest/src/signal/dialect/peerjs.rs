//! What PeerJS 1.x clients and peerjs-server say to each other: objects with `type`, `src`, `dst` and `payload`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::{Heard, Ticket};
use crate::signal::body::Kind;

pub(super) fn ticket(peer: &str) -> Ticket {
    let path = format!("/peerjs?key=peerjs&id={peer}&token=t{peer}&version=1.5.5");
    Ticket { peer: peer.to_owned(), path, subprotocol: None, hello: None }
}

/// The server passes on nothing but these three kinds, so what an application says travels as a candidate.
pub(super) fn say(kind: Kind, to: &str, body: &str) -> String {
    let kind = match kind {
        Kind::Offer => "OFFER",
        Kind::Answer => "ANSWER",
        Kind::Candidate | Kind::App => "CANDIDATE",
    };
    json!({"type": kind, "dst": to, "payload": body}).to_string()
}

#[derive(Deserialize)]
struct Message<'t> {
    #[serde(borrow)]
    r#type: Cow<'t, str>,
    #[serde(borrow)]
    src: Option<Cow<'t, str>>,
    /// An object in the server's own messages.
    #[serde(borrow)]
    payload: Option<&'t serde_json::value::RawValue>,
}

pub(super) fn hear(text: &str) -> Heard<'_> {
    let Ok(Message { r#type, src, payload }) = serde_json::from_str(text) else { return Heard::Garbage };
    match r#type.as_ref() {
        "OPEN" => Heard::Inside { address: None, position: None, token: None },
        "OFFER" | "ANSWER" | "CANDIDATE" => {
            let body = payload.and_then(|payload| serde_json::from_str::<Text<'_>>(payload.get()).ok());
            match (src, body) {
                (Some(from), Some(Text(body))) => Heard::Said { from, body, seq: None },
                (_, _) => Heard::Garbage,
            }
        }
        "ERROR" | "ID-TAKEN" | "INVALID-KEY" | "EXPIRE" => Heard::Refused(r#type),
        _ => Heard::Nothing,
    }
}

/// Borrowed if nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_says_another_understands() {
        for kind in [Kind::Offer, Kind::Answer, Kind::Candidate, Kind::App] {
            let mut said: serde_json::Value = serde_json::from_str(&say(kind, "p2", "a\r\nb")).unwrap();
            said["src"] = "p1".into();
            let expected = Heard::Said { from: "p1".into(), body: "a\r\nb".into(), seq: None };
            assert_eq!(hear(&said.to_string()), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_server_itself_is_understood() {
        assert_eq!(hear(r#"{"type":"OPEN"}"#), Heard::Inside { address: None, position: None, token: None });
        assert_eq!(hear(r#"{"type":"ERROR","payload":{"msg":"m"}}"#), Heard::Refused("ERROR".into()));
        assert_eq!(hear(r#"{"type":"OFFER","payload":"x"}"#), Heard::Garbage);
    }
}
