//! Where one frame of a stream ends and the next begins, and how long one may be.

use causeway_stun::Frame;

use crate::stream::counters::CloseReason;

/// The longest frame of somebody without an allocation: requests with the longest credentials have some 2 kB.
pub(crate) const BEFORE_ALLOCATION: usize = 4096;
/// The longest frame otherwise: the largest datagram fits, with its header.
pub(crate) const LONGEST_FRAME: usize = 65_536;

/// A frame without its padding, and what is behind it.
pub(crate) type Cut<'a> = (&'a [u8], &'a [u8]);

/// The first frame of `stream`; `None` until more has come.
///
/// # Errors
/// Why the connection has to be closed.
pub(crate) fn next_frame(stream: &[u8], longest: usize) -> Result<Option<Cut<'_>>, CloseReason> {
    let (length, padded) = match Frame::at_start(stream) {
        Frame::Need(total) if total <= longest => return Ok(None),
        Frame::Stun(length) if length <= longest => (length, length),
        Frame::ChannelData { length, padded } if padded <= longest => (length, padded),
        Frame::Need(_) | Frame::Stun(_) | Frame::ChannelData { .. } => return Err(CloseReason::FrameTooLong),
        Frame::Invalid => return Err(CloseReason::Garbage),
    };
    Ok(stream
        .split_at_checked(padded)
        .and_then(|(frame, behind)| frame.get(..length).map(|frame| (frame, behind))))
}
