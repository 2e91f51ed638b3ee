//! The server's routes.

use std::collections::HashMap;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{Ask, Fault, Stub, objects::Step};

type Parameters = Query<HashMap<String, String>>;

pub(super) fn routes(stub: Stub) -> Router {
    Router::new()
        .route("/storage/v1/b/lake/o", get(list))
        .route("/storage/v1/b/lake/o/{name}", get(read_or_stat).delete(delete))
        .route("/upload/storage/v1/b/lake/o", post(upload_or_start))
        .route("/session/{id}", put(piece))
        .layer(DefaultBodyLimit::disable())
        .with_state(stub)
}

/// Closes the connection without an answer.
fn cut() -> ! {
    // Unwinding ends the connection's task; without the panic hook, so that the test's output stays clean.
    std::panic::resume_unwind(Box::new("the line is cut"))
}

/// Does what was asked and answers, or whatever goes wrong in its place.
fn faulty(fault: Option<Fault>, effect: impl FnOnce() -> Response) -> Response {
    match fault {
        // The rival has been served already.
        Some(Fault::Status(status) | Fault::Rival(status)) => refusal(StatusCode::from_u16(status).unwrap()),
        Some(Fault::Cut) => cut(),
        Some(Fault::Lost(status)) => {
            takes_effect(effect);
            refusal(StatusCode::from_u16(status).unwrap())
        }
        Some(Fault::CutAfter) => {
            takes_effect(effect);
            cut()
        }
        Some(Fault::CutAt(_) | Fault::Changed | Fault::Nothing) | None => effect(),
    }
}

/// A test that loses the answer of a request which was refused would show nothing.
fn takes_effect(effect: impl FnOnce() -> Response) {
    let status = effect().status();
    assert!(status.is_success() || status == StatusCode::PERMANENT_REDIRECT, "no effect: {status}");
}

fn refusal(status: StatusCode) -> Response {
    let message = format!("ana@example.com is told {status}");
    (status, axum::Json(json!({"error": {"code": status.as_u16(), "message": message}}))).into_response()
}

fn answer(result: Result<Value, StatusCode>) -> Response {
    result.map_or_else(refusal, |value| axum::Json(value).into_response())
}

fn expected(parameters: &HashMap<String, String>) -> Option<u64> {
    parameters.get("ifGenerationMatch").map(|value| value.parse().unwrap())
}

async fn list(State(stub): State<Stub>, Query(parameters): Parameters) -> Response {
    let mut world = stub.world();
    let fault = world.ask(Ask::List);
    let names_only = parameters["fields"] == "nextPageToken,items(name)";
    faulty(fault, || {
        let after = parameters.get("pageToken").cloned().unwrap_or_default();
        let found = |name: &str| name.starts_with(&parameters["prefix"]) && name > after.as_str();
        let mut left = world.objects.iter().filter(|(name, _)| found(name));
        let page: Vec<_> = left.by_ref().take(world.page).collect();
        let token = left.next().and(page.last()).map(|(name, _)| name);
        let item = |(name, object): &(&String, &super::objects::Object)| {
            if names_only { json!({ "name": name }) } else { object.resource(name) }
        };
        // Where nothing is found there is no `items` at all.
        let mut answer = json!({"kind": "storage#objects"});
        if !page.is_empty() {
            answer["items"] = page.iter().map(item).collect();
        }
        if let Some(token) = token {
            answer["nextPageToken"] = json!(token);
        }
        axum::Json(answer).into_response()
    })
}

async fn read_or_stat(
    State(stub): State<Stub>,
    Path(name): Path<String>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let mut world = stub.world();
    let media = parameters.get("alt").is_some_and(|alt| alt == "media");
    let fault = world.ask(if media { Ask::Read } else { Ask::Stat });
    let wanted = parameters.get("generation").map(|value| value.parse::<u64>().unwrap());
    let object = world.objects.get(&name).filter(|object| wanted.is_none_or(|wanted| wanted == object.generation));
    let Some(object) = object.cloned() else {
        return (StatusCode::NOT_FOUND, format!("No such object: lake/{name}")).into_response();
    };
    faulty(fault, || {
        if !media {
            return axum::Json(object.resource(&name)).into_response();
        }
        let size = object.bytes.len();
        let range = headers.get(header::RANGE).map(|range| range.to_str().unwrap().strip_prefix("bytes=").unwrap());
        let (first, last) = range.map_or((0, size), |range| {
            let (first, last) = range.split_once('-').unwrap();
            (first.parse().unwrap(), last.parse::<usize>().map_or(size, |last| last + 1))
        });
        let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let mut bytes = object.bytes[first..last].to_vec();
        if fault == Some(Fault::Changed) {
            bytes[0] ^= 1;
        }
        let length = bytes.len();
        let body = match fault {
            Some(Fault::CutAt(at)) => {
                bytes.truncate(at);
                let cuts = stub.cuts.clone();
                let cut = stream::once(async move {
                    cuts.acquire().await.unwrap().forget();
                    Err("the line is cut")
                });
                Body::from_stream(stream::iter([Ok(Bytes::from(bytes))]).chain(cut))
            }
            _ => Body::from(bytes),
        };
        Response::builder()
            .status(status)
            .header("content-length", length)
            .header("content-range", format!("bytes {first}-{}/{size}", last.saturating_sub(1)))
            .header("x-goog-generation", object.generation)
            .header("x-goog-metageneration", 1)
            .header("x-goog-stored-content-length", size)
            .header("x-goog-hash", format!("crc32c={}", object.crc32c()))
            .body(body)
            .unwrap()
    })
}

async fn delete(State(stub): State<Stub>, Path(name): Path<String>, Query(parameters): Parameters) -> Response {
    let mut world = stub.world();
    let fault = world.ask(Ask::Delete);
    faulty(fault, || match world.objects.delete(&name, expected(&parameters)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(status) => refusal(status),
    })
}

async fn upload_or_start(
    State(stub): State<Stub>,
    Query(parameters): Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let world = &mut *stub.world();
    let (name, expected) = (&parameters["name"], expected(&parameters));
    if parameters["uploadType"] == "resumable" {
        let fault = world.ask(Ask::Start);
        let resource = serde_json::from_slice(&body).unwrap();
        return faulty(fault, || match world.objects.start(name, &resource, expected) {
            Ok(id) => [("location", format!("http://{}/session/{id}", stub.address))].into_response(),
            Err(status) => refusal(status),
        });
    }
    let fault = world.ask(Ask::Upload);
    let (resource, mut bytes) = parts(&headers, &body);
    if fault == Some(Fault::Changed) {
        bytes[0] ^= 1;
    }
    if let Some(Fault::Rival(_)) = fault {
        world.objects.put(name, bytes.clone(), serde_json::Map::new());
    }
    faulty(fault, || answer(world.objects.upload(name, &resource, bytes, expected)))
}

async fn piece(State(stub): State<Stub>, Path(id): Path<String>, headers: HeaderMap, mut body: Bytes) -> Response {
    let mut world = stub.world();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let range = text("content-range").unwrap();
    let fault = world.ask(if range == "bytes */*" { Ask::Query } else { Ask::Piece });
    if fault == Some(Fault::Changed) {
        body = body.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 0)).collect();
    }
    if let Some(Fault::Rival(_)) = fault {
        let name = world.objects.name_of(&id);
        world.objects.put(&name, b"a rival's".to_vec(), serde_json::Map::new());
    }
    faulty(fault, || match world.objects.piece(&id, range, text("x-goog-hash"), &body) {
        Ok(Step::Done(resource)) => axum::Json(resource).into_response(),
        Ok(Step::Kept(0)) => StatusCode::PERMANENT_REDIRECT.into_response(),
        Ok(Step::Kept(size)) => {
            (StatusCode::PERMANENT_REDIRECT, [("range", format!("bytes=0-{}", size - 1))]).into_response()
        }
        Err(status) => refusal(status),
    })
}

/// The two parts of a multipart upload: the resource as JSON, and the bytes.
fn parts(headers: &HeaderMap, body: &Bytes) -> (Value, Vec<u8>) {
    let kind = headers[header::CONTENT_TYPE].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/related; boundary=").unwrap().trim_matches('"');
    let delimiter = format!("--{boundary}");
    let find = |from: usize, text: &str| {
        from + body[from..].windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
    };
    let mut content = Vec::new();
    let mut at = find(0, &delimiter);
    for _ in 0..2 {
        let first = find(at, "\r\n\r\n") + 4;
        at = find(first, &format!("\r\n{delimiter}"));
        content.push(body.slice(first..at));
    }
    (serde_json::from_slice(&content[0]).unwrap(), content[1].to_vec())
}
