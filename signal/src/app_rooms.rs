//! Which rooms of this node were made by which app.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use causeway_protocol::RoomId;
use causeway_protocol::ids::ApiKeyId;

/// The rooms that this node owns, by the key that made them; those of people are not among them.
#[derive(Default)]
pub(crate) struct AppRooms(Mutex<HashMap<ApiKeyId, BTreeSet<RoomId>>>);

impl AppRooms {
    pub(crate) fn add(&self, key: &ApiKeyId, room: &RoomId) {
        self.lock().entry(key.clone()).or_default().insert(room.clone());
    }

    pub(crate) fn remove(&self, key: &ApiKeyId, room: &RoomId) {
        let mut all = self.lock();
        if let Some(rooms) = all.get_mut(key) {
            rooms.remove(room);
            if rooms.is_empty() {
                all.remove(key);
            }
        }
    }

    pub(crate) fn count(&self, key: &ApiKeyId) -> usize {
        self.lock().get(key).map_or(0, BTreeSet::len)
    }

    /// In the order of their ids.
    pub(crate) fn of(&self, key: &ApiKeyId) -> Vec<RoomId> {
        self.lock().get(key).map(|rooms| rooms.iter().cloned().collect()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ApiKeyId, BTreeSet<RoomId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_the_rooms_that_it_made_until_they_are_gone() {
        let (rooms, app): (_, ApiKeyId) = (AppRooms::default(), "app".parse().unwrap());
        let (one, two): (RoomId, RoomId) = ("one".parse().unwrap(), "two".parse().unwrap());
        rooms.add(&app, &two);
        rooms.add(&app, &one);
        rooms.add(&"other".parse().unwrap(), &one);
        assert_eq!(rooms.of(&app), [one.clone(), two.clone()]);
        rooms.remove(&app, &one);
        rooms.remove(&app, &two);
        assert_eq!((rooms.count(&app), rooms.of(&app).len()), (0, 0));
        assert_eq!(rooms.lock().len(), 1, "an app without rooms costs nothing");
    }
}
