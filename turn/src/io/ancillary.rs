//! Control messages as the kernel writes them beside a datagram (cmsg(3)), read without trusting their lengths.

/// `struct cmsghdr` on 64-bit Linux: length (8), level (4), type (4), data.
const HEADER: usize = 16;

/// One control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ancillary<'a> {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    pub(crate) data: &'a [u8],
}

/// The control messages of `control`, up to the first that is cut or lies about its length.
pub(crate) fn ancillaries(mut control: &[u8]) -> impl Iterator<Item = Ancillary<'_>> {
    std::iter::from_fn(move || {
        let (&header, _) = control.split_first_chunk::<HEADER>()?;
        let [l0, l1, l2, l3, l4, l5, l6, l7, v0, v1, v2, v3, k0, k1, k2, k3] = header;
        let length = usize::from_ne_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        let data = control.get(HEADER..length)?;
        control = control.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
        let (level, kind) = (i32::from_ne_bytes([v0, v1, v2, v3]), i32::from_ne_bytes([k0, k1, k2, k3]));
        Some(Ancillary { level, kind, data })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_found_behind_the_padding_of_the_one_before() {
        let control = [message(17, 1, 2, &[9]), message(20, 3, 4, &[1, 2, 3, 4])].concat();
        let found: Vec<_> = ancillaries(&control).map(|it| (it.level, it.kind, it.data.to_vec())).collect();
        assert_eq!(found, [(1, 2, vec![9]), (3, 4, vec![1, 2, 3, 4])]);
    }

    #[test]
    fn a_length_that_lies_ends_the_list() {
        for length in [0, 15, 25, usize::MAX] {
            assert_eq!(ancillaries(&message(length, 1, 2, &[9])).next(), None, "{length}");
        }
        let whole = message(24, 1, 2, &[0; 8]);
        for cut in 0..whole.len() {
            assert_eq!(ancillaries(&whole[..cut]).next(), None, "{cut}");
        }
    }

    fn message(length: usize, level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(24, 0);
        bytes
    }
}
