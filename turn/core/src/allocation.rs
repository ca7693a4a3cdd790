//! One allocation: a client's relayed addresses, under whose credential, and who may reach them.

use std::sync::Arc;
use std::time::Duration;

use causeway_protocol::{Moment, Now, UnixSeconds};
use causeway_stun::TransactionId;
use causeway_stun::attributes::AddressFamily;

use crate::address::{ClientAddr, RelayPort};
use crate::auth::check::{Authenticated, KeyKind};
use crate::auth::credentials::Grant;
use crate::auth::verified::Credential;
use crate::channels::Channels;
use crate::event::{AllocationId, Usage};
use crate::icmp::IcmpLimit;
use crate::meter::Admission;
use crate::mobility::Mobile;
use crate::permissions::Permissions;
use crate::policy::Scope;
use crate::rooms::Rooms;
use crate::tcp::{PeerConnection, RelayProtocol};

/// How long an allocation may outlive its credential: what a Refresh sent just before the end still brings, and
/// enough that a client near the end is not made to refresh every second.
pub(crate) const EXPIRY_GRACE: Duration = Duration::from_secs(60);

/// The state of RFC 8656 §6.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) id: AllocationId,
    pub(crate) client: ClientAddr,
    pub(crate) credential: Arc<Credential>,
    /// What its peers speak.
    pub(crate) protocol: RelayProtocol,
    pub(crate) relayed: Relayed,
    pub(crate) permissions: Permissions,
    pub(crate) channels: Channels,
    /// To peers, of whatever state; a TCP allocation's only.
    pub(crate) connections: Vec<PeerConnection>,
    /// The room's number, if the credential is for the room's peers only.
    pub(crate) room: Option<u32>,
    pub(crate) usage: Usage,
    /// Its part in what the node counts.
    pub(crate) admission: Admission,
    /// It can move (RFC 8016).
    pub(crate) mobile: Option<Mobile>,
    /// Whether the allocation is on the list of those whose usage is to be reported.
    pub(crate) changed: bool,
    pub(crate) icmp: IcmpLimit,
    /// The transaction that created it and what was answered, for when the answer is lost (RFC 8656 §7.2).
    pub(crate) created_by: TransactionId,
    pub(crate) answer: Box<[u8]>,
}

/// One relayed address, or one of each family, each with its own time to expiry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Relayed {
    v4: Option<RelayedAddress>,
    v6: Option<RelayedAddress>,
}

/// A relayed address and when it expires.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayedAddress {
    pub(crate) port: RelayPort,
    pub(crate) expires: Moment,
}

impl Relayed {
    pub(crate) const fn of(&self, family: AddressFamily) -> Option<&RelayedAddress> {
        match family {
            AddressFamily::Ipv4 => self.v4.as_ref(),
            AddressFamily::Ipv6 => self.v6.as_ref(),
        }
    }

    pub(crate) const fn of_mut(&mut self, family: AddressFamily) -> &mut Option<RelayedAddress> {
        match family {
            AddressFamily::Ipv4 => &mut self.v4,
            AddressFamily::Ipv6 => &mut self.v6,
        }
    }

    pub(crate) fn insert(&mut self, port: RelayPort, expires: Moment) {
        *self.of_mut(AddressFamily::of(port.address.ip())) = Some(RelayedAddress { port, expires });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RelayedAddress> {
        self.v4.iter().chain(&self.v6)
    }

    /// The families there are, IPv4 first.
    pub(crate) fn families(&self) -> impl Iterator<Item = AddressFamily> + use<> {
        let v4 = self.v4.is_some().then_some(AddressFamily::Ipv4);
        v4.into_iter().chain(self.v6.is_some().then_some(AddressFamily::Ipv6))
    }

    /// When the first of the addresses expires; `None`: none is left.
    pub(crate) fn next_expiry(&self) -> Option<Moment> {
        self.iter().map(|address| address.expires).min()
    }

    /// Whether an address is left that has not expired.
    pub(crate) fn is_alive(&self, now: Moment) -> bool {
        self.iter().any(|address| now < address.expires)
    }
}

impl Allocation {
    pub(crate) fn new(
        id: AllocationId,
        client: ClientAddr,
        credential: Arc<Credential>,
        protocol: RelayProtocol,
        admission: Admission,
        relayed: Relayed,
        created_by: TransactionId,
    ) -> Self {
        Self {
            id,
            client,
            credential,
            protocol,
            relayed,
            permissions: Permissions::default(),
            channels: Channels::default(),
            connections: Vec::new(),
            room: None,
            usage: Usage::default(),
            admission,
            mobile: None,
            changed: false,
            icmp: IcmpLimit::default(),
            created_by,
            answer: Box::default(),
        }
    }

    /// Whether the sender is the one who made the allocation: the same user, or whoever has a token, since tokens name no
    /// user and a client that renews its token may get one under another key.
    pub(crate) fn is_of(&self, sender: &Authenticated) -> bool {
        match (self.credential.kind, sender.credential.kind) {
            (KeyKind::Password(_), KeyKind::Password(_)) => {
                self.credential.username == sender.credential.username
            }
            (KeyKind::Token(_), KeyKind::Token(_)) => true,
            (KeyKind::Password(_), KeyKind::Token(_)) | (KeyKind::Token(_), KeyKind::Password(_)) => false,
        }
    }

    /// The same for a sender on another 5-tuple, which vouches for nothing: a token must be the very one that the
    /// allocation was made or last refreshed with.
    pub(crate) fn has_credential_of(&self, sender: &Authenticated) -> bool {
        match (self.credential.kind, sender.credential.kind) {
            (KeyKind::Token(ours), KeyKind::Token(theirs)) => ours == theirs,
            (KeyKind::Password(_), _) | (_, KeyKind::Password(_)) => self.is_of(sender),
        }
    }

    /// Takes over the token of a Refresh. Whom the allocation counts for stays.
    pub(crate) fn renew(&mut self, sender: &Authenticated) {
        let Credential { username, key, kind, grant } = &*sender.credential;
        match kind {
            KeyKind::Password(_) => {}
            KeyKind::Token(_) => {
                self.credential = Arc::new(Credential {
                    username: username.clone(),
                    key: key.clone(),
                    kind: *kind,
                    grant: Grant { expires: grant.expires, ..self.credential.grant.clone() },
                });
            }
        }
    }

    /// Whether nobody is there to send to: the client's session is over, and it has not come back yet.
    pub(crate) fn is_away(&self) -> bool {
        self.mobile.as_ref().is_some_and(Mobile::is_away)
    }

    /// Whether the client's earlier 5-tuple is still good.
    pub(crate) fn is_moving(&self) -> bool {
        self.mobile.as_ref().is_some_and(Mobile::is_moving)
    }

    /// Whom the allocation may exchange data with.
    pub(crate) fn scope<'a>(&self, rooms: &'a Rooms) -> Scope<'a> {
        match self.room {
            Some(number) => Scope::Room(rooms.get(number)),
            None => Scope::Public,
        }
    }
}

/// The last second of allocations whose credential expires then.
pub(crate) fn last_second(credential_expires: UnixSeconds) -> UnixSeconds {
    credential_expires.plus(EXPIRY_GRACE.as_secs())
}

/// How long an allocation lives from `now`, of what was granted: never beyond its credential and [`EXPIRY_GRACE`].
pub(crate) fn capped_lifetime(
    granted: Duration,
    credential_expires: Option<UnixSeconds>,
    now: Now,
) -> Duration {
    match credential_expires {
        Some(expires) => {
            granted.min(Duration::from_secs(expires.since(now.unix)).saturating_add(EXPIRY_GRACE))
        }
        None => granted,
    }
}
