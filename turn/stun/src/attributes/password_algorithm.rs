//! PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS: how the long-term key is derived (RFC 8489 §14.11, §14.12).
//!
//! ```text
//! |  algorithm (16)  |  length of parameters (16)  |  parameters … padding to a multiple of 4  |
//! ```

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A number of IANA's STUN password algorithms (RFC 8489 §18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Algorithm(pub u16);

impl Algorithm {
    /// [`IntegrityKey::long_term_md5`](crate::IntegrityKey::long_term_md5); without parameters.
    pub const MD5: Self = Self(1);
    /// [`IntegrityKey::long_term_sha256`](crate::IntegrityKey::long_term_sha256); without parameters.
    pub const SHA256: Self = Self(2);
}

/// One algorithm: the one a client chose, or an entry of a server's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PasswordAlgorithm<'a> {
    /// Which algorithm.
    pub algorithm: Algorithm,
    parameters: &'a [u8],
}

impl<'a> PasswordAlgorithm<'a> {
    /// An algorithm without parameters, as MD5 and SHA-256 are.
    #[must_use]
    pub const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, parameters: &[] }
    }

    /// What the algorithm needs besides its number, without padding.
    #[must_use]
    pub const fn parameters(&self) -> &'a [u8] {
        self.parameters
    }

    /// The first entry of a list and what follows it. The padding of the last entry may be missing, since it is also
    /// that of the attribute.
    fn split(entries: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[a0, a1, l0, l1], rest) = entries.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let parameters = rest.get(..length)?;
        let rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((Self { algorithm: Algorithm(u16::from_be_bytes([a0, a1])), parameters }, rest))
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithm<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHM;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        match Self::split(value) {
            Some((algorithm, [])) => Ok(algorithm),
            Some((_, _)) | None => Err(AttributeError::Length { kind: Self::TYPE, length: value.len() }),
        }
    }
}

impl Encode for PasswordAlgorithm<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        let length = self.parameters.len();
        value.u16(self.algorithm.0)?;
        value.length(length)?;
        value.bytes(self.parameters)?;
        value.zeros(length.next_multiple_of(4).saturating_sub(length))
    }
}

/// The algorithms a server accepts, best first: borrowed bytes whose framing is checked. A client sends the list back
/// as it came, so that nobody on the way can take the better ones out (RFC 8489 §9.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PasswordAlgorithms<'a>(&'a [u8]);

impl<'a> PasswordAlgorithms<'a> {
    /// SHA-256, else MD5: everything RFC 8489 defines.
    pub const SHA256_AND_MD5: PasswordAlgorithms<'static> = PasswordAlgorithms(&[0, 2, 0, 0, 0, 1, 0, 0]);

    /// The entries, in order.
    #[must_use]
    pub const fn iter(&self) -> PasswordAlgorithmIter<'a> {
        PasswordAlgorithmIter(self.0)
    }
}

impl<'a> IntoIterator for PasswordAlgorithms<'a> {
    type Item = PasswordAlgorithm<'a>;
    type IntoIter = PasswordAlgorithmIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The entries of [`PasswordAlgorithms`].
#[derive(Clone, Debug)]
pub struct PasswordAlgorithmIter<'a>(&'a [u8]);

impl<'a> Iterator for PasswordAlgorithmIter<'a> {
    type Item = PasswordAlgorithm<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (algorithm, rest) = PasswordAlgorithm::split(self.0)?;
        self.0 = rest;
        Some(algorithm)
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithms<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let mut rest = value;
        while !rest.is_empty() {
            let Some((_, next)) = PasswordAlgorithm::split(rest) else {
                return Err(AttributeError::Length { kind: Self::TYPE, length: value.len() });
            };
            rest = next;
        }
        Ok(Self(value))
    }
}

impl Encode for PasswordAlgorithms<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn one_algorithm_reads_what_it_writes() {
        check_round_trip(&PasswordAlgorithm::new(Algorithm::SHA256), "00 02 00 00");
        check_round_trip(
            &PasswordAlgorithm { algorithm: Algorithm(9), parameters: &[7] },
            "00 09 00 01 07 00 00 00",
        );
    }

    #[test]
    fn a_list_keeps_its_order() {
        check_round_trip(&PasswordAlgorithms::SHA256_AND_MD5, "00 02 00 00 00 01 00 00");
        let algorithms: Vec<Algorithm> =
            PasswordAlgorithms::SHA256_AND_MD5.iter().map(|entry| entry.algorithm).collect();
        assert_eq!(algorithms, [Algorithm::SHA256, Algorithm::MD5]);
    }

    #[test]
    fn the_last_entrys_padding_may_be_the_attributes() {
        let value = [0, 9, 0, 1, 7, 0, 0, 0, 0, 9, 0, 1, 8];
        let list = PasswordAlgorithms::decode(&value, &TRANSACTION).unwrap();
        let parameters: Vec<&[u8]> = list.into_iter().map(|entry| entry.parameters()).collect();
        assert_eq!(parameters, [[7], [8]]);
    }

    #[test]
    fn parameters_that_lead_out_of_the_value_are_refused() {
        check_length_refused::<PasswordAlgorithm<'_>>(&[0, 1, 0, 1]);
        check_length_refused::<PasswordAlgorithm<'_>>(&[0, 1, 0]);
        check_length_refused::<PasswordAlgorithms<'_>>(&[0, 1, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn one_algorithm_is_not_two() {
        check_length_refused::<PasswordAlgorithm<'_>>(&[0, 1, 0, 0, 0, 2, 0, 0]);
    }
}
