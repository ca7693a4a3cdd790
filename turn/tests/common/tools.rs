//! Programs of other packages that tests run.

use std::path::PathBuf;

/// The path of a program of the package coturn (or of coreutils).
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: install the Debian package coturn (`make setup` does)"))
}
