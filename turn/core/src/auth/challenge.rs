//! What a 401 or 438 tells: REALM and NONCE always, and how the client may authenticate (RFC 8489 §9.2.4), as far as
//! the answer stays small.
//!
//! An answer over plain UDP goes to whoever is named as the sender. The smallest honest first request is an Allocate of
//! 28 bytes, and we answer it with 3.3 times its size at most, 92 bytes:
//!
//! ```text
//! header 20 | ERROR-CODE 8 | REALM 4 + realm | NONCE 4 + 24 | PASSWORD-ALGORITHMS 12        realm ≤ 20 bytes
//! header 20 | ERROR-CODE 8 | REALM 4 + realm | NONCE 4 + 12                                 realm ≤ 44 bytes
//! ```
//! What is told depends on the settings and the transport alone, never on the request: else somebody on the way could
//! ask for the poorer answer in a client's name and hand it on (the bid-down attack of §9.2.1).

use causeway_stun::{AttributeType, FingerprintError, Message, SecurityFeatures};

use super::nonce::NonceText;
use crate::address::Transport;

/// An Allocate with nothing but REQUESTED-TRANSPORT (RFC 8656 §7.1).
pub(crate) const SMALLEST_ALLOCATE: usize = 28;
/// Header and ERROR-CODE without a phrase.
const BEFORE: usize = 20 + 8;
/// Type and length of an attribute.
const ATTRIBUTE: usize = 4;
/// FINGERPRINT, which an answer has if its request has.
const FINGERPRINT: usize = ATTRIBUTE + 4;
/// PASSWORD-ALGORITHMS with both algorithms.
const PASSWORD_ALGORITHMS: usize = ATTRIBUTE + 8;

/// Whether an answer stays within 3.3 times its request, the goal for answers to senders that proved nothing.
pub(crate) const fn is_small(answer: usize, request: usize) -> bool {
    answer.saturating_mul(10) <= request.saturating_mul(33)
}

/// What a relay tells strangers over plain UDP, as its realm leaves room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrangerAnswers {
    /// Everything, in at most 3.3 times the smallest Allocate.
    Complete,
    /// Less than everything: PASSWORD-ALGORITHMS or THIRD-PARTY-AUTHORIZATION does not fit.
    Shortened,
    /// The realm alone makes the answer longer than that.
    Large,
}

/// How clients learn to authenticate, for each transport.
#[derive(Debug)]
pub(crate) struct Challenges {
    realm: Box<str>,
    /// THIRD-PARTY-AUTHORIZATION (RFC 7635 §6.1), if there is one.
    server_name: Option<Box<str>>,
    /// By plain UDP.
    unproved: Announcement,
    /// By transports whose handshake proved the client's address.
    proved: Announcement,
}

/// What the clients of a transport are told besides the realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// What the nonce's cookie says; `None`: it has none.
    pub(crate) features: Option<SecurityFeatures>,
    /// Whether the answer names us to authorization servers.
    pub(crate) third_party: bool,
}

impl Announcement {
    /// Whether the answer lists PASSWORD-ALGORITHMS.
    pub(crate) fn password_algorithms(&self) -> bool {
        self.announces(SecurityFeatures::PASSWORD_ALGORITHMS)
    }

    /// Whether the nonce's cookie has the feature.
    pub(crate) fn announces(&self, feature: SecurityFeatures) -> bool {
        self.features.is_some_and(|features| features.contains(feature))
    }

    /// Bytes of a 401 without FINGERPRINT.
    fn answer_length(&self, realm: &str, server_name: Option<&str>) -> usize {
        let (announcing, plain) = NonceText::LENGTHS;
        let nonce = if self.features.is_some() { announcing } else { plain };
        let algorithms = if self.password_algorithms() { PASSWORD_ALGORITHMS } else { 0 };
        let third_party =
            server_name.filter(|_| self.third_party).map_or(0, |server_name| attribute(server_name.len()));
        [attribute(realm.len()), attribute(nonce), algorithms, third_party]
            .into_iter()
            .fold(BEFORE, usize::saturating_add)
    }
}

/// Bytes of an attribute with a value of this length.
const fn attribute(length: usize) -> usize {
    ATTRIBUTE.saturating_add(length.next_multiple_of(4))
}

impl Challenges {
    /// `features`: all that the credentials permit to announce.
    /// If not all fits over UDP, third-party authorization goes before password algorithms: without the former its
    /// clients cannot begin at all.
    pub(crate) fn new(realm: &str, features: SecurityFeatures, server_name: Option<&str>) -> Self {
        let third_party = server_name.is_some();
        let proved = Announcement { features: Some(features), third_party };
        let shortest = Announcement { features: None, third_party: false };
        let unproved = [
            proved,
            Announcement { features: None, third_party },
            Announcement { third_party: false, ..proved },
        ]
        .into_iter()
        .find(|announcement| is_small(announcement.answer_length(realm, server_name), SMALLEST_ALLOCATE))
        .unwrap_or(shortest);
        Self { realm: realm.into(), server_name: server_name.map(Into::into), unproved, proved }
    }

    /// THIRD-PARTY-AUTHORIZATION for the clients of a transport.
    pub(crate) fn third_party(&self, transport: Transport) -> Option<&str> {
        self.server_name.as_deref().filter(|_| self.of(transport).third_party)
    }

    /// Bytes of a 401 over plain UDP without FINGERPRINT.
    fn unproved_length(&self) -> usize {
        self.unproved.answer_length(&self.realm, self.server_name.as_deref())
    }

    /// Whether a 401 to this request would be so much longer than it that a spoofed sender's victim would suffer. An
    /// Allocate that has its REQUESTED-TRANSPORT never is: every client begins with it.
    pub(crate) fn amplifies(&self, request: &Message<'_>, transport: Transport) -> bool {
        match transport {
            Transport::Tcp | Transport::Tls | Transport::Dtls => false,
            Transport::Udp => {
                let fingerprint = match request.fingerprint() {
                    Err(FingerprintError::Missing) => 0,
                    Ok(()) | Err(FingerprintError::Mismatch) => FINGERPRINT,
                };
                let answer = self.unproved_length().saturating_add(fingerprint);
                !is_small(answer, request.as_bytes().len())
                    && !request.has(AttributeType::REQUESTED_TRANSPORT)
            }
        }
    }

    /// What the answers over plain UDP have come to.
    pub(crate) fn to_strangers(&self) -> StrangerAnswers {
        if !is_small(self.unproved_length(), SMALLEST_ALLOCATE) {
            return StrangerAnswers::Large;
        }
        if self.unproved == self.proved { StrangerAnswers::Complete } else { StrangerAnswers::Shortened }
    }

    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    pub(crate) const fn of(&self, transport: Transport) -> &Announcement {
        match transport {
            Transport::Udp => &self.unproved,
            Transport::Tcp | Transport::Tls | Transport::Dtls => &self.proved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: SecurityFeatures =
        SecurityFeatures::PASSWORD_ALGORITHMS.with(SecurityFeatures::USERNAME_ANONYMITY);

    #[test]
    fn password_algorithms_are_announced_over_udp_while_the_answer_stays_small() {
        for (length, announced) in [(1, true), (8, true), (20, true), (21, false), (44, false), (127, false)]
        {
            let realm = "r".repeat(length);
            let challenges = Challenges::new(&realm, ALL, None);
            assert_eq!(challenges.of(Transport::Udp).password_algorithms(), announced, "{length}");
            let small = is_small(challenges.unproved_length(), SMALLEST_ALLOCATE);
            assert_eq!(small, length <= 44, "{length}");
            let expected = match length {
                ..=20 => StrangerAnswers::Complete,
                21..=44 => StrangerAnswers::Shortened,
                45.. => StrangerAnswers::Large,
            };
            assert_eq!(challenges.to_strangers(), expected, "{length}");
        }
    }

    #[test]
    fn over_udp_third_party_authorization_goes_before_password_algorithms() {
        for (realm, server_name, third_party, algorithms) in [
            (4, 4, true, true),
            (8, 8, true, true),
            (9, 8, true, false),
            (20, 20, true, false),
            (20, 21, false, true),
            (44, 1, false, false),
            (127, 127, false, false),
        ] {
            let (realm, server_name) = ("r".repeat(realm), "s".repeat(server_name));
            let challenges = Challenges::new(&realm, ALL, Some(&server_name));
            let told = (
                challenges.third_party(Transport::Udp).is_some(),
                challenges.of(Transport::Udp).password_algorithms(),
            );
            assert_eq!(told, (third_party, algorithms), "{realm} {server_name}");
            assert_eq!(challenges.third_party(Transport::Tls), Some(&*server_name));
        }
    }

    #[test]
    fn where_a_handshake_proved_the_address_everything_is_announced() {
        for transport in [Transport::Tcp, Transport::Tls, Transport::Dtls] {
            assert!(Challenges::new(&"r".repeat(127), ALL, None).of(transport).announces(ALL));
        }
    }
}
