//! A worker that relays touches no heap, from the kernel's messages to the kernel's messages.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without")]
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use causeway_stun::{ChannelData, ChannelNumber};
use common::client::{Client, Incoming};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::trains::send_train;
use common::transport::Datagrams;
use common::{peer, receive};

const CHANNEL: u16 = 0x4000;
const ROUNDS: u64 = 500;
const TRAIN: u64 = 16;

struct Counting;

/// The thread whose allocations count.
static WORKER: AtomicI32 = AtomicI32::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    let worker = WORKER.load(Ordering::Relaxed);
    // SAFETY: the call has no conditions.
    if worker != 0 && worker == unsafe { libc::gettid() } {
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
    let relay = TestRelay::start(&settings());
    let socket = peer("127.0.0.1");
    let mut client = Client::over(Datagrams::on(socket.try_clone().unwrap(), relay.v4()), USER, PASSWORD);
    let (bound, permitted) = (peer("127.0.0.1"), peer("127.0.0.2"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, bound.local_addr().unwrap());
    client.permit(permitted.local_addr().unwrap());
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
    };
    // Lists grow to their size once.
    round();
    WORKER.store(worker(), Ordering::Relaxed);
    (0..ROUNDS).for_each(|_| round());
    WORKER.store(0, Ordering::Relaxed);
    // Once a second usage is reported and metrics are told, however much was relayed.
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(allocations < ROUNDS / 10, "{allocations} allocations in {} datagrams", ROUNDS * (2 * TRAIN + 2));
}

fn framed(data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; data.len() + 4];
    let number = ChannelNumber::new(CHANNEL).unwrap();
    ChannelData { number, data }.encode_datagram(&mut frame).unwrap();
    frame
}

/// The thread of the only worker.
fn worker() -> i32 {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let mut workers =
        threads.filter(|path| fs::read_to_string(path.join("comm")).unwrap().trim() == "turn-0");
    let worker = workers.next().expect("a worker runs");
    assert!(workers.next().is_none(), "one relay runs in this process");
    worker.file_name().unwrap().to_str().unwrap().parse().unwrap()
}
