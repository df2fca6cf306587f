//! The candidates that most programs want, in their order.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use cotter_session::{Candidate, Protection};
use cotter_store_file::{FileStore, KeyFile};
use cotter_store_keyring::KeyringKey;

/// How long a keyring may take for all that its candidate asks of it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sealed files in `folder`, with their key in the OS keyring; where there is none, in the file `key`, which
/// must not lie in `folder`. For [`choose`](crate::store::choose).
///
/// A folder that holds a store already is opened by the key it was made with, and by no other.
///
/// ```no_run
/// let home = std::path::Path::new("/home/ada");
/// let (folder, key) = (home.join(".local/share/app"), home.join(".config/app/store.key"));
/// let chosen = cotter::store::choose(cotter::store::auto(folder, key))?;
/// println!("{}", chosen.report);
/// # Ok::<(), cotter::store::NoStore>(())
/// ```
pub fn auto(folder: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Vec<Candidate> {
    let (folder, key) = (folder.into(), key.into());
    let beside = folder.clone();
    let keyring = move || {
        Ok(Arc::new(FileStore::open(&folder, KeyringKey::native("cotter")?)?)
            as Arc<dyn cotter_core::BlockingTokenStore>)
    };
    let file = move || {
        Ok(Arc::new(FileStore::open(&beside, KeyFile::new(&key))?)
            as Arc<dyn cotter_core::BlockingTokenStore>)
    };
    vec![
        Candidate::new("sealed files, key in the keyring", Protection::Sealed, keyring)
            .with_patience(PATIENCE),
        Candidate::new("sealed files, key in a file", Protection::Sealed, file),
    ]
}
