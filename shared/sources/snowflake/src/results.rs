//! A statement's result: what came with the answer, then what lies in the store of a cloud, a part at a time.

use std::{collections::VecDeque, io::Read, time::Duration};

use arrow::record_batch::RecordBatch;
use arrow_ipc::reader::StreamReader;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use millstream_ports::{PortError, PortResult};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    answer::{Chunk, Outcome, RowType},
    client::Session,
    errors::{lost, status, unreadable},
    sql_type::SqlType,
    values::Column,
};

/// The most bytes of a part as it is sent; the service makes parts of about 16 MB.
const LARGEST_PART: usize = 512 << 20;

/// How often a part is asked for.
const TRIES: u32 = 3;

/// A result that is being read.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) columns: Vec<RowType>,
    first: Option<Bytes>,
    chunks: VecDeque<Chunk>,
    headers: HeaderMap,
}

impl Results {
    /// Of a statement that was run.
    ///
    /// # Errors
    /// `Internal` for a result that is not in Arrow, and for one that cannot be read.
    pub(crate) fn of(doing: &str, session: &Session, outcome: Outcome) -> PortResult<Self> {
        let target = &session.target;
        if outcome.query_result_format.as_deref().is_some_and(|format| !format.eq_ignore_ascii_case("arrow")) {
            return Err(unreadable(doing, target, "the rows are not in Arrow's form"));
        }
        let first = outcome.rowset_base64.filter(|text| !text.is_empty());
        let first = first.map(|text| BASE64_STANDARD.decode(text).map(Bytes::from)).transpose();
        let mut headers = HeaderMap::new();
        let given: Vec<(String, String)> = if outcome.chunk_headers.is_empty() {
            let key = outcome.qrmk.map(|key| ("x-amz-server-side-encryption-customer-key".to_owned(), key));
            let algorithm = ("x-amz-server-side-encryption-customer-algorithm".to_owned(), "AES256".to_owned());
            key.into_iter().flat_map(|key| [algorithm.clone(), key]).collect()
        } else {
            outcome.chunk_headers.into_iter().collect()
        };
        for (name, value) in given {
            let name = HeaderName::try_from(name).map_err(|error| unreadable(doing, target, error))?;
            let mut value = HeaderValue::try_from(value).map_err(|error| unreadable(doing, target, error))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self {
            columns: outcome.rowtype,
            first: first.map_err(|error| unreadable(doing, target, error))?,
            chunks: outcome.chunks.into(),
            headers,
        })
    }

    /// The next part's batches; `None` after the last.
    ///
    /// # Errors
    /// `Unavailable` for a part that does not come.
    pub(crate) async fn next(&mut self, doing: &str, session: &Session) -> PortResult<Option<Batches>> {
        let part = match self.first.take() {
            Some(first) => first,
            None => match self.chunks.pop_front() {
                Some(chunk) => self.fetch(doing, session, &chunk).await?,
                None => return Ok(None),
            },
        };
        let bytes: Box<dyn Read + Send> = if part.starts_with(&[0x1F, 0x8B]) {
            Box::new(GzDecoder::new(part.reader()))
        } else {
            Box::new(part.reader())
        };
        StreamReader::try_new(bytes, None)
            .map(|reader| Some(Batches(reader)))
            .map_err(|error| unreadable(doing, &session.target, error))
    }

    async fn fetch(&self, doing: &str, session: &Session, chunk: &Chunk) -> PortResult<Bytes> {
        let mut tried = 1;
        loop {
            match self.fetch_once(doing, session, chunk).await {
                Err(error) if error.is_retryable() && tried < TRIES => {
                    tokio::time::sleep(Duration::from_millis(500) * tried).await;
                    tried += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn fetch_once(&self, doing: &str, session: &Session, chunk: &Chunk) -> PortResult<Bytes> {
        let target = &*session.target;
        let url = url::Url::parse(&chunk.url).map_err(|error| unreadable(doing, target, error))?;
        if url.scheme() != "https" && target.base.scheme() == "https" {
            return Err(unreadable(doing, target, "a part of the result is not behind TLS"));
        }
        let request = session.http().get(url).headers(self.headers.clone());
        let mut response = request.send().await.map_err(|error| lost(doing, target, error))?;
        match response.status().as_u16() {
            200 => {}
            // The address of a part is good for six hours.
            403 => {
                return Err(PortError::unavailable(format!(
                    "a part of the result is gone while {doing}: read it again"
                )));
            }
            code => return Err(status(doing, target, code)),
        }
        let mut bytes = Vec::new();
        while let Some(some) = response.chunk().await.map_err(|error| lost(doing, target, error))? {
            if bytes.len() + some.len() > LARGEST_PART {
                return Err(unreadable(doing, target, "a part of the result is too large"));
            }
            bytes.extend_from_slice(&some);
        }
        Ok(bytes.into())
    }
}

/// Batches of rows as they are decompressed.
pub(crate) struct Batches(StreamReader<Box<dyn Read + Send>>);

impl Batches {
    /// The next one.
    pub(crate) fn next(&mut self, doing: &str, session: &Session) -> PortResult<Option<RecordBatch>> {
        self.0.next().transpose().map_err(|error| unreadable(doing, &session.target, error))
    }
}

/// A small result as texts: its columns' names, and its rows.
pub(crate) async fn texts(
    doing: &str,
    session: &Session,
    mut outcome: Outcome,
) -> PortResult<(Vec<String>, Vec<Vec<Option<String>>>)> {
    let names = outcome.rowtype.iter().map(|column| column.name.clone()).collect();
    if let Some(rows) = outcome.rowset.take() {
        return Ok((names, rows));
    }
    let kinds: Vec<SqlType> = outcome.rowtype.iter().map(SqlType::of).collect();
    let mut results = Results::of(doing, session, outcome)?;
    let mut rows = Vec::new();
    while let Some(mut batches) = results.next(doing, session).await? {
        while let Some(batch) = batches.next(doing, session)? {
            let schema = batch.schema();
            for row in 0..batch.num_rows() {
                let cells = kinds.iter().zip(batch.columns()).zip(schema.fields());
                let texts = cells.map(|((kind, array), field)| {
                    let value = Column::new(array, field, kind).value(row)?;
                    (value != crate::values::Value::Null).then(|| value.to_text(kind))
                });
                rows.push(texts.collect());
            }
        }
    }
    Ok((names, rows))
}
