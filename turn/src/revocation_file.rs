//! Revocations that outlive the process: what is revoked stays so after a restart, while a credential of it can be left.
//!
//! One JSON object a line, as on the Bus. Orders are appended and synchronized by a thread of their own, so that a slow
//! disk holds nobody up; each start writes the file anew without what is over. A process that was killed in the middle
//! of a line has told its workers already, and loses at most that line.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use causeway_protocol::UnixSeconds;
use causeway_protocol::bus::{RelayOrder, Revocation};

/// Orders that are kept: as many as the core remembers. Beyond it those that are over first go.
const CAPACITY: usize = 10_000;
/// Orders that wait for the disk. A guess: a thousand rooms that end at once, with room to spare.
const WAITING: usize = 4096;
/// A file is written anew when it has grown by this many lines since it last was.
const COMPACT_AFTER: usize = 2 * CAPACITY;

/// Where orders go to be remembered. Dropping it lets the thread finish what waits.
pub(crate) struct RevocationFile {
    orders: SyncSender<RelayOrder>,
}

impl RevocationFile {
    /// Reads what is still in force, and takes further orders.
    ///
    /// # Errors
    /// The file cannot be read or written. A relay goes on without it.
    pub(crate) fn open(path: &Path, now: UnixSeconds) -> io::Result<(Self, Vec<RelayOrder>)> {
        let mut journal = Journal { path: path.to_owned(), file: None, orders: HashMap::new(), lines: 0 };
        journal.load(now)?;
        journal.rewrite(now)?;
        let known: Vec<RelayOrder> = journal.known().collect();
        let (orders, waiting) = sync_channel(WAITING);
        std::thread::Builder::new().name("revocations".to_owned()).spawn(move || journal.run(&waiting))?;
        Ok((Self { orders }, known))
    }

    /// Remembers an order, in a moment.
    pub(crate) fn remember(&self, order: &RelayOrder) {
        if self.orders.try_send(order.clone()).is_err() {
            tracing::warn!(?order, "the disk is too slow; this revocation will be forgotten at a restart");
        }
    }
}

struct Journal {
    path: PathBuf,
    file: Option<File>,
    orders: HashMap<Revocation, UnixSeconds>,
    lines: usize,
}

impl Journal {
    fn run(mut self, waiting: &Receiver<RelayOrder>) {
        let mut failing = false;
        while let Ok(first) = waiting.recv() {
            let batch: Vec<RelayOrder> = std::iter::once(first).chain(waiting.try_iter()).collect();
            match self.append(&batch) {
                Ok(()) => failing = false,
                // Once, and again after it has worked for a while.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(path = %self.path.display(), %error, "revocations cannot be written down; they are in force until the next restart");
                }
                Err(_same_again) => {}
            }
        }
    }

    fn known(&self) -> impl Iterator<Item = RelayOrder> {
        self.orders.iter().map(|(revoke, until)| RelayOrder { revoke: revoke.clone(), until: *until })
    }

    fn load(&mut self, now: UnixSeconds) -> io::Result<()> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut unreadable = 0;
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<RelayOrder>(line) {
                Ok(order) if now < order.until => self.insert(order),
                Ok(_over) => {}
                Err(_torn) => unreadable += 1,
            }
        }
        if unreadable > 0 {
            tracing::warn!(path = %self.path.display(), unreadable, "lines of the file of revocations cannot be read and are left out");
        }
        Ok(())
    }

    fn insert(&mut self, RelayOrder { revoke, until }: RelayOrder) {
        let remembered = self.orders.entry(revoke).or_insert(until);
        *remembered = until.max(*remembered);
        if self.orders.len() > CAPACITY
            && let Some(first) =
                self.orders.iter().min_by_key(|(_, until)| **until).map(|(first, _)| first.clone())
        {
            self.orders.remove(&first);
        }
    }

    /// Replaces the file in one step: whoever reads it finds the old one or the new one.
    fn rewrite(&mut self, now: UnixSeconds) -> io::Result<()> {
        self.orders.retain(|_, until| now < *until);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&lines(self.known())?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        self.lines = self.orders.len();
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        Ok(())
    }

    fn append(&mut self, batch: &[RelayOrder]) -> io::Result<()> {
        batch.iter().cloned().for_each(|order| self.insert(order));
        self.lines += batch.len();
        let now = causeway_service::clock::now().unix;
        // Also after a failure, which may have left half a line.
        let Some(file) = self.file.as_mut().filter(|_| self.lines < self.orders.len() + COMPACT_AFTER) else {
            return self.rewrite(now);
        };
        let written = lines(batch.iter().cloned())
            .and_then(|bytes| file.write_all(&bytes))
            .and_then(|()| file.sync_data());
        if written.is_err() {
            self.file = None;
        }
        written
    }
}

fn lines(orders: impl Iterator<Item = RelayOrder>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for order in orders {
        serde_json::to_writer(&mut bytes, &order)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_revoked_is_known_after_a_restart_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/revocations");
        let now = causeway_service::clock::now().unix;
        let (file, known) = RevocationFile::open(&path, now).unwrap();
        assert_eq!(known, []);
        file.remember(&order("kitchen", now.plus(60)));
        file.remember(&order("attic", now.plus(10)));
        drop(file);
        let known = || -> Vec<RelayOrder> {
            let mut journal = journal(&path);
            journal.load(now).unwrap();
            journal.known().collect()
        };
        while known().len() < 2 {
            std::thread::yield_now();
        }
        let (_, known) = RevocationFile::open(&path, now.plus(30)).unwrap();
        assert_eq!(known, [order("kitchen", now.plus(60))]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1, "what is over is left out");
    }

    #[test]
    fn a_torn_last_line_costs_that_line_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let now = UnixSeconds(1_800_000_000);
        let mut text =
            lines([order("kitchen", now.plus(60)), order("attic", now.plus(60))].into_iter()).unwrap();
        text.truncate(text.len() - 7);
        fs::write(&path, text).unwrap();
        let (_, known) = RevocationFile::open(&path, now).unwrap();
        assert_eq!(known, [order("kitchen", now.plus(60))]);
        let (_, known) = RevocationFile::open(&path, now).unwrap();
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(RevocationFile::open(&file.join("revocations"), UnixSeconds(0)).is_err());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut journal = journal(Path::new("unused"));
        for number in 0..=CAPACITY as u64 {
            journal.insert(order(&format!("r{number}"), UnixSeconds(1000 + number)));
        }
        assert_eq!(journal.orders.len(), CAPACITY);
        assert!(!journal.orders.contains_key(&order("r0", UnixSeconds(0)).revoke));
    }

    fn journal(path: &Path) -> Journal {
        Journal { path: path.to_owned(), file: None, orders: HashMap::new(), lines: 0 }
    }

    fn order(room: &str, until: UnixSeconds) -> RelayOrder {
        RelayOrder { revoke: Revocation::Room { room: room.parse().unwrap() }, until }
    }
}
