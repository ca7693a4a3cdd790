//! What two Causeway processes must agree on: ids, messages, tokens, envelopes.
