//! Moving everything to the newest key.

use std::sync::Arc;

use cotter_core::StoreError;
use cotter_seal::{RecordName, Vault};

use crate::crash;
use crate::entropy::Os;
use crate::folder::{self, Folder, HEADER};
use crate::lock::Lock;
use crate::store::{FileStore, Inner};
use crate::write;

/// What [`FileStore::reseal`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Resealed {
    /// How many records were sealed again with the newest key.
    pub moved: usize,
    /// How many could not be, as they can't be opened; they are as they were.
    pub left: usize,
}

impl FileStore {
    /// Seals everything that an older key sealed again with the newest one.
    ///
    /// It can be interrupted anywhere, and be begun again; while it runs, and until it has ended
    /// once, all the keys are needed. The header changes last: from then on those who have only the
    /// old key are refused before they write.
    ///
    /// # Errors
    /// What a save may answer. A record that can't be opened is no error; it is counted.
    pub fn reseal(&self) -> Result<Resealed, StoreError> {
        let Inner { folder, state, disk, .. } = &*self.inner;
        let _one_at_a_time = Lock::take(&folder.lock(), self.wait)?;
        let vault = state.again(folder)?.vault;
        let mut done = Resealed::default();
        for name in folder.records()? {
            self.reseal_one(&vault, name, &mut done)?;
        }
        let Some(moved) = vault.reseal_header(&Os)? else { return Ok(done) };
        crash::point("before-reseal-header");
        write::sweep(disk.as_ref(), folder, HEADER);
        write::replace(disk.as_ref(), folder, HEADER, &moved.header().to_bytes())?;
        crash::point("after-reseal-header");
        // Who began a write under the old header holds that record's lock, and its lock file was
        // there before the header changed: this waits for the last of them.
        let vault = Arc::new(moved);
        done.left = 0;
        for name in folder.written()? {
            self.reseal_one(&vault, name, &mut done)?;
        }
        state.again(folder)?;
        Ok(done)
    }

    fn reseal_one(
        &self,
        vault: &Vault,
        name: RecordName,
        done: &mut Resealed,
    ) -> Result<(), StoreError> {
        let _lock = self.lock(name)?;
        let Inner { folder, disk, .. } = &*self.inner;
        let Some((stored, _)) = folder::read(&folder.record(name))? else { return Ok(()) };
        match vault.reseal(name, &stored, &Os) {
            Ok(None) => {}
            Ok(Some(sealed)) => {
                write::replace(disk.as_ref(), folder, &Folder::record_name(name), &sealed)?;
                done.moved += 1;
            }
            Err(_) => done.left += 1,
        }
        Ok(())
    }
}
