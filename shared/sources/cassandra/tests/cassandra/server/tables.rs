//! Tables in memory, the server's own among them.

use scylla::{
    frame::response::result::{ColumnType, NativeType},
    routing::partitioner::{Murmur3Partitioner, Partitioner},
    serialize::{value::SerializeValue, writers::CellWriter},
    value::CqlValue,
};

use super::State;

/// A row's values, in the order of the columns.
pub(crate) type Row = Vec<Option<CqlValue>>;

/// How a column takes part in the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PartitionKey,
    Clustering,
    Regular,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::PartitionKey => "partition_key",
            Self::Clustering => "clustering",
            Self::Regular => "regular",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) cql: ColumnType<'static>,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) keyspace: String,
    pub(crate) name: String,
    pub(crate) is_view: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(name: &str, columns: &[(&str, Kind, ColumnType<'static>)]) -> Self {
        let (keyspace, name) = name.split_once('.').unwrap();
        let column = |(name, kind, cql): &(&str, Kind, ColumnType<'static>)| Column {
            name: (*name).to_owned(),
            kind: *kind,
            cql: cql.clone(),
        };
        Self {
            keyspace: keyspace.to_owned(),
            name: name.to_owned(),
            is_view: false,
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn index(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|found| found.name == column)
    }

    pub(crate) fn partition_key(&self) -> Vec<String> {
        let of_key = self.columns.iter().filter(|column| column.kind == Kind::PartitionKey);
        of_key.map(|column| column.name.clone()).collect()
    }

    /// Where a row is on the ring.
    pub(crate) fn token(&self, row: &Row) -> i64 {
        let parts: Vec<Vec<u8>> = self
            .columns
            .iter()
            .zip(row)
            .filter(|(column, _)| column.kind == Kind::PartitionKey)
            .map(|(column, value)| serialized(&column.cql, value)[4..].to_vec())
            .collect();
        let key = match &parts[..] {
            [one] => one.clone(),
            // Each part with its length before it and a zero after it.
            several => {
                several.iter().flat_map(|part| [&(part.len() as u16).to_be_bytes()[..], part, &[0]].concat()).collect()
            }
        };
        Murmur3Partitioner.hash_one(&key).value()
    }
}

/// A value as the protocol's `[bytes]`.
pub(crate) fn serialized(cql: &ColumnType<'_>, value: &Option<CqlValue>) -> Vec<u8> {
    let mut out = Vec::new();
    value.serialize(cql, CellWriter::new(&mut out)).unwrap();
    out
}

const TEXT: ColumnType<'static> = ColumnType::Native(NativeType::Text);
const INT: ColumnType<'static> = ColumnType::Native(NativeType::Int);
const BIGINT: ColumnType<'static> = ColumnType::Native(NativeType::BigInt);

fn text(value: &str) -> Option<CqlValue> {
    Some(CqlValue::Text(value.to_owned()))
}

/// One of the server's own tables, as it is now.
pub(crate) fn own(state: &State, name: &str) -> Option<Table> {
    use Kind::{Clustering, PartitionKey, Regular};
    let names = |is_view: bool| {
        state
            .tables
            .iter()
            .filter(move |table| table.is_view == is_view)
            .map(|table| vec![text(&table.keyspace), text(&table.name)])
    };
    let mut table = match name {
        "system.local" => {
            let set = |item| ColumnType::Collection {
                frozen: false,
                typ: scylla::frame::response::result::CollectionType::Set(Box::new(item)),
            };
            let mut table = Table::new(
                name,
                &[
                    ("key", PartitionKey, TEXT),
                    ("host_id", Regular, ColumnType::Native(NativeType::Uuid)),
                    ("rpc_address", Regular, ColumnType::Native(NativeType::Inet)),
                    ("data_center", Regular, TEXT),
                    ("rack", Regular, TEXT),
                    ("tokens", Regular, set(TEXT)),
                    ("cluster_name", Regular, TEXT),
                    ("partitioner", Regular, TEXT),
                ],
            );
            let murmur3 = "org.apache.cassandra.dht.Murmur3Partitioner";
            table.rows = vec![vec![
                text("local"),
                Some(CqlValue::Uuid(uuid::Uuid::from_u128(7))),
                Some(CqlValue::Inet([127, 0, 0, 1].into())),
                text("datacenter1"),
                text("rack1"),
                Some(CqlValue::Set(vec![CqlValue::Text("0".into())])),
                text("test"),
                text(state.partitioner.as_deref().unwrap_or(murmur3)),
            ]];
            table
        }
        "system.peers" => Table::new(
            name,
            &[
                ("peer", PartitionKey, ColumnType::Native(NativeType::Inet)),
                ("host_id", Regular, ColumnType::Native(NativeType::Uuid)),
                ("rpc_address", Regular, ColumnType::Native(NativeType::Inet)),
                ("data_center", Regular, TEXT),
                ("rack", Regular, TEXT),
                (
                    "tokens",
                    Regular,
                    ColumnType::Collection {
                        frozen: false,
                        typ: scylla::frame::response::result::CollectionType::Set(Box::new(TEXT)),
                    },
                ),
            ],
        ),
        "system.size_estimates" => {
            let mut table = Table::new(
                name,
                &[
                    ("keyspace_name", PartitionKey, TEXT),
                    ("table_name", Clustering, TEXT),
                    ("range_start", Clustering, TEXT),
                    ("range_end", Clustering, TEXT),
                    ("mean_partition_size", Regular, BIGINT),
                    ("partitions_count", Regular, BIGINT),
                ],
            );
            // One node owns it all, in two ranges.
            let halves = [(i64::MIN, 0), (0, i64::MIN)];
            for (keyspace, name, size, partitions) in &state.estimates {
                table.rows.extend(halves.iter().zip([partitions / 2, partitions - partitions / 2]).map(
                    |((start, end), count)| {
                        vec![
                            text(keyspace),
                            text(name),
                            text(&start.to_string()),
                            text(&end.to_string()),
                            Some(CqlValue::BigInt(*size)),
                            Some(CqlValue::BigInt(count)),
                        ]
                    },
                ));
            }
            table
        }
        "system_schema.tables" => {
            let mut table =
                Table::new(name, &[("keyspace_name", PartitionKey, TEXT), ("table_name", Clustering, TEXT)]);
            table.rows = names(false).chain([vec![text("system"), text("local")]]).collect();
            table
        }
        "system_schema.views" => {
            let mut table = Table::new(name, &[("keyspace_name", PartitionKey, TEXT), ("view_name", Clustering, TEXT)]);
            table.rows = names(true).collect();
            table
        }
        "system_schema.columns" => {
            let mut table = Table::new(
                name,
                &[
                    ("keyspace_name", PartitionKey, TEXT),
                    ("table_name", Clustering, TEXT),
                    ("column_name", Clustering, TEXT),
                    ("kind", Regular, TEXT),
                    ("position", Regular, INT),
                ],
            );
            for of in &state.tables {
                for (at, column) in of.columns.iter().enumerate() {
                    let before = of.columns[..at].iter().filter(|other| other.kind == column.kind).count();
                    let position = if column.kind == Kind::Regular { -1 } else { before as i32 };
                    table.rows.push(vec![
                        text(&of.keyspace),
                        text(&of.name),
                        text(&column.name),
                        text(column.kind.text()),
                        Some(CqlValue::Int(position)),
                    ]);
                }
            }
            table
        }
        _ => return None,
    };
    table.is_view = false;
    Some(table)
}
