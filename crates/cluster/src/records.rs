//! What is kept of rooms for when every process has ended: opaque bytes, fenced by the epoch of who wrote them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use causeway_protocol::{Epoch, RoomId, UnixSeconds};

use crate::cluster::{BoxFuture, ClusterError};
use crate::ownership::Owner;

/// Why a record was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// A higher epoch owns the room or has written its record; who owns it now, if anybody does.
    #[error("the room has another owner")]
    Fenced(Option<Owner>),
    /// The cluster has no answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A record as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// With which epoch.
    pub epoch: Epoch,
    /// Until when it counts.
    pub expires_at: UnixSeconds,
    /// What it says; `None`: it was removed, and only the epoch is kept.
    pub bytes: Option<Bytes>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is kept.
    Yes,
    /// A higher epoch wrote before.
    Fenced,
}

/// Where a single process keeps records: [`MemoryRecords`] or [`DiskRecords`](crate::DiskRecords).
pub trait Records: Send + Sync + 'static {
    /// The record of a room, expired or not; `None` if nothing is known of it.
    ///
    /// # Errors
    /// [`ClusterError::Storage`] or [`ClusterError::Unreadable`].
    fn read<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Record>, ClusterError>>;

    /// Writes the record of a room, unless a higher epoch has written one. It is kept when this returns.
    ///
    /// # Errors
    /// [`ClusterError::Storage`] or [`ClusterError::Unreadable`].
    fn write<'a>(&'a self, room: &'a RoomId, record: Record) -> BoxFuture<'a, Result<Written, ClusterError>>;

    /// Forgets every record that expired before `now`.
    ///
    /// # Errors
    /// [`ClusterError::Storage`].
    fn forget_expired(&self, now: UnixSeconds) -> BoxFuture<'_, Result<(), ClusterError>>;
}

/// Records that end with the process.
#[derive(Default)]
pub struct MemoryRecords {
    records: Mutex<HashMap<RoomId, Record>>,
}

impl MemoryRecords {
    /// No records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Records for MemoryRecords {
    fn read<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Record>, ClusterError>> {
        let found = self.records.lock().unwrap_or_else(PoisonError::into_inner).get(room).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn write<'a>(&'a self, room: &'a RoomId, record: Record) -> BoxFuture<'a, Result<Written, ClusterError>> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match records.get(room) {
            Some(old) if old.epoch > record.epoch => Written::Fenced,
            Some(_) | None => {
                records.insert(room.clone(), record);
                Written::Yes
            }
        };
        Box::pin(std::future::ready(Ok(written)))
    }

    fn forget_expired(&self, now: UnixSeconds) -> BoxFuture<'_, Result<(), ClusterError>> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.retain(|_, record| record.expires_at > now);
        Box::pin(std::future::ready(Ok(())))
    }
}
