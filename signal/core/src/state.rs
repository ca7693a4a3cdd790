//! The room's state: keys that members set, each until it is deleted, its time is over, or the room ends.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_protocol::message::{
    MAX_STATE_KEY_LEN, MAX_STATE_KEYS, MAX_STATE_LEN, MAX_STATE_VALUE_LEN, StateEntry,
};
use causeway_protocol::{ErrorCode, Moment, Now, PeerId, UnixSeconds};
use serde_json::Value;

/// One key's value. As text, because a value in memory can be many times as large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) text: String,
    pub(crate) by: PeerId,
    pub(crate) until: Option<(Moment, UnixSeconds)>,
}

#[derive(Debug, Default)]
pub(crate) struct StateBoard {
    keys: BTreeMap<String, Held>,
    /// Of keys and values together.
    bytes: usize,
}

impl StateBoard {
    /// Sets a key; says when it goes by itself.
    pub(crate) fn set(
        &mut self,
        key: &str,
        value: &Value,
        by: &PeerId,
        ttl: Option<u64>,
        now: Now,
    ) -> Result<Option<UnixSeconds>, ErrorCode> {
        check_key(key)?;
        if ttl == Some(0) {
            return Err(ErrorCode::BadMessage);
        }
        let text = value.to_string();
        if text.len() > MAX_STATE_VALUE_LEN {
            return Err(ErrorCode::TooLarge);
        }
        let before = self.keys.get(key).map_or(0, |held| key.len() + held.text.len());
        let bytes = self.bytes - before + key.len() + text.len();
        let is_new = before == 0;
        if bytes > MAX_STATE_LEN || (is_new && self.keys.len() >= MAX_STATE_KEYS) {
            return Err(ErrorCode::StateFull);
        }
        let until = ttl.map(|ttl| (now.moment.plus(Duration::from_secs(ttl)), now.unix.plus(ttl)));
        self.keys.insert(key.to_owned(), Held { text, by: by.clone(), until });
        self.bytes = bytes;
        Ok(until.map(|(_, unix)| unix))
    }

    /// Deletes a key; says whether it was there.
    pub(crate) fn delete(&mut self, key: &str) -> Result<bool, ErrorCode> {
        check_key(key)?;
        Ok(self.take(key).is_some())
    }

    fn take(&mut self, key: &str) -> Option<Held> {
        let held = self.keys.remove(key)?;
        self.bytes -= key.len() + held.text.len();
        Some(held)
    }

    /// Takes away what is over: the keys, and who had set them.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<(String, PeerId)> {
        let is_over = |held: &Held| held.until.is_some_and(|(until, _)| until <= now);
        let over: Vec<_> =
            self.keys.iter().filter(|(_, held)| is_over(held)).map(|(key, _)| key.clone()).collect();
        over.into_iter().filter_map(|key| self.take(&key).map(|held| (key, held.by))).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.keys.values().filter_map(|held| held.until).map(|(until, _)| until).min()
    }

    /// As members see it.
    pub(crate) fn entries(&self) -> Vec<StateEntry> {
        let entry = |(key, held): (&String, &Held)| StateEntry {
            key: key.clone(),
            value: serde_json::from_str(&held.text).expect("the text was written from a value"),
            by: held.by.clone(),
            expires_at: held.until.map(|(_, unix)| unix),
        };
        self.keys.iter().map(entry).collect()
    }

    /// Takes over what another board had, as far as it is good.
    pub(crate) fn restore(&mut self, entries: Vec<StateEntry>, now: Now) {
        for StateEntry { key, value, by, expires_at } in entries {
            let ttl = expires_at.map(|unix| unix.since(now.unix).max(1));
            // What another node of ours has taken in is within the same bounds.
            let _within_bounds = self.set(&key, &value, &by, ttl, now);
        }
    }
}

fn check_key(key: &str) -> Result<(), ErrorCode> {
    if key.is_empty() || key.len() > MAX_STATE_KEY_LEN || key.chars().any(char::is_control) {
        return Err(ErrorCode::BadMessage);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_set_is_there_until_it_is_deleted() {
        let mut board = StateBoard::default();
        assert_eq!(board.set("b", &json!({"page": 7}), &alice(), None, now(0)), Ok(None));
        assert_eq!(board.set("a", &json!(1), &alice(), None, now(0)), Ok(None));
        assert_eq!(board.set("a", &json!(2), &alice(), None, now(0)), Ok(None));
        let entries = board.entries();
        let seen: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
        assert_eq!(seen, [("a", &json!(2)), ("b", &json!({"page": 7}))]);
        assert_eq!((board.delete("a"), board.delete("a")), (Ok(true), Ok(false)));
        assert_eq!(board.delete("b"), Ok(true));
        assert_eq!(board.bytes, 0);
    }

    #[test]
    fn a_key_goes_when_its_time_is_over() {
        let mut board = StateBoard::default();
        assert_eq!(board.set("a", &json!(1), &alice(), Some(10), now(0)), Ok(Some(UnixSeconds(10))));
        assert_eq!(board.next_deadline(), Some(now(10).moment));
        assert!(board.expire(now(9).moment).is_empty());
        assert_eq!(board.expire(now(10).moment), [("a".to_owned(), alice())]);
        assert_eq!(board.next_deadline(), None);
    }

    #[test]
    fn the_bounds_of_keys_and_values() {
        let mut board = StateBoard::default();
        for key in ["", "\n", &"k".repeat(MAX_STATE_KEY_LEN + 1)] {
            assert_eq!(board.set(key, &json!(1), &alice(), None, now(0)), Err(ErrorCode::BadMessage));
            assert_eq!(board.delete(key), Err(ErrorCode::BadMessage));
        }
        assert_eq!(board.set("k", &json!(1), &alice(), Some(0), now(0)), Err(ErrorCode::BadMessage));
        let largest = json!("x".repeat(MAX_STATE_VALUE_LEN - 2));
        assert_eq!(board.set("k", &largest, &alice(), None, now(0)), Ok(None));
        let larger = json!("x".repeat(MAX_STATE_VALUE_LEN - 1));
        assert_eq!(board.set("k", &larger, &alice(), None, now(0)), Err(ErrorCode::TooLarge));
    }

    #[test]
    fn a_full_board_takes_nothing_new_but_other_values_of_the_same_size() {
        let mut board = StateBoard::default();
        let value = json!("x".repeat(8000));
        let mut keys = 0;
        while board.set(&format!("k{keys}"), &value, &alice(), None, now(0)).is_ok() {
            keys += 1;
        }
        assert_eq!(keys, MAX_STATE_LEN / 8004);
        assert_eq!(board.set("k0", &value, &alice(), None, now(0)), Ok(None));
        let mut small = StateBoard::default();
        for n in 0..MAX_STATE_KEYS {
            assert_eq!(small.set(&format!("k{n}"), &json!(1), &alice(), None, now(0)), Ok(None));
        }
        assert_eq!(small.set("one more", &json!(1), &alice(), None, now(0)), Err(ErrorCode::StateFull));
        assert_eq!(small.set("k0", &json!(2), &alice(), None, now(0)), Ok(None));
    }

    fn alice() -> PeerId {
        "alice".parse().unwrap()
    }

    fn now(second: u64) -> Now {
        Now { moment: Moment::from_origin(Duration::from_secs(second)), unix: UnixSeconds(second) }
    }
}
