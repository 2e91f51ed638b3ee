//! The contract of [`ObjectStore`].

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use millstream_events::names::ObjectPath;

use crate::{
    error::{ErrorKind, PortError, PortResult},
    object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, Precondition},
};

/// Large enough for several chunks on every adapter, and no multiple of any chunk.
const LARGE: usize = (5 << 20) + 17;

/// Every rule, on a bucket without objects under `contract/`.
pub async fn all(store: &dyn ObjectStore, bucket: &str) {
    run_rules!((store, bucket):
        what_is_written_reads_back,
        a_large_body_is_streamed_whole,
        what_is_not_there_is_not_found,
        generations_grow_even_over_a_delete,
        an_old_generation_is_not_found,
        a_reader_keeps_its_generation_to_the_end,
        create_only_leaves_what_is_there,
        create_only_has_one_winner_among_concurrent_writers,
        a_matched_put_goes_through_only_over_its_generation,
        a_matched_put_has_one_winner_among_concurrent_writers,
        a_matched_delete_goes_through_only_on_its_generation,
        a_body_that_breaks_off_creates_nothing,
        a_body_that_breaks_off_leaves_the_old_object,
        objects_are_listed_by_prefix_in_name_order,
        odd_names_are_names_like_others,
    );
}

fn path(bucket: &str, name: &str) -> ObjectPath {
    ObjectPath::new(bucket, format!("contract/{name}")).unwrap()
}

async fn put(store: &dyn ObjectStore, path: &ObjectPath, text: &str) -> ObjectMeta {
    store.put(path, text.to_owned(), Precondition::None).await.unwrap()
}

async fn text(store: &dyn ObjectStore, path: &ObjectPath) -> String {
    String::from_utf8(store.read(path, 1 << 20).await.unwrap().to_vec()).unwrap()
}

fn kind<T>(result: PortResult<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Bytes, size, checksum and generation are the same from `put`, `stat`, `get` and `list`; also for an empty object.
pub async fn what_is_written_reads_back(store: &dyn ObjectStore, bucket: &str) {
    for body in ["", "123456789"] {
        let path = path(bucket, &format!("reads-back/{}", body.len()));
        let written = put(store, &path, body).await;
        // The check value of CRC-32C: the checksum of "123456789".
        let crc32c = if body.is_empty() { 0 } else { 0xE306_9283 };
        assert_eq!((&written.path, written.size, written.crc32c), (&path, body.len() as u64, crc32c));
        assert_eq!(store.stat(&path).await.unwrap(), written);
        let read = store.get(&path, Some(written.generation)).await.unwrap();
        assert_eq!(read.meta, written);
        assert_eq!(text(store, &path).await, body);
        let listed: Vec<ObjectMeta> = store.list(bucket, path.name()).try_collect().await.unwrap();
        assert_eq!(listed, [written]);
    }
}

/// Several megabytes, in and out as streams.
pub async fn a_large_body_is_streamed_whole(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "large");
    let body: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
    let chunks: Vec<PortResult<Bytes>> = body.chunks(100_003).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let written = store.put_stream(&path, stream::iter(chunks).boxed(), Precondition::Absent).await.unwrap();
    assert_eq!((written.size, written.crc32c), (LARGE as u64, crc32c::crc32c(&body)));
    let read = store.read(&path, LARGE as u64).await.unwrap();
    assert!(read == body, "the body came back changed");
}

/// Reading, asking for and deleting an absent object are `NotFound`; a matched put over it is `Conflict`.
pub async fn what_is_not_there_is_not_found(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "absent");
    assert_eq!(kind(store.get(&path, None).await), Some(ErrorKind::NotFound));
    assert_eq!(kind(store.get(&path, Some(1)).await), Some(ErrorKind::NotFound));
    assert_eq!(kind(store.stat(&path).await), Some(ErrorKind::NotFound));
    assert_eq!(kind(store.delete(&path, Precondition::None).await), Some(ErrorKind::NotFound));
    assert_eq!(kind(store.put(&path, "new", Precondition::Generation(1)).await), Some(ErrorKind::Conflict));
    assert!(!store.exists(&path).await.unwrap());
}

/// A name's generation grows with every write, also after it was deleted.
pub async fn generations_grow_even_over_a_delete(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "grows");
    let first = put(store, &path, "same").await.generation;
    let second = put(store, &path, "same").await.generation;
    store.delete(&path, Precondition::None).await.unwrap();
    let third = put(store, &path, "same").await.generation;
    assert!(first < second && second < third, "{first}, {second}, {third}");
}

/// A generation that was overwritten is gone; nobody is given the newer one in its place.
pub async fn an_old_generation_is_not_found(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "old-generation");
    let old = put(store, &path, "old").await.generation;
    put(store, &path, "new").await;
    assert_eq!(kind(store.get(&path, Some(old)).await), Some(ErrorKind::NotFound));
}

/// A write in the middle of a read does not mix into it.
pub async fn a_reader_keeps_its_generation_to_the_end(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "read-while-written");
    store.put(&path, vec![b'o'; LARGE], Precondition::None).await.unwrap();
    let mut read = store.get(&path, None).await.unwrap();
    let mut size = read.body.try_next().await.unwrap().unwrap().len();
    store.put(&path, vec![b'n'; LARGE], Precondition::None).await.unwrap();
    while let Some(chunk) = read.body.try_next().await.unwrap() {
        assert!(chunk.iter().all(|byte| *byte == b'o'), "bytes of the newer generation after {size} bytes");
        size += chunk.len();
    }
    assert_eq!(size, LARGE);
}

/// A create-only write over an object is `Conflict` and changes nothing.
pub async fn create_only_leaves_what_is_there(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "create-only");
    let first = store.put(&path, "first", Precondition::Absent).await.unwrap();
    assert_eq!(kind(store.put(&path, "second", Precondition::Absent).await), Some(ErrorKind::Conflict));
    assert_eq!(store.stat(&path).await.unwrap(), first);
    assert_eq!(text(store, &path).await, "first");
}

/// Of many writers at once that create the same name, one wins and the others are told.
pub async fn create_only_has_one_winner_among_concurrent_writers(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "one-creator");
    one_winner(store, &path, Precondition::Absent).await;
}

async fn one_winner(store: &dyn ObjectStore, path: &ObjectPath, when: Precondition) {
    let results = join_all((0..16).map(|writer| store.put(path, format!("writer {writer}"), when))).await;
    let winners: Vec<usize> = (0..16).filter(|writer| results[*writer].is_ok()).collect();
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    for result in results {
        assert!(matches!(kind(result), None | Some(ErrorKind::Conflict)), "a loser is told that there is a conflict");
    }
    assert_eq!(text(store, path).await, format!("writer {}", winners[0]));
}

/// A matched put over another generation is `Conflict` and changes nothing.
pub async fn a_matched_put_goes_through_only_over_its_generation(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "matched-put");
    let old = put(store, &path, "one").await.generation;
    let matched = store.put(&path, "two", Precondition::Generation(old)).await.unwrap();
    assert!(matched.generation > old);
    assert_eq!(kind(store.put(&path, "three", Precondition::Generation(old)).await), Some(ErrorKind::Conflict));
    assert_eq!(text(store, &path).await, "two");
}

/// Of many writers at once that saw the same generation, one wins.
pub async fn a_matched_put_has_one_winner_among_concurrent_writers(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "one-matched-writer");
    let seen = put(store, &path, "seen").await.generation;
    one_winner(store, &path, Precondition::Generation(seen)).await;
}

/// A matched delete of another generation is `Conflict` and deletes nothing.
pub async fn a_matched_delete_goes_through_only_on_its_generation(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "matched-delete");
    let old = put(store, &path, "old").await.generation;
    let new = put(store, &path, "new").await.generation;
    assert_eq!(kind(store.delete(&path, Precondition::Generation(old)).await), Some(ErrorKind::Conflict));
    assert_eq!(text(store, &path).await, "new");
    store.delete(&path, Precondition::Generation(new)).await.unwrap();
    assert!(!store.exists(&path).await.unwrap());
}

async fn put_that_breaks_off(store: &dyn ObjectStore, path: &ObjectPath) {
    let chunks = [Ok(Bytes::from(vec![b'x'; 1 << 20])), Err(PortError::unavailable("the line went dead"))];
    let error = store.put_stream(path, stream::iter(chunks).boxed(), Precondition::None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "the body's own error is handed on");
}

/// No object, not in a list either.
pub async fn a_body_that_breaks_off_creates_nothing(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "broken/new");
    put_that_breaks_off(store, &path).await;
    assert_eq!(kind(store.stat(&path).await), Some(ErrorKind::NotFound));
    assert_eq!(store.names(bucket, "contract/broken/new").await.unwrap(), []);
}

/// The object that was there stays as it was.
pub async fn a_body_that_breaks_off_leaves_the_old_object(store: &dyn ObjectStore, bucket: &str) {
    let path = path(bucket, "broken/old");
    let old = put(store, &path, "old").await;
    put_that_breaks_off(store, &path).await;
    assert_eq!(store.stat(&path).await.unwrap(), old);
    assert_eq!(text(store, &path).await, "old");
}

/// A prefix is text, not a folder; `list` and `names` agree.
pub async fn objects_are_listed_by_prefix_in_name_order(store: &dyn ObjectStore, bucket: &str) {
    for name in ["list/b/2", "list/a", "list/b-1", "list/b/10", "list/c"] {
        put(store, &path(bucket, name), name).await;
    }
    for (prefix, expected) in [
        ("list/", vec!["list/a", "list/b-1", "list/b/10", "list/b/2", "list/c"]),
        ("list/b", vec!["list/b-1", "list/b/10", "list/b/2"]),
        ("list/b/", vec!["list/b/10", "list/b/2"]),
        ("list/d", vec![]),
    ] {
        let expected: Vec<ObjectPath> = expected.into_iter().map(|name| path(bucket, name)).collect();
        let prefix = format!("contract/{prefix}");
        let listed: Vec<ObjectMeta> = store.list(bucket, &prefix).try_collect().await.unwrap();
        let listed: Vec<ObjectPath> = listed.into_iter().map(|meta| meta.path).collect();
        assert_eq!(listed, expected, "list {prefix}");
        assert_eq!(store.names(bucket, &prefix).await.unwrap(), expected, "names {prefix}");
    }
}

/// Spaces, other alphabets and characters that mean something in a URL, a shell or a glob.
pub async fn odd_names_are_names_like_others(store: &dyn ObjectStore, bucket: &str) {
    let names = [
        "a b",
        " leading",
        "trailing ",
        ".hidden",
        "dots..",
        "100%",
        "a%2Fb",
        "a+b",
        "what?x=1&y=2",
        "hash#1",
        "semi;colon",
        "star*[a]{b}",
        "quote'\"",
        "back\\slash",
        "$HOME",
        "date=2026-11-24",
        "übung",
        "данные",
        "数据",
        "crab🦀",
    ];
    let mut expected = Vec::new();
    for name in names {
        let path = path(bucket, &format!("odd/{name}/{name}"));
        put(store, &path, name).await;
        expected.push(path);
    }
    for (path, name) in expected.iter().zip(names) {
        assert_eq!(text(store, path).await, name);
    }
    expected.sort();
    assert_eq!(store.names(bucket, "contract/odd/").await.unwrap(), expected);
    for path in &expected {
        store.delete(path, Precondition::None).await.unwrap();
    }
    assert_eq!(store.names(bucket, "contract/odd/").await.unwrap(), []);
}
