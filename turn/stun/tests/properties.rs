//! Properties of arbitrary input: nothing panics, and what is written is read.

mod seed;
mod vectors;

use causeway_stun::attributes::{ChannelNumber, Data, Known};
use causeway_stun::{
    AttributeType, ChannelData, Class, IntegrityKey, Message, MessageWriter, Method, fuzzing,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use seed::{class, config, method, seed};

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn any_bytes_are_taken_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        fuzzing::datagram(&bytes);
    }

    #[test]
    fn any_attribute_values_are_taken_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        fuzzing::attributes(&bytes);
    }

    #[test]
    fn damaged_messages_are_taken_without_a_panic(
        vector in select(&vectors::ALL),
        damage in vec((any::<Index>(), any::<u8>()), 0..6),
        cut in any::<Index>(),
        length in select(&[Length::AsItWas, Length::Repaired]),
    ) {
        let mut bytes = vector.to_vec();
        for (at, with) in damage {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let (Length::Repaired, 20..) = (length, bytes.len()) {
            bytes.truncate(bytes.len() / 4 * 4);
            let body = u16::try_from(bytes.len() - 20).unwrap();
            bytes[2..4].copy_from_slice(&body.to_be_bytes());
            bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
        }
        fuzzing::datagram(&bytes);
    }

    #[test]
    fn channel_data_is_read_as_it_was_written(
        number in 0x4000_u16..=0x7FFF,
        data in vec(any::<u8>(), 0..2000),
    ) {
        let sent = ChannelData { number: ChannelNumber::new(number).unwrap(), data: &data };
        let mut buffer = vec![0xA5; 2100];
        let length = sent.encode_stream(&mut buffer).unwrap();
        prop_assert_eq!(ChannelData::decode(&buffer[..length]), Ok(sent));
        fuzzing::datagram(&buffer);
    }

    #[test]
    fn every_attribute_is_read_as_it_was_written(seed in seed(), class in class(), method in method()) {
        let list = seed.list();
        let written = seed.attributes(&list);
        let types: Vec<AttributeType> = written.iter().map(causeway_stun::Encode::kind).collect();
        prop_assert_eq!(types, Known::TYPES);

        let key = IntegrityKey::long_term_sha256("user", &seed.text, "password");
        let mut buffer = vec![0xA5; 16_384];
        let mut writer = MessageWriter::new(&mut buffer, class, method, seed.transaction).unwrap();
        for attribute in &written {
            writer.put(attribute).unwrap();
        }
        writer.put_integrity(&key).unwrap();
        writer.put_integrity_sha256(&key).unwrap();
        writer.put_fingerprint().unwrap();
        let length = writer.finish();

        fuzzing::datagram(&buffer[..length]);
        let message = Message::decode(&buffer[..length]).unwrap();
        prop_assert_eq!((message.class(), message.method()), (class, method));
        prop_assert_eq!(message.transaction_id(), seed.transaction);
        let read: Vec<Known<'_>> = message
            .attributes()
            .filter_map(|attribute| Known::decode(attribute, &seed.transaction).unwrap())
            .collect();
        prop_assert_eq!(read, written);
        prop_assert_eq!(message.verify_integrity(&key), Ok(()));
        prop_assert_eq!(message.verify_integrity_sha256(&key), Ok(()));
        prop_assert_eq!(message.fingerprint(), Ok(()));
        prop_assert!(message.unknown_required(Known::TYPES).is_empty());
        prop_assert!(message.verify_integrity(&IntegrityKey::short_term(&seed.text)).is_err());
    }

    #[test]
    fn a_changed_byte_breaks_every_seal_behind_it(seed in seed(), at in any::<Index>(), with in 1_u8..) {
        let key = IntegrityKey::short_term("password");
        let mut buffer = vec![0xA5; 4096];
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Indication, Method::Data, seed.transaction).unwrap();
        writer.put(&Data(&seed.bytes)).unwrap();
        let sealed = 20 + 4 + seed.bytes.len();
        writer.put_integrity(&key).unwrap();
        writer.put_integrity_sha256(&key).unwrap();
        writer.put_fingerprint().unwrap();
        let length = writer.finish();
        buffer[at.index(sealed)] ^= with;
        if let Ok(message) = Message::decode(&buffer[..length]) {
            prop_assert!(message.verify_integrity(&key).is_err());
            prop_assert!(message.verify_integrity_sha256(&key).is_err());
            prop_assert!(message.fingerprint().is_err());
        }
    }
}

/// Whether a damaged message gets a length field and a cookie that lead the decoder on to the attributes.
#[derive(Clone, Copy, Debug)]
enum Length {
    AsItWas,
    Repaired,
}
