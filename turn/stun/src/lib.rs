//! STUN and TURN codec: borrows, never allocates to decode.
