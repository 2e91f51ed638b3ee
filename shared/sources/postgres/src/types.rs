//! PostgreSQL's types, what they become, and how a column of one is asked for and read.

use std::collections::HashMap;

use millstream_events::contract::ColumnType;
use millstream_ports::PortResult;
use millstream_source_columns::numeric_type;

use crate::{decode::Decoder, session::Session, sql::identifier};

/// BIGNUMERIC as it is without parameters: what holds the most of a `numeric` that says nothing of its digits.
const BIGNUMERIC: ColumnType = ColumnType::BigNumeric { precision: 76, scale: 38 };

/// How many types a domain or an array may lead through.
const DEPTH: usize = 32;

/// What a column becomes and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The column's type in the warehouse.
    pub(crate) kind: ColumnType,
    /// How a SELECT asks for it.
    pub(crate) ask: Ask,
    /// How the binary form of what was asked for is read.
    pub(crate) decoder: Decoder,
}

/// How a SELECT asks for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// As it is.
    Plain,
    /// As text: types of their own, without a binary form that is worth reading.
    Text,
    /// As an array of texts.
    Texts,
    /// As a JSON document.
    Json,
}

impl Ask {
    /// The expression that asks so for `column`, which is quoted already.
    pub(crate) fn expression(self, column: &str) -> String {
        match self {
            Self::Plain => column.to_owned(),
            Self::Text => format!("{column}::pg_catalog.text"),
            Self::Texts => format!("{column}::pg_catalog.text[]"),
            Self::Json => format!("pg_catalog.to_jsonb({column})"),
        }
    }
}

impl Mapping {
    fn plain(kind: ColumnType, decoder: Decoder) -> Self {
        Self { kind, ask: Ask::Plain, decoder }
    }

    fn text() -> Self {
        Self { kind: ColumnType::String, ask: Ask::Text, decoder: Decoder::Text }
    }

    fn json() -> Self {
        Self { kind: ColumnType::Json, ask: Ask::Json, decoder: Decoder::Jsonb }
    }
}

/// A type as the catalog has it.
#[derive(Debug, Clone)]
pub(crate) struct PgType {
    /// Its name, such as `int8`.
    pub(crate) name: String,
    /// The schema it is in.
    pub(crate) schema: String,
    /// `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange or `m`ultirange.
    class: char,
    /// The type of its items, where it is an array.
    item: Option<u32>,
    /// The type below a domain, and its modifier.
    below: Option<(u32, i32)>,
    /// Whether a domain refuses NULL.
    pub(crate) refuses_null: bool,
}

/// The types that some columns lead to.
#[derive(Debug)]
pub(crate) struct Types {
    known: HashMap<u32, PgType>,
    /// The digits after the point that `money` has at this server.
    money_scale: u8,
}

impl Types {
    /// Asks the catalog for these types and those they are made of.
    pub(crate) async fn load(session: &Session, types: &[u32]) -> PortResult<Self> {
        let sql = "
            WITH RECURSIVE needed (oid) AS (
                SELECT pg_catalog.unnest($1::oid[])
                UNION
                SELECT part.oid FROM needed JOIN pg_catalog.pg_type t ON t.oid = needed.oid
                CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) AS part (oid) WHERE part.oid <> 0
            )
            SELECT t.oid, t.typname::text, n.nspname::text, t.typtype::text,
                   t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0, t.typelem, t.typbasetype, t.typtypmod,
                   t.typnotnull
            FROM needed JOIN pg_catalog.pg_type t ON t.oid = needed.oid
            JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace";
        let rows = session.rows(sql, &[&types], "reading the types of the columns").await?;
        let known = rows.iter().map(|row| {
            let (is_array, below): (bool, u32) = (row.get(4), row.get(6));
            let of = PgType {
                name: row.get(1),
                schema: row.get(2),
                class: row.get::<_, String>(3).chars().next().unwrap_or('b'),
                item: is_array.then(|| row.get(5)),
                below: (below != 0).then(|| (below, row.get(7))),
                refuses_null: row.get(8),
            };
            (row.get::<_, u32>(0), of)
        });
        let sql = "SELECT pg_catalog.scale(1::pg_catalog.int4::pg_catalog.money::pg_catalog.numeric)";
        let money_scale: i32 = session.row(sql, &[], "reading what money is counted in").await?.get(0);
        Ok(Self { known: known.collect(), money_scale: u8::try_from(money_scale).unwrap_or(2) })
    }

    /// The type, where it was asked for.
    pub(crate) fn get(&self, oid: u32) -> Option<&PgType> {
        self.known.get(&oid)
    }

    /// What a domain is of, and the modifier; any other type is itself.
    pub(crate) fn base(&self, mut oid: u32, mut modifier: i32) -> (u32, i32) {
        for _ in 0..DEPTH {
            match self.get(oid).and_then(|of| of.below) {
                Some((below, below_modifier)) => {
                    oid = below;
                    modifier = if modifier < 0 { below_modifier } else { modifier };
                }
                None => break,
            }
        }
        (oid, modifier)
    }

    /// What a column of this type and modifier becomes, or why nothing.
    pub(crate) fn map(&self, oid: u32, modifier: i32) -> Result<Mapping, String> {
        let (oid, modifier) = self.base(oid, modifier);
        let Some(of) = self.get(oid) else {
            return Err(
                "the database does not tell what it is: cast it in a query, or leave it out of `extract.columns`"
                    .to_owned(),
            );
        };
        if let Some(item) = of.item {
            return Ok(self.map_array(item, modifier));
        }
        match of.class {
            'b' => Ok(self.map_base(of, modifier)),
            'e' => Ok(Mapping::plain(ColumnType::String, Decoder::Text)),
            'c' => Ok(Mapping::json()),
            'r' | 'm' => Ok(Mapping::text()),
            'p' if of.name == "record" => Ok(Mapping::json()),
            _ => Err(format!(
                "{} is no type of values: cast it in a query, or leave it out of `extract.columns`",
                of.name
            )),
        }
    }

    fn map_array(&self, item: u32, modifier: i32) -> Mapping {
        // The warehouse has no array of arrays, which an array of a domain over one would be.
        let is_array = self.get(self.base(item, modifier).0).is_none_or(|of| of.item.is_some());
        match self.map(item, modifier) {
            Ok(Mapping { kind, ask: Ask::Plain, decoder }) if !is_array => {
                Mapping::plain(ColumnType::Array(Box::new(kind)), Decoder::Array(Box::new(decoder)))
            }
            Ok(Mapping { ask: Ask::Text, .. }) if !is_array => Mapping {
                kind: ColumnType::Array(Box::new(ColumnType::String)),
                ask: Ask::Texts,
                decoder: Decoder::Array(Box::new(Decoder::Text)),
            },
            _ => Mapping::json(),
        }
    }

    fn map_base(&self, of: &PgType, modifier: i32) -> Mapping {
        use ColumnType as Kind;
        if of.schema != "pg_catalog" {
            return match of.name.as_str() {
                "citext" => Mapping::plain(Kind::String, Decoder::Text),
                "hstore" => Mapping::json(),
                _ => Mapping::text(),
            };
        }
        match of.name.as_str() {
            "bool" => Mapping::plain(Kind::Bool, Decoder::Bool),
            "int2" => Mapping::plain(Kind::Int64, Decoder::Int2),
            "int4" => Mapping::plain(Kind::Int64, Decoder::Int4),
            "int8" => Mapping::plain(Kind::Int64, Decoder::Int8),
            "oid" => Mapping::plain(Kind::Int64, Decoder::Oid),
            "float4" => Mapping::plain(Kind::Float64, Decoder::Float4),
            "float8" => Mapping::plain(Kind::Float64, Decoder::Float8),
            "numeric" => Mapping::plain(numeric_kind(modifier), Decoder::Numeric),
            "money" => {
                let scale = self.money_scale;
                let kind = numeric_type(19, scale.into()).unwrap_or(BIGNUMERIC);
                Mapping::plain(kind, Decoder::Money { scale: scale.into() })
            }
            "text" | "varchar" | "bpchar" | "name" => Mapping::plain(Kind::String, Decoder::Text),
            "json" => Mapping::plain(Kind::Json, Decoder::Text),
            "jsonb" => Mapping::plain(Kind::Json, Decoder::Jsonb),
            "bytea" => Mapping::plain(Kind::Bytes, Decoder::Bytes),
            "date" => Mapping::plain(Kind::Date, Decoder::Date),
            "timestamp" => Mapping::plain(Kind::Datetime, Decoder::Timestamp),
            "timestamptz" => Mapping::plain(Kind::Timestamp, Decoder::Timestamptz),
            "time" => Mapping::plain(Kind::Time, Decoder::Time),
            "timetz" => Mapping::plain(Kind::String, Decoder::Timetz),
            "interval" => Mapping::plain(Kind::String, Decoder::Interval),
            "uuid" => Mapping::plain(Kind::String, Decoder::Uuid),
            "inet" | "cidr" => Mapping::plain(Kind::String, Decoder::Inet),
            "macaddr" | "macaddr8" => Mapping::plain(Kind::String, Decoder::Macaddr),
            "bit" | "varbit" => Mapping::plain(Kind::String, Decoder::Bits),
            _ => Mapping::text(),
        }
    }
}

/// A type as SQL writes it.
pub(crate) fn sql_type(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

/// The warehouse's decimal for `numeric` with this modifier. What BIGNUMERIC's 38 digits before and after the point do not
/// hold is left to the values themselves: most columns declare more than they have.
fn numeric_kind(modifier: i32) -> ColumnType {
    let Some(packed) = modifier.checked_sub(4).filter(|packed| *packed >= 0) else {
        return BIGNUMERIC;
    };
    // 16 bits of precision, then 11 of a scale with a sign (PostgreSQL 15: -1000 to 1000).
    let precision = packed >> 16 & 0xffff;
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    let digits = if scale < 0 { precision - scale } else { precision.max(scale) };
    numeric_type(digits.unsigned_abs(), scale.max(0).unsigned_abs()).unwrap_or(BIGNUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modifier(precision: i32, scale: i32) -> i32 {
        (precision << 16 | scale & 0x7ff) + 4
    }

    #[test]
    fn a_decimal_is_as_wide_as_its_digits_need() {
        assert_eq!(numeric_kind(-1), BIGNUMERIC);
        assert_eq!(numeric_kind(modifier(10, 2)), ColumnType::Numeric { precision: 10, scale: 2 });
        assert_eq!(numeric_kind(modifier(38, 10)), ColumnType::BigNumeric { precision: 38, scale: 10 });
        assert_eq!(numeric_kind(modifier(2, -3)), ColumnType::Numeric { precision: 5, scale: 0 });
        assert_eq!(numeric_kind(modifier(3, 5)), ColumnType::Numeric { precision: 5, scale: 5 });
        assert_eq!(numeric_kind(modifier(1_000, 500)), BIGNUMERIC);
    }
}
