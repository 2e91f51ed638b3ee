//! First step of the translation: functions under marked names.
//!
//! Syntax that the parser or DuckDB reads differently is turned into marked calls too: casts, `EXTRACT`, the clauses inside
//! an aggregate, positions of an `UNNEST`. The result is still BigQuery SQL, for the parser to translate the rest of.

mod aggregate;
mod arrays;
mod literal;

use crate::{
    error::SqlError,
    functions::{self, Rule},
    inputs::Inputs,
    lex::{Kind, Token},
    select::Read,
};

/// What a marked function's name starts with.
pub(crate) const MARK: &str = "MILLSTREAM_";

/// Words that may stand before a parenthesis without being a function.
const KEYWORDS: &str = "ALL AND ANY ARRAY AS BETWEEN BIGDECIMAL BIGNUMERIC BY BYTES CASE CUBE DECIMAL DISTINCT ELSE END EXCEPT \
    EXISTS FILTER FOR FROM GROUP HAVING IN INTERSECT INTERVAL IS JOIN LIKE LIMIT NOT NUMERIC ON OR ORDER OVER PARTITION PIVOT \
    QUALIFY RANGE ROLLUP ROWS SELECT SETS SOME STRUCT THEN UNION UNPIVOT USING VALUES WHEN WHERE WINDOW WITH";

/// Words that are names in BigQuery and reserved in DuckDB.
const RESERVED_IN_DUCKDB: &str = "ANALYSE ANALYZE ANTI ASOF ASYMMETRIC AUTHORIZATION BINARY BOTH CHECK COLLATION COLUMN COLUMNS \
    CONCURRENTLY CONSTRAINT DEFERRABLE DESCRIBE DO FOREIGN FREEZE GENERATED GLOB ILIKE INITIALLY ISNULL LAMBDA LEADING MAP \
    NOTNULL ONLY OVERLAPS PLACING POSITIONAL PRIMARY REFERENCES RETURNING SEMI SHOW SIMILAR SUMMARIZE SYMMETRIC TABLE TRAILING \
    UNIQUE UNPACK VARIADIC VERBOSE";

/// Columns BigQuery adds to a table.
const PSEUDO_COLUMNS: [&str; 4] = ["_PARTITIONTIME", "_PARTITIONDATE", "_TABLE_SUFFIX", "_FILE_NAME"];

/// Functions that may be called without parentheses.
const BARE_CALLS: [&str; 4] = ["CURRENT_DATE", "CURRENT_DATETIME", "CURRENT_TIME", "CURRENT_TIMESTAMP"];

/// The statement with every function marked, and tables without their project.
pub(crate) fn marked(read: &Read<'_>) -> Result<String, SqlError> {
    Marker { tokens: &read.tokens, inputs: &read.inputs }.range(0, read.tokens.len())
}

/// Text that stands for the tokens up to the index.
type Marked = Result<(String, usize), SqlError>;

struct Marker<'a> {
    tokens: &'a [Token<'a>],
    inputs: &'a Inputs,
}

impl<'a> Marker<'a> {
    fn range(&self, from: usize, to: usize) -> Result<String, SqlError> {
        let (mut parts, mut at) = (Vec::new(), from);
        while at < to {
            let (text, next) = self.step(at)?;
            parts.push(text);
            at = next;
        }
        Ok(parts.join(" "))
    }

    fn token(&self, at: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(at)
    }

    fn symbol(&self, at: usize, symbol: &str) -> bool {
        self.token(at).is_some_and(|token| token.is_symbol(symbol))
    }

    fn word(&self, at: usize, word: &str) -> bool {
        self.token(at).is_some_and(|token| token.is_word(word))
    }

    /// The token before, when there is one.
    fn before(&self, at: usize) -> Option<&'a Token<'a>> {
        at.checked_sub(1).and_then(|before| self.token(before))
    }

    /// Where the parenthesis at `open` closes.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_i32;
        for at in open..self.tokens.len() {
            match self.tokens[at].text {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    /// The indices in `from..to` that are outside every parenthesis and bracket.
    fn outside(&self, from: usize, to: usize) -> Vec<usize> {
        let (mut found, mut depth) = (Vec::new(), 0_i32);
        for at in from..to {
            match self.tokens[at].text {
                "(" | "[" => depth += 1,
                ")" | "]" => depth -= 1,
                _ if depth == 0 => found.push(at),
                _ => {}
            }
        }
        found
    }

    fn step(&self, at: usize) -> Marked {
        let token = &self.tokens[at];
        if let Some(found) = self.project(at) {
            return Ok(found);
        }
        if let Some(found) = self.row_array(at)? {
            return Ok(found);
        }
        match token.kind {
            Kind::Word if self.symbol(at + 1, "(") => self.call(at),
            Kind::Word => self.plain_word(at),
            // One pair of backticks may hold a whole path; a column's name holds no point.
            Kind::QuotedName => Ok((token.text.replace('.', "`.`"), at + 1)),
            Kind::Literal => Ok((literal::plain(token)?, at + 1)),
            _ => Ok((token.text.to_owned(), at + 1)),
        }
    }

    /// How many tokens from `at` on write this path.
    fn path_length(&self, at: usize, whole: &str) -> Option<usize> {
        let mut path = String::new();
        for (index, token) in self.tokens[at..].iter().enumerate() {
            path.push_str(token.name().unwrap_or(token.text));
            if path == whole {
                return Some(index + 1);
            }
            if !whole.starts_with(&path) {
                return None;
            }
        }
        None
    }

    /// A table's path that names a project: in one warehouse there are only datasets.
    fn project(&self, at: usize) -> Option<(String, usize)> {
        self.inputs.tables.iter().find_map(|(table, projects)| {
            let length = projects.iter().find_map(|project| self.path_length(at, &format!("{project}.{table}")))?;
            Some((format!("`{}`.`{}`", table.dataset(), table.table()), at + length))
        })
    }

    /// A word before a parenthesis.
    fn call(&self, at: usize) -> Marked {
        let token = &self.tokens[at];
        let name = token.text.to_ascii_uppercase();
        match name.as_str() {
            "EXTRACT" => return self.extract(at),
            "CAST" | "SAFE_CAST" => return self.cast(at, &name),
            "UNNEST" => return self.unnest(at),
            "WEEK" => return Ok(self.part(at)),
            "ARRAY_AGG" | "STRING_AGG" | "ARRAY_CONCAT_AGG" => return self.aggregate(at, &name),
            _ => {}
        }
        let after_star = self.before(at).is_some_and(|token| token.is_symbol("*") || token.is_symbol(")"));
        let is_type = matches!(name.as_str(), "STRING" | "BYTES")
            && self.token(at + 2).is_some_and(|token| token.kind == Kind::Number);
        let is_keyword = KEYWORDS.split(' ').any(|keyword| keyword == name);
        if is_keyword || is_type || (name == "REPLACE" && after_star) {
            return Ok((token.text.to_owned(), at + 1));
        }
        match functions::rule(&name).ok_or_else(|| unknown(token.offset, &name))? {
            Rule::Refused(instead) => {
                Err(SqlError::at(token.offset, format!("{name} has no translation for DuckDB")).hint(instead))
            }
            Rule::Same => Ok((token.text.to_owned(), at + 1)),
            _ => Ok((format!("{MARK}{name}"), at + 1)),
        }
    }

    /// A date part, `WEEK(MONDAY)` as one word.
    fn part(&self, at: usize) -> (String, usize) {
        let part = self.token(at).map(|token| token.text.to_ascii_uppercase()).unwrap_or_default();
        match self.token(at + 2).filter(|_| self.symbol(at + 1, "(") && self.symbol(at + 3, ")")) {
            Some(day) => (format!("{part}_{}", day.text.to_ascii_uppercase()), at + 4),
            None => (part, at + 1),
        }
    }

    /// `EXTRACT(part FROM value)` as a marked call that carries its part in its name.
    fn extract(&self, at: usize) -> Marked {
        let (part, from) = self.part(at + 2);
        if !self.word(from, "FROM") {
            return Err(SqlError::at(self.tokens[at].offset, "EXTRACT is written EXTRACT(part FROM value)"));
        }
        let close = self.closing(at + 1);
        Ok((format!("{MARK}EXTRACT_{part}({})", self.range(from + 1, close)?), close + 1))
    }

    /// A cast to a type whose values DuckDB writes or rounds differently, as a marked call; any other is the parser's.
    fn cast(&self, at: usize, name: &str) -> Marked {
        let close = self.closing(at + 1);
        let outside = self.outside(at + 2, close);
        let Some(as_at) = outside.iter().copied().find(|at| self.word(*at, "AS")) else {
            return Err(SqlError::at(self.tokens[at].offset, format!("{name} is written {name}(value AS TYPE)")));
        };
        if let Some(format) = outside.iter().find(|at| **at > as_at && self.word(**at, "FORMAT")) {
            return Err(SqlError::at(
                self.tokens[*format].offset,
                format!("{name} with FORMAT has no translation for DuckDB"),
            )
            .hint("use FORMAT_DATE, FORMAT_TIMESTAMP, PARSE_DATE or PARSE_TIMESTAMP"));
        }
        let value = self.range(at + 2, as_at)?;
        let kind: Vec<String> =
            self.tokens[as_at + 1..close].iter().map(|token| token.text.to_ascii_uppercase()).collect();
        let marked = match kind.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["INT64" | "INT" | "INTEGER" | "BIGINT" | "SMALLINT" | "TINYINT" | "BYTEINT"] => Some("INT64"),
            ["STRING"] => Some("STRING"),
            ["TIMESTAMP"] => Some("TIMESTAMP"),
            _ => None,
        };
        let text = match marked {
            Some(kind) => format!("{MARK}{name}_{kind}({value})"),
            None => format!("{name}({value} AS {})", kind.join(" ").replace("TIMESTAMP", "TIMESTAMPTZ")),
        };
        Ok((text, close + 1))
    }

    fn plain_word(&self, at: usize) -> Marked {
        let token = &self.tokens[at];
        let name = token.text.to_ascii_uppercase();
        let refused =
            |hint: &str| Err(SqlError::at(token.offset, format!("{name} has no translation for DuckDB")).hint(hint));
        if PSEUDO_COLUMNS.contains(&name.as_str()) {
            return refused("keep the date in a column of its own and filter on that");
        }
        let after_point = self.before(at).is_some_and(|token| token.is_symbol("."));
        let is_path_call = !after_point
            && self.symbol(at + 1, ".")
            && self.symbol(at + 3, "(")
            && self.token(at + 2).is_some_and(|token| token.kind == Kind::Word);
        if is_path_call && name == "SAFE" {
            // An error inside makes NULL of the whole call.
            let close = self.closing(at + 3);
            return Ok((format!("{MARK}SAFE({})", self.range(at + 2, close + 1)?), close + 1));
        }
        if is_path_call {
            let function = self.tokens[at + 2].text.to_ascii_uppercase();
            return Err(unknown(token.offset, &format!("{name}.{function}")));
        }
        // `offset` names a position too; as syntax it follows WITH or comes before a number.
        let is_position = name == "OFFSET"
            && !self.before(at).is_some_and(|token| token.is_word("WITH"))
            && !self.token(at + 1).is_some_and(|token| token.kind == Kind::Number);
        if is_position || RESERVED_IN_DUCKDB.split(' ').any(|word| word == name) {
            return Ok((format!("`{}`", token.text), at + 1));
        }
        let is_bare_call = !after_point && BARE_CALLS.contains(&name.as_str());
        Ok((if is_bare_call { format!("{MARK}{name}()") } else { token.text.to_owned() }, at + 1))
    }
}

fn unknown(offset: usize, name: &str) -> SqlError {
    let error = SqlError::at(offset, format!("{name} has no translation for DuckDB"));
    match functions::closest(name) {
        Some(close) => error.hint(format!("did you mean {close}?")),
        None => error.hint("the functions that can be used are listed in shared/sql/README.md"),
    }
}
