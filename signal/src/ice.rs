//! The ICE servers that a peer is told, with a fresh relay credential.

use causeway_protocol::ids::TokenId;
use causeway_protocol::message::IceServer;
use causeway_protocol::token::{IssueError, RelayBudget, TurnClaims, TurnIssuer};
use causeway_protocol::{PeerId, RoomId, UnixSeconds};

use crate::client::split_port;
use crate::doors::RelayDoors;
use crate::settings::SignalSettings;

/// The URLs for one client: they may depend on the name by which it reached us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IceUrls {
    stun: Vec<String>,
    turn: Vec<String>,
}

impl IceUrls {
    /// The configured URLs, or this host as the client calls it.
    pub(crate) fn new(settings: &SignalSettings, authority: &str, relay: &RelayDoors) -> Self {
        if settings.ice_urls.is_empty() {
            let host = match split_port(authority).0 {
                // Browsers resolve `localhost` to ::1 first, where a relay on 127.0.0.1 does not listen.
                "localhost" => "127.0.0.1",
                host => host,
            };
            let transports = match settings.relay_transports.as_slice() {
                [] => relay.offered.as_slice(),
                chosen => chosen,
            };
            return Self {
                stun: vec![format!("stun:{host}:{}", relay.port)],
                turn: transports.iter().map(|transport| relay.url(*transport, host)).collect(),
            };
        }
        let (turn, stun) = settings.ice_urls.iter().cloned().partition(|url| url.starts_with("turn"));
        Self { stun, turn }
    }
}

/// ICE servers with a fresh credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IceGrant {
    /// For `RTCPeerConnection`.
    pub(crate) servers: Vec<IceServer>,
    /// When the credentials among them run out.
    pub(crate) expires_at: UnixSeconds,
}

/// For whom a credential is.
pub(crate) struct Holder<'a> {
    pub(crate) room: &'a RoomId,
    pub(crate) peer: &'a PeerId,
    pub(crate) room_ends: UnixSeconds,
    pub(crate) relay: &'a RelayAllowance,
}

/// What the holder's join token says of the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayAllowance {
    pub(crate) budget: RelayBudget,
    /// The join token's own name.
    pub(crate) token: TokenId,
}

impl RelayAllowance {
    /// The name of one credential. Relays count bytes by it, so all credentials of a join token with a budget have one
    /// name: asking for fresh ones does not begin the budget anew.
    fn credential(&self) -> TokenId {
        match self.budget.bytes {
            Some(_) => self.token.clone(),
            None => TokenId::random(&mut rand::rng()),
        }
    }
}

/// ICE servers with a credential that lives as long as the settings say, and never longer than the room.
pub(crate) fn grant(
    urls: &IceUrls,
    holder: &Holder<'_>,
    issuer: &TurnIssuer,
    settings: &SignalSettings,
    now: UnixSeconds,
) -> Result<IceGrant, IssueError> {
    let expires_at = now.plus(settings.credential_ttl_seconds).min(holder.room_ends);
    let credential = issuer.issue(&TurnClaims {
        aud: TurnClaims::AUDIENCE.to_owned(),
        sub: holder.peer.clone(),
        room: holder.room.clone(),
        exp: expires_at,
        jti: holder.relay.credential(),
        bps: smaller(settings.relay_bps, holder.relay.budget.bps),
        bytes: smaller(settings.relay_bytes, holder.relay.budget.bytes),
        allocs: Some(settings.relay_allocations),
        peers: settings.relay_peers,
    })?;
    let mut servers = Vec::with_capacity(2);
    if !urls.stun.is_empty() {
        servers.push(IceServer { urls: urls.stun.clone(), username: None, credential: None });
    }
    if !urls.turn.is_empty() {
        servers.push(IceServer {
            urls: urls.turn.clone(),
            username: Some(credential.username),
            credential: Some(credential.password),
        });
    }
    Ok(IceGrant { servers, expires_at })
}

/// The smaller of two limits, each of which may be absent.
fn smaller(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use causeway_protocol::secret::Secret;
    use causeway_protocol::token::TurnVerifier;

    use super::*;
    use crate::doors::RelayTransport;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn without_configured_urls_the_relay_is_where_the_browser_found_us() {
        check_host("localhost:8080", "127.0.0.1");
        check_host("causeway.example", "causeway.example");
        check_host("[::1]:8080", "[::1]");
    }

    #[test]
    fn configured_urls_are_sorted_into_those_with_and_without_credentials() {
        let settings = SignalSettings {
            ice_urls: ["turns:r.example:443", "stun:r.example", "turn:r.example"].map(str::to_owned).to_vec(),
            ..Default::default()
        };
        let urls = IceUrls::new(&settings, "localhost", &RelayDoors::for_tests());
        assert_eq!(urls.stun, ["stun:r.example"]);
        assert_eq!(urls.turn, ["turns:r.example:443", "turn:r.example"]);
    }

    #[test]
    fn a_credential_names_room_and_peer_and_ends_with_the_room() {
        let secret = Secret::from_bytes([1; 32]);
        let (room, peer) = ("kitchen".parse().unwrap(), "alice".parse().unwrap());
        let holder = Holder { room: &room, peer: &peer, room_ends: NOW.plus(60), relay: &unlimited() };
        let settings = SignalSettings::default();
        let urls = IceUrls::new(&settings, "localhost", &RelayDoors::for_tests());
        let grant = grant(&urls, &holder, &TurnIssuer::hs256(&secret), &settings, NOW).unwrap();
        assert_eq!(grant.expires_at, NOW.plus(60));
        let username = grant.servers[1].username.as_deref().unwrap();
        let claims = TurnVerifier::hs256(&secret).check(username, NOW).unwrap();
        assert_eq!((claims.room, claims.sub, claims.exp), (room, peer, NOW.plus(60)));
        assert_eq!(claims.allocs, Some(10));
    }

    #[test]
    fn the_smaller_of_both_limits_is_in_the_credential() {
        let settings =
            SignalSettings { relay_bytes: Some(500), relay_bps: Some(100), ..SignalSettings::default() };
        check_limits(&SignalSettings::default(), (None, None), (None, None));
        check_limits(&SignalSettings::default(), (Some(9), Some(7)), (Some(9), Some(7)));
        check_limits(&settings, (None, None), (Some(500), Some(100)));
        check_limits(&settings, (Some(9), Some(700)), (Some(9), Some(100)));
    }

    #[test]
    fn fresh_credentials_of_a_token_with_a_budget_share_it() {
        let budget = RelayBudget { bytes: Some(9), bps: None };
        let relay = RelayAllowance { budget, token: "t".parse().unwrap() };
        assert_eq!(minted(&SignalSettings::default(), &relay).jti, relay.token);
        let first = minted(&SignalSettings::default(), &unlimited()).jti;
        assert_ne!(first, minted(&SignalSettings::default(), &unlimited()).jti);
    }

    #[test]
    fn the_settings_choose_the_transports_also_one_that_would_not_be_offered() {
        let settings = SignalSettings { relay_transports: vec![RelayTransport::Tls], ..Default::default() };
        let urls = IceUrls::new(&settings, "causeway.example:8080", &RelayDoors::for_tests());
        assert_eq!(urls.turn, ["turns:causeway.example:5349?transport=tcp"]);
        assert_eq!(urls.stun, ["stun:causeway.example:3478"]);
    }

    fn unlimited() -> RelayAllowance {
        RelayAllowance { budget: RelayBudget::default(), token: "t".parse().unwrap() }
    }

    fn check_limits(
        settings: &SignalSettings,
        (bytes, bps): (Option<u64>, Option<u64>),
        expected: (Option<u64>, Option<u64>),
    ) {
        let relay = RelayAllowance { budget: RelayBudget { bytes, bps }, ..unlimited() };
        let claims = minted(settings, &relay);
        assert_eq!((claims.bytes, claims.bps), expected);
    }

    fn minted(settings: &SignalSettings, relay: &RelayAllowance) -> TurnClaims {
        let secret = Secret::from_bytes([1; 32]);
        let (room, peer) = ("kitchen".parse().unwrap(), "alice".parse().unwrap());
        let holder = Holder { room: &room, peer: &peer, room_ends: NOW.plus(60), relay };
        let urls = IceUrls::new(settings, "localhost", &RelayDoors::for_tests());
        let grant = grant(&urls, &holder, &TurnIssuer::hs256(&secret), settings, NOW).unwrap();
        TurnVerifier::hs256(&secret).check(grant.servers[1].username.as_deref().unwrap(), NOW).unwrap()
    }

    fn check_host(authority: &str, host: &str) {
        let urls = IceUrls::new(&SignalSettings::default(), authority, &RelayDoors::for_tests());
        assert_eq!(urls.stun, [format!("stun:{host}:3478")]);
        assert_eq!(
            urls.turn,
            [format!("turn:{host}:3478?transport=udp"), format!("turn:{host}:3478?transport=tcp")]
        );
    }
}
