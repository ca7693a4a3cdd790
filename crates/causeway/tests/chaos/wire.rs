//! The messages of docs/protocol.md, read and written independently of the code that the server uses.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::said::{Said, To};

/// What the server says, as far as a member of this test can be told.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Message {
    Welcome {
        #[serde(flatten)]
        snapshot: Snapshot,
    },
    Resumed {
        epoch: u64,
        received: u64,
        resume_token: String,
    },
    Resync {
        received: Option<u64>,
        #[serde(flatten)]
        snapshot: Snapshot,
    },
    PeerJoined {
        seq: u64,
        peer: Peer,
    },
    PeerLeft {
        seq: u64,
        peer: String,
        reason: String,
    },
    Offer {
        seq: u64,
        from: String,
        sdp: String,
    },
    Candidate {
        seq: u64,
        from: String,
        candidate: Candidate,
    },
    App {
        seq: u64,
        from: String,
        data: Value,
    },
    Pong {
        received: u64,
    },
    Degraded {},
    Recovered {},
    Error {
        code: String,
        message: String,
        refused: Option<String>,
    },
    Closing {
        code: u16,
        reason: String,
        reconnect: bool,
    },
    /// What no member of this test causes.
    #[serde(other)]
    Other,
}

/// How a room stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub peer: String,
    pub epoch: u64,
    pub seq: u64,
    pub peers: Vec<Peer>,
    pub resume_token: String,
}

#[derive(Debug, Deserialize)]
pub struct Peer {
    pub id: String,
}

#[derive(Debug, Deserialize)]
pub struct Candidate {
    pub candidate: String,
}

/// The first message on a socket that goes on where another broke.
pub fn resume(token: &str, epoch: u64, seq: u64) -> String {
    json!({"type": "resume", "version": 1, "token": token, "epoch": epoch, "seq": seq}).to_string()
}

/// A question how much the server has.
pub fn ping(nonce: u32) -> String {
    json!({"type": "ping", "nonce": nonce}).to_string()
}

/// How something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    App,
    Offer,
    Candidate,
}

impl Form {
    /// The `type` on the wire.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Offer => "offer",
            Self::Candidate => "candidate",
        }
    }

    /// The message. Only `app` can be for all.
    pub fn text(self, said: &Said) -> String {
        let text = said.to_string();
        let kind = self.kind();
        let message = match (&said.to, self) {
            (To::All, _) => json!({"type": "app", "data": text}),
            (To::One(to), Self::App) => json!({"type": kind, "to": &**to, "data": text}),
            (To::One(to), Self::Offer) => json!({"type": kind, "to": &**to, "sdp": text}),
            (To::One(to), Self::Candidate) => {
                json!({"type": kind, "to": &**to, "candidate": {"candidate": text}})
            }
        };
        message.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server's own tests write and read.
    #[test]
    fn the_documented_messages_are_understood() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/fixtures/server");
        let mut understood = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            match serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")) {
                Message::Other => {}
                _ => understood += 1,
            }
        }
        assert!(understood >= 14, "{understood}");
    }
}
