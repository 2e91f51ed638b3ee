//! The object store on files: the port's contract, and what people and crashes do to its folder.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use chrono::DateTime;
use futures::TryStreamExt;
use millstream_embedded::objects::{Arrival, LocalObjectStore, Refused, StoreOptions, Watcher};
use millstream_events::names::ObjectPath;
use millstream_ports::{
    ErrorKind, Ledger, ObjectLedger, ObjectStore, ObjectStoreExt, Precondition, SystemClock, contracts,
    memory::ManualClock,
};
use tempfile::TempDir;

fn store(root: &TempDir) -> LocalObjectStore {
    LocalObjectStore::open(root.path(), StoreOptions::default()).unwrap()
}

fn path(name: &str) -> ObjectPath {
    ObjectPath::new("landing", name).unwrap()
}

/// Puts a file into the bucket `landing` as a person does, with a modification time.
fn drop_in(root: &TempDir, name: &str, text: &str, seconds: u64) -> PathBuf {
    let file = root.path().join("landing").join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    // A new file each time, as `mv` puts it there.
    let moved = root.path().join("elsewhere");
    fs::write(&moved, text).unwrap();
    let opened = OpenOptions::new().write(true).open(&moved).unwrap();
    opened.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    fs::rename(&moved, &file).unwrap();
    file
}

async fn text(store: &LocalObjectStore, name: &str) -> String {
    String::from_utf8(store.read(&path(name), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_object_store_contract() {
    let root = TempDir::new().unwrap();
    contracts::object_store(&store(&root), "landing").await;
    let left: Vec<_> = fs::read_dir(root.path().join(".tmp")).unwrap().collect();
    assert!(left.is_empty(), "no temporary file is left: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_object_store_contract_when_every_write_is_synced() {
    let root = TempDir::new().unwrap();
    let options = StoreOptions { durable: true, ..StoreOptions::default() };
    contracts::object_store(&LocalObjectStore::open(root.path(), options).unwrap(), "landing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_on_it_keeps_the_ledger_contract() {
    let root = TempDir::new().unwrap();
    // A handle with a store of its own each time, as another process would have.
    let open =
        || -> Arc<dyn Ledger> { Arc::new(ObjectLedger::new(Arc::new(store(&root)), "ledger", Arc::new(SystemClock))) };
    contracts::ledger(&open).await;
}

#[tokio::test]
async fn an_object_is_a_plain_file_under_its_own_name() {
    let root = TempDir::new().unwrap();
    let store = store(&root);
    store.put(&path("fraud/a.csv"), "id\n1\n", Precondition::Absent).await.unwrap();
    assert_eq!(fs::read_to_string(root.path().join("landing/fraud/a.csv")).unwrap(), "id\n1\n");
    assert_eq!(
        store.local_path(&path("fraud/a.csv")),
        Some(root.path().canonicalize().unwrap().join("landing/fraud/a.csv"))
    );
}

#[tokio::test]
async fn generations_survive_a_restart_and_grow_when_the_clock_goes_back() {
    let root = TempDir::new().unwrap();
    let at = |seconds| StoreOptions {
        clock: Arc::new(ManualClock::new(DateTime::from_timestamp(seconds, 0).unwrap())),
        ..StoreOptions::default()
    };
    let first = LocalObjectStore::open(root.path(), at(1_700_000_000)).unwrap();
    let old = first.put(&path("a"), "one", Precondition::None).await.unwrap();
    let second = LocalObjectStore::open(root.path(), at(1_600_000_000)).unwrap();
    assert_eq!(second.stat(&path("a")).await.unwrap(), old);
    let new = second.put(&path("a"), "two", Precondition::Generation(old.generation)).await.unwrap();
    assert_eq!(new.generation, old.generation + 1);
}

#[tokio::test]
async fn a_file_that_a_person_puts_there_is_an_object() {
    let root = TempDir::new().unwrap();
    let store = store(&root);
    drop_in(&root, "fraud/a.csv", "123456789", 1_700_000_000);
    let meta = store.stat(&path("fraud/a.csv")).await.unwrap();
    assert_eq!((meta.generation, meta.size, meta.crc32c), (1_700_000_000_000_000, 9, 0xE306_9283));
    let listed: Vec<_> = store.list("landing", "fraud/").try_collect().await.unwrap();
    assert_eq!(listed, [meta]);
}

#[tokio::test]
async fn an_older_file_moved_over_a_younger_one_is_a_newer_generation_also_after_a_restart() {
    let root = TempDir::new().unwrap();
    let first = store(&root);
    drop_in(&root, "a.csv", "younger", 1_700_000_000);
    let before = first.stat(&path("a.csv")).await.unwrap();
    drop_in(&root, "a.csv", "older", 1_600_000_000);
    let after = first.stat(&path("a.csv")).await.unwrap();
    assert!(after.generation > before.generation, "{after:?} after {before:?}");
    assert_eq!(text(&first, "a.csv").await, "older");
    assert_eq!(store(&root).stat(&path("a.csv")).await.unwrap(), after);
}

#[tokio::test]
async fn a_file_written_into_while_it_is_read_breaks_the_read_off() {
    let root = TempDir::new().unwrap();
    let store = store(&root);
    let file = drop_in(&root, "big.csv", &"x".repeat(3 << 20), 1_700_000_000);
    let mut read = store.get(&path("big.csv"), None).await.unwrap();
    read.body.try_next().await.unwrap().unwrap();
    OpenOptions::new().append(true).open(file).unwrap().write_all(b"more").unwrap();
    let rest: Result<Vec<_>, _> = read.body.try_collect().await;
    assert_eq!(rest.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_name_that_is_the_folder_of_another_object_is_refused_and_says_so() {
    let root = TempDir::new().unwrap();
    let store = store(&root);
    store.put(&path("a/b"), "b", Precondition::None).await.unwrap();
    for (name, reason) in
        [("a", "is the folder of other objects"), ("a/b/c", "is an object already"), ("a/", "ends in /")]
    {
        let error = store.put(&path(name), "x", Precondition::None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(store.stat(&path("a")).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.delete(&path("a/b"), Precondition::None).await.unwrap();
    store.put(&path("a"), "an empty folder is not in the way", Precondition::Absent).await.unwrap();
}

#[tokio::test]
async fn a_create_only_write_never_replaces_what_a_person_copied_there() {
    let root = TempDir::new().unwrap();
    let store = store(&root);
    drop_in(&root, "a.csv", "by hand", 1_700_000_000);
    let error = store.put(&path("a.csv"), "by program", Precondition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(text(&store, "a.csv").await, "by hand");
}

#[tokio::test]
async fn a_scan_finds_complete_files_and_names_those_that_cannot_be_objects() {
    let root = TempDir::new().unwrap();
    let store = store(&root);
    drop_in(&root, "fraud/b.csv", "b", 1_700_000_000);
    drop_in(&root, "a.csv", "a", 1_700_000_000);
    for ignored in [".hidden.csv", ".git/config", "c.csv.part", "d.csv~", "e.tmp"] {
        drop_in(&root, ignored, "not yet", 1_700_000_000);
    }
    let refused = drop_in(&root, "new\nline.csv", "x", 1_700_000_000);
    // Written this moment, so perhaps not to its end.
    fs::write(root.path().join("landing/young.csv"), "y").unwrap();
    let scan = store.scan("landing", Duration::from_secs(3_600)).await.unwrap();
    let found: Vec<_> = scan.objects.iter().map(|meta| meta.path.name()).collect();
    assert_eq!(found, ["a.csv", "fraud/b.csv"]);
    let [Refused { file, reason }] = scan.refused.as_slice() else { panic!("{:?}", scan.refused) };
    assert_eq!(file.file_name(), refused.file_name());
    assert!(reason.contains("no control characters"), "{reason}");
    let all = store.scan("landing", Duration::ZERO).await.unwrap().objects;
    assert!(all.iter().any(|meta| meta.path.name() == "young.csv"));
    assert_eq!(store.scan("no-such-bucket", Duration::ZERO).await.unwrap().objects, []);
}

async fn arrival_of(watcher: &mut Watcher, name: &str) -> millstream_ports::ObjectMeta {
    loop {
        match watcher.next().await.unwrap() {
            Arrival::Object(meta) if meta.path.name() == name => return meta,
            Arrival::Object(_) | Arrival::Refused(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_tells_of_files_copied_moved_or_linked_in_and_of_those_in_new_folders() {
    let root = TempDir::new().unwrap();
    let store = store(&root);
    let mut watcher = Watcher::start(&store, "landing", Duration::from_millis(20)).await.unwrap();
    let landing = root.path().join("landing");

    fs::write(landing.join("copied.csv"), "copied").unwrap();
    let copied = arrival_of(&mut watcher, "copied.csv").await;
    assert_eq!(copied, store.stat(&path("copied.csv")).await.unwrap());

    drop_in(&root, "moved.csv", "moved", 1_700_000_000);
    assert_eq!(arrival_of(&mut watcher, "moved.csv").await.size, 5);

    store.put(&path("linked.csv"), "linked by the store", Precondition::Absent).await.unwrap();
    assert_eq!(arrival_of(&mut watcher, "linked.csv").await.size, 19);

    drop_in(&root, "new/folder/deep.csv", "deep", 1_700_000_000);
    assert_eq!(arrival_of(&mut watcher, "new/folder/deep.csv").await.size, 4);

    fs::write(landing.join("bad\tname.csv"), "x").unwrap();
    let refused = loop {
        if let Arrival::Refused(refused) = watcher.next().await.unwrap() {
            break refused;
        }
    };
    assert!(refused.reason.contains("control characters"), "{refused:?}");
}
