//! Files that are made: readable by their owner alone, never in the place of another.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kmsbox::files;
use kmsbox::files::rights::shed;

use crate::failure::{Failure, Result};

/// The new file that an option names; `-` is standard output, as is nothing.
pub fn named(out: Option<&Path>) -> Option<&Path> {
    out.filter(|path| *path != Path::new("-"))
}

/// A file being made. It is removed again unless it is finished.
pub struct NewFile {
    path: PathBuf,
    file: File,
    finished: bool,
}

impl NewFile {
    /// Makes the file, of mode 0600; what is there already is not touched.
    pub fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists if path == Path::new("/dev/stdout") => Failure::Files(
                    "/dev/stdout is no new file; standard output is named \"-\".".to_owned(),
                ),
                io::ErrorKind::AlreadyExists => Failure::Files(format!(
                    "{} is there already; it is not replaced.",
                    path.display()
                )),
                _ => Failure::file("make", path, error),
            })?;
        let new = NewFile {
            path: path.to_owned(),
            file,
            finished: false,
        };
        shed(&new.file).map_err(|error| Failure::file("make", path, error))?;
        Ok(new)
    }

    /// Writes to its end.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| Failure::file("write", &self.path, error))
    }

    /// Makes sure that it lasts, and keeps it.
    pub fn finish(self) -> Result<()> {
        self.sync()?;
        self.keep();
        Ok(())
    }

    /// Makes sure that it lasts, as long as it is not removed.
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .and_then(|()| files::sync_directory(&files::open_directory(&self.path)?))
            .map_err(|error| Failure::file("write", &self.path, error))
    }

    /// It is not removed again.
    pub fn keep(mut self) {
        self.finished = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a whole file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write(bytes)?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_for_the_owner_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, b"one").unwrap();
        assert!(matches!(write(&path, b"two"), Err(Failure::Files(_))));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_hyphen_is_no_file() {
        assert_eq!(named(Some(Path::new("-"))), None);
        assert_eq!(named(None), None);
        assert_eq!(named(Some(Path::new("./-"))), Some(Path::new("./-")));
    }

    #[test]
    fn half_a_file_does_not_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let mut file = NewFile::create(&path).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert!(!path.exists());
    }
}
