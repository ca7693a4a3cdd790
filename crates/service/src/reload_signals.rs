//! When to read the configuration again: on SIGHUP, and when its file has changed.
//!
//! The file is looked at every second, not watched by the kernel: a look follows symbolic links, which is how
//! Kubernetes replaces files, and works on network and overlay file systems, which report nothing.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the file is looked at. A change counts when two looks see the same, so that a file that is being written
/// is not read half.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// SIGHUP, as `systemctl reload` sends it.
    Hangup,
    /// The file is another than the one that was read.
    File,
}

impl Trigger {
    /// A word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::File => "file",
        }
    }
}

/// What identifies a file's content without reading it; `None`: there is no file.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// A file, as it was when it was last read.
#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    read: Stamp,
    /// What the latest look saw, if that differs from what was read.
    changing: Option<Stamp>,
}

impl FileWatch {
    /// Make it before the file is read: what changes in between is then noticed.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: stamp(path), changing: None }
    }

    /// Whether the file has changed and settled.
    fn look(&mut self, seen: Stamp) -> bool {
        if seen == self.read {
            self.changing = None;
            return false;
        }
        let settled = self.changing == Some(seen);
        self.changing = Some(seen);
        if settled {
            self.take(seen);
        }
        settled
    }

    fn take(&mut self, seen: Stamp) {
        self.read = seen;
        self.changing = None;
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

/// Waits for reasons to read the configuration again.
pub struct ReloadSignals {
    hangup: Signal,
    /// SIGHUP came, and nobody was told yet.
    hung_up: bool,
    file: Option<FileWatch>,
    looks: Interval,
}

impl ReloadSignals {
    /// Takes SIGHUP over from its default action, which would end the process. Needs a running tokio runtime.
    ///
    /// # Errors
    /// What the kernel says if the handler cannot be installed.
    pub fn listen(file: Option<FileWatch>) -> io::Result<Self> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { hangup: signal(SignalKind::hangup())?, hung_up: false, file, looks })
    }

    /// Waits for the next reason. Cancel safe.
    pub async fn next(&mut self) -> Trigger {
        loop {
            if !self.hung_up {
                tokio::select! {
                    _ = self.hangup.recv() => self.hung_up = true,
                    _ = self.looks.tick(), if self.file.is_some() => {}
                }
            }
            let Some(file) = &mut self.file else {
                self.hung_up = false;
                return Trigger::Hangup;
            };
            let path = file.path.clone();
            // A file system that hangs holds up this task and nothing else. A look that failed is one that saw nothing.
            let seen = tokio::task::spawn_blocking(move || stamp(&path)).await.unwrap_or_default();
            if self.hung_up {
                self.hung_up = false;
                file.take(seen);
                return Trigger::Hangup;
            }
            if file.look(seen) {
                return Trigger::File;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_still_being_written_is_left_alone_until_it_has_settled() {
        let (folder, mut watch) = watched("one");
        let looks = |watch: &mut FileWatch| watch.look(stamp(&folder.path().join("file")));
        assert!(!looks(&mut watch));
        std::fs::write(folder.path().join("file"), "longer").unwrap();
        assert!(!looks(&mut watch), "it may be half of it");
        std::fs::write(folder.path().join("file"), "longer still").unwrap();
        assert!(!looks(&mut watch), "it was half of it");
        assert!(looks(&mut watch));
        assert!(!looks(&mut watch), "it is told once");
    }

    #[test]
    fn a_file_that_was_replaced_has_changed_even_if_it_looks_the_same() {
        let (folder, mut watch) = watched("same");
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        std::fs::write(&other, "same").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(!watch.look(stamp(&path)) && watch.look(stamp(&path)));
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        for name in ["a", "b"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("a", &path).unwrap();
        let mut watch = FileWatch::new(&path);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("b", &path).unwrap();
        assert!(!watch.look(stamp(&path)) && watch.look(stamp(&path)));
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_is_no_change() {
        let (folder, mut watch) = watched("one");
        assert!(!watch.look(None));
        assert!(!watch.look(stamp(&folder.path().join("file"))));
        assert!(!watch.look(None) && watch.look(None), "gone for good is one");
    }

    fn watched(text: &str) -> (tempfile::TempDir, FileWatch) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        (folder, FileWatch::new(&path))
    }
}
