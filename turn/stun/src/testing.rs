//! What the attributes' tests share: one value, its bytes, there and back.

use core::fmt::Debug;

use crate::{Attribute, AttributeError, Encode, TransactionId, ValueWriter};

/// The transaction of every attribute test: that of RFC 5769.
pub const TRANSACTION: TransactionId =
    TransactionId([0xB7, 0xE7, 0xA7, 0x01, 0xBC, 0x34, 0xD6, 0x86, 0xFA, 0x87, 0xDF, 0xAE]);

/// Bytes of spaced hex.
pub fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The attribute is written as `hex` and read back from it.
pub fn check_round_trip<'a, A>(attribute: &A, hex: &str)
where
    A: Attribute<'a> + Encode + Debug + PartialEq,
{
    check_encodes(attribute, hex);
    assert_eq!(A::decode(bytes(hex).leak(), &TRANSACTION).as_ref(), Ok(attribute));
}

/// The attribute is written as `hex`.
pub fn check_encodes(attribute: &impl Encode, hex: &str) {
    let mut buffer = [0; 1024];
    let mut value = ValueWriter::new(&mut buffer);
    attribute.encode(&TRANSACTION, &mut value).unwrap();
    let length = value.written();
    assert_eq!(buffer[..length], bytes(hex));
}

/// The value is refused because of its length.
pub fn check_length_refused<'a, A: Attribute<'a> + Debug + PartialEq>(value: &'a [u8]) {
    assert_eq!(
        A::decode(value, &TRANSACTION),
        Err(AttributeError::Length { kind: A::TYPE, length: value.len() })
    );
}
