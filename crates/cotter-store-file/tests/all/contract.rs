use cotter_store_file::{FileStore, Given};
use cotter_testkit::{Kept, store_contract};

use crate::seal_key;

store_contract!(blocking sealed, || {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("store"), Given::new(seal_key(1))).unwrap();
    Kept::new(store, folder)
});

store_contract!(blocking unsealed, || {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::danger_open_unsealed(folder.path().join("store")).unwrap();
    Kept::new(store, folder)
});
