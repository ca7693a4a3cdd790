//! Takes a new certificate into use when its files change.
//!
//! The files are looked at every few seconds rather than watched: that works on every file system, through every
//! symbolic link (Certbot, Kubernetes), and a certificate is renewed weeks before it is needed.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use std::os::unix::fs::MetadataExt as _;

use super::load::{self, PairFiles};
use super::{Certificates, Pair};

/// Looks at the files until it is dropped.
pub(crate) struct Watcher {
    /// Disconnected when dropped, which ends the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What shows that a file is another one than before.
type Stamp = Option<(u64, u64, Option<SystemTime>)>;

impl Watcher {
    /// Keeps `certificates` as `files` are, looking every `every`.
    pub(crate) fn start(certificates: Certificates, files: PairFiles, every: Duration) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        // Taken before the thread runs, so that no change after the start is missed.
        let stamps = stamps(&files);
        let thread = std::thread::Builder::new()
            .name("turn-certificates".to_owned())
            .spawn(move || watch(&certificates, &files, stamps, &stopped, every))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It waits for nothing but the channel. One that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn watch(
    certificates: &Certificates,
    files: &PairFiles,
    mut known: [Stamp; 2],
    stopped: &Receiver<()>,
    every: Duration,
) {
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let seen = stamps(files);
        if seen == known {
            continue;
        }
        known = seen;
        let certificate = files.certificate.display();
        match load::pair(files) {
            Ok(pair) if is_shown(certificates, &pair) => {}
            Ok(pair) => {
                certificates.replace(pair);
                tracing::info!(%certificate, "new connections are shown the new certificate");
            }
            Err(error) => {
                tracing::warn!(%error, "the new certificate cannot be used; the old one stays in use");
            }
        }
    }
}

fn is_shown(certificates: &Certificates, pair: &Pair) -> bool {
    let shown = certificates.current();
    shown.chain == pair.chain && shown.key == pair.key
}

fn stamps(files: &PairFiles) -> [Stamp; 2] {
    [stamp(&files.certificate), stamp(&files.key)]
}

fn stamp(path: &Path) -> Stamp {
    // Follows symbolic links, and so sees one that points elsewhere.
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()))
}
