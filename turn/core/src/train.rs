//! What was decided about a datagram, for those behind it in the same train.
//!
//! Datagrams of one train have one source, most often one channel, and are looked at in one moment. What decides about
//! them cannot change in between without [`Relay::forget_trains`]: every input that is no data calls it, and so does
//! the end of an allocation. Limits are asked for each datagram.

use causeway_protocol::{Moment, Now};
use causeway_stun::{ChannelData, ChannelNumber};

use crate::address::{ClientAddr, PeerAddr, RelayPort};
use crate::data::Direction;
use crate::dropped::DropReason;
use crate::relay::Relay;
use crate::verdict::{Header, Payload, Verdict};

/// The youngest train of either side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trains {
    from_client: Option<FromClient>,
    from_peer: Option<FromPeer>,
    /// The last input was a peer's data, and it goes to the client.
    repeats: bool,
}

/// Where ChannelData of a client went, at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromClient {
    pub(crate) at: Moment,
    pub(crate) from: ClientAddr,
    pub(crate) channel: ChannelNumber,
    pub(crate) allocation: u32,
    /// To a peer. Kept whole, because copying is faster than putting together.
    pub(crate) verdict: Verdict,
}

impl FromClient {
    /// The same for other data.
    #[inline]
    pub(crate) fn with(&self, data: Payload) -> Verdict {
        let mut verdict = self.verdict;
        if let Verdict::ToPeer { payload, .. } = &mut verdict {
            *payload = data;
        }
        verdict
    }
}

/// Whether a peer's datagram goes the way of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It does, with the same header, and has been counted.
    Same,
    /// It is dropped.
    Dropped,
    /// That is for [`Relay::on_peer`] to say.
    Unknown,
}

/// Where a peer's data went, at a moment, in a channel without padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromPeer {
    pub(crate) at: Moment,
    pub(crate) on: RelayPort,
    pub(crate) from: PeerAddr,
    pub(crate) allocation: u32,
    pub(crate) to: ClientAddr,
    pub(crate) channel: ChannelNumber,
}

impl Relay {
    /// The way that a client's data goes as the datagram before it did, if that is known.
    #[inline]
    pub(crate) fn follow_client(
        &self,
        now: Now,
        from: &ClientAddr,
        channel: ChannelNumber,
    ) -> Option<&FromClient> {
        let train = self.trains.from_client.as_ref()?;
        (train.at == now.moment && train.channel == channel && train.from == *from).then_some(train)
    }

    /// Lets a peer's data go the way of the datagram before it, if that is known.
    #[inline]
    pub(crate) fn follow_peer(
        &mut self,
        now: Now,
        on: RelayPort,
        from: PeerAddr,
        payload: Payload,
    ) -> Option<Result<Verdict, DropReason>> {
        let train = self.trains.from_peer.as_ref()?;
        if train.at != now.moment || train.on != on || train.from != from {
            return None;
        }
        let (allocation, to, channel) = (train.allocation, train.to, train.channel);
        let length = u16::try_from(payload.range().len()).ok()?;
        let counted = self.account(allocation, Direction::ToClient, payload.range().len(), now);
        let header = Header::channel_data(ChannelData::header(channel, length));
        Some(counted.map(|()| Verdict::ToClient { to, header, payload, padding: 0 }))
    }

    /// Whether another datagram of a peer, as long as the one before, goes where that went: the one that
    /// [`Relay::on_peer`] was asked about last, and nothing else since. To hear this costs less than half of what a verdict
    /// does, most of which is copying (docs/perf-log.md).
    pub fn on_peer_again(&mut self, now: Now, on: RelayPort, from: &PeerAddr, length: usize) -> Again {
        let Some(train) = self.trains.from_peer.as_ref() else { return Again::Unknown };
        if !self.trains.repeats || train.at != now.moment || train.on != on || train.from != *from {
            return Again::Unknown;
        }
        match self.account(train.allocation, Direction::ToClient, length, now) {
            Ok(()) => Again::Same,
            Err(reason) => {
                self.lost_from_peer(now, on, reason);
                self.counters.count_drop(reason);
                Again::Dropped
            }
        }
    }

    /// Says whether a peer's data that goes to its client was the last input.
    #[inline]
    pub(crate) fn note_repeats(&mut self, repeats: bool) {
        self.trains.repeats = repeats;
    }

    pub(crate) fn lead_client(&mut self, train: FromClient) {
        self.trains.from_client = Some(train);
    }

    pub(crate) fn lead_peer(&mut self, train: FromPeer) {
        self.trains.from_peer = Some(train);
    }

    /// Something other than data happens.
    pub(crate) fn forget_trains(&mut self) {
        self.trains = Trains::default();
    }
}
