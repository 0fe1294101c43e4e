//! Transfers to and from `file://`: whole, stopped, damaged, refused.

#![cfg(feature = "client")]
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test helper may fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dataset_store::{
    SUMS_FILE, Store, StoreError, StoreOptions, Transfer, TransferEvent, TransferReport, outline,
};
use tempfile::TempDir;

static NEVER: AtomicBool = AtomicBool::new(false);
const QUIET: Transfer<'_> = Transfer { cancel: &NEVER, progress: &|_| {} };

struct Place {
    work: TempDir,
}

impl Place {
    /// A folder with small files, an empty one, one of several parts, and what is never sent.
    fn new() -> Self {
        let place = Self { work: TempDir::new().unwrap() };
        let large: Vec<u8> = (0..(9 << 20) + 7_u32).map(|n| (n % 251) as u8).collect();
        for (name, bytes) in
            [("a.txt", &b"one"[..]), ("deep/er/b c.txt", b"two"), ("deep/.hidden", b""), ("large", &large)]
        {
            place.write("folder", name, bytes);
        }
        place.write("folder", ".lock", b"");
        place.write("folder", "deep/.partial-x", b"half");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn write(&self, folder: &str, name: &str, bytes: &[u8]) {
        let path = self.at(folder).join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }

    fn store(&self) -> Store {
        let url = format!("file://{}", self.at("bucket/prefix").display());
        Store::open(&url, &StoreOptions::default().with_parallel(3)).unwrap()
    }

    fn push(&self, replace: bool) -> Result<TransferReport, StoreError> {
        self.store().push(&self.at("folder"), replace, &QUIET)
    }

    fn fetch(&self, into: &str) -> Result<TransferReport, StoreError> {
        let store = self.store();
        store.fetch(&store.list(&QUIET)?.files, &self.at(into), &QUIET)
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs_err::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_folder_comes_back_and_nothing_moves_twice() {
    let place = Place::new();
    let pushed = place.push(false).unwrap();
    assert_eq!((pushed.n_files, pushed.n_files_kept, pushed.n_bytes), (4, 0, (9 << 20) + 7 + 6));
    let fetched = place.fetch("back").unwrap();
    assert_eq!((fetched.n_files, fetched.n_files_kept, fetched.n_files_hashed), (4, 0, 4));
    let mut expected = files(&place.at("folder"));
    expected.remove(".lock");
    expected.remove("deep/.partial-x");
    assert_eq!(files(&place.at("back")), expected);

    assert_eq!(place.push(false).unwrap().n_files_kept, 4);
    assert_eq!(place.fetch("back").unwrap().n_files_kept, 4);
    // Here too what was changed since is seen, though size and time say nothing.
    let path = place.at("back/a.txt");
    let time = fs_err::metadata(&path).unwrap().modified().unwrap();
    fs_err::write(&path, b"eno").unwrap();
    fs_err::OpenOptions::new().write(true).open(&path).unwrap().file().set_modified(time).unwrap();
    assert_eq!(place.fetch("back").unwrap().n_files_kept, 3);
    assert_eq!(files(&place.at("back")), expected);
}

#[test]
fn a_stopped_transfer_goes_on() {
    let place = Place::new();
    for n in 0..40 {
        place.write("folder", &format!("many/{n}"), format!("{n}").as_bytes());
    }
    let stop_after = |n: usize, work: &dyn Fn(&Transfer<'_>) -> Result<TransferReport, StoreError>| {
        let (cancel, n_done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let count = |event: TransferEvent| {
            if event == TransferEvent::FileDone && n_done.fetch_add(1, Ordering::Relaxed) + 1 >= n {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let stopped = work(&Transfer { cancel: &cancel, progress: &count });
        assert!(matches!(stopped, Err(StoreError::Cancelled)), "{stopped:?}");
    };
    let store = place.store();
    stop_after(10, &|transfer| store.push(&place.at("folder"), false, transfer));
    assert!(!place.at("bucket/prefix").join(SUMS_FILE).exists(), "the list is written last");
    let pushed = place.push(false).unwrap();
    assert!((10..44).contains(&pushed.n_files_kept), "{pushed:?}");

    let listed = store.list(&QUIET).unwrap().files;
    stop_after(10, &|transfer| store.fetch(&listed, &place.at("back"), transfer));
    assert!(files(&place.at("back")).keys().all(|name| !name.contains(".partial-")));
    let fetched = place.fetch("back").unwrap();
    assert!((10..44).contains(&fetched.n_files_kept), "{fetched:?}");
    assert_eq!(files(&place.at("back")).len(), 44);
}

#[test]
fn what_is_damaged_in_the_store_never_gets_its_name() {
    let place = Place::new();
    place.push(false).unwrap();
    let key = place.at("bucket/prefix/a.txt");
    fs_err::write(&key, b"eno").unwrap();
    let error = place.fetch("back").unwrap_err();
    assert!(matches!(&error, StoreError::Hash { key, .. } if key == "a.txt"), "{error}");
    let left = files(&place.at("back"));
    assert!(!left.contains_key("a.txt") && left.keys().all(|name| !name.contains(".partial-")), "{left:?}");
    fs_err::remove_file(&key).unwrap();
    assert!(matches!(place.fetch("back"), Err(StoreError::Sums(text)) if text.contains("a.txt")));
    place.push(true).unwrap();
    place.fetch("back").unwrap();
    fs_err::write(place.at("bucket/prefix").join(SUMS_FILE), "nonsense\n").unwrap();
    assert!(matches!(place.fetch("back"), Err(StoreError::Sums(_))));
}

#[test]
fn something_else_is_left_alone_unless_it_is_replaced() {
    let place = Place::new();
    place.push(false).unwrap();
    let before = files(&place.at("bucket"));
    let refused = |key: &str| {
        let error = place.push(false).unwrap_err();
        assert!(matches!(&error, StoreError::Occupied { key: found } if found == key), "{error}");
        assert_eq!(files(&place.at("bucket")), before);
    };
    // Another byte, a file more, a file less.
    place.write("folder", "a.txt", b"eno");
    refused("a.txt");
    place.write("folder", "a.txt", b"one");
    place.write("folder", "new", b"new");
    refused(SUMS_FILE);
    fs_err::remove_file(place.at("folder/new")).unwrap();
    fs_err::remove_file(place.at("folder/a.txt")).unwrap();
    refused("a.txt");
    let report = place.push(true).unwrap();
    assert_eq!((report.n_files, report.n_files_removed), (3, 1));
    place.fetch("back").unwrap();
    assert!(!place.at("back/a.txt").exists());

    // Data that others uploaded, without a list.
    fs_err::remove_file(place.at("bucket/prefix").join(SUMS_FILE)).unwrap();
    fs_err::write(place.at("bucket/prefix/deep/er/b c.txt"), b"own").unwrap();
    let error = place.push(false).unwrap_err();
    assert!(matches!(error, StoreError::Occupied { .. }), "{error}");
    assert_eq!(fs_err::read(place.at("bucket/prefix/deep/er/b c.txt")).unwrap(), b"own");
    // Its sizes are all there is to check, and its times tell what was replaced since.
    let fetched = place.fetch("others").unwrap();
    assert_eq!((fetched.n_files_hashed, fetched.n_files_kept), (0, 0));
    assert_eq!(place.fetch("others").unwrap().n_files_kept, 3);
    fs_err::write(place.at("bucket/prefix/deep/er/b c.txt"), b"new").unwrap();
    assert_eq!(place.fetch("others").unwrap().n_files_kept, 2);
    assert_eq!(fs_err::read(place.at("others/deep/er/b c.txt")).unwrap(), b"new");
}

#[test]
fn a_share_has_every_name_and_its_own_bytes() {
    let place = Place::new();
    place.push(false).unwrap();
    let store = place.store();
    let all = store.list(&QUIET).unwrap();
    assert!(all.has_sums);
    outline(&all.files, &place.at("share")).unwrap();
    let mine: Vec<_> = all.files.iter().filter(|f| f.path == "a.txt").cloned().collect();
    store.fetch(&mine, &place.at("share"), &QUIET).unwrap();
    let sizes: Vec<usize> = files(&place.at("share")).values().map(Vec::len).collect();
    assert_eq!(sizes, [3, 0, 0, 0]);
    // Names that are there keep their bytes, and another share is added to the first.
    outline(&all.files, &place.at("share")).unwrap();
    store.fetch(&all.files, &place.at("share"), &QUIET).unwrap();
    place.fetch("back").unwrap();
    assert_eq!(files(&place.at("share")), files(&place.at("back")));
}

#[test]
fn nothing_there_is_an_error_that_names_the_place() {
    let place = Place::new();
    let error = place.fetch("back").unwrap_err();
    assert!(matches!(&error, StoreError::Empty { place } if place.contains("bucket/prefix")), "{error}");
    fs_err::create_dir_all(place.at("nothing")).unwrap();
    assert!(matches!(place.store().push(&place.at("nothing"), false, &QUIET), Err(StoreError::Empty { .. })));
    assert!(matches!(place.store().push(&place.at("absent"), false, &QUIET), Err(StoreError::Local { .. })));
    place.write("folder", "back\\slash", b"");
    assert!(matches!(place.push(false), Err(StoreError::Key { .. })));
    fs_err::remove_file(place.at("folder/back\\slash")).unwrap();
    std::os::unix::fs::symlink(place.at("folder/deep"), place.at("folder/circle")).unwrap();
    assert!(matches!(place.push(false), Err(StoreError::Key { .. })));
}
