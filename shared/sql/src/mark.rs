//! First step of the translation: functions under marked names.

use crate::{
    error::SqlError,
    functions::{self, Rule},
    lex::{Kind, Token},
    select::Read,
};

/// What a marked function's name starts with.
pub(crate) const MARK: &str = "MILLSTREAM_";

/// Words that may stand before a parenthesis without being a function.
const KEYWORDS: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "BETWEEN",
    "BIGDECIMAL",
    "BIGNUMERIC",
    "BY",
    "BYTES",
    "CASE",
    "CAST",
    "CUBE",
    "DECIMAL",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "FILTER",
    "FOR",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LIKE",
    "LIMIT",
    "NOT",
    "NUMERIC",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "PIVOT",
    "QUALIFY",
    "RANGE",
    "ROLLUP",
    "ROWS",
    "SAFE_CAST",
    "SELECT",
    "SETS",
    "SOME",
    "STRUCT",
    "THEN",
    "UNION",
    "UNNEST",
    "UNPIVOT",
    "USING",
    "VALUES",
    "WEEK",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// Columns BigQuery adds to a table.
const PSEUDO_COLUMNS: [&str; 4] = ["_PARTITIONTIME", "_PARTITIONDATE", "_TABLE_SUFFIX", "_FILE_NAME"];

/// The statement with every function marked, and tables without their project.
pub(crate) fn marked(read: &Read<'_>) -> Result<String, SqlError> {
    let mut marker = Marker { tokens: &read.tokens, out: Vec::new(), at: 0 };
    marker.run(read)?;
    Ok(marker.out.join(" "))
}

struct Marker<'a> {
    tokens: &'a [Token<'a>],
    out: Vec<String>,
    at: usize,
}

impl Marker<'_> {
    fn token(&self, ahead: usize) -> Option<&Token<'_>> {
        self.tokens.get(self.at + ahead)
    }

    fn symbol(&self, ahead: usize, symbol: &str) -> bool {
        self.token(ahead).is_some_and(|token| token.is_symbol(symbol))
    }

    fn word(&self, ahead: usize, word: &str) -> bool {
        self.token(ahead).is_some_and(|token| token.is_word(word))
    }

    fn run(&mut self, read: &Read<'_>) -> Result<(), SqlError> {
        while let Some(token) = self.tokens.get(self.at) {
            if let Some(length) = self.project(read) {
                self.at += length;
                continue;
            }
            match token.kind {
                Kind::Word if self.symbol(1, "(") => self.call(token)?,
                Kind::Word if self.symbol(1, ".") && token.is_word("SAFE") && self.symbol(3, "(") => {
                    self.safe_call(read)?;
                }
                Kind::Word => self.plain_word(token)?,
                Kind::QuotedName => {
                    // One pair of backticks may hold a whole path; a column's name holds no point.
                    let path = token.text.replace('.', "`.`");
                    self.push(path);
                }
                _ => self.push(token.text.to_owned()),
            }
        }
        Ok(())
    }

    fn push(&mut self, text: String) {
        self.out.push(text);
        self.at += 1;
    }

    /// The length of a table's path that starts here and names a project: in one warehouse there are only datasets.
    fn project(&mut self, read: &Read<'_>) -> Option<usize> {
        for (table, projects) in &read.inputs.tables {
            for project in projects {
                let whole = format!("{project}.{table}");
                let mut path = String::new();
                for (index, token) in self.tokens[self.at..].iter().enumerate() {
                    path.push_str(token.name().unwrap_or(token.text));
                    if path == whole {
                        self.out.push(format!("`{}`.`{}`", table.dataset(), table.table()));
                        return Some(index + 1);
                    }
                    if !whole.starts_with(&path) {
                        break;
                    }
                }
            }
        }
        None
    }

    /// A word before a parenthesis.
    fn call(&mut self, token: &Token<'_>) -> Result<(), SqlError> {
        let name = token.text.to_ascii_uppercase();
        let previous = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let is_star_modifier =
            name == "REPLACE" && previous.is_some_and(|token| token.is_symbol("*") || token.is_symbol(")"));
        let is_type = matches!(name.as_str(), "STRING" | "BYTES")
            && self.token(2).is_some_and(|token| token.kind == Kind::Number);
        if is_star_modifier || is_type || (KEYWORDS.contains(&name.as_str()) && name != "WEEK") {
            self.push(token.text.to_owned());
            return Ok(());
        }
        match name.as_str() {
            "EXTRACT" => return self.extract(token),
            "WEEK" => {
                let part = self.part();
                self.out.push(part);
                return Ok(());
            }
            _ => {}
        }
        let rule = functions::rule(&name).ok_or_else(|| unknown(token.offset, &name))?;
        match rule {
            Rule::Refused(instead) => {
                Err(SqlError::at(token.offset, format!("{name} has no translation for DuckDB")).hint(instead))
            }
            Rule::Same => {
                self.push(token.text.to_owned());
                Ok(())
            }
            _ => {
                self.push(format!("{MARK}{name}"));
                Ok(())
            }
        }
    }

    /// `SAFE.FUNCTION(..)`: the call inside a marked call of its own, whose parenthesis closes with the function's.
    fn safe_call(&mut self, read: &Read<'_>) -> Result<(), SqlError> {
        self.at += 2;
        let close = self.closing(1);
        self.out.push(format!("{MARK}SAFE("));
        let Some(token) = self.tokens.get(self.at) else { return Ok(()) };
        self.call(token)?;
        let inner: Vec<Token<'_>> = self.tokens[self.at..=close].to_vec();
        let mut nested = Marker { tokens: &inner, out: Vec::new(), at: 0 };
        nested.run(read)?;
        self.out.extend(nested.out);
        self.out.push(")".to_owned());
        self.at = close + 1;
        Ok(())
    }

    /// Where the parenthesis `ahead` of here closes.
    fn closing(&self, ahead: usize) -> usize {
        let mut depth = 0_i32;
        for (index, token) in self.tokens.iter().enumerate().skip(self.at + ahead) {
            match token.text {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return index;
            }
        }
        self.tokens.len() - 1
    }

    /// A date part, `WEEK(MONDAY)` as one word.
    fn part(&mut self) -> String {
        let part = self.token(0).map(|token| token.text.to_ascii_uppercase()).unwrap_or_default();
        match self.token(2).filter(|_| self.symbol(1, "(") && self.symbol(3, ")")) {
            Some(day) => {
                let part = format!("{part}_{}", day.text.to_ascii_uppercase());
                self.at += 4;
                part
            }
            None => {
                self.at += 1;
                part
            }
        }
    }

    /// `EXTRACT(part FROM value)` as a marked call that carries its part in its name.
    fn extract(&mut self, token: &Token<'_>) -> Result<(), SqlError> {
        self.at += 2;
        let part = self.part();
        if !self.word(0, "FROM") {
            return Err(SqlError::at(token.offset, "EXTRACT is written EXTRACT(part FROM value)"));
        }
        self.at += 1;
        self.out.push(format!("{MARK}EXTRACT_{part}("));
        Ok(())
    }

    fn plain_word(&mut self, token: &Token<'_>) -> Result<(), SqlError> {
        let name = token.text.to_ascii_uppercase();
        let after_point = self.at > 0 && self.tokens[self.at - 1].is_symbol(".");
        if PSEUDO_COLUMNS.contains(&name.as_str()) {
            return Err(SqlError::at(token.offset, format!("{name} exists only in BigQuery"))
                .hint("keep the date in a column of its own and filter on that"));
        }
        if name == "TABLESAMPLE" || name == "SYSTEM_TIME" {
            return Err(SqlError::at(token.offset, format!("{name} has no translation for DuckDB"))
                .hint("a model must give the same rows each time it runs"));
        }
        if !after_point
            && self.symbol(1, ".")
            && self.symbol(3, "(")
            && self.token(2).is_some_and(|t| t.kind == Kind::Word)
        {
            let whole = format!("{}.{}", name, self.token(2).map_or("", |t| t.text).to_ascii_uppercase());
            return Err(unknown(token.offset, &whole));
        }
        let is_bare_call =
            matches!(name.as_str(), "CURRENT_DATE" | "CURRENT_DATETIME" | "CURRENT_TIME" | "CURRENT_TIMESTAMP");
        self.push(if is_bare_call && !after_point { format!("{MARK}{name}()") } else { token.text.to_owned() });
        Ok(())
    }
}

fn unknown(offset: usize, name: &str) -> SqlError {
    let error = SqlError::at(offset, format!("{name} has no translation for DuckDB"));
    match functions::closest(name) {
        Some(close) => error.hint(format!("did you mean {close}?")),
        None => error.hint("the functions that can be used are listed in shared/sql/README.md"),
    }
}
