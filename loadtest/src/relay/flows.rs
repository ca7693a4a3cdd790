//! Flows through a relay: their allocations, permissions and channels, and the lanes that run over them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use causeway_stun::attributes::{Data, XorPeerAddress};
use causeway_stun::{ChannelData, Class, HEADER_LENGTH, MessageWriter, Method};

use crate::failure::{Doing, Failure};
use crate::relay::args::{Direction, Framing, Load, Partner, Receivers};
use crate::relay::client::{self, Client, transaction_id};
use crate::relay::lane::{Arriving, Lane, Progress, TRANSACTION_ID_AT};
use crate::relay::server::LOGIN;

/// Behind the header of a Send indication come XOR-PEER-ADDRESS (12 bytes) and the header of DATA (4).
const DATA_AT: usize = HEADER_LENGTH + 12 + 4;

/// Sets up all flows of a load.
pub(crate) fn relayed(server: SocketAddr, load: &Load) -> Result<Vec<Lane>, Failure> {
    let mut lanes = Vec::new();
    for _ in 0..load.flows {
        match load.partner {
            Partner::Peer => with_a_peer(server, load, &mut lanes)?,
            Partner::Client => with_a_client(server, load, &mut lanes)?,
        }
    }
    for lane in &lanes {
        if load.burst > 1 {
            lane.cut_bursts()?;
        }
        if load.receivers == Receivers::Joining {
            lane.join_arrivals()?;
        }
    }
    Ok(lanes)
}

/// Binding requests, a lane for each socket.
pub(crate) fn binding(server: SocketAddr, load: &Load) -> Result<Vec<Lane>, Failure> {
    let mut lanes = Vec::new();
    for _ in 0..load.flows {
        let client = Client::new(server, LOGIN)?;
        let mut packet = vec![0; HEADER_LENGTH];
        let writer = MessageWriter::new(&mut packet, Class::Request, Method::Binding, transaction_id(0))?;
        let length = writer.finish();
        packet.truncate(length);
        lanes.push(lane(&client.socket, &client.socket, packet, TRANSACTION_ID_AT, Arriving::Answer));
    }
    Ok(lanes)
}

/// A client, and a peer that knows nothing of TURN.
fn with_a_peer(server: SocketAddr, load: &Load, lanes: &mut Vec<Lane>) -> Result<(), Failure> {
    let mut client = Client::new(server, LOGIN)?;
    let relayed = client.allocate()?;
    let peer = client::socket()?;
    peer.connect(relayed).doing("connecting a socket")?;
    let peer = Arc::new(peer);
    let peer_address = peer.local_addr().doing("asking for a socket's address")?;
    let outgoing = Outgoing::open(&mut client, peer_address, load)?;
    if load.direction != Direction::Down {
        let arriving = Arriving::Fixed { length: load.size, stamp_at: 0 };
        lanes.push(outgoing.lane(&client.socket, &peer, arriving));
    }
    if load.direction != Direction::Up {
        lanes.push(lane(&peer, &client.socket, vec![0; load.size], 0, incoming(load)));
    }
    Ok(())
}

/// Two clients of the server, each the other's peer.
fn with_a_client(server: SocketAddr, load: &Load, lanes: &mut Vec<Lane>) -> Result<(), Failure> {
    let (mut near, mut far) = (Client::new(server, LOGIN)?, Client::new(server, LOGIN)?);
    let (near_relayed, far_relayed) = (near.allocate()?, far.allocate()?);
    let up = Outgoing::open(&mut near, far_relayed, load)?;
    let down = Outgoing::open(&mut far, near_relayed, load)?;
    if load.direction != Direction::Down {
        lanes.push(up.lane(&near.socket, &far.socket, incoming(load)));
    }
    if load.direction != Direction::Up {
        lanes.push(down.lane(&far.socket, &near.socket, incoming(load)));
    }
    Ok(())
}

/// What a client sends towards a peer.
struct Outgoing {
    packet: Vec<u8>,
    stamp_at: usize,
}

impl Outgoing {
    /// Opens the way to a peer and writes the packet that takes it.
    fn open(client: &mut Client, peer: SocketAddr, load: &Load) -> Result<Self, Failure> {
        let payload = vec![0; load.size];
        let mut packet = vec![0; load.size + 64];
        let (length, stamp_at) = match load.framing {
            Framing::Channel => {
                let number = client.bind_channel(peer)?;
                (
                    ChannelData { number, data: &payload }.encode_datagram(&mut packet)?,
                    ChannelData::HEADER_LENGTH,
                )
            }
            Framing::Indication => {
                client.permit(peer)?;
                let id = transaction_id(0);
                let mut writer = MessageWriter::new(&mut packet, Class::Indication, Method::Send, id)?;
                writer.put(&XorPeerAddress(peer))?;
                writer.put(&Data(&payload))?;
                (writer.finish(), DATA_AT)
            }
        };
        packet.truncate(length);
        Ok(Self { packet, stamp_at })
    }

    fn lane(self, from: &Arc<UdpSocket>, to: &Arc<UdpSocket>, arriving: Arriving) -> Lane {
        lane(from, to, self.packet, self.stamp_at, arriving)
    }
}

/// What a client receives from a peer that it has a channel to, or not.
const fn incoming(load: &Load) -> Arriving {
    match load.framing {
        Framing::Channel => {
            let length = ChannelData::HEADER_LENGTH + load.size;
            Arriving::Fixed { length, stamp_at: ChannelData::HEADER_LENGTH }
        }
        Framing::Indication => Arriving::Indication,
    }
}

fn lane(
    from: &Arc<UdpSocket>,
    to: &Arc<UdpSocket>,
    packet: Vec<u8>,
    stamp_at: usize,
    arriving: Arriving,
) -> Lane {
    Lane {
        from: Arc::clone(from),
        to: Arc::clone(to),
        packet,
        stamp_at,
        arriving,
        progress: Progress::default(),
    }
}
