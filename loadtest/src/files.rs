//! How many files, and so sockets, this process and those it starts may open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::failure::{Doing, Failure};

/// Raises the limit as far as it goes: a thousand, a common default, is less than the servers need here.
pub(crate) fn allow_many() -> Result<(), Failure> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).doing("asking for the limit of open files")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).doing("raising the limit of open files")
}

/// What the limit is.
pub(crate) fn allowed() -> Result<usize, Failure> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).doing("asking for the limit of open files")?;
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}
