//! What Cloud Storage's documentation says and fake-gcs-server does otherwise, and what goes wrong on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod stub;

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_ports::{
    ByteStream, ErrorKind, ObjectMeta, ObjectStore, ObjectStoreExt, PortError, PortResult, Precondition, contracts,
};
use stub::{Ask, BUCKET, Fault, QUANTUM, Stub, path};

/// More than one request takes, and no multiple of a piece.
const LARGE: usize = (1 << 20) + 2 * QUANTUM + 17;

fn large() -> Vec<u8> {
    (0..LARGE).map(|at| (at % 251) as u8).collect()
}

fn kind<T: std::fmt::Debug>(result: PortResult<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

async fn read(stub: &Stub, name: &str) -> PortResult<Bytes> {
    stub.store().await.read(&path(name), LARGE as u64).await
}

#[tokio::test]
async fn the_object_store_contract_holds_with_sessions_for_large_bodies() {
    let stub = Stub::start().await;
    contracts::object_store(&stub.store().await, BUCKET).await;
    assert!(stub.asked(Ask::Start) > 0 && stub.asked(Ask::Upload) > 0);
}

#[tokio::test]
async fn a_precondition_holds_for_every_way_of_uploading() {
    for body in [b"small".to_vec(), large()] {
        let stub = Stub::start().await;
        let store = stub.store().await;
        let there = stub.put("there", b"as it was");
        for (name, when) in [
            ("there", Precondition::Absent),
            ("there", Precondition::Generation(there + 1)),
            ("absent", Precondition::Generation(1)),
            ("absent", Precondition::Generation(0)),
        ] {
            assert_eq!(kind(store.put(&path(name), body.clone(), when).await), ErrorKind::Conflict, "{name} {when:?}");
        }
        assert_eq!(stub.bytes("there").unwrap(), b"as it was");
        assert_eq!(stub.bytes("absent"), None);
        store.put(&path("there"), body.clone(), Precondition::Generation(there)).await.unwrap();
        store.put(&path("absent"), body.clone(), Precondition::Absent).await.unwrap();
        assert!(stub.bytes("there").unwrap() == body && stub.bytes("absent").unwrap() == body);
    }
}

#[tokio::test]
async fn a_session_that_meets_somebody_elses_object_at_its_end_is_a_conflict() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    for _ in 0..LARGE / QUANTUM - 1 {
        stub.fault(Ask::Piece, Fault::Nothing);
    }
    stub.fault(Ask::Piece, Fault::Rival(503));
    assert_eq!(kind(store.put(&path("a"), large(), Precondition::Absent).await), ErrorKind::Conflict);
    assert_eq!(stub.bytes("a").unwrap(), b"a rival's");
}

#[tokio::test]
async fn a_session_goes_on_from_the_last_piece_that_was_kept() {
    for fault in [Fault::Status(503), Fault::Lost(503), Fault::Status(429)] {
        let stub = Stub::start().await;
        let store = stub.store().await;
        stub.fault(Ask::Start, Fault::Status(503));
        stub.fault(Ask::Piece, fault);
        let written = store.put(&path("a"), large(), Precondition::Absent).await.unwrap();
        assert_eq!((written.size, written.crc32c), (LARGE as u64, crc32c::crc32c(&large())));
        assert!(stub.bytes("a").unwrap() == large(), "{fault:?}");
        assert_eq!((stub.asked(Ask::Start), stub.asked(Ask::Query)), (2, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_session_whose_line_breaks_fails_and_leaves_nothing() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    stub.fault(Ask::Piece, Fault::Cut);
    let error = store.put(&path("a"), large(), Precondition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(stub.asked(Ask::Piece), 1, "it does not go on: {error}");
    assert_eq!(stub.bytes("a"), None);
    store.put(&path("a"), large(), Precondition::Absent).await.unwrap();
    assert!(stub.bytes("a").unwrap() == large());
}

#[tokio::test]
async fn a_session_whose_body_breaks_off_leaves_nothing_and_hands_on_the_bodys_error() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    let pieces = [Ok(large().into()), Ok(large().into()), Err(PortError::invalid("line 7 has no date"))];
    let error = store.put_stream(&path("a"), stream::iter(pieces).boxed(), Precondition::None).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Invalid, "line 7 has no date"));
    assert!(stub.asked(Ask::Piece) > 0, "some of it had been sent");
    assert_eq!(stub.bytes("a"), None);
}

#[tokio::test]
async fn other_bytes_than_those_sent_do_not_stay() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    // After a resumption the client has no checksum ahead of the last piece.
    stub.fault(Ask::Piece, Fault::Status(503));
    stub.fault(Ask::Piece, Fault::Changed);
    let error = store.put(&path("a"), large(), Precondition::Absent).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("other bytes arrived"), "{error}");
    assert_eq!(stub.bytes("a"), None);
    // One request, and a session that was not resumed, are refused by Cloud Storage itself.
    for (ask, body) in [(Ask::Upload, b"small".to_vec()), (Ask::Piece, large())] {
        stub.fault(ask, Fault::Changed);
        assert_eq!(kind(store.put(&path("a"), body, Precondition::Absent).await), ErrorKind::Invalid);
        assert_eq!(stub.bytes("a"), None);
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_known_by_its_name() {
    for fault in [Fault::Lost(503), Fault::CutAfter] {
        let stub = Stub::start().await;
        let store = stub.store().await;
        stub.fault(Ask::Upload, fault);
        let written = store.put(&path("a"), "mine", Precondition::Absent).await.unwrap();
        assert_eq!(stub.asked(Ask::Upload), 2, "{fault:?}: the second one was refused");
        assert_eq!(written, store.stat(&path("a")).await.unwrap());
        stub.fault(Ask::Upload, fault);
        let again = store.put(&path("a"), "mine", Precondition::Generation(written.generation)).await.unwrap();
        assert_eq!(again, store.stat(&path("a")).await.unwrap());
        assert_eq!(again.generation, written.generation + 1);
    }
}

#[tokio::test]
async fn a_session_whose_last_answer_is_lost_is_known_by_its_name() {
    for fault in [Fault::Lost(503), Fault::CutAfter] {
        let stub = Stub::start().await;
        let store = stub.store().await;
        for _ in 0..LARGE.div_ceil(QUANTUM) - 1 {
            stub.fault(Ask::Piece, Fault::Nothing);
        }
        stub.fault(Ask::Piece, fault);
        let written = store.put(&path("a"), large(), Precondition::Absent).await.unwrap();
        assert!(stub.bytes("a").unwrap() == large());
        assert_eq!(written, store.stat(&path("a")).await.unwrap());
    }
}

#[tokio::test]
async fn the_same_bytes_of_somebody_else_are_a_conflict() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    stub.fault(Ask::Upload, Fault::Rival(503));
    assert_eq!(kind(store.put(&path("a"), "the same", Precondition::Absent).await), ErrorKind::Conflict);
    assert_eq!(stub.bytes("a").unwrap(), b"the same");
}

#[tokio::test]
async fn where_nobody_can_look_nobody_says_that_there_is_a_conflict() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    stub.fault(Ask::Upload, Fault::Lost(503));
    for _ in 0..3 {
        stub.fault(Ask::Stat, Fault::Status(503));
    }
    assert_eq!(kind(store.put(&path("a"), "mine", Precondition::Absent).await), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    stub.put("a", b"text");
    for fault in [Fault::Status(503), Fault::Status(429), Fault::Status(408), Fault::Cut] {
        for ask in [Ask::Read, Ask::Stat, Ask::List, Ask::Upload, Ask::Delete] {
            stub.fault(ask, fault);
        }
        assert_eq!(store.read(&path("a"), 10).await.unwrap(), "text");
        let old = store.stat(&path("a")).await.unwrap().generation;
        assert_eq!(store.names(BUCKET, "a").await.unwrap(), [path("a")]);
        let new = store.put(&path("a"), "text", Precondition::Generation(old)).await.unwrap().generation;
        store.delete(&path("a"), Precondition::Generation(new)).await.unwrap();
        store.put(&path("a"), "text", Precondition::Absent).await.unwrap();
    }
}

#[tokio::test]
async fn retries_have_an_end_and_the_last_answer_is_the_error() {
    for (status, expected) in
        [(503, ErrorKind::Unavailable), (429, ErrorKind::Quota { retry_after: Duration::from_secs(60) })]
    {
        let stub = Stub::start().await;
        let store = stub.store().await;
        stub.put("a", b"text");
        for ask in [Ask::Read, Ask::Stat, Ask::List, Ask::Upload, Ask::Delete] {
            for _ in 0..3 {
                stub.fault(ask, Fault::Status(status));
            }
        }
        assert_eq!(kind(store.stat(&path("a")).await), expected);
        assert_eq!(kind(store.get(&path("a"), None).await), expected);
        assert_eq!(kind(store.names(BUCKET, "").await), expected);
        assert_eq!(kind(store.put(&path("b"), "text", Precondition::Absent).await), expected);
        assert_eq!(kind(store.delete(&path("a"), Precondition::Generation(1)).await), expected);
        for ask in [Ask::Read, Ask::List, Ask::Upload, Ask::Delete] {
            assert_eq!(stub.asked(ask), 3, "{ask:?}");
        }
        assert_eq!(stub.bytes("b"), None);
    }
}

#[tokio::test]
async fn what_a_second_time_would_do_twice_is_sent_once() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    stub.put("a", b"text");
    stub.fault(Ask::Upload, Fault::Status(503));
    stub.fault(Ask::Delete, Fault::Status(503));
    assert_eq!(kind(store.put(&path("a"), "new", Precondition::None).await), ErrorKind::Unavailable);
    assert_eq!(kind(store.delete(&path("a"), Precondition::None).await), ErrorKind::Unavailable);
    assert_eq!((stub.asked(Ask::Upload), stub.asked(Ask::Delete)), (1, 1));
    assert_eq!(stub.bytes("a").unwrap(), b"text");
}

#[tokio::test]
async fn what_is_refused_says_where_why_and_what_would_help() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    stub.put("a", b"text");
    for ask in [Ask::Read, Ask::Stat, Ask::List, Ask::Upload, Ask::Start, Ask::Delete] {
        stub.fault(ask, Fault::Status(403));
    }
    let errors = [
        store.get(&path("a"), None).await.unwrap_err(),
        store.stat(&path("a")).await.unwrap_err(),
        store.list(BUCKET, "a").try_collect::<Vec<ObjectMeta>>().await.unwrap_err(),
        store.put(&path("a"), "new", Precondition::Absent).await.unwrap_err(),
        store.put(&path("a"), large(), Precondition::None).await.unwrap_err(),
        store.delete(&path("a"), Precondition::None).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Denied);
        let message = error.to_string();
        for part in ["gs://lake/a", "roles/storage.objectUser", "403: ana@example.com is told"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    assert_eq!(stub.asked(Ask::Read), 1, "a person must act first");
}

#[tokio::test]
async fn bytes_that_do_not_match_their_checksum_end_the_read_with_an_error() {
    let stub = Stub::start().await;
    stub.put("a", &large());
    stub.fault(Ask::Read, Fault::Changed);
    let error = read(&stub, "a").await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("checksum"), "{error}");
    assert!(read(&stub, "a").await.unwrap() == large());
}

#[tokio::test]
async fn a_read_whose_line_breaks_goes_on_in_the_same_generation() {
    let stub = Stub::start().await;
    stub.put("a", &large());
    stub.fault(Ask::Read, Fault::CutAt(100_000));
    stub.fault(Ask::Read, Fault::CutAt(200_000));
    stub.cut(2);
    assert!(read(&stub, "a").await.unwrap() == large());
    assert_eq!(stub.asked(Ask::Read), 3);
}

#[tokio::test]
async fn a_read_whose_line_breaks_while_somebody_writes_ends_with_an_error() {
    let stub = Stub::start().await;
    stub.put("a", &large());
    stub.fault(Ask::Read, Fault::CutAt(100_000));
    let body: ByteStream = stub.store().await.get(&path("a"), None).await.unwrap().body;
    stub.put("a", b"newer");
    stub.cut(1);
    let rest: PortResult<Vec<Bytes>> = body.try_collect().await;
    assert_eq!(kind(rest), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_read_that_stands_still_ends_with_an_error() {
    let stub = Stub::start().await;
    stub.put("a", &large());
    stub.fault(Ask::Read, Fault::CutAt(100_000));
    let read = stub.store_with(Duration::from_millis(300)).await.read(&path("a"), LARGE as u64).await;
    assert_eq!(kind(read), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_listing_goes_through_all_pages_in_name_order() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    for name in ["in/c", "in/a", "in/b", "in/é", "in/d", "other", "in//not-ours"] {
        stub.put(name, name.as_bytes());
    }
    stub.set_page(2);
    let expected = ["in/a", "in/b", "in/c", "in/d", "in/é"].map(path);
    let listed: Vec<ObjectMeta> = store.list(BUCKET, "in/").try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|meta| meta.path.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(listed[0], store.stat(&path("in/a")).await.unwrap());
    assert_eq!(stub.asked(Ask::List), 3);
    stub.fault(Ask::List, Fault::Status(503));
    assert_eq!(store.names(BUCKET, "in/").await.unwrap(), expected);
}

#[tokio::test]
async fn a_deletion_holds_to_its_generation() {
    let stub = Stub::start().await;
    let store = stub.store().await;
    let generation = stub.put("a", b"text");
    assert_eq!(kind(store.delete(&path("a"), Precondition::Generation(generation + 1)).await), ErrorKind::Conflict);
    assert_eq!(kind(store.delete(&path("a"), Precondition::Absent).await), ErrorKind::Conflict);
    assert!(stub.bytes("a").is_some());
    // The answer of the first attempt is lost: the second finds nothing, which is what was asked for.
    stub.fault(Ask::Delete, Fault::Lost(503));
    store.delete(&path("a"), Precondition::Generation(generation)).await.unwrap();
    assert_eq!(kind(store.delete(&path("a"), Precondition::Generation(generation)).await), ErrorKind::NotFound);
}
