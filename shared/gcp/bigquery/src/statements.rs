//! Statements in BigQuery's SQL, built from checked names.

use millstream_events::{
    contract::{Column, ColumnType},
    extract::DELETED_COLUMN,
    names::TableName,
    work::TableLayout,
};

/// Numbers the rows of a staged batch, so that the last of a key can win: a table has no order of its own.
pub(crate) const ROW: &str = "_millstream_row";

/// A column's name as an identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A table as an identifier.
pub(crate) fn path(table: &TableName) -> String {
    format!("`{table}`")
}

/// A text as a literal.
pub(crate) fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r");
    format!("'{escaped}'")
}

fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| identifier(name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// How a table of this layout is stored. DAY partitions, as BigQuery calls them.
fn storage(layout: &TableLayout, columns: &[Column]) -> String {
    let mut text = String::new();
    if let Some(column) = &layout.partition_by {
        let kind = columns.iter().find(|other| other.name.eq_ignore_ascii_case(column)).map(|column| &column.kind);
        let name = identifier(column);
        text += &match kind {
            Some(ColumnType::Timestamp) => format!(" PARTITION BY TIMESTAMP_TRUNC({name}, DAY)"),
            Some(ColumnType::Datetime) => format!(" PARTITION BY DATETIME_TRUNC({name}, DAY)"),
            _ => format!(" PARTITION BY {name}"),
        };
    }
    if !layout.cluster_by.is_empty() {
        text += &format!(" CLUSTER BY {}", list(&layout.cluster_by));
    }
    let description = layout.description.iter().map(|text| format!("description = {}", literal(text)));
    let options: Vec<String> = description.chain([r#"labels = [("managed_by", "millstream")]"#.to_owned()]).collect();
    format!("{text} OPTIONS ({})", options.join(", "))
}

/// Makes a table hold what a query gives, in one switch.
pub(crate) fn replace(table: &TableName, layout: &TableLayout, columns: &[Column], query: &str) -> String {
    format!("CREATE OR REPLACE TABLE {}{} AS\n{query}", path(table), storage(layout, columns))
}

/// Makes a table of a query's result; fails where it is there already.
pub(crate) fn create(table: &TableName, layout: &TableLayout, columns: &[Column], query: &str) -> String {
    format!("CREATE TABLE {}{} AS\n{query}", path(table), storage(layout, columns))
}

/// Keeps a query's result for a day.
pub(crate) fn stage(stage: &TableName, query: &str) -> String {
    format!(
        "CREATE OR REPLACE TABLE {} OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY)) AS\n{query}",
        path(stage)
    )
}

/// What becomes of staged rows that are marked as deleted at their source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// There are no marks.
    None,
    /// The rows are left out.
    LeaveOut,
    /// The marks are kept, as a last column that is never NULL.
    Keep,
}

/// A staged table's rows, of those with one key only the last where they are numbered: whether that one is marked is looked
/// at afterwards.
pub(crate) fn staged(stage: &TableName, columns: &[Column], last_of: Option<&[String]>, marks: Marks) -> String {
    let (mut select, deleted) = (list(columns.iter().map(|column| &column.name)), identifier(DELETED_COLUMN));
    if marks == Marks::Keep {
        select += &format!(", {deleted} IS TRUE AS {deleted}");
    }
    let mut filters = Vec::new();
    if let Some(key) = last_of {
        filters.push(format!("ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {ROW} DESC) = 1", list(key)));
    }
    if marks == Marks::LeaveOut {
        filters.push(format!("{deleted} IS NOT TRUE"));
    }
    let filter = match filters.as_slice() {
        [] => String::new(),
        filters => format!(" WHERE TRUE QUALIFY {}", filters.join(" AND ")),
    };
    format!("SELECT {select} FROM {}{filter}", path(stage))
}

/// Adds a query's rows to a table.
pub(crate) fn append(table: &TableName, columns: &[Column], query: &str) -> String {
    format!("INSERT INTO {} ({})\n{query}", path(table), list(columns.iter().map(|column| &column.name)))
}

/// Adds columns that a table does not have yet; a table that has one by now keeps it.
pub(crate) fn add_columns(table: &TableName, columns: &[&Column]) -> String {
    let added: Vec<String> = columns
        .iter()
        .map(|column| format!("ADD COLUMN IF NOT EXISTS {} {}", identifier(&column.name), column.kind))
        .collect();
    format!("ALTER TABLE {} {}", path(table), added.join(", "))
}

/// Merges a query's rows, of which no two have one key; with `deletes` those that are marked are taken out of the table.
pub(crate) fn merge(table: &TableName, key: &[String], columns: &[Column], deletes: bool, query: &str) -> String {
    let on: Vec<String> = key
        .iter()
        .map(|name| {
            let (is, required) =
                (identifier(name), columns.iter().any(|column| column.name == *name && column.required));
            // BigQuery knows this pair as an equality that it can hash; IS NOT DISTINCT FROM it refuses in an outer join.
            let nulls = format!(" OR (known.{is} IS NULL AND new.{is} IS NULL)");
            format!("(known.{is} = new.{is}{})", if required { "" } else { &nulls })
        })
        .collect();
    let is_key = |column: &Column| key.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
    let set: Vec<String> = columns
        .iter()
        .filter(|column| !is_key(column))
        .map(|column| format!("{0} = new.{0}", identifier(&column.name)))
        .collect();
    let update =
        if set.is_empty() { String::new() } else { format!("WHEN MATCHED THEN UPDATE SET {}\n", set.join(", ")) };
    let names = list(columns.iter().map(|column| &column.name));
    let (take_out, there) = if deletes {
        let deleted = format!("new.{}", identifier(DELETED_COLUMN));
        (format!("WHEN MATCHED AND {deleted} THEN DELETE\n"), format!(" AND NOT {deleted}"))
    } else {
        (String::new(), String::new())
    };
    format!(
        "MERGE INTO {} AS known USING (\n{query}\n) AS new ON {}\n{take_out}{update}WHEN NOT MATCHED{there} THEN \
         INSERT ({names}) VALUES ({names})",
        path(table),
        on.join(" AND ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str, required: bool) -> Column {
        Column { name: name.into(), kind: kind.parse().unwrap(), required, description: None }
    }

    #[test]
    fn a_table_is_partitioned_by_the_day_of_its_column() {
        let columns = [column("d", "DATE", false), column("at", "TIMESTAMP", false)];
        let made = |by: &str| {
            let layout = TableLayout {
                partition_by: Some(by.into()),
                cluster_by: vec!["d".into()],
                description: Some("it's\nhere".into()),
            };
            replace(&"a.b".parse().unwrap(), &layout, &columns, "SELECT 1")
        };
        assert!(
            made("d").contains("PARTITION BY `d` CLUSTER BY `d` OPTIONS (description = 'it\\'s\\nhere'"),
            "{}",
            made("d")
        );
        assert!(made("at").contains("PARTITION BY TIMESTAMP_TRUNC(`at`, DAY)"));
    }

    #[test]
    fn a_merge_compares_nulls_only_where_they_may_be() {
        let columns = [column("id", "INT64", true), column("part", "STRING", false), column("name", "STRING", false)];
        let key = ["id".to_owned(), "part".to_owned()];
        let statement = merge(&"a.b".parse().unwrap(), &key, &columns, false, "SELECT 1");
        assert!(statement.contains(
            "ON (known.`id` = new.`id`) AND (known.`part` = new.`part` OR (known.`part` IS NULL AND new.`part` IS NULL))"
        ));
        assert!(statement.contains("UPDATE SET `name` = new.`name`\n"), "{statement}");
    }

    #[test]
    fn a_merge_takes_out_what_is_marked_and_looks_at_the_last_row_of_a_key_alone() {
        let (columns, key) = ([column("id", "INT64", true), column("name", "STRING", false)], ["id".to_owned()]);
        let (table, stage) = ("a.b".parse().unwrap(), "a.s".parse().unwrap());
        let rows = staged(&stage, &columns, Some(&key), Marks::Keep);
        let statement = merge(&table, &key, &columns, true, &rows);
        assert_eq!(
            statement,
            "MERGE INTO `a.b` AS known USING (\n\
             SELECT `id`, `name`, `_millstream_deleted` IS TRUE AS `_millstream_deleted` FROM `a.s` WHERE TRUE \
             QUALIFY ROW_NUMBER() OVER (PARTITION BY `id` ORDER BY _millstream_row DESC) = 1\n\
             ) AS new ON (known.`id` = new.`id`)\n\
             WHEN MATCHED AND new.`_millstream_deleted` THEN DELETE\n\
             WHEN MATCHED THEN UPDATE SET `name` = new.`name`\n\
             WHEN NOT MATCHED AND NOT new.`_millstream_deleted` THEN INSERT (`id`, `name`) VALUES (`id`, `name`)"
        );
        let first = staged(&stage, &columns, Some(&key), Marks::LeaveOut);
        assert!(first.ends_with(" = 1 AND `_millstream_deleted` IS NOT TRUE"), "{first}");
    }

    #[test]
    fn a_name_stays_within_its_backticks() {
        assert_eq!(identifier("a`; DROP"), "`a\\`; DROP`");
    }
}
