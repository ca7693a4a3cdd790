//! The TURN relay as a state machine: bytes and a time in, verdicts out.
