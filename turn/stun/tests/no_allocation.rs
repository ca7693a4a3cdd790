//! Reading a message touches no heap: a counting allocator watches decode, lookups, checks and writing.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

mod vectors;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use causeway_stun::attributes::{
    ChannelNumber, Code, Data, ErrorCode, Known, Nonce, Realm, Software, Userhash, Username,
    XorMappedAddress, XorPeerAddress,
};
use causeway_stun::{
    AttributeType, ChannelData, Class, Frame, IntegrityKey, Message, MessageWriter, Method, TransactionId,
    classify,
};
use vectors::{IPV4_RESPONSE, LONG_TERM_REQUEST, REQUEST, SHA256_REQUEST, SHORT_TERM_PASSWORD};

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(Box::new(1_u8))), 1);
}

#[test]
fn reading_a_message_allocates_nothing() {
    let key = IntegrityKey::short_term(SHORT_TERM_PASSWORD);
    let count = allocations(|| {
        for vector in vectors::ALL {
            assert_eq!(Frame::at_start(vector), Frame::Stun(vector.len()));
            let message = Message::decode(vector).unwrap();
            for attribute in message.attributes() {
                Known::decode(attribute, &message.transaction_id()).unwrap();
            }
            assert_eq!(message.get_all::<Data<'_>>().count(), 0);
            assert!(message.unknown_required(&[AttributeType::USERNAME]).as_slice().len() < 16);
        }
        let message = Message::decode(REQUEST).unwrap();
        assert!(message.get::<Username<'_>>().unwrap().is_some());
        assert_eq!(message.verify_integrity(&key), Ok(()));
        assert_eq!(message.fingerprint(), Ok(()));
        assert!(Message::decode(IPV4_RESPONSE).unwrap().get::<XorMappedAddress>().unwrap().is_some());
        assert!(Message::decode(LONG_TERM_REQUEST).unwrap().verify_integrity(&key).is_err());
        assert!(Message::decode(SHA256_REQUEST).unwrap().verify_integrity_sha256(&key).is_err());
    });
    assert_eq!(count, 0);
}

#[test]
fn refusing_a_message_allocates_nothing() {
    let count = allocations(|| {
        for cut in 0..REQUEST.len() {
            assert!(Message::decode(&REQUEST[..cut]).is_err());
            assert!(ChannelData::decode(&REQUEST[..cut]).is_err());
            black_box(classify(&REQUEST[..cut]));
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn deriving_keys_allocates_nothing() {
    let count = allocations(|| {
        black_box(IntegrityKey::long_term_md5("user", "realm", "password"));
        black_box(IntegrityKey::long_term_sha256("user", "realm", "password"));
        black_box(Userhash::of("user", "realm"));
    });
    assert_eq!(count, 0);
}

#[test]
fn writing_a_message_allocates_nothing() {
    let key = IntegrityKey::short_term(SHORT_TERM_PASSWORD);
    let mut buffer = [0; 512];
    let count = allocations(|| {
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Error, Method::Allocate, TransactionId([9; 12])).unwrap();
        writer.put(&ErrorCode::from(Code::Unauthenticated)).unwrap();
        writer.put(&Realm::new("north.gov").unwrap()).unwrap();
        writer.put(&Nonce::new(b"nonce").unwrap()).unwrap();
        writer.put(&Software::new("software").unwrap()).unwrap();
        writer.put(&XorPeerAddress(([192, 0, 2, 1], 7).into())).unwrap();
        writer.put_integrity(&key).unwrap();
        writer.put_integrity_sha256(&key).unwrap();
        writer.put_fingerprint().unwrap();
        let length = writer.finish();
        assert!(Message::decode(&buffer[..length]).is_ok());
        let data = ChannelData { number: ChannelNumber::MIN, data: &[1, 2, 3] };
        assert_eq!(data.encode_stream(&mut buffer), Ok(8));
        assert_eq!(ChannelData::decode(&buffer[..8]).map(|read| read.number), Ok(ChannelNumber::MIN));
    });
    assert_eq!(count, 0);
}

/// How often this thread asked for memory while `work` ran.
fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is a constant-initialised thread-local
// without a destructor, so counting allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}
