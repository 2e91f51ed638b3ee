//! A server that speaks just enough TDS (MS-TDS) to answer with one table, whose types and bytes a test gives.
//!
//! It has the types that pysqlbridge does not, and fails in the ways that a test asks for.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Bytes of the content of a packet.
const PACKET: usize = 4_000;

/// `Latin1_General_CI_AS`: code page 1252.
pub(crate) const LATIN: [u8; 5] = [0x09, 0x04, 0xd0, 0x00, 0x34];

const DONE: u8 = 0xfd;

/// A column: as the catalogue has it, and as the wire does.
#[derive(Debug, Clone)]
pub(crate) struct WireColumn {
    pub(crate) name: &'static str,
    /// As `sys.types` names it.
    pub(crate) type_name: &'static str,
    /// Bytes, digits and digits after the point of `sys.columns`.
    pub(crate) numbers: (i16, u8, u8),
    /// TYPE_INFO of the protocol.
    pub(crate) wire: Vec<u8>,
}

/// How a reading of the table's rows goes.
#[derive(Debug, Clone, Default)]
pub(crate) enum End {
    /// To the end.
    #[default]
    Done,
    /// The connection is gone after the rows.
    Lost,
    /// An error after the rows.
    Error(u32, &'static str),
    /// The rows again and again.
    Never,
    /// Not even rows.
    Silence,
}

/// What the server has and does.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) columns: Vec<WireColumn>,
    pub(crate) rows: Vec<Vec<Vec<u8>>>,
    pub(crate) end: End,
    /// What is answered to the question for the newest value of a cursor.
    pub(crate) newest: Option<&'static str>,
    /// Every statement that came.
    pub(crate) statements: Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) port: u16,
    pub(crate) content: Arc<Mutex<Content>>,
    /// What ended the statements that would not end by themselves: an attention or the connection's end.
    pub(crate) ended: mpsc::UnboundedReceiver<&'static str>,
}

impl Wire {
    /// Serves a table `t`.
    pub(crate) async fn start(columns: Vec<WireColumn>, rows: Vec<Vec<Vec<u8>>>) -> Self {
        let content = Arc::new(Mutex::new(Content { columns, rows, ..Content::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, ended) = mpsc::unbounded_channel();
        let shared = Arc::clone(&content);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), told.clone()));
            }
        });
        Self { port, content, ended }
    }

    /// The statements that contain a text.
    pub(crate) fn statements(&self, part: &str) -> Vec<String> {
        let content = self.content.lock().unwrap();
        content.statements.iter().filter(|sql| sql.contains(part)).cloned().collect()
    }
}

/// A connection until either side ends it.
async fn serve(mut stream: TcpStream, content: Arc<Mutex<Content>>, told: mpsc::UnboundedSender<&'static str>) {
    while let Some((kind, message)) = message(&mut stream).await {
        let answer = match kind {
            // Only the version and that there is no TLS.
            0x12 => vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2],
            0x10 => signed_in(),
            0x06 => done(0x20),
            _ => {
                let sql = statement(kind, &message);
                content.lock().unwrap().statements.push(sql.clone());
                if sql.contains("FROM [t]") && !sql.contains("TOP (1)") {
                    if rows_of_table(&mut stream, &content, &told).await.is_none() {
                        return;
                    }
                    continue;
                }
                catalogue(&sql, &content.lock().unwrap())
            }
        };
        if send(&mut stream, &answer, true).await.is_none() {
            return;
        }
    }
}

async fn message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut content = Vec::new();
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.ok()?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - header.len();
        let start = content.len();
        content.resize(start + length, 0);
        stream.read_exact(&mut content[start..]).await.ok()?;
        if header[1] & 1 == 1 {
            return Some((header[0], content));
        }
    }
}

async fn send(stream: &mut TcpStream, content: &[u8], is_last: bool) -> Option<()> {
    let mut chunks = content.chunks(PACKET).peekable();
    while let Some(chunk) = chunks.next() {
        let status = u8::from(is_last && chunks.peek().is_none());
        let length = u16::try_from(chunk.len() + 8).unwrap().to_be_bytes();
        let packet = [&[4, status, length[0], length[1], 0, 0, 1, 0], chunk].concat();
        stream.write_all(&packet).await.ok()?;
    }
    Some(())
}

fn signed_in() -> Vec<u8> {
    let name = utf16("SQL Server");
    let body = [&[1, 0x74, 0, 0, 4, 10], &name[..], &[16, 0, 0, 0]].concat();
    [&[0xad], &u16::try_from(body.len()).unwrap().to_le_bytes()[..], &body, &done(0)].concat()
}

fn done(status: u16) -> Vec<u8> {
    let mut token = vec![DONE];
    token.extend(status.to_le_bytes());
    token.extend([0; 10]);
    token
}

fn failure(number: u32, text: &str) -> Vec<u8> {
    let text_units = u16::try_from(text.encode_utf16().count()).unwrap().to_le_bytes();
    // State, class, text, server, procedure, line.
    let body = [&number.to_le_bytes()[..], &[1, 16], &text_units, &utf16(text), &[0, 0], &1_u32.to_le_bytes()].concat();
    [&[0xaa], &u16::try_from(body.len()).unwrap().to_le_bytes()[..], &body, &done(2)].concat()
}

/// The SQL of a batch, or the first parameter of `sp_executesql`.
fn statement(kind: u8, message: &[u8]) -> String {
    let headers = u32::from_le_bytes(message[..4].try_into().unwrap()) as usize;
    let body = &message[headers..];
    let text = |units: &[u8]| {
        let units: Vec<u16> = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        String::from_utf16(&units).unwrap()
    };
    if kind == 1 {
        return text(body);
    }
    // 0xffff, the number of the procedure and its options; then the parameter: name, status, type, longest, collation.
    let parameter = &body[6..];
    let value = &parameter[1 + usize::from(parameter[0]) * 2 + 1 + 1 + 2 + 5..];
    let longest = &parameter[1 + usize::from(parameter[0]) * 2 + 2..][..2];
    if longest == [0xff, 0xff] {
        let length = u32::from_le_bytes(value[8..12].try_into().unwrap()) as usize;
        return text(&value[12..12 + length]);
    }
    let length = usize::from(u16::from_le_bytes([value[0], value[1]]));
    text(&value[2..2 + length])
}

/// The rows, then what is to happen. `None` when the connection is over.
async fn rows_of_table(
    stream: &mut TcpStream,
    content: &Mutex<Content>,
    told: &mpsc::UnboundedSender<&'static str>,
) -> Option<()> {
    let (head, rows, end) = {
        let content = content.lock().unwrap();
        let columns: Vec<_> = content.columns.iter().map(|column| (column.name, column.wire.clone())).collect();
        let rows: Vec<u8> = content.rows.iter().flat_map(|row| [&[0xd1], &row.concat()[..]].concat()).collect();
        (columns_of(&columns), rows, content.end.clone())
    };
    if !matches!(end, End::Silence) {
        send(stream, &head, false).await?;
        send(stream, &rows, false).await?;
    }
    match end {
        End::Done => send(stream, &done(0), true).await,
        End::Error(number, text) => send(stream, &failure(number, text), true).await,
        End::Lost => None,
        End::Silence | End::Never => {
            let mut first = [0];
            loop {
                let ended = tokio::select! {
                    read = stream.read_exact(&mut first) => Some(if read.is_err() || first[0] != 6 { "closed" } else { "attention" }),
                    () = std::future::ready(()), if matches!(end, End::Never) => None,
                };
                match ended {
                    Some(how) => {
                        let _ = told.send(how);
                        return None;
                    }
                    None if send(stream, &rows, false).await.is_none() => {
                        let _ = told.send("closed");
                        return None;
                    }
                    None => tokio::task::yield_now().await,
                }
            }
        }
    }
}

fn columns_of(columns: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut token = vec![0x81];
    token.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
    for (name, wire) in columns {
        // No user type; may be NULL.
        token.extend([0, 0, 0, 0, 1, 0]);
        token.extend(wire);
        token.push(u8::try_from(name.encode_utf16().count()).unwrap());
        token.extend(utf16(name));
    }
    token
}

/// An answer of texts and integers.
fn answer(columns: &[(&str, Vec<u8>)], rows: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut tokens = columns_of(columns);
    for row in rows {
        tokens.push(0xd1);
        tokens.extend(row.concat());
    }
    tokens.extend(done(0));
    tokens
}

fn catalogue(sql: &str, content: &Content) -> Vec<u8> {
    let number = || vec![0x26, 4];
    let int = |value: i32| sized(&value.to_le_bytes());
    if sql.contains("snapshot_isolation_state") {
        return answer(&[("snapshot_isolation_state", number())], &[vec![int(1)]]);
    }
    if sql.contains("OBJECT_ID(@P1)") {
        return answer(&[("object_id", number())], &[vec![int(7)]]);
    }
    if sql.contains("FROM sys.columns") {
        let columns = ["name", "type_name", "max_length", "digits", "scale", "is_nullable", "description"];
        let columns = columns.map(|name| {
            (name, if matches!(name, "name" | "type_name" | "description") { nvarchar() } else { number() })
        });
        let rows: Vec<_> = content
            .columns
            .iter()
            .map(|column| {
                let (length, digits, scale) = column.numbers;
                vec![
                    text(column.name),
                    text(column.type_name),
                    int(length.into()),
                    int(digits.into()),
                    int(scale.into()),
                    int(1),
                    vec![0xff, 0xff],
                ]
            })
            .collect();
        return answer(&columns, &rows);
    }
    if sql.contains("TOP (1)") {
        let rows: Vec<_> = content.newest.iter().map(|newest| vec![text(newest)]).collect();
        return answer(&[("position", nvarchar())], &rows);
    }
    if sql.contains("FROM sys.indexes") {
        return done(0);
    }
    if sql.contains("FROM sys.") {
        return failure(208, "Invalid object name.");
    }
    if sql.contains("sp_describe_first_result_set") {
        let columns = [
            ("is_hidden", vec![0x68, 1]),
            ("name", nvarchar()),
            ("is_nullable", vec![0x68, 1]),
            ("system_type_name", nvarchar()),
        ];
        let described =
            |hidden: u8, name: &str, kind: &str| vec![sized(&[hidden]), text(name), sized(&[0]), text(kind)];
        return answer(
            &columns,
            &[described(0, "total", "money"), described(1, "id", "int"), described(0, "at", "datetime2(3)")],
        );
    }
    done(0)
}

/// TYPE_INFO of `nvarchar(4000)`.
pub(crate) fn nvarchar() -> Vec<u8> {
    [&[0xe7, 0x40, 0x1f], &LATIN[..]].concat()
}

/// UTF-16, little-endian.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A value with its length in one byte.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// A value with its length in two bytes.
pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat()
}

/// A text of `nvarchar(n)`.
pub(crate) fn text(text: &str) -> Vec<u8> {
    long(&utf16(text))
}

/// A value of a `(max)` type: its length, then chunks, here of seven bytes.
pub(crate) fn chunked(bytes: &[u8]) -> Vec<u8> {
    let mut value = (bytes.len() as u64).to_le_bytes().to_vec();
    for chunk in bytes.chunks(7) {
        value.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        value.extend(chunk);
    }
    value.extend([0; 4]);
    value
}

/// A value of `text`, `ntext` or `image`: a pointer, a time, and the bytes.
pub(crate) fn pointed(bytes: &[u8]) -> Vec<u8> {
    [&[16], &[7; 16][..], &[0; 8], &u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}
