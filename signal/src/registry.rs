//! Which rooms there are, and the threads they live on.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::{Actor, Addr, Arbiter, Context};
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::{Epoch, RoomId};
use tokio::sync::Notify;

use crate::app_rooms::AppRooms;
use crate::metrics;
use crate::room::{Beginning, RoomActor};
use crate::state::Signal;

/// Messages that wait for one room. Senders wait in turn; only a usage report is dropped when it is full.
const MAILBOX: usize = 1024;

/// The rooms of this server.
pub(crate) struct Registry {
    rooms: Mutex<HashMap<RoomId, Entry>>,
    /// Rooms that have ended for good, until what was kept of them is gone, too.
    over: Mutex<HashSet<RoomId>>,
    /// Told of every room that is gone.
    gone: Notify,
    apps: AppRooms,
    threads: Vec<Arbiter>,
    hasher: RandomState,
}

/// Why a room was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// As many rooms are open as may be.
    Full,
    /// A room of this name is open.
    Taken,
}

impl Registry {
    /// Starts the threads; wants an actix system around it.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            rooms: Mutex::new(HashMap::new()),
            over: Mutex::new(HashSet::new()),
            gone: Notify::new(),
            apps: AppRooms::default(),
            threads: (0..threads.max(1)).map(|_| Arbiter::new()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Gives the room's actor a thread and a name by which it is found.
    pub(crate) fn open(
        &self,
        id: &RoomId,
        beginning: Beginning,
        signal: &Arc<Signal>,
    ) -> Result<Addr<RoomActor>, NotOpened> {
        let max_rooms = signal.settings().max_rooms;
        {
            let rooms = self.lock();
            if rooms.len() >= max_rooms {
                return Err(NotOpened::Full);
            }
            if rooms.contains_key(id) {
                return Err(NotOpened::Taken);
            }
        }
        // Started outside the lock: a thread that is stopping drops the actor here, and with it its entry.
        let mut registered = Registered::new(Arc::clone(signal), id.clone());
        if let Beginning::Ours { room, epoch } = &beginning {
            // At once, and not when the actor gets its turn: whoever made the room finds it.
            registered.set_owned(Some(*epoch));
            registered.set_app(room.app());
        }
        let owned = Arc::clone(&registered.owned);
        let address = RoomActor::start_in_arbiter(&self.thread(id).handle(), move |ctx: &mut Context<_>| {
            ctx.set_mailbox_capacity(MAILBOX);
            RoomActor::new(beginning, registered)
        });
        self.lock().insert(id.clone(), Entry { address: address.clone(), owned });
        metrics::room_opened();
        Ok(address)
    }

    /// The room of this name, if it is open.
    pub(crate) fn find(&self, id: &RoomId) -> Option<Addr<RoomActor>> {
        if self.is_over(id) {
            return None;
        }
        self.lock().get(id).map(|entry| &entry.address).filter(|room| room.connected()).cloned()
    }

    /// The rooms that apps made and this node owns.
    pub(crate) const fn apps(&self) -> &AppRooms {
        &self.apps
    }

    /// All rooms with an actor here, whoever owns them.
    pub(crate) fn all(&self) -> Vec<Addr<RoomActor>> {
        self.lock().values().map(|entry| entry.address.clone()).collect()
    }

    /// The rooms that this node owns, with the epochs.
    pub(crate) fn owned(&self) -> Vec<(RoomId, Epoch)> {
        let rooms = self.lock();
        let owned = rooms.iter().map(|(id, entry)| (id.clone(), Epoch(entry.owned.load(Ordering::Acquire))));
        owned.filter(|(_, epoch)| *epoch != NOT_OWNED).collect()
    }

    /// Runs this on the thread of the room of this name, open or not; `false`: the threads have ended.
    pub(crate) fn spawn_with(&self, id: &RoomId, f: impl FnOnce() + Send + 'static) -> bool {
        self.thread(id).spawn_fn(f)
    }

    /// Ends the threads and whatever still lives on them.
    pub(crate) fn stop(&self) {
        for thread in &self.threads {
            thread.stop();
        }
    }

    /// The room has ended for good. Whoever asks for it from here on, while its actor still says goodbye or its record is still to
    /// be removed, is told that there is none.
    pub(crate) fn set_over(&self, id: &RoomId) {
        self.lock_over().insert(id.clone());
    }

    pub(crate) fn is_over(&self, id: &RoomId) -> bool {
        self.lock_over().contains(id)
    }

    /// Nothing is kept any more of a room that had ended: its name is free.
    pub(crate) fn set_gone(&self, id: &RoomId) {
        self.lock_over().remove(id);
        self.gone.notify_waiters();
    }

    /// Waits until nothing is left here of a room that ends.
    pub(crate) async fn until_gone(&self, id: &RoomId) {
        loop {
            let gone = self.gone.notified();
            if !self.is_over(id) && !self.lock().contains_key(id) {
                return;
            }
            gone.await;
        }
    }

    fn thread(&self, id: &RoomId) -> &Arbiter {
        let count = u64::try_from(self.threads.len()).unwrap_or(1);
        let at = usize::try_from(self.hasher.hash_one(id) % count).unwrap_or(0);
        &self.threads[at]
    }

    fn forget(&self, id: &RoomId) {
        if self.lock().remove(id).is_some() {
            metrics::room_closed();
            self.gone.notify_waiters();
        }
    }

    fn lock_over(&self) -> MutexGuard<'_, HashSet<RoomId>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the epoch of a room is on a node that does not own it.
const NOT_OWNED: Epoch = Epoch(0);

struct Entry {
    address: Addr<RoomActor>,
    /// The epoch with which this node owns the room.
    owned: Arc<AtomicU64>,
}

/// A room's entry. It lives in the room's actor, so the room is forgotten however the actor ends.
pub(crate) struct Registered {
    pub(crate) signal: Arc<Signal>,
    pub(crate) id: RoomId,
    owned: Arc<AtomicU64>,
    app: Option<ApiKeyId>,
}

impl Registered {
    fn new(signal: Arc<Signal>, id: RoomId) -> Self {
        Self { signal, id, owned: Arc::new(AtomicU64::new(NOT_OWNED.0)), app: None }
    }

    /// This node owns the room, and this app made it; `None`: people did, or this node does not own it any more.
    pub(crate) fn set_app(&mut self, app: Option<&ApiKeyId>) {
        if let Some(key) = self.app.take() {
            self.signal.rooms.apps.remove(&key, &self.id);
        }
        if let Some(key) = app {
            self.signal.rooms.apps.add(key, &self.id);
        }
        self.app = app.cloned();
    }

    /// This node owns the room with this epoch; `None`: it does not.
    pub(crate) fn set_owned(&self, epoch: Option<Epoch>) {
        self.owned.store(epoch.unwrap_or(NOT_OWNED).0, Ordering::Release);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.set_app(None);
        self.signal.rooms.forget(&self.id);
    }
}
