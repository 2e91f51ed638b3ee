//! A signed-in connection.

use std::{iter::repeat_n, sync::Arc, time::Duration};

use millstream_ports::{PortError, PortResult};
use odbc_api::{
    Connection, ConnectionOptions, Cursor, CursorImpl, Error, IntoParameter,
    buffers::{BufferDesc, ColumnarDynBuffer},
    handles::StatementImpl,
    parameter::InputParameter,
};

use crate::{connection_string::Target, errors::failed};

/// How long connecting may take, in seconds.
const CONNECT_SECONDS: u32 = 15;

/// Rows of an answer that is kept whole which are fetched at once.
const BLOCK: usize = 64;

/// The most rows such an answer may have: tables, columns, ends of ranges.
const MOST_ROWS: usize = 1_000_000;

/// An answer of texts.
pub(crate) type Texts = Vec<Vec<Option<String>>>;

/// A connection to the database, for the thread that made it.
pub(crate) struct Session {
    pub(crate) connection: Connection<'static>,
    pub(crate) target: Arc<Target>,
    /// The longest a statement may take.
    pub(crate) limit: Duration,
    quote: Option<char>,
    pub(crate) is_db2: bool,
}

impl Session {
    /// Signs in.
    pub(crate) fn open(target: &Arc<Target>, limit: Duration) -> PortResult<Self> {
        let refused = |error| failed("connecting", target, &error);
        let environment = odbc_api::environment().map_err(refused)?;
        let options = ConnectionOptions { login_timeout_sec: Some(CONNECT_SECONDS), packet_size: None };
        let connection = environment.connect_with_connection_string(target.text(), options).map_err(refused)?;
        let quote = connection.identifier_quote_char().map_err(refused)?;
        let product = connection.database_management_system_name().map_err(refused)?;
        let is_db2 = product.to_ascii_uppercase().starts_with("DB2");
        Ok(Self { connection, target: Arc::clone(target), limit, quote, is_db2 })
    }

    /// A name as SQL.
    ///
    /// # Errors
    /// `Invalid` for one that would need quotes where the source has none.
    pub(crate) fn quoted(&self, name: &str) -> PortResult<String> {
        let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        match self.quote {
            Some(quote) => {
                let doubled = name.replace(quote, &format!("{quote}{quote}"));
                Ok(format!("{quote}{doubled}{quote}"))
            }
            None if is_plain => Ok(name.to_owned()),
            None => Err(PortError::invalid(format!("{} cannot quote the name {name:?}: read a query", self.target))),
        }
    }

    /// A reading statement, which DB2 is told to be one.
    pub(crate) fn reading(&self, sql: String) -> String {
        if self.is_db2 { format!("{sql} FOR READ ONLY WITH {}", self.target.isolation.as_str()) } else { sql }
    }

    /// Runs a statement whose `?` are texts.
    pub(crate) fn execute(
        &self,
        doing: &str,
        sql: &str,
        parameters: &[String],
    ) -> PortResult<CursorImpl<StatementImpl<'_>>> {
        let refused = |error| failed(doing, &self.target, &error);
        let parameters: Vec<Box<dyn InputParameter>> =
            parameters.iter().map(|text| Box::new(text.as_str().into_parameter()) as Box<dyn InputParameter>).collect();
        let mut statement = self.connection.preallocate().map_err(refused)?;
        let seconds = usize::try_from(self.limit.as_secs().max(1)).unwrap_or(usize::MAX);
        // A driver that has no such limit leaves it to ours, which is looked at between the blocks.
        let _ = statement.set_query_timeout_sec(seconds);
        let cursor = statement.into_cursor(sql, &parameters[..]).map_err(refused)?;
        cursor
            .ok_or_else(|| PortError::invalid(format!("the statement gives no rows at {} while {doing}", self.target)))
    }

    /// The rows of a statement as texts of at most so many units, all of them.
    pub(crate) fn texts(&self, doing: &str, sql: &str, parameters: &[String], units: usize) -> PortResult<Texts> {
        let sql = self.reading(sql.to_owned());
        let cursor = self.execute(doing, &sql, parameters)?;
        self.read_texts(doing, cursor, units)
    }

    /// The rows of a cursor as texts.
    pub(crate) fn read_texts(&self, doing: &str, cursor: impl Cursor, units: usize) -> PortResult<Texts> {
        let refused = |error: Error| failed(doing, &self.target, &error);
        let mut cursor = cursor;
        let columns = usize::from(cursor.num_result_cols().map_err(refused)?.unsigned_abs());
        let descriptions = repeat_n(BufferDesc::WText { max_str_len: units }, columns);
        let buffer = ColumnarDynBuffer::try_from_descs(BLOCK, descriptions).map_err(refused)?;
        let mut blocks = cursor.bind_buffer(buffer).map_err(refused)?;
        let mut rows = Vec::new();
        while let Some(block) = blocks.fetch().map_err(refused)? {
            for row in 0..block.num_rows() {
                let value = |column: usize| {
                    let text = block.column(column).as_wide_text().and_then(|texts| texts.get(row));
                    match text {
                        Some(text) if text.len() >= units => Err(PortError::invalid(format!(
                            "{} has a name or a value of {units} characters or more, which is too long to plan by",
                            self.target
                        ))),
                        Some(text) => Ok(Some(String::from_utf16_lossy(text))),
                        None => Ok(None),
                    }
                };
                rows.push((0..columns).map(value).collect::<PortResult<Vec<_>>>()?);
            }
            if rows.len() > MOST_ROWS {
                return Err(PortError::internal(format!("{} gave more rows than could be while {doing}", self.target)));
            }
        }
        Ok(rows)
    }
}
