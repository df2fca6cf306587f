//! The five things that change what is stored, in one place, so that tests can record or break them.

use core::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::sys;

pub(crate) trait Disk: Send + Sync + fmt::Debug {
    /// A file that was not there, with these bytes; they may not have reached the disk.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<File>;
    /// Returns once the file's bytes have reached the disk.
    fn sync(&self, file: &File, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Returns once the names in the folder have reached the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(crate) struct Real;

impl Disk for Real {
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = sys::create_new(path)?;
        match file.write_all(bytes) {
            Ok(()) => Ok(file),
            Err(error) => {
                // Best effort: what stays is swept by the next writer.
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    fn sync(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        sys::sync_folder(path)
    }
}
