//! The relay against a naive model: random requests, data and passing time, with the RFC's rules written down twice.

mod common;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use causeway_stun::Method;
use causeway_stun::attributes::{AdditionalAddressFamily, AddressFamily, Lifetime, RequestedAddressFamily};
use causeway_turn_core::*;
use common::*;
use proptest::prelude::*;

/// What one client may do next.
#[derive(Clone, Debug)]
enum Step {
    Allocate { both: bool },
    Refresh { seconds: u32, family: Option<bool> },
    Permit { peer: usize },
    Bind { number: u16, peer: usize },
    SendTo { peer: usize },
    SendOn { number: u16 },
    Hear { peer: usize },
    Pass { seconds: u64, timers: bool },
}

/// Public, public on the same IP, another IP, IPv6, forbidden.
const PEERS: [&str; 5] = ["8.8.8.8:1", "8.8.8.8:2", "9.9.9.9:1", "[2a00::8]:1", "10.0.0.1:1"];

/// One allocation, as RFC 8656 describes it: maps of expiry dates.
#[derive(Default)]
struct Model {
    relayed: HashMap<bool, u64>,
    permissions: HashMap<IpAddr, u64>,
    channels: HashMap<u16, (SocketAddr, u64)>,
}

impl Model {
    fn prune(&mut self, now: u64) {
        let mut gone = vec![];
        self.relayed.retain(|v4, expires| {
            let alive = now < *expires;
            if !alive {
                gone.push(*v4);
            }
            alive
        });
        for v4 in gone {
            self.permissions.retain(|ip, _| ip.is_ipv4() != v4);
            self.channels.retain(|_, (peer, _)| peer.is_ipv4() != v4);
        }
        self.permissions.retain(|_, expires| now < *expires);
        self.channels.retain(|_, (_, expires)| now < *expires);
    }

    fn passes(&self, peer: SocketAddr) -> bool {
        self.relayed.contains_key(&peer.is_ipv4()) && self.permissions.contains_key(&peer.ip())
    }

    /// The code for a permission or a channel, apart from conflicts.
    fn peer_code(&self, peer: SocketAddr) -> u16 {
        if !self.relayed.contains_key(&peer.is_ipv4()) {
            443
        } else if peer.ip() == IpAddr::from([10, 0, 0, 1]) {
            403
        } else {
            0
        }
    }

    fn apply(&mut self, step: &Step, now: u64) -> Expected {
        self.prune(now);
        let none = self.relayed.is_empty();
        match step {
            Step::Allocate { .. } if !none => Expected::Code(437),
            Step::Allocate { both } => {
                self.relayed.insert(true, now + 600);
                if *both {
                    self.relayed.insert(false, now + 600);
                }
                Expected::Code(0)
            }
            Step::Refresh { .. } | Step::Permit { .. } | Step::Bind { .. } if none => Expected::Code(437),
            Step::Refresh { seconds, family } => {
                if family.is_some_and(|v4| !self.relayed.contains_key(&v4)) {
                    return Expected::Code(443);
                }
                let lifetime = if *seconds == 0 { 0 } else { u64::from(*seconds).clamp(600, 3600) };
                for (v4, expires) in &mut self.relayed {
                    if family.is_none_or(|family| family == *v4) {
                        *expires = now + lifetime;
                    }
                }
                self.prune(now);
                Expected::Code(0)
            }
            Step::Permit { peer } => {
                let peer: SocketAddr = PEERS[*peer].parse().expect("an address");
                let code = self.peer_code(peer);
                if code == 0 {
                    self.permissions.insert(peer.ip(), now + 300);
                }
                Expected::Code(code)
            }
            Step::Bind { number, peer } => {
                let peer: SocketAddr = PEERS[*peer].parse().expect("an address");
                let conflict =
                    self.channels.iter().any(|(known, (bound, _))| (known == number) != (*bound == peer));
                let code = if conflict { 400 } else { self.peer_code(peer) };
                if code == 0 {
                    self.permissions.insert(peer.ip(), now + 300);
                    self.channels.insert(*number, (peer, now + 600));
                }
                Expected::Code(code)
            }
            Step::SendTo { peer } => {
                let peer = PEERS[*peer].parse().expect("an address");
                Expected::ToPeer(self.passes(peer).then_some(peer))
            }
            Step::SendOn { number } => {
                let bound = self.channels.get(number).map(|(peer, _)| *peer);
                Expected::ToPeer(bound.filter(|peer| self.passes(*peer)))
            }
            Step::Hear { peer } => {
                let peer: SocketAddr = PEERS[*peer].parse().expect("an address");
                let channel =
                    self.channels.iter().find(|(_, (bound, _))| *bound == peer).map(|(number, _)| *number);
                Expected::ToClient(self.passes(peer).then_some(channel))
            }
            Step::Pass { .. } => Expected::Nothing,
        }
    }
}

/// What the model says the relay does.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Code(u16),
    ToPeer(Option<SocketAddr>),
    /// On which channel, if it passes at all.
    ToClient(Option<Option<u16>>),
    Nothing,
}

/// What the relay does.
fn drive(
    world: &mut World,
    client: &mut Client,
    relayed: &mut HashMap<bool, SocketAddr>,
    step: &Step,
) -> Expected {
    match step {
        Step::Allocate { both } => {
            let additional = AdditionalAddressFamily(AddressFamily::Ipv6);
            let answer = match both {
                true => ask(world, client, Method::Allocate, &[UDP, &additional]),
                false => ask(world, client, Method::Allocate, &[UDP]),
            };
            if answer.code() == 0 {
                relayed.extend(answer.relayed().into_iter().map(|address| (address.is_ipv4(), address)));
            }
            Expected::Code(answer.code())
        }
        Step::Refresh { seconds, family } => {
            let lifetime = Lifetime { seconds: *seconds };
            let answer = match family {
                None => ask(world, client, Method::Refresh, &[&lifetime]),
                Some(v4) => {
                    let family = if *v4 { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
                    ask(world, client, Method::Refresh, &[&lifetime, &RequestedAddressFamily(family)])
                }
            };
            Expected::Code(answer.code())
        }
        Step::Permit { peer } => {
            client.learn_nonce(world);
            Expected::Code(client.permit(world, PEERS[*peer]))
        }
        Step::Bind { number, peer } => {
            client.learn_nonce(world);
            Expected::Code(client.bind(world, *number, PEERS[*peer]))
        }
        Step::SendTo { peer } => {
            let datagram = send_indication(PEERS[*peer], b"x", &[]);
            to_peer(world.client_sends(client.address, &datagram))
        }
        Step::SendOn { number } => to_peer(world.client_sends(client.address, &channel_data(*number, b"x"))),
        Step::Hear { peer } => {
            let from: SocketAddr = PEERS[*peer].parse().expect("an address");
            let Some(on) = relayed.get(&from.is_ipv4()) else { return Expected::ToClient(None) };
            match world.peer_sends(*on, PEERS[*peer], b"x") {
                verdict @ Verdict::ToClient { .. } => {
                    let bytes = sent_to_client(verdict, b"x").1;
                    let number = u16::from_be_bytes([bytes[0], bytes[1]]);
                    Expected::ToClient(Some((number >= 0x4000).then_some(number)))
                }
                Verdict::Dropped(_) => Expected::ToClient(None),
                verdict @ (Verdict::ToPeer { .. } | Verdict::ToRelay { .. } | Verdict::Handled) => {
                    panic!("{verdict:?}")
                }
            }
        }
        Step::Pass { seconds, timers: true } => {
            world.pass(*seconds);
            Expected::Nothing
        }
        Step::Pass { seconds, timers: false } => {
            world.pass_without_timers(*seconds);
            Expected::Nothing
        }
    }
}

fn ask(
    world: &mut World,
    client: &mut Client,
    method: Method,
    attributes: &[&dyn causeway_stun::Encode],
) -> Answer {
    client.learn_nonce(world);
    client.ask(world, method, attributes)
}

fn to_peer(verdict: Verdict) -> Expected {
    match verdict {
        Verdict::ToPeer { to, .. } => Expected::ToPeer(Some(to.socket())),
        Verdict::Dropped(_) => Expected::ToPeer(None),
        verdict @ (Verdict::ToRelay { .. } | Verdict::ToClient { .. } | Verdict::Handled) => {
            panic!("{verdict:?}")
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 0..PEERS.len();
    let number = 0x4000u16..0x4003;
    prop_oneof![
        2 => any::<bool>().prop_map(|both| Step::Allocate { both }),
        2 => (prop::sample::select(vec![0, 1, 600, 601, 3_000, 9_999]), any::<Option<bool>>())
            .prop_map(|(seconds, family)| Step::Refresh { seconds, family }),
        4 => peer.clone().prop_map(|peer| Step::Permit { peer }),
        4 => (number.clone(), peer.clone()).prop_map(|(number, peer)| Step::Bind { number, peer }),
        4 => peer.clone().prop_map(|peer| Step::SendTo { peer }),
        4 => number.prop_map(|number| Step::SendOn { number }),
        4 => peer.prop_map(|peer| Step::Hear { peer }),
        3 => (prop::sample::select(vec![1, 100, 299, 300, 301, 599, 600, 5_000]), any::<bool>())
            .prop_map(|(seconds, timers)| Step::Pass { seconds, timers }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_relay_does_what_the_model_does(steps in prop::collection::vec((0usize..2, step()), 1..60)) {
        let mut world = World::new();
        let mut clients = [Client::new("1.1.1.1:1000"), Client::new("1.1.1.1:1001")];
        let mut relayed = [HashMap::new(), HashMap::new()];
        let mut models = [Model::default(), Model::default()];
        let mut now = 0;
        for (number, (who, step)) in steps.iter().enumerate() {
            if let Step::Pass { seconds, .. } = step {
                now += seconds;
            }
            let expected = models[*who].apply(step, now);
            let done = drive(&mut world, &mut clients[*who], &mut relayed[*who], step);
            prop_assert_eq!(done, expected, "step {}: {:?}", number, step);
        }
        // Whatever happened, in the end everything is given back.
        world.pass(4_000);
        prop_assert!(world.bound.is_empty());
        prop_assert_eq!(world.relay.counters().allocations, 0);
    }
}
