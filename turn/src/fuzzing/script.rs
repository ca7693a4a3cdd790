//! A script of steps read from any bytes.

/// The bytes that are left. A script that ends in the middle of a step ends before it.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl<'a> Script<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// So many bytes as the next two say, at most 2047: the bits above are of no use.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes([self.byte()?, self.byte()?]) & 0x07FF;
        let (taken, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        Some(taken)
    }

    /// A position and what to change there.
    pub(super) fn change(&mut self) -> Option<Change> {
        let at = u16::from_be_bytes([self.byte()?, self.byte()?]);
        Some(Change { at: at.into(), with: self.byte()? })
    }
}

/// A byte that somebody changes on the way.
pub(super) struct Change {
    at: usize,
    with: u8,
}

impl Change {
    pub(super) fn apply(&self, bytes: &mut [u8]) {
        if let Some(at) = self.at.checked_rem(bytes.len())
            && let Some(byte) = bytes.get_mut(at)
        {
            *byte ^= self.with;
        }
    }
}
