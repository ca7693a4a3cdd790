//! Tokens by name that are refused although they would still be genuine: used invites, and those of peers that were sent
//! away.

use std::collections::HashMap;

use causeway_protocol::UnixSeconds;
use causeway_protocol::ids::TokenId;
use causeway_protocol::record::Revoked;

/// Tokens that a room remembers at a time, of each kind. A guess far above any real room; it bounds what a host can
/// make the server remember.
pub const MAX_TOKENS: usize = 10_000;

/// Each until it would be refused anyway.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenSet(HashMap<TokenId, UnixSeconds>);

/// As many as can be are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl TokenSet {
    pub(crate) fn contains(&self, id: &TokenId) -> bool {
        self.0.contains_key(id)
    }

    /// Remembers one, if there is room.
    pub(crate) fn insert(
        &mut self,
        id: TokenId,
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<(), TooMany> {
        self.make_room(now);
        if self.0.len() >= MAX_TOKENS {
            return Err(TooMany);
        }
        self.0.insert(id, until);
        Ok(())
    }

    /// Remembers one in any case; the one that expires first goes for it.
    pub(crate) fn force(&mut self, id: TokenId, until: UnixSeconds, now: UnixSeconds) {
        self.make_room(now);
        if self.0.len() >= MAX_TOKENS {
            let first = self.0.iter().min_by_key(|(_, until)| **until).map(|(id, _)| id.clone());
            first.and_then(|first| self.0.remove(&first));
        }
        self.0.insert(id, until);
    }

    fn make_room(&mut self, now: UnixSeconds) {
        if self.0.len() >= MAX_TOKENS {
            self.0.retain(|_, until| *until > now);
        }
    }

    /// As it is written down, in the order of the names.
    pub(crate) fn list(&self, now: UnixSeconds) -> Vec<Revoked> {
        let alive = self.0.iter().filter(|(_, until)| **until > now);
        let mut list: Vec<_> = alive.map(|(id, until)| Revoked { id: id.clone(), until: *until }).collect();
        list.sort_by(|one, other| one.id.cmp(&other.id));
        list
    }
}

impl From<Vec<Revoked>> for TokenSet {
    fn from(list: Vec<Revoked>) -> Self {
        Self(list.into_iter().take(MAX_TOKENS).map(|Revoked { id, until }| (id, until)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn the_memory_is_bounded_and_frees_what_expired() {
        let mut set = TokenSet::default();
        for n in 0..MAX_TOKENS {
            set.insert(id(n), NOW.plus(60), NOW).unwrap();
        }
        assert_eq!(set.insert(id(MAX_TOKENS), NOW.plus(600), NOW), Err(TooMany));
        assert_eq!(set.insert(id(MAX_TOKENS), NOW.plus(600), NOW.plus(60)), Ok(()));
        assert_eq!(set.0.len(), 1);
    }

    #[test]
    fn what_is_forced_in_is_remembered_even_when_all_else_is_fresh() {
        let mut set = TokenSet::default();
        for n in 0..MAX_TOKENS {
            set.force(id(n), NOW.plus(60 + u64::try_from(n).unwrap()), NOW);
        }
        set.force(id(MAX_TOKENS), NOW.plus(1000), NOW);
        assert!(set.contains(&id(MAX_TOKENS)) && !set.contains(&id(0)));
        assert_eq!(set.0.len(), MAX_TOKENS);
    }

    #[test]
    fn a_list_leaves_out_what_is_over() {
        let mut set = TokenSet::default();
        set.force(id(2), NOW.plus(60), NOW);
        set.force(id(1), NOW.plus(10), NOW);
        let ids = |now| set.list(now).into_iter().map(|revoked| revoked.id).collect::<Vec<_>>();
        assert_eq!(ids(NOW), [id(1), id(2)]);
        assert_eq!(ids(NOW.plus(10)), [id(2)]);
        assert!(TokenSet::from(set.list(NOW)).contains(&id(2)));
    }

    fn id(n: usize) -> TokenId {
        format!("t{n}").parse().unwrap()
    }
}
