//! Workers that relay touch no heap: from the kernel's messages to the kernel's messages, and from one to the other.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without")]
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use causeway_stun::{ChannelData, ChannelNumber};
use causeway_turn::TurnSettings;
use common::client::{Client, Incoming};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::trains::send_train;
use common::transport::Datagrams;
use common::{peer, receive};

const CHANNEL: u16 = 0x4000;
const ROUNDS: u64 = 500;
const TRAIN: u64 = 16;

/// Workers of the relay.
const COUNT: usize = 2;
/// Clients that send to each other. All on one worker: a chance of one in two thousand, and then the test proves less.
const NEIGHBOURS: usize = 12;

struct Counting;

/// The threads whose allocations count.
static WORKERS: [AtomicI32; COUNT] = [const { AtomicI32::new(0) }; COUNT];
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    let counting = WORKERS.each_ref().map(|worker| worker.load(Ordering::Relaxed));
    // SAFETY: the call has no conditions.
    if counting != [0; COUNT] && counting.contains(&unsafe { libc::gettid() }) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_worker_allocates_for_no_datagram_it_relays() {
    let relay = TestRelay::start(&TurnSettings { workers: COUNT, ..settings() });
    let socket = peer("127.0.0.1");
    let mut client = Client::over(Datagrams::on(socket.try_clone().unwrap(), relay.v4()), USER, PASSWORD);
    let (bound, permitted) = (peer("127.0.0.1"), peer("127.0.0.2"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, bound.local_addr().unwrap());
    client.permit(permitted.local_addr().unwrap());
    let mut neighbours: Vec<Client> = (0..NEIGHBOURS).map(|_| relay.client()).collect();
    let addresses: Vec<_> = neighbours.iter_mut().map(Client::allocate).collect();
    for (place, neighbour) in neighbours.iter_mut().enumerate() {
        neighbour.bind_channel(CHANNEL, addresses[(place + 1) % NEIGHBOURS]);
        neighbour.permit(addresses[(place + NEIGHBOURS - 1) % NEIGHBOURS]);
    }
    let payloads = vec![vec![7; 1000]; usize::try_from(TRAIN).unwrap()];
    let frames: Vec<_> = payloads.iter().map(|payload| framed(payload)).collect();
    let mut round = || {
        send_train(&socket, relay.v4(), &frames);
        (0..TRAIN).for_each(|_| assert_eq!(receive(&bound).0.len(), 1000));
        send_train(&bound, relayed, &payloads);
        (0..TRAIN).for_each(|_| assert!(matches!(client.receive(), Incoming::Channel(..))));
        client.send_indication(permitted.local_addr().unwrap(), b"alone");
        assert_eq!(receive(&permitted).0, b"alone");
        permitted.send_to(b"alone", relayed).unwrap();
        assert!(matches!(client.receive(), Incoming::Indication(..)));
        for neighbour in &mut neighbours {
            neighbour.send_channel(CHANNEL, b"across");
        }
        for neighbour in &mut neighbours {
            assert!(matches!(neighbour.receive(), Incoming::Indication(..)));
        }
    };
    // Lists grow to their size once.
    round();
    for (counting, worker) in WORKERS.iter().zip(workers()) {
        counting.store(worker, Ordering::Relaxed);
    }
    (0..ROUNDS).for_each(|_| round());
    WORKERS.iter().for_each(|counting| counting.store(0, Ordering::Relaxed));
    // Once a second usage is reported and metrics are told, however much was relayed.
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    let datagrams = ROUNDS * (2 * TRAIN + 2 + NEIGHBOURS as u64);
    assert!(allocations < ROUNDS / 5, "{allocations} allocations in {datagrams} datagrams");
}

fn framed(data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; data.len() + 4];
    let number = ChannelNumber::new(CHANNEL).unwrap();
    ChannelData { number, data }.encode_datagram(&mut frame).unwrap();
    frame
}

/// The threads of the workers.
fn workers() -> [i32; COUNT] {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let workers = threads.filter(|path| fs::read_to_string(path.join("comm")).unwrap().starts_with("turn-"));
    let numbers = workers.map(|worker| worker.file_name().unwrap().to_str().unwrap().parse().unwrap());
    numbers.collect::<Vec<_>>().try_into().expect("one relay runs in this process")
}
