//! What the cluster's own tables say.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use millstream_ports::{PortError, PortResult};
use scylla::{client::session::Session, deserialize::row::DeserializeRow, serialize::row::SerializeRow};

use crate::{errors::Place, names::TableName, plan::Estimate};

/// The keyspaces that are the cluster's own.
const SYSTEM: [&str; 8] = [
    "system",
    "system_auth",
    "system_distributed",
    "system_distributed_everywhere",
    "system_schema",
    "system_traces",
    "system_views",
    "system_virtual_schema",
];

/// The partitioner whose tokens are 64-bit integers.
const MURMUR3: &str = "org.apache.cassandra.dht.Murmur3Partitioner";

/// How a column takes part in the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    PartitionKey,
    Clustering,
    Static,
    Regular,
}

/// A table's columns by name, and its key in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) parts: BTreeMap<String, Part>,
    pub(crate) partition_key: Vec<String>,
    pub(crate) clustering: Vec<String>,
}

impl Keys {
    /// The whole key.
    pub(crate) fn key(&self) -> Vec<String> {
        self.partition_key.iter().chain(&self.clustering).cloned().collect()
    }

    /// Whether every row has a value in a column.
    pub(crate) fn is_required(&self, column: &str) -> bool {
        matches!(self.parts.get(column), Some(Part::PartitionKey | Part::Clustering))
    }
}

/// Reads the cluster's tables.
pub(crate) struct Catalog<'a> {
    pub(crate) session: &'a Session,
    pub(crate) place: &'a Place,
}

impl Catalog<'_> {
    async fn rows<R>(&self, statement: &str, values: impl SerializeRow) -> PortResult<Vec<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + 'static,
    {
        let doing = "the cluster's tables cannot be read";
        let unexpected = |error: &dyn std::fmt::Display| {
            PortError::internal(format!("{doing}: the answer to {statement} is not what Cassandra answers: {error}"))
        };
        let prepared = self.session.prepare(statement).await.map_err(|error| self.place.error(doing, error))?;
        let pager = self.session.execute_iter(prepared, values).await;
        let pager = pager.map_err(|error| PortError::unavailable(format!("{doing}: {error}")))?;
        let rows = pager.rows_stream::<R>().map_err(|error| unexpected(&error))?;
        rows.try_collect().await.map_err(|error| PortError::unavailable(format!("{doing}: {error}")))
    }

    /// Tables and whether each is a view; of one keyspace, or of all but the cluster's own.
    pub(crate) async fn tables(&self, keyspace: Option<&str>) -> PortResult<Vec<(TableName, bool)>> {
        let mut found = Vec::new();
        for (names, is_view) in [("tables", false), ("views", true)] {
            let column = if is_view { "view_name" } else { "table_name" };
            let statement = format!("SELECT keyspace_name, {column} FROM system_schema.{names}");
            let rows: Vec<(String, String)> = match keyspace {
                Some(keyspace) => self.rows(&format!("{statement} WHERE keyspace_name = ?"), (keyspace,)).await?,
                None => self.rows(&statement, ()).await?,
            };
            let rows = rows.into_iter().filter(|(keyspace, _)| !SYSTEM.contains(&keyspace.as_str()));
            found.extend(rows.map(|(keyspace, table)| (TableName { keyspace, table }, is_view)));
        }
        found.sort_by_cached_key(|(name, _)| name.to_string());
        Ok(found)
    }

    /// The columns of a table or view; `NotFound` where it has none.
    pub(crate) async fn keys(&self, name: &TableName) -> PortResult<Keys> {
        let rows: Vec<(String, String, i32)> = self
            .rows(
                "SELECT column_name, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
                (&name.keyspace, &name.table),
            )
            .await?;
        if rows.is_empty() {
            return Err(PortError::not_found(format!(
                "{} has no table {name} that this user may read: check its name, also its case, and the user's grants",
                self.place.nodes
            )));
        }
        let of = |wanted: &str| {
            let mut columns: Vec<(i32, String)> = rows
                .iter()
                .filter(|(_, kind, _)| kind == wanted)
                .map(|(column, _, position)| (*position, column.clone()))
                .collect();
            columns.sort();
            columns.into_iter().map(|(_, column)| column).collect()
        };
        let part = |kind: &str| match kind {
            "partition_key" => Part::PartitionKey,
            "clustering" => Part::Clustering,
            "static" => Part::Static,
            _ => Part::Regular,
        };
        Ok(Keys {
            partition_key: of("partition_key"),
            clustering: of("clustering"),
            parts: rows.iter().map(|(column, kind, _)| (column.clone(), part(kind))).collect(),
        })
    }

    /// The size of a table as a node estimates it for its part of the ring, taken for the whole ring; `None` where the node
    /// has no estimate (they are made every five minutes) or keeps none.
    pub(crate) async fn estimate(&self, name: &TableName) -> PortResult<Option<Estimate>> {
        let rows: PortResult<Vec<(String, String, i64, i64)>> = self
            .rows(
                "SELECT range_start, range_end, mean_partition_size, partitions_count FROM system.size_estimates \
                 WHERE keyspace_name = ? AND table_name = ?",
                (&name.keyspace, &name.table),
            )
            .await;
        match rows {
            Ok(rows) => Ok(extrapolated(&rows)),
            // Services that speak CQL have no such table.
            Err(error) if !error.is_retryable() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether rows are spread over the ring by tokens that ranges can be made of.
    pub(crate) async fn has_integer_tokens(&self) -> PortResult<bool> {
        let rows: Vec<(String,)> = self.rows("SELECT partitioner FROM system.local WHERE key = 'local'", ()).await?;
        Ok(rows.iter().all(|(partitioner,)| partitioner == MURMUR3))
    }
}

/// Of ranges of tokens, with the mean size of a partition and how many there are.
fn extrapolated(ranges: &[(String, String, i64, i64)]) -> Option<Estimate> {
    let (mut covered, mut partitions, mut bytes) = (0.0, 0.0, 0.0);
    for (start, end, size, count) in ranges {
        let (start, end): (i64, i64) = (start.parse().ok()?, end.parse().ok()?);
        // The last range goes over the end of the ring, and one that ends where it starts is all of it.
        let width = end.wrapping_sub(start) as u64;
        covered += if width == 0 { RING } else { width as f64 };
        let count = (*count).max(0) as f64;
        partitions += count;
        bytes += count * (*size).max(0) as f64;
    }
    if covered == 0.0 {
        return None;
    }
    let whole = (RING / covered).max(1.0);
    Some(Estimate { partitions: (partitions * whole).round() as u64, bytes: (bytes * whole).round() as u64 })
}

/// Tokens of the ring.
const RING: f64 = 18_446_744_073_709_551_616.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_for_the_whole_ring() {
        let range = |start: i64, end: i64, size, count| (start.to_string(), end.to_string(), size, count);
        assert_eq!(extrapolated(&[]), None);
        let whole = extrapolated(&[range(i64::MIN, i64::MIN, 10, 7)]);
        assert_eq!(whole, Some(Estimate { partitions: 7, bytes: 70 }));
        let half = extrapolated(&[range(i64::MIN, 0, 10, 50)]);
        assert_eq!(half, Some(Estimate { partitions: 100, bytes: 1_000 }));
        let wrapped = extrapolated(&[range(0, i64::MIN, 1, 10), range(i64::MIN, 0, 1, 30)]);
        assert_eq!(wrapped, Some(Estimate { partitions: 40, bytes: 40 }));
    }
}
