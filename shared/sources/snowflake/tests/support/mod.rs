//! A service that answers as Snowflake's drivers expect it to, for what fakesnow does not do.

use std::sync::{Arc, Mutex};

use arrow::record_batch::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use base64::{Engine, prelude::BASE64_STANDARD};
use millstream_events::extract::{Changes, Selection};
use millstream_ports::{BatchSize, Read, Secret, Ties};
use millstream_source_snowflake::SnowflakeSource;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What came.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: String,
    pub body: Value,
}

impl Request {
    pub fn sql(&self) -> &str {
        self.body["sqlText"].as_str().unwrap_or_default()
    }
}

/// What is answered.
pub enum Reply {
    Json(Value),
    Status(u16),
    Bytes(Vec<u8>),
    /// The connection ends without an answer.
    Close,
    /// There never is an answer.
    Never,
}

type Answers = dyn Fn(&Request, &str) -> Reply + Send + Sync;

/// A running service.
pub struct Service {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Service {
    /// Starts it: `answers` gets each request and the service's address.
    pub async fn start(answers: impl Fn(&Request, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, answers): (Arc<Mutex<Vec<Request>>>, Arc<Answers>) = (Arc::default(), Arc::new(answers));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&answers), port));
            }
        });
        Self { port, seen }
    }

    pub fn url(&self, user: &str, parameters: &str) -> Secret {
        let port = self.port;
        Secret::new(format!("snowflake://{user}@test/SHOP/PUBLIC?host=127.0.0.1&port={port}&tls=off{parameters}"))
    }

    pub async fn source(&self) -> SnowflakeSource {
        SnowflakeSource::connect(&self.url("reader:hunter2", ""), None).await.unwrap()
    }

    /// The requests whose path contains this.
    pub fn seen(&self, path: &str) -> Vec<Request> {
        self.seen.lock().unwrap().iter().filter(|request| request.path.contains(path)).cloned().collect()
    }

    /// Waits until there is such a request.
    pub async fn wait_for(&self, path: &str) -> Request {
        loop {
            if let Some(request) = self.seen(path).into_iter().next() {
                return request;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Request>>>, answers: Arc<Answers>, port: u16) {
    let mut bytes = Vec::new();
    let end = loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let headers = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length =
        headers.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
    while bytes.len() < end + length {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
    }
    let path = String::from_utf8_lossy(&bytes[..end]).split(' ').nth(1).unwrap().to_owned();
    let request = Request { path, headers, body: serde_json::from_slice(&bytes[end..]).unwrap_or_default() };
    seen.lock().unwrap().push(request.clone());
    let (status, body) = match answers(&request, &format!("http://127.0.0.1:{port}")) {
        Reply::Json(json) => (200, json.to_string().into_bytes()),
        Reply::Status(status) => (status, Vec::new()),
        Reply::Bytes(bytes) => (200, bytes),
        Reply::Close => return,
        Reply::Never => {
            // Until the other side goes.
            let _ = stream.read(&mut [0; 1]).await;
            return;
        }
    };
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
}

/// A column of a result.
pub fn column(name: &str, kind: &str, precision: i64, scale: i64) -> Value {
    json!({"name": name, "type": kind, "precision": precision, "scale": scale, "nullable": true})
}

/// A refusal.
pub fn refusal(code: &str, message: &str) -> Reply {
    Reply::Json(json!({"success": false, "code": code, "message": message, "data": {}}))
}

/// A batch as Arrow's stream.
pub fn stream_of(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// A result that came with its answer.
pub fn result(columns: &[Value], batch: Option<&RecordBatch>) -> Value {
    let rows = batch.map(|batch| BASE64_STANDARD.encode(stream_of(batch))).unwrap_or_default();
    json!({"rowtype": columns, "queryResultFormat": "arrow", "rowsetBase64": rows, "queryId": "q1"})
}

pub fn success(data: Value) -> Reply {
    Reply::Json(json!({"success": true, "code": null, "message": null, "data": data}))
}

/// The answers to everything but the rows of a table of these columns. Its past can be read where `has_past`.
pub fn about(request: &Request, columns: &[Value], has_past: bool) -> Option<Reply> {
    use std::sync::Arc as Shared;

    use arrow::{
        array::{Int32Array, Int64Array, StructArray},
        datatypes::{DataType, Field},
    };
    if request.path.contains("/parts/") {
        return None;
    }
    if request.path.contains("login-request") {
        return Some(success(json!({"token": "t1"})));
    }
    if !request.path.contains("query-request") {
        return Some(success(Value::Null));
    }
    let sql = request.sql();
    let texts = |names: &[&str]| -> Reply {
        let columns: Vec<Value> = names.iter().map(|name| column(name, "text", 0, 0)).collect();
        success(json!({"rowtype": columns, "queryResultFormat": "json", "rowset": []}))
    };
    if request.body["describeOnly"] == true {
        return Some(success(result(columns, None)));
    }
    if sql.contains("information_schema.columns") {
        return Some(texts(&["COLUMN_NAME", "IS_NULLABLE", "COMMENT"]));
    }
    if sql.contains("information_schema.tables") {
        return Some(texts(&["ROW_COUNT", "BYTES"]));
    }
    if sql.contains("SHOW PRIMARY KEYS") {
        return Some(texts(&["column_name", "key_sequence"]));
    }
    if sql.contains("CURRENT_TIMESTAMP") {
        let part = |name: &str, kind: DataType| Shared::new(Field::new(name, kind, false));
        let now = StructArray::from(vec![
            (part("epoch", DataType::Int64), Shared::new(Int64Array::from(vec![1_700_000_000])) as _),
            (part("fraction", DataType::Int32), Shared::new(Int32Array::from(vec![5])) as _),
        ]);
        let batch = RecordBatch::try_from_iter([("NOW", Shared::new(now) as _)]).unwrap();
        return Some(success(result(&[column("NOW", "timestamp_ltz", 0, 9)], Some(&batch))));
    }
    if sql.contains("LIMIT 0") {
        return Some(if has_past {
            success(result(columns, None))
        } else {
            refusal("000707", "Time travel data is not available")
        });
    }
    None
}

pub fn reading(select: Selection) -> Read {
    Read {
        select,
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000_000,
        statement_timeout: std::time::Duration::from_secs(120),
        batch: BatchSize::default(),
    }
}
