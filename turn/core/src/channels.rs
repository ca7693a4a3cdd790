//! The channels of one allocation: a number for a peer, each for ten minutes.

use std::net::SocketAddr;
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_stun::ChannelNumber;
use causeway_stun::attributes::AddressFamily;

use crate::address::PeerAddr;

/// RFC 8656 §12: "A channel binding lasts for 10 minutes unless refreshed."
pub(crate) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

/// The same channels twice, sorted for either direction of the data.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    by_number: Vec<Channel>,
    by_peer: Vec<(PeerAddr, ChannelNumber)>,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: ChannelNumber,
    peer: PeerAddr,
    expires: Moment,
}

/// Whether a number is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Yes(PeerAddr),
    Expired,
    No,
}

/// Why a channel is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindRefused {
    /// RFC 8656 §12.2: the number has another peer, or the peer another number.
    Conflict,
    /// The allocation has as many channels as it may have.
    Full,
}

impl Channels {
    /// The peer behind a number.
    #[inline]
    pub(crate) fn peer(&self, number: ChannelNumber, now: Moment) -> Bound {
        match self.find_number(number).ok().and_then(|index| self.by_number.get(index)) {
            Some(channel) if now < channel.expires => Bound::Yes(channel.peer),
            Some(_) => Bound::Expired,
            None => Bound::No,
        }
    }

    /// The number of a peer, if one is bound.
    #[inline]
    pub(crate) fn number(&self, peer: PeerAddr, now: Moment) -> Option<ChannelNumber> {
        let (_, number) = self.by_peer.get(self.find_peer(peer).ok()?)?;
        match self.peer(*number, now) {
            Bound::Yes(_) => Some(*number),
            Bound::Expired | Bound::No => None,
        }
    }

    /// Whether [`Channels::bind`] would succeed.
    pub(crate) fn can_bind(
        &mut self,
        number: ChannelNumber,
        peer: PeerAddr,
        limit: usize,
        now: Moment,
    ) -> Result<(), BindRefused> {
        self.forget_where(|channel| channel.expires <= now);
        match (self.peer(number, now), self.number(peer, now)) {
            (Bound::Yes(bound), Some(known)) if bound == peer && known == number => Ok(()),
            (Bound::Yes(_), _) | (_, Some(_)) => Err(BindRefused::Conflict),
            (Bound::Expired | Bound::No, None) if self.by_number.len() >= limit => Err(BindRefused::Full),
            (Bound::Expired | Bound::No, None) => Ok(()),
        }
    }

    /// Binds or refreshes, after [`Channels::can_bind`] agreed.
    pub(crate) fn bind(&mut self, number: ChannelNumber, peer: PeerAddr, now: Moment) {
        let channel = Channel { number, peer, expires: now.plus(CHANNEL_LIFETIME) };
        match self.find_number(number) {
            Ok(index) => {
                if let Some(known) = self.by_number.get_mut(index) {
                    *known = channel;
                }
            }
            Err(index) => {
                self.by_number.insert(index, channel);
                match self.find_peer(peer) {
                    Ok(_) => {}
                    Err(index) => self.by_peer.insert(index, (peer, number)),
                }
            }
        }
    }

    /// RFC 8656 §8.1: with one relayed address of two go the channels of its family.
    pub(crate) fn forget(&mut self, family: AddressFamily) {
        self.forget_where(|channel| AddressFamily::of(channel.peer.socket().ip()) == family);
    }

    fn forget_where(&mut self, gone: impl Fn(&Channel) -> bool) {
        let Self { by_number, by_peer } = self;
        by_number.retain(|channel| {
            let gone = gone(channel);
            if gone && let Ok(index) = by_peer.binary_search_by_key(&channel.peer, |(peer, _)| *peer) {
                by_peer.remove(index);
            }
            !gone
        });
    }

    fn find_number(&self, number: ChannelNumber) -> Result<usize, usize> {
        self.by_number.binary_search_by_key(&number, |channel| channel.number)
    }

    fn find_peer(&self, peer: PeerAddr) -> Result<usize, usize> {
        self.by_peer.binary_search_by_key::<SocketAddr, _>(&peer.socket(), |(peer, _)| peer.socket())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_found_from_either_end_for_ten_minutes() {
        let mut channels = Channels::default();
        bind(&mut channels, 0x4001, 1, 0).unwrap();
        assert_eq!(channels.peer(number(0x4001), at(599)), Bound::Yes(peer(1)));
        assert_eq!(channels.number(peer(1), at(599)), Some(number(0x4001)));
        assert_eq!(channels.peer(number(0x4001), at(600)), Bound::Expired);
        assert_eq!(channels.number(peer(1), at(600)), None);
    }

    #[test]
    fn neither_number_nor_peer_can_be_bound_twice_while_the_binding_lasts() {
        let mut channels = Channels::default();
        bind(&mut channels, 0x4001, 1, 0).unwrap();
        assert_eq!(bind(&mut channels, 0x4001, 2, 599), Err(BindRefused::Conflict));
        assert_eq!(bind(&mut channels, 0x4002, 1, 599), Err(BindRefused::Conflict));
        assert_eq!(bind(&mut channels, 0x4001, 2, 600), Ok(()));
        assert_eq!(bind(&mut channels, 0x4002, 1, 600), Ok(()));
        assert_eq!(channels.number(peer(2), at(600)), Some(number(0x4001)));
        assert_eq!(channels.number(peer(1), at(600)), Some(number(0x4002)));
    }

    #[test]
    fn binding_again_refreshes() {
        let mut channels = Channels::default();
        bind(&mut channels, 0x4001, 1, 0).unwrap();
        bind(&mut channels, 0x4001, 1, 500).unwrap();
        assert_eq!(channels.peer(number(0x4001), at(1_099)), Bound::Yes(peer(1)));
    }

    #[test]
    fn the_limit_counts_what_is_bound() {
        let mut channels = Channels::default();
        bind(&mut channels, 0x4001, 1, 0).unwrap();
        bind(&mut channels, 0x4002, 2, 0).unwrap();
        assert_eq!(bind(&mut channels, 0x4003, 3, 599), Err(BindRefused::Full));
        assert_eq!(bind(&mut channels, 0x4002, 2, 599), Ok(()));
        assert_eq!(bind(&mut channels, 0x4003, 3, 600), Ok(()));
    }

    fn bind(channels: &mut Channels, channel: u16, last: u8, now: u64) -> Result<(), BindRefused> {
        channels.can_bind(number(channel), peer(last), 2, at(now))?;
        channels.bind(number(channel), peer(last), at(now));
        Ok(())
    }

    fn number(number: u16) -> ChannelNumber {
        ChannelNumber::new(number).unwrap()
    }

    fn peer(last: u8) -> PeerAddr {
        PeerAddr::new(SocketAddr::from(([192, 0, 2, last], 5000)))
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
