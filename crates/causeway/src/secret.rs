//! The installation's secret: made once, kept in one file that only its owner reads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use causeway_protocol::secret::Secret;

use crate::exit::Exit;

/// The file's name in the data directory.
const FILE: &str = "secret";

/// Reads the secret of `data_dir`, or makes both if they are not there.
///
/// # Errors
/// [`Exit::Secret`] if the file cannot be read or made, others may read it, or it holds no secret.
pub fn load_or_create(data_dir: &Path) -> Result<Secret, Exit> {
    let path = data_dir.join(FILE);
    let tell = |problem: String| Exit::Secret { path: path.clone(), problem };
    fs::create_dir_all(data_dir)
        .map_err(|error| tell(format!("its folder cannot be made ({error}); choose another --data-dir")))?;
    match create(&path) {
        Ok(secret) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&path).map_err(tell),
        Err(error) => Err(tell(format!(
            "cannot be written ({error}); make the folder writable or choose another --data-dir"
        ))),
    }
}

fn create(path: &Path) -> io::Result<Secret> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let secret = Secret::from_bytes(rand::random());
    writeln!(file, "{}", secret.to_hex())?;
    file.sync_all()?;
    Ok(secret)
}

fn read(path: &Path) -> Result<Secret, String> {
    let mut file = File::open(path).map_err(|error| format!("cannot be read ({error}); fix its owner"))?;
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("others may read it (mode {:o}); run chmod 600 on it", mode & 0o777));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| format!("cannot be read ({error})"))?;
    Secret::from_hex(&text).map_err(|error| {
        format!("holds no secret ({error}); restore it, or delete it and let every link and credential end")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("new/folder");
        let made = load_or_create(&below).unwrap();
        assert_eq!(load_or_create(&below).unwrap(), made);
        assert_eq!(fs::metadata(below.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn two_installations_have_two_secrets() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(load_or_create(one.path()).unwrap(), load_or_create(two.path()).unwrap());
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        load_or_create(folder.path()).unwrap();
        fs::set_permissions(folder.path().join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
        let error = load_or_create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_secret_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        load_or_create(folder.path()).unwrap();
        fs::write(folder.path().join(FILE), "oops").unwrap();
        let error = load_or_create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("holds no secret"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "oops");
    }
}
