//! The relay's shell: workers, sockets, counters.
