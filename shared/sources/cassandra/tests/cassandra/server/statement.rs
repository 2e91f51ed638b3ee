//! The SELECTs that a source writes, read and answered as Cassandra does.

use std::{cmp::Ordering, collections::VecDeque};

use scylla::{
    deserialize::{FrameSlice, value::DeserializeValue},
    frame::response::result::{ColumnType, NativeType},
    value::CqlValue,
};

use super::{
    Refusal, State,
    tables::{Column, Kind, Row, Table, own},
};

/// A SELECT.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    table: String,
    what: What,
    conditions: Vec<Condition>,
    allow_filtering: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    All,
    Columns(Vec<String>),
    Max(String),
}

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    of: Of,
    operator: String,
    to: To,
}

#[derive(Debug, Clone, PartialEq)]
enum Of {
    Token(Vec<String>),
    Column(String),
}

#[derive(Debug, Clone, PartialEq)]
enum To {
    Marker,
    Text(String),
}

/// A word, a name in quotes, a text in quotes or a sign.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Name(String),
    Text(String),
    Sign(String),
}

fn tokens(text: &str) -> Result<VecDeque<Token>, Refusal> {
    let mut found = VecDeque::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => {
                let mut value = String::new();
                let mut characters = rest.char_indices().skip(1).peekable();
                let end = loop {
                    let Some((at, next)) = characters.next() else {
                        return Err(Refusal::syntax("no end of a quotation"));
                    };
                    if next != first {
                        value.push(next);
                    } else if characters.next_if(|(_, next)| *next == first).is_some() {
                        value.push(first);
                    } else {
                        break at + 1;
                    }
                };
                found.push_back(if first == '"' { Token::Name(value) } else { Token::Text(value) });
                end
            }
            _ if first.is_ascii_alphanumeric() || first == '_' => {
                let end = rest.find(|next: char| !(next.is_ascii_alphanumeric() || next == '_')).unwrap_or(rest.len());
                // Names without quotes have no case.
                found.push_back(Token::Word(rest[..end].to_ascii_lowercase()));
                end
            }
            _ => {
                let sign =
                    ["<=", ">="].into_iter().find(|sign| rest.starts_with(sign)).unwrap_or(&rest[..first.len_utf8()]);
                found.push_back(Token::Sign(sign.to_owned()));
                sign.len()
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(found)
}

struct Parser(VecDeque<Token>);

impl Parser {
    fn error(&self) -> Refusal {
        Refusal::syntax(format!("line 1: no viable alternative at input {:?}", self.0.front()))
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = matches!(self.0.front(), Some(Token::Word(next) | Token::Sign(next)) if next == word);
        if is_next {
            self.0.pop_front();
        }
        is_next
    }

    fn expect(&mut self, word: &str) -> Result<(), Refusal> {
        if self.takes(word) { Ok(()) } else { Err(self.error()) }
    }

    fn name(&mut self) -> Result<String, Refusal> {
        match self.0.pop_front() {
            Some(Token::Word(name) | Token::Name(name)) => Ok(name),
            other => {
                self.0.extend(other);
                Err(self.error())
            }
        }
    }

    fn names(&mut self) -> Result<Vec<String>, Refusal> {
        let mut names = vec![self.name()?];
        while self.takes(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }
}

impl Select {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parser = Parser(tokens(text)?);
        parser.expect("select")?;
        let what = if parser.takes("*") {
            What::All
        } else if matches!(parser.0.front(), Some(Token::Word(word)) if word == "max") {
            parser.takes("max");
            parser.expect("(")?;
            let column = parser.name()?;
            parser.expect(")")?;
            What::Max(column)
        } else {
            What::Columns(parser.names()?)
        };
        parser.expect("from")?;
        let keyspace = parser.name()?;
        parser.expect(".")?;
        let table = format!("{keyspace}.{}", parser.name()?);
        let mut conditions = Vec::new();
        if parser.takes("where") {
            loop {
                let of = if matches!(parser.0.front(), Some(Token::Word(word)) if word == "token") {
                    parser.takes("token");
                    parser.expect("(")?;
                    let names = parser.names()?;
                    parser.expect(")")?;
                    Of::Token(names)
                } else {
                    Of::Column(parser.name()?)
                };
                let operator = ["=", "<=", ">=", "<", ">"].into_iter().find(|sign| parser.takes(sign));
                let operator = operator.ok_or_else(|| parser.error())?.to_owned();
                let to = match parser.0.pop_front() {
                    Some(Token::Sign(sign)) if sign == "?" => To::Marker,
                    Some(Token::Text(text)) => To::Text(text),
                    _ => return Err(parser.error()),
                };
                conditions.push(Condition { of, operator, to });
                if !parser.takes("and") {
                    break;
                }
            }
        }
        let allow_filtering = parser.takes("allow");
        if allow_filtering {
            parser.expect("filtering")?;
        }
        if parser.0.is_empty() { Ok(Self { table, what, conditions, allow_filtering }) } else { Err(parser.error()) }
    }

    /// The table, as it is now, if all that the statement names is there and Cassandra would run it.
    pub(crate) fn check(&self, state: &State) -> Result<Table, Refusal> {
        let is_it = |table: &&Table| format!("{}.{}", table.keyspace, table.name) == self.table;
        let found = own(state, &self.table).or_else(|| state.tables.iter().find(is_it).cloned());
        let name = self.table.rsplit('.').next().unwrap_or_default();
        let table = found.ok_or_else(|| Refusal::invalid(format!("unconfigured table {name}")))?;
        let column = |column: &String| {
            let index = table.index(column);
            index
                .map(|index| &table.columns[index])
                .ok_or_else(|| Refusal::invalid(format!("Undefined column name {column} in table {}", self.table)))
        };
        match &self.what {
            What::All => {}
            What::Columns(names) => names.iter().try_for_each(|name| column(name).map(|_| ()))?,
            What::Max(name) => _ = column(name)?,
        }
        for condition in &self.conditions {
            match &condition.of {
                Of::Token(names) if *names == table.partition_key() => {}
                Of::Token(_) => {
                    return Err(Refusal::invalid("The token function arguments must be in the partition key order"));
                }
                Of::Column(name) => {
                    let kind = column(name)?.kind;
                    if kind == Kind::PartitionKey && condition.operator != "=" {
                        return Err(Refusal::invalid(
                            "Only EQ and IN relation are supported on the partition key (unless you use the token() function)",
                        ));
                    }
                    let by_key = kind == Kind::PartitionKey || (kind == Kind::Clustering && condition.operator == "=");
                    if !by_key && !self.allow_filtering {
                        return Err(Refusal::invalid(
                            "Cannot execute this query as it might involve data filtering and thus may have unpredictable \
                             performance. If you want to execute this query despite the performance unpredictability, use ALLOW \
                             FILTERING",
                        ));
                    }
                }
            }
        }
        Ok(table)
    }

    /// The columns of the answer.
    pub(crate) fn answered(&self, table: &Table) -> Vec<Column> {
        let named = |name: &String| table.columns[table.index(name).unwrap()].clone();
        match &self.what {
            What::All => table.columns.clone(),
            What::Columns(names) => names.iter().map(named).collect(),
            What::Max(name) => vec![Column { name: format!("system.max({name})"), ..named(name) }],
        }
    }

    /// The markers, with the types of what is bound to them.
    pub(crate) fn markers(&self, table: &Table) -> Vec<(String, ColumnType<'static>)> {
        let of = |condition: &Condition| match &condition.of {
            Of::Token(_) => ("partition key token".to_owned(), ColumnType::Native(NativeType::BigInt)),
            Of::Column(name) => (name.clone(), table.columns[table.index(name).unwrap()].cql.clone()),
        };
        self.conditions.iter().filter(|condition| condition.to == To::Marker).map(of).collect()
    }

    /// The rows, in the order of the ring.
    pub(crate) fn rows(&self, table: &Table, bound: &[Option<Vec<u8>>]) -> Vec<Row> {
        let markers = self.markers(table);
        let mut values = markers.iter().zip(bound).map(|((_, cql), bytes)| {
            let bytes = bytes.as_ref().unwrap();
            CqlValue::deserialize(cql, Some(FrameSlice::new_borrowed(bytes))).unwrap()
        });
        let conditions: Vec<(&Condition, CqlValue)> = self
            .conditions
            .iter()
            .map(|condition| match &condition.to {
                To::Marker => (condition, values.next().unwrap()),
                To::Text(text) => (condition, CqlValue::Text(text.clone())),
            })
            .collect();
        let holds = |row: &&Row| {
            conditions.iter().all(|(condition, wanted)| {
                let value = match &condition.of {
                    Of::Token(_) => Some(CqlValue::BigInt(table.token(row))),
                    Of::Column(name) => row[table.index(name).unwrap()].clone(),
                };
                // Nothing is equal to, less or more than NULL.
                value.is_some_and(|value| is(&condition.operator, compare(&value, wanted)))
            })
        };
        let mut rows: Vec<&Row> = table.rows.iter().filter(holds).collect();
        rows.sort_by_key(|row| table.token(row));
        let pick =
            |row: &Row, names: &[String]| names.iter().map(|name| row[table.index(name).unwrap()].clone()).collect();
        match &self.what {
            What::All => rows.into_iter().cloned().collect(),
            What::Columns(names) => rows.into_iter().map(|row| pick(row, names)).collect(),
            What::Max(name) => {
                let column = table.index(name).unwrap();
                let values = rows.into_iter().filter_map(|row| row[column].clone());
                vec![vec![values.reduce(|one, other| if compare(&other, &one).is_gt() { other } else { one })]]
            }
        }
    }

    /// Whether the table is one of the server's own.
    pub(crate) fn is_own(&self) -> bool {
        self.table.starts_with("system")
    }
}

fn is(operator: &str, ordering: Ordering) -> bool {
    match operator {
        "=" => ordering.is_eq(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

fn compare(one: &CqlValue, other: &CqlValue) -> Ordering {
    use CqlValue::{Ascii, BigInt, Date, Int, SmallInt, Text, Timestamp, Timeuuid, TinyInt};
    match (one, other) {
        (Text(one) | Ascii(one), Text(other) | Ascii(other)) => one.cmp(other),
        (TinyInt(one), TinyInt(other)) => one.cmp(other),
        (SmallInt(one), SmallInt(other)) => one.cmp(other),
        (Int(one), Int(other)) => one.cmp(other),
        (BigInt(one), BigInt(other)) => one.cmp(other),
        (Timestamp(one), Timestamp(other)) => one.0.cmp(&other.0),
        (Date(one), Date(other)) => one.0.cmp(&other.0),
        // By time, then by the other bytes as signed ones.
        (Timeuuid(one), Timeuuid(other)) => one.cmp(other),
        other => panic!("no statement compares {other:?}"),
    }
}
