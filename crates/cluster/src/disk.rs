//! Records in a file of the data directory, for a single process whose rooms outlive it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use causeway_protocol::{Epoch, RoomId, UnixSeconds};
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::cluster::{BoxFuture, ClusterError};
use crate::records::{Record, Records, Written};

/// By room: epoch, when it expires, what it says.
const RECORDS: TableDefinition<'_, &str, (u64, u64, Option<&[u8]>)> = TableDefinition::new("records");

/// Memory for pages of the file: it is read once at a room's first join, and written when a room changes.
const CACHE: usize = 8 * 1024 * 1024;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// One process at a time.
    #[error("{0} is in use by another process; give each process a --data-dir of its own")]
    InUse(PathBuf),
    /// It cannot be opened or made.
    #[error("{path} cannot be opened ({source}); make its folder writable or choose another --data-dir")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no file of ours, or so damaged that it cannot be repaired.
    #[error("{path} cannot be read ({problem}); restore it, or move it away and let its rooms end")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Records in a file. What was written is there after any end of the process, SIGKILL too: each write is synchronized with
/// the disk before it counts.
pub struct DiskRecords {
    database: Arc<Database>,
}

impl DiskRecords {
    /// Opens the file, or makes it for this user alone: it holds hashes of passwords. A file that was left in the middle
    /// of a write goes back to the write before.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let file = file(path).map_err(|source| DiskError::Open { path: path.to_owned(), source })?;
        let damaged = |problem: String| DiskError::Damaged { path: path.to_owned(), problem };
        let refused = |error| match error {
            DatabaseError::DatabaseAlreadyOpen => DiskError::InUse(path.to_owned()),
            other => damaged(other.to_string()),
        };
        let backend = FileBackend::new(file).map_err(refused)?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        let database = builder.create_with_backend(backend).map_err(refused)?;
        make_table(&database).map_err(|error| damaged(error.to_string()))?;
        Ok(Self { database: Arc::new(database) })
    }

    /// Runs `work` where it may wait for the disk.
    async fn at_work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let database = Arc::clone(&self.database);
        match tokio::task::spawn_blocking(move || work(&database)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "the records of rooms cannot be read or written");
                Err(ClusterError::Storage)
            }
            Err(panicked) => {
                tracing::error!(%panicked, "the records of rooms cannot be read or written");
                Err(ClusterError::Storage)
            }
        }
    }
}

fn file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_table(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(RECORDS)?;
    write.commit()?;
    Ok(())
}

impl Records for DiskRecords {
    fn read<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Record>, ClusterError>> {
        let room = room.clone();
        Box::pin(self.at_work(move |database| {
            let table = match database.begin_read()?.open_table(RECORDS) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(table.get(room.as_str())?.map(|found| {
                let (epoch, expires_at, bytes) = found.value();
                Record {
                    epoch: Epoch(epoch),
                    expires_at: UnixSeconds(expires_at),
                    bytes: bytes.map(Bytes::copy_from_slice),
                }
            }))
        }))
    }

    fn write<'a>(&'a self, room: &'a RoomId, record: Record) -> BoxFuture<'a, Result<Written, ClusterError>> {
        let room = room.clone();
        Box::pin(self.at_work(move |database| {
            let write = database.begin_write()?;
            {
                let mut table = write.open_table(RECORDS)?;
                let last = table.get(room.as_str())?.map(|found| found.value().0);
                if last.is_some_and(|last| last > record.epoch.0) {
                    return Ok(Written::Fenced);
                }
                let row = (record.epoch.0, record.expires_at.0, record.bytes.as_deref());
                table.insert(room.as_str(), row)?;
            }
            write.commit()?;
            Ok(Written::Yes)
        }))
    }

    fn forget_expired(&self, now: UnixSeconds) -> BoxFuture<'_, Result<(), ClusterError>> {
        Box::pin(self.at_work(move |database| {
            let write = database.begin_write()?;
            write.open_table(RECORDS)?.retain(|_, (_, expires_at, _)| expires_at > now.0)?;
            write.commit()?;
            Ok(())
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn what_was_written_is_there_after_a_restart_and_one_process_has_it_at_a_time() {
        let (_folder, path) = place();
        let records = DiskRecords::open(&path).unwrap();
        assert_eq!(records.read(&room("a")).await, Ok(None));
        for (name, record) in [("a", record(1, Some("one"))), ("b", record(2, None))] {
            assert_eq!(records.write(&room(name), record).await, Ok(Written::Yes));
        }
        let error = DiskRecords::open(&path).err().unwrap();
        assert!(matches!(error, DiskError::InUse(_)), "{error}");
        drop(records);
        let records = DiskRecords::open(&path).unwrap();
        assert_eq!(records.read(&room("a")).await, Ok(Some(record(1, Some("one")))));
        assert_eq!(records.read(&room("b")).await, Ok(Some(record(2, None))));
    }

    #[tokio::test]
    async fn a_lower_epoch_writes_nothing() {
        let (_folder, path) = place();
        let records = DiskRecords::open(&path).unwrap();
        records.write(&room("a"), record(5, Some("new"))).await.unwrap();
        assert_eq!(records.write(&room("a"), record(4, Some("old"))).await, Ok(Written::Fenced));
        assert_eq!(records.read(&room("a")).await, Ok(Some(record(5, Some("new")))));
    }

    #[tokio::test]
    async fn what_has_expired_is_forgotten() {
        let (_folder, path) = place();
        let records = DiskRecords::open(&path).unwrap();
        let old = Record { expires_at: UnixSeconds(10), ..record(1, Some("old")) };
        records.write(&room("old"), old).await.unwrap();
        records.write(&room("new"), record(1, Some("new"))).await.unwrap();
        records.forget_expired(UnixSeconds(10)).await.unwrap();
        assert_eq!(records.read(&room("old")).await, Ok(None));
        assert!(records.read(&room("new")).await.unwrap().is_some());
    }

    #[test]
    fn another_file_is_left_alone_and_told_in_a_sentence() {
        let (_folder, path) = place();
        std::fs::write(&path, "my diary, which is long enough to be a page of something".repeat(100))
            .unwrap();
        let error = DiskRecords::open(&path).err().unwrap().to_string();
        assert!(error.contains("rooms.redb") && error.contains("move it away"), "{error}");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("my diary"));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = place();
        drop(DiskRecords::open(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    /// Names the folder in which a process of this test binary is to write until it is killed.
    const WRITE_HERE: &str = "CAUSEWAY_TEST_WRITE_HERE";

    #[tokio::test]
    async fn what_was_written_before_sigkill_is_there() {
        let (_folder, path) = place();
        let mut known = 0;
        for _ in 0..3 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["disk::tests::a_process_that_writes_until_it_is_killed", "--exact", "--nocapture"])
                .env(WRITE_HERE, &path)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let written = lines.filter_map(|line| line.strip_prefix("written ")?.parse::<u64>().ok());
            let last = written.take(20).last().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(last > known);
            known = last;
            let records = DiskRecords::open(&path).unwrap();
            for epoch in 1..=last {
                let found = records.read(&room(&format!("room-{epoch}"))).await.unwrap();
                assert_eq!(found, Some(record(epoch, Some("kept"))), "room-{epoch} of {last}");
            }
        }
    }

    /// No test of its own: the above starts it.
    #[tokio::test]
    async fn a_process_that_writes_until_it_is_killed() {
        let Some(path) = std::env::var_os(WRITE_HERE) else { return };
        let records = DiskRecords::open(Path::new(&path)).unwrap();
        let mut epoch = 1;
        while records.read(&room(&format!("room-{epoch}"))).await.unwrap().is_some() {
            epoch += 1;
        }
        loop {
            records.write(&room(&format!("room-{epoch}")), record(epoch, Some("kept"))).await.unwrap();
            // Nobody listens once this is to be killed.
            let _told = writeln!(io::stdout(), "\nwritten {epoch}");
            epoch += 1;
        }
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.redb");
        (folder, path)
    }

    fn room(name: &str) -> RoomId {
        name.parse().unwrap()
    }

    fn record(epoch: u64, text: Option<&'static str>) -> Record {
        let bytes = text.map(Bytes::from);
        Record { epoch: Epoch(epoch), expires_at: UnixSeconds(1_800_000_000), bytes }
    }
}
