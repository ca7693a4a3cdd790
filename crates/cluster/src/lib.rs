//! The Bus between nodes.
