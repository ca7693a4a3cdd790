//! Steps about tickets, ICMP errors, rooms, limits, external addresses and how a client negotiates.

use std::net::SocketAddr;
use std::sync::Arc;

use causeway_protocol::bus::RoomLimits;
use causeway_stun::attributes::*;
use causeway_stun::{Class, Encode, IntegrityKey, Method};
use causeway_turn_core::*;

use super::{PEERS, Player, Script};
use crate::common::*;

const ASK: &dyn Encode = &MobilityTicket(&[]);
/// What is left of the script's memory of tickets.
const MAX_TICKETS: usize = 32;

impl Player {
    /// One of the steps above the plain ones.
    pub(super) fn extra(&mut self, kind: u8, who: usize, script: &mut Script<'_>) -> Option<()> {
        match kind {
            0 => self.mobile(who, script),
            1 => self.icmp(script),
            2 => self.room(script),
            3 => self.limits(script),
            4 => self.external(script),
            _ => self.negotiate(who, script),
        }
    }

    /// RFC 8016: asking for tickets, showing them, again and elsewhere, changed ones too.
    fn mobile(&mut self, who: usize, script: &mut Script<'_>) -> Option<()> {
        let (how, which) = (script.byte()?, script.byte()?);
        if how % 4 == 0 {
            let wish: &dyn Encode = if how & 4 == 0 { UDP } else { &RequestedTransport(6) };
            self.request(who, Method::Allocate, &[wish, ASK]);
            return Some(());
        }
        let known = self.tickets.len().checked_sub(1);
        let mut ticket = known.map(|last| self.tickets[last.saturating_sub(which.into())].clone())?;
        if how % 4 == 3 {
            let at = usize::from(script.byte()?) % ticket.len();
            ticket[at] ^= script.byte()?;
        }
        let lifetime = Lifetime { seconds: if how & 4 == 0 { 600 } else { 0 } };
        self.request(who, Method::Refresh, &[&lifetime, &MobilityTicket(&ticket)]);
        Some(())
    }

    /// What answers brought, for [`Player::mobile`].
    pub(super) fn keep_ticket(&mut self, ticket: &[u8]) {
        if !ticket.is_empty() && !self.tickets.iter().any(|known| known == ticket) {
            self.tickets.push(ticket.to_vec());
        }
        if self.tickets.len() > MAX_TICKETS {
            self.tickets.remove(0);
        }
    }

    /// RFC 8656 §11.5
    fn icmp(&mut self, script: &mut Script<'_>) -> Option<()> {
        let on = self.relayed.get(usize::from(script.byte()?) % self.relayed.len().max(1)).copied();
        let from = script.pick(&PEERS)?;
        let (icmp_type, icmp_code, data) = (script.byte()?, script.byte()?, script.byte()?);
        if let Some(on) = on {
            let (port, peer) = (self.world.port(self.inside(on)), peer(from));
            self.world.relay.on_icmp(self.world.now, port, peer, icmp_type, icmp_code, data.into());
            self.world.perform();
        }
        Some(())
    }

    /// The addresses of a room, new and in place of those before.
    fn room(&mut self, script: &mut Script<'_>) -> Option<()> {
        let (relayed, observed) = (script.byte()?, script.byte()?);
        let chosen = |mask: u8| (0..8).filter(move |bit| mask >> bit & 1 == 1);
        let own = chosen(relayed).filter_map(|index| self.relayed.get(index).copied());
        let seen: Vec<SocketAddr> =
            chosen(observed).filter_map(|index| PEERS.get(index)).map(|peer| peer.parse().unwrap()).collect();
        let strangers = seen.iter().copied().filter(|_| relayed & 128 != 0);
        let room = RoomPeers {
            room: "kitchen".parse().unwrap(),
            relayed: own.chain(strangers).collect(),
            observed: seen.iter().map(SocketAddr::ip).collect(),
        };
        self.world.control(Control::RoomPeers(room));
        Some(())
    }

    /// Rates and counts, of all, of a room, and shared anew.
    fn limits(&mut self, script: &mut Script<'_>) -> Option<()> {
        let (how, much) = (script.byte()?, u64::from(script.byte()?));
        let limits = Limits::default();
        match how % 5 {
            0 => self.world.control(Control::Limits(Limits { allocation_bytes_per_second: much, ..limits })),
            1 => self.world.control(Control::Limits(Limits { room_bytes_per_second: much, ..limits })),
            2 => self.world.control(Control::Limits(Limits { node_bytes_per_second: much, ..limits })),
            3 => {
                let bytes_per_second = (how & 8 == 0).then_some(much);
                let room = "kitchen".parse().unwrap();
                let until = self.world.now.unix.plus(much);
                self.world
                    .meters
                    .limit_room(RoomLimits { room, bytes_per_second, until }, self.world.now.unix);
            }
            _ => {}
        }
        Arc::clone(&self.world.meters).share(self.world.now);
        Some(())
    }

    /// A NAT comes, changes its address, or goes.
    fn external(&mut self, script: &mut Script<'_>) -> Option<()> {
        let externals = match script.byte()? % 3 {
            0 => vec![],
            1 => vec![(RELAY_V4, "52.0.0.1")],
            _ => vec![(RELAY_V4, "52.0.0.2"), (RELAY_V6, "2a00::52")],
        };
        let externals = externals.into_iter().map(|(local, external)| ExternalIp {
            local: local.parse().unwrap(),
            external: external.parse().unwrap(),
        });
        self.world.control(Control::External(ExternalIps::new(externals).unwrap()));
        Some(())
    }

    /// Where a relayed address is bound, whatever others know it as.
    pub(super) fn inside(&self, relayed: SocketAddr) -> SocketAddr {
        let ip = if relayed.is_ipv4() { RELAY_V4 } else { RELAY_V6 };
        SocketAddr::new(ip.parse().unwrap(), relayed.port())
    }

    /// RFC 8489 §9.2: a request that names, offers and uses algorithms as no sane client would.
    fn negotiate(&mut self, who: usize, script: &mut Script<'_>) -> Option<()> {
        let (how, method) = (script.byte()?, script.pick(&[Method::Refresh, Method::Allocate])?);
        let flag = |bit: u32| how >> bit & 1 == 1;
        let client = &mut self.clients[who];
        let (id, name, password) = (client.transaction(), client.username.clone(), client.password.clone());
        let nonce = client.nonce.clone();
        let key = if flag(0) {
            IntegrityKey::long_term_sha256(&name, REALM, &password)
        } else {
            IntegrityKey::long_term_md5(&name, REALM, &password)
        };
        let datagram = build(Class::Request, method, id, flag(7), |writer| {
            if method == Method::Allocate {
                writer.put(UDP).unwrap();
            }
            if flag(1) {
                writer.put(&Userhash::of(&name, REALM)).unwrap();
            } else {
                writer.put(&Username::new(&name).unwrap()).unwrap();
            }
            writer.put(&Realm::new(REALM).unwrap()).unwrap();
            writer.put(&Nonce::new(&nonce).unwrap()).unwrap();
            if flag(2) {
                writer.put(&PasswordAlgorithms::SHA256_AND_MD5).unwrap();
            }
            if flag(3) {
                let algorithm = if flag(4) { Algorithm::SHA256 } else { Algorithm::MD5 };
                writer.put(&PasswordAlgorithm::new(algorithm)).unwrap();
            }
            if flag(5) {
                writer.put_integrity(&key).unwrap();
            }
            if flag(6) || !flag(5) {
                writer.put_integrity_sha256(&key).unwrap();
            }
        });
        self.send(who, datagram);
        Some(())
    }
}
