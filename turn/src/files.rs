//! Room for one open file per relayed address.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a process needs besides its relay sockets: listeners, HTTP connections, logs. A guess.
const OTHER_FILES: u64 = 1024;

/// Raises the soft limit of open files to the hard one: 1024, a usual soft limit, is for programs that use
/// `select(2)`. Warns if that is too little for `allocations`.
pub(crate) fn raise_limit(allocations: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return warn(maximum, allocations);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => warn(maximum, allocations),
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            warn(current, allocations);
        }
    }
}

/// `None` is no limit.
fn warn(limit: Option<u64>, allocations: usize) {
    let wanted = OTHER_FILES.saturating_add(allocations as u64);
    if let Some(limit) = limit
        && limit < wanted
    {
        tracing::warn!(
            limit,
            wanted,
            "the limit of open files is below limits.allocations; raise it (ulimit -n, LimitNOFILE=) or lower that"
        );
    }
}
