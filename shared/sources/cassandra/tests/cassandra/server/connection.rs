//! A connection: frames in, frames out.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    Refusal, SLOW, State, Wrong,
    frame::{Reader, bytes, option, string},
    statement::Select,
    tables::{Column, Row, Table, serialized},
};

/// An answer's opcode and body.
type Answer = (u8, Vec<u8>);

const ERROR: u8 = 0x00;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const SUPPORTED: u8 = 0x06;
const RESULT: u8 = 0x08;
const AUTH_SUCCESS: u8 = 0x10;

/// Answers requests until the client goes away.
pub(crate) async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) -> io::Result<()> {
    let mut signed_in = state.lock().unwrap().user.is_none();
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await?;
        let mut body = vec![0; u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize];
        stream.read_exact(&mut body).await?;
        assert_eq!(header[0], 0x04, "requests of version 4");
        assert_eq!(header[1] & 0x01, 0, "requests that are not compressed");
        let answer = answer(&state, &mut signed_in, header[4], &body);
        let (opcode, body) = match answer {
            Ok(answer) => answer,
            Err(Wrong::Close) => return Ok(()),
            Err(Wrong::Stall) => {
                tokio::time::sleep(SLOW).await;
                return Ok(());
            }
            Err(Wrong::Answer(Refusal { code, text, extra })) => {
                let mut body = Vec::new();
                body.put_i32(code);
                string(&mut body, &text);
                body.extend(extra);
                (ERROR, body)
            }
        };
        let mut frame = vec![0x84, 0, header[2], header[3], opcode];
        frame.put_u32(body.len() as u32);
        frame.extend(body);
        stream.write_all(&frame).await?;
        stream.flush().await?;
    }
}

fn answer(state: &Mutex<State>, signed_in: &mut bool, opcode: u8, body: &[u8]) -> Result<Answer, Wrong> {
    let mut state = state.lock().unwrap();
    let mut body = Reader(body);
    let refuse = |refusal| Wrong::Answer(refusal);
    match opcode {
        // OPTIONS
        0x05 => {
            let mut out = Vec::new();
            out.put_u16(2);
            for (name, values) in [("CQL_VERSION", &["3.4.7"][..]), ("COMPRESSION", &[])] {
                string(&mut out, name);
                out.put_u16(values.len() as u16);
                values.iter().for_each(|value| string(&mut out, value));
            }
            Ok((SUPPORTED, out))
        }
        // STARTUP
        0x01 if *signed_in => Ok((READY, Vec::new())),
        0x01 => {
            let mut out = Vec::new();
            string(&mut out, "org.apache.cassandra.auth.PasswordAuthenticator");
            Ok((AUTHENTICATE, out))
        }
        // AUTH_RESPONSE
        0x0f => {
            let token = body.bytes().unwrap_or_default();
            let parts: Vec<&[u8]> = token.split(|byte| *byte == 0).collect();
            let is_known = state.user.as_ref().is_some_and(|(user, password)| {
                matches!(parts[..], [_, name, word] if name == user.as_bytes() && word == password.as_bytes())
            });
            if !is_known {
                return Err(refuse(Refusal::new(0x0100, "Provided username reader and/or password are incorrect")));
            }
            *signed_in = true;
            let mut out = Vec::new();
            bytes(&mut out, None);
            Ok((AUTH_SUCCESS, out))
        }
        _ if !*signed_in => Err(refuse(Refusal::new(0x0100, "not signed in"))),
        // REGISTER
        0x0b => Ok((READY, Vec::new())),
        // QUERY
        0x07 => {
            let text = body.long_string();
            run(&mut state, &text, &mut body)
        }
        // PREPARE
        0x09 => {
            let text = body.long_string();
            let select = Select::parse(&text).map_err(refuse)?;
            let table = select.check(&state).map_err(refuse)?;
            let known = state.prepared.iter().position(|known| *known == text);
            let id = known.unwrap_or(state.prepared.len());
            if known.is_none() {
                state.prepared.push(text);
            }
            Ok((RESULT, prepared(id, &select, &table)))
        }
        // EXECUTE
        0x0a => {
            let id = body.short_bytes();
            let id = usize::from_be_bytes(id.try_into().unwrap());
            let text = state.prepared[id].clone();
            run(&mut state, &text, &mut body)
        }
        other => Err(refuse(Refusal::new(0x000a, format!("no such opcode {other}")))),
    }
}

/// The parameters of a statement.
struct Parameters {
    values: Vec<Option<Vec<u8>>>,
    skip_metadata: bool,
    page_rows: usize,
    /// How many rows were answered before.
    start: usize,
}

fn parameters(body: &mut Reader<'_>) -> Parameters {
    let _consistency = body.short();
    let flags = body.byte();
    assert_eq!(flags & 0x40, 0, "values without names");
    let values = if flags & 0x01 != 0 { (0..body.short()).map(|_| body.bytes()).collect() } else { Vec::new() };
    let page_rows = if flags & 0x04 != 0 { body.int() as usize } else { usize::MAX };
    let state = if flags & 0x08 != 0 { body.bytes() } else { None };
    let start = state.map_or(0, |state| usize::from_be_bytes(state.try_into().unwrap()));
    Parameters { values, skip_metadata: flags & 0x02 != 0, page_rows, start }
}

fn run(state: &mut State, text: &str, body: &mut Reader<'_>) -> Result<Answer, Wrong> {
    let select = Select::parse(text).map_err(Wrong::Answer)?;
    let table = select.check(state).map_err(Wrong::Answer)?;
    if !select.is_own() {
        state.executed.push(text.to_owned());
        if let Some(trouble) = &mut state.trouble {
            match trouble.after.checked_sub(1) {
                Some(after) => trouble.after = after,
                None => return Err(trouble.what.clone()),
            }
        }
    }
    let parameters = parameters(body);
    let rows = select.rows(&table, &parameters.values);
    Ok((RESULT, page(&table, &select.answered(&table), &rows, &parameters)))
}

/// The columns of a table in an answer's metadata.
fn columns<'a>(
    out: &mut Vec<u8>,
    table: &Table,
    columns: impl Iterator<Item = (&'a str, &'a scylla::frame::response::result::ColumnType<'static>)>,
) {
    string(out, &table.keyspace);
    string(out, &table.name);
    for (name, cql) in columns {
        string(out, name);
        option(out, cql);
    }
}

fn prepared(id: usize, select: &Select, table: &Table) -> Vec<u8> {
    let (markers, answered) = (select.markers(table), select.answered(table));
    let mut out = Vec::new();
    out.put_i32(4);
    out.put_u16(8);
    out.extend(id.to_be_bytes());
    // One table for all columns; no marker is a part of the key.
    out.put_i32(1);
    out.put_i32(markers.len() as i32);
    out.put_i32(0);
    columns(&mut out, table, markers.iter().map(|(name, cql)| (name.as_str(), cql)));
    out.put_i32(1);
    out.put_i32(answered.len() as i32);
    columns(&mut out, table, answered.iter().map(|column| (column.name.as_str(), &column.cql)));
    out
}

fn page(table: &Table, answered: &[Column], rows: &[Row], parameters: &Parameters) -> Vec<u8> {
    let end = parameters.start.saturating_add(parameters.page_rows).min(rows.len());
    let has_more = end < rows.len();
    let mut out = Vec::new();
    out.put_i32(2);
    out.put_i32(
        i32::from(!parameters.skip_metadata) | i32::from(has_more) << 1 | i32::from(parameters.skip_metadata) << 2,
    );
    out.put_i32(answered.len() as i32);
    if has_more {
        bytes(&mut out, Some(&end.to_be_bytes()));
    }
    if !parameters.skip_metadata {
        columns(&mut out, table, answered.iter().map(|column| (column.name.as_str(), &column.cql)));
    }
    let rows = &rows[parameters.start.min(end)..end];
    out.put_i32(rows.len() as i32);
    for row in rows {
        for (column, value) in answered.iter().zip(row) {
            out.extend(serialized(&column.cql, value));
        }
    }
    out
}
