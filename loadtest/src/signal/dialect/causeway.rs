//! docs/protocol.md, as somebody who wrote a client from it would.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::{Heard, Position, Ticket};
use crate::signal::body::Kind;

/// The protocol's version.
const VERSION: u16 = 1;

pub(super) fn ticket(peer: &str, join_token: &str) -> Ticket {
    Ticket {
        peer: peer.to_owned(),
        path: "/api/v1/ws".to_owned(),
        subprotocol: Some("causeway.v1"),
        hello: Some(json!({"type": "hello", "version": VERSION, "token": join_token}).to_string()),
    }
}

pub(super) fn say(kind: Kind, to: Option<&str>, body: &str) -> String {
    match kind {
        Kind::Offer => json!({"type": "offer", "to": to, "sdp": body}),
        Kind::Answer => json!({"type": "answer", "to": to, "sdp": body}),
        Kind::Candidate => json!({"type": "candidate", "to": to,
            "candidate": {"candidate": body, "sdpMid": "0", "sdpMLineIndex": 0}}),
        Kind::App => match to {
            Some(to) => json!({"type": "app", "to": to, "data": body}),
            None => json!({"type": "app", "data": body}),
        },
    }
    .to_string()
}

pub(super) fn resume(token: &str, Position { epoch, seq }: Position) -> String {
    json!({"type": "resume", "version": VERSION, "token": token, "epoch": epoch, "seq": seq}).to_string()
}

/// Every member that matters here of every message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'t> {
    #[serde(borrow)]
    r#type: Cow<'t, str>,
    epoch: Option<u64>,
    seq: Option<u64>,
    #[serde(borrow)]
    resume_token: Option<Cow<'t, str>>,
    received: Option<u64>,
    #[serde(borrow)]
    peer: Option<Peer<'t>>,
    #[serde(borrow)]
    from: Option<Cow<'t, str>>,
    #[serde(borrow)]
    sdp: Option<Cow<'t, str>>,
    #[serde(borrow)]
    candidate: Option<Candidate<'t>>,
    #[serde(borrow)]
    data: Option<Cow<'t, str>>,
    #[serde(borrow)]
    code: Option<Code<'t>>,
}

/// An id, or an object with it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Peer<'t> {
    Id(#[serde(borrow)] Cow<'t, str>),
    Whole {
        #[serde(borrow)]
        id: Cow<'t, str>,
    },
}

/// The code of an error, or of a farewell.
#[derive(Deserialize)]
#[serde(untagged)]
enum Code<'t> {
    Word(#[serde(borrow)] Cow<'t, str>),
    Number(u16),
}

#[derive(Deserialize)]
struct Candidate<'t> {
    #[serde(borrow)]
    candidate: Cow<'t, str>,
}

pub(super) fn hear(text: &str) -> Heard<'_> {
    serde_json::from_str(text).ok().and_then(meaning).unwrap_or(Heard::Garbage)
}

/// `None`: a member is missing.
fn meaning(message: Message<'_>) -> Option<Heard<'_>> {
    let Message { r#type, epoch, seq, resume_token, received, peer, from, sdp, candidate, data, code } =
        message;
    let peer = peer.map(|peer| match peer {
        Peer::Id(id) | Peer::Whole { id } => id,
    });
    Some(match r#type.as_ref() {
        "welcome" => Heard::Inside {
            address: None,
            position: Some(Position { epoch: epoch?, seq: seq? }),
            token: resume_token,
        },
        "resumed" => Heard::Resumed {
            position: Position { epoch: epoch?, seq: seq? },
            token: resume_token?,
            received: received?,
        },
        "resync" => {
            Heard::Resync { position: Position { epoch: epoch?, seq: seq? }, token: resume_token?, received }
        }
        "peer-joined" => Heard::Joined { peer: peer?, seq },
        "peer-left" => Heard::Left { peer: peer?, seq },
        "offer" | "answer" => Heard::Said { from: from?, body: sdp?, seq },
        "candidate" => Heard::Said { from: from?, body: candidate?.candidate, seq },
        "app" => Heard::Said { from: from?, body: data?, seq },
        "error" | "closing" => Heard::Refused(match code? {
            Code::Word(word) => word,
            Code::Number(number) => Cow::Owned(number.to_string()),
        }),
        _ => seq.map_or(Heard::Nothing, |seq| Heard::Other { seq }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_says_another_understands() {
        for kind in [Kind::Offer, Kind::Answer, Kind::Candidate, Kind::App] {
            let mut said: serde_json::Value =
                serde_json::from_str(&say(kind, Some("bob"), "a\r\nb")).unwrap();
            // As the server passes it on.
            said["from"] = said["to"].take();
            said["seq"] = 7.into();
            said["from"] = "alice".into();
            let expected = Heard::Said { from: "alice".into(), body: "a\r\nb".into(), seq: Some(7) };
            assert_eq!(hear(&said.to_string()), expected, "{kind:?}");
        }
    }

    #[test]
    fn coming_and_going_is_understood() {
        let joined =
            r#"{"type":"peer-joined","seq":3,"peer":{"id":"bob","role":"guest","youAre":"impolite"}}"#;
        assert_eq!(hear(joined), Heard::Joined { peer: "bob".into(), seq: Some(3) });
        let left = r#"{"type":"peer-left","seq":4,"peer":"bob","reason":"left"}"#;
        assert_eq!(hear(left), Heard::Left { peer: "bob".into(), seq: Some(4) });
        let welcome = r#"{"type":"welcome","version":1,"room":"r","peer":"me","epoch":1,"seq":2,"peers":[]}"#;
        let position = Some(Position { epoch: 1, seq: 2 });
        assert_eq!(hear(welcome), Heard::Inside { address: None, position, token: None });
    }

    #[test]
    fn refusals_farewells_and_garbage_are_told_apart() {
        assert_eq!(
            hear(r#"{"type":"error","code":"rate-limited","message":"m"}"#),
            Heard::Refused("rate-limited".into())
        );
        assert_eq!(
            hear(r#"{"type":"closing","code":4503,"reason":"draining"}"#),
            Heard::Refused("4503".into())
        );
        assert_eq!(hear(r#"{"type":"peer-left"}"#), Heard::Garbage);
        assert_eq!(hear("no JSON"), Heard::Garbage);
        assert_eq!(hear(r#"{"type":"pong","nonce":1}"#), Heard::Nothing);
        assert_eq!(hear(r#"{"type":"locked","seq":9}"#), Heard::Other { seq: 9 });
    }
}
