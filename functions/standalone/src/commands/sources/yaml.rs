//! A pipeline's YAML for chosen tables.

use std::{collections::BTreeSet, fmt::Write};

use anyhow::bail;
use millstream_events::{
    contract::ColumnType,
    extract::{Connection, Selection},
    names::PipelineName,
};
use millstream_ports::source::SourceColumn;

use super::{tables::Looked, views::PlannedSource};
use crate::render::bytes;

/// Columns whose value says that a row was deleted, by their usual names.
const MARKS: [&str; 5] = ["deleted_at", "deleted_on", "is_deleted", "deleted", "date_deleted"];

/// The longest name of a source.
const LONGEST_NAME: usize = 60;

/// What was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) yaml: String,
    pub(super) sources: Vec<PlannedSource>,
    /// What could not be taken over, in sentences.
    pub(super) left_out: Vec<String>,
}

/// The pipeline. Tables of which no column can be mapped are left out; at least one must remain.
pub(super) fn pipeline(
    name: &PipelineName,
    connection: &Connection,
    schedule: Option<&str>,
    looked: &[Looked],
) -> anyhow::Result<Made> {
    let mut yaml = format!("apiVersion: millstream.dev/v1\nname: {name}\n");
    if let Some(schedule) = schedule {
        put(&mut yaml, &format!("schedule: {}", text(schedule)));
    }
    yaml.push_str("sources:\n");
    let (mut sources, mut left_out, mut names) = (Vec::new(), Vec::new(), Names::of(looked));
    for looked in looked {
        let columns = Columns::of(looked, &mut left_out);
        if columns.taken.is_empty() {
            left_out.push(format!("{}: none of its columns can be mapped", looked.name));
            continue;
        }
        let source = names.take(&looked.name);
        sources.push(write(&mut yaml, source, connection, looked, &columns));
    }
    if sources.is_empty() {
        bail!("nothing can be extracted: {}", left_out.join("; "));
    }
    Ok(Made { yaml, sources, left_out })
}

/// The columns of a table that can be taken over.
struct Columns<'a> {
    taken: Vec<(&'a SourceColumn, &'a ColumnType)>,
    is_whole: bool,
}

impl<'a> Columns<'a> {
    fn of(looked: &'a Looked, left_out: &mut Vec<String>) -> Self {
        let mut names = BTreeSet::new();
        let mut taken = Vec::new();
        for column in &looked.shape.columns {
            let problem = match &column.kind {
                Err(problem) => problem.clone(),
                Ok(_) if !is_column_name(&column.name) => {
                    let what = match looked.select {
                        Selection::Sheet(_) => "write another one into the sheet",
                        Selection::Table(_) | Selection::Query(_) => "give it one in a `query`",
                    };
                    format!("its name has other characters than letters, digits and _; {what}")
                }
                Ok(_) if !names.insert(column.name.to_ascii_lowercase()) => {
                    "another column has its name but for the case".to_owned()
                }
                Ok(kind) => {
                    taken.push((column, kind));
                    continue;
                }
            };
            left_out.push(format!("{}.{} ({}): {problem}", looked.name, column.name, column.source_type));
        }
        let is_whole = taken.len() == looked.shape.columns.len();
        Self { taken, is_whole }
    }

    fn has(&self, name: &str) -> bool {
        self.taken.iter().any(|(column, _)| column.name == name)
    }

    /// Whether a candidate for a cursor grows with every change of a row, as far as can be told, and not only with new rows: a
    /// change that is not seen would be missed for good.
    fn tells_changes(&self, name: &str, key: &[String]) -> bool {
        let kind = self.taken.iter().find(|(column, _)| column.name == name).map(|(_, kind)| *kind);
        let lower = name.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let tells = match kind {
            Some(ColumnType::Timestamp | ColumnType::Datetime | ColumnType::Date) => {
                !says(&["creat", "insert", "added"])
            }
            // SQL Server's rowversion.
            Some(ColumnType::Bytes) => true,
            _ => says(&["updat", "modif", "chang", "version", "revision"]),
        };
        tells && !key.iter().any(|column| column == name)
    }
}

fn write(
    yaml: &mut String,
    name: String,
    connection: &Connection,
    looked: &Looked,
    columns: &Columns<'_>,
) -> PlannedSource {
    let key = merge_key(looked, columns);
    // What changed alone can only be merged.
    let candidates: Vec<&String> =
        looked.shape.cursors.iter().filter(|cursor| key.is_some() && columns.has(cursor)).collect();
    let cursor =
        candidates.iter().find(|cursor| columns.tells_changes(cursor, &looked.shape.key)).map(|c| (*c).clone());
    let grows = candidates.first().filter(|_| cursor.is_none()).zip(key.clone());
    let key = key.filter(|_| cursor.is_some()).unwrap_or_default();

    put(yaml, &format!("  {}:{}", plain(&name), size(looked)));
    put(yaml, "    extract:");
    put(yaml, &format!("      from: {}", connection.from));
    for (field, secret) in [("connection", &connection.secret), ("ca", &connection.ca)] {
        if let Some(secret) = secret {
            put(yaml, &format!("      {field}: secret:{secret}"));
        }
    }
    for (field, value) in selected(&looked.select) {
        put(yaml, &format!("      {field}: {value}"));
    }
    if !columns.is_whole {
        let names: Vec<String> = columns.taken.iter().map(|(column, _)| plain(&column.name)).collect();
        put(yaml, &format!("      columns: [{}]", names.join(", ")));
    }
    if let Some(cursor) = &cursor {
        put(yaml, &format!("      cursor: {}", plain(cursor)));
        if let Some(mark) = MARKS
            .iter()
            .find_map(|mark| columns.taken.iter().find(|(column, _)| column.name.eq_ignore_ascii_case(mark)))
        {
            put(
                yaml,
                &format!("      # deleted: {}    # if its value says that the row was deleted", plain(&mark.0.name)),
            );
        }
    }
    if let Some((grows, key)) = grows {
        let hint = format!("if rows are added and never change, with {}", merge(&key));
        put(yaml, &format!("      # cursor: {}    # {hint}", plain(grows)));
    }
    put(yaml, "    columns:");
    for (column, kind) in &columns.taken {
        put(yaml, &format!("      {}: {}", plain(&column.name), contract(column, kind)));
    }
    let table = format!("source.{name}");
    put(yaml, &format!("    table: {table}"));
    if key.is_empty() {
        put(yaml, "    write: replace");
    } else {
        put(yaml, &format!("    {}", merge(&key)));
    }
    PlannedSource { source: name, reads: looked.name.clone(), table, key, cursor }
}

fn merge(key: &[String]) -> String {
    let names: Vec<String> = key.iter().map(|column| plain(column)).collect();
    format!("write: {{mode: merge, key: [{}]}}", names.join(", "))
}

/// The table's key, if all of it can be taken over.
fn merge_key(looked: &Looked, columns: &Columns<'_>) -> Option<Vec<String>> {
    let key = &looked.shape.key;
    (!key.is_empty() && key.iter().all(|column| columns.has(column))).then(|| key.clone())
}

fn selected(select: &Selection) -> Vec<(&'static str, String)> {
    match select {
        Selection::Table(table) => vec![("table", text(table))],
        Selection::Query(query) => vec![("query", text(query))],
        Selection::Sheet(sheet) => {
            let mut fields = vec![("object", text(&sheet.object.to_string()))];
            let cells = &sheet.cells;
            fields.extend(cells.sheet.as_ref().map(|sheet| ("sheet", text(sheet))));
            fields.extend(cells.range.as_ref().map(|range| ("range", text(range))));
            fields.extend(cells.header_row.map(|row| ("header_row", row.to_string())));
            fields
        }
    }
}

/// A column's type, and its description where it has one.
fn contract(column: &SourceColumn, kind: &ColumnType) -> String {
    let kind = kind.to_string();
    match &column.description {
        Some(description) => {
            let required = if column.required { ", required: true" } else { "" };
            format!("{{type: {}{required}, description: {}}}", quoted(&kind), quoted(description))
        }
        None => text(&format!("{kind}{}", if column.required { " required" } else { "" })),
    }
}

fn size(looked: &Looked) -> String {
    let rows = looked.shape.rows.map(|rows| format!("about {rows} rows"));
    let size = looked.shape.bytes.map(bytes);
    let known: Vec<String> = rows.into_iter().chain(size).collect();
    if known.is_empty() { String::new() } else { format!("    # {}", known.join(", ")) }
}

/// Names of sources, and of their tables: the table's own, with its schema where two tables have one name.
struct Names {
    doubled: BTreeSet<String>,
    taken: BTreeSet<String>,
}

impl Names {
    fn of(looked: &[Looked]) -> Self {
        let (mut seen, mut doubled) = (BTreeSet::new(), BTreeSet::new());
        for looked in looked {
            let short = name_of(last_part(&looked.name));
            if !seen.insert(short.clone()) {
                doubled.insert(short);
            }
        }
        Self { doubled, taken: BTreeSet::new() }
    }

    fn take(&mut self, table: &str) -> String {
        let short = name_of(last_part(table));
        let wanted = if self.doubled.contains(&short) { name_of(table) } else { short };
        let mut name = wanted.clone();
        for number in 2.. {
            if self.taken.insert(name.clone()) {
                break;
            }
            let end = format!("_{number}");
            name = format!("{}{end}", &wanted[..wanted.len().min(LONGEST_NAME - end.len())]);
        }
        name
    }
}

fn last_part(table: &str) -> &str {
    table.rsplit('.').next().filter(|part| !part.is_empty()).unwrap_or(table)
}

/// A name as a source's and a table's: lower case, with `_` for what it may not have.
fn name_of(text: &str) -> String {
    let name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let name = name.trim_matches('_');
    let name = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name.to_owned() } else { format!("t_{name}") };
    name[..name.len().min(LONGEST_NAME)].to_owned()
}

/// Whether a name can be a column's in the warehouse.
fn is_column_name(name: &str) -> bool {
    (1..=300).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn put(yaml: &mut String, line: &str) {
    let _ = writeln!(yaml, "{line}");
}

/// A name, quoted where YAML or a list in it would take it for something else.
fn plain(name: &str) -> String {
    if is_plain(name, "_-.") { name.to_owned() } else { quoted(name) }
}

/// A value in a block, quoted where YAML would take it for something else.
fn text(value: &str) -> String {
    let is_mapping = value.contains(": ") || value.ends_with(':');
    let has_rim = value.ends_with(' ');
    if is_plain(value, "_-./:<>(), ") && !is_mapping && !has_rim { value.to_owned() } else { quoted(value) }
}

/// Whether a text is of letters, digits and these, begins with a letter, and is no word that YAML knows.
fn is_plain(value: &str, others: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        && !WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// A text in double quotes, which JSON and YAML write alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millstream_events::extract::{Cells, Changes, SourceKind};
    use millstream_pipeline::{
        Buckets, Pipelines,
        spec::{self, Checks, Problem},
    };
    use millstream_ports::source::Shape;
    use millstream_sql::Select;

    use super::*;

    fn column(name: &str, kind: &str, required: bool) -> SourceColumn {
        SourceColumn {
            name: name.into(),
            source_type: kind.to_lowercase(),
            kind: kind.parse().map_err(|_| format!("{kind} has no type in BigQuery")),
            required,
            description: None,
        }
    }

    fn looked(name: &str, columns: Vec<SourceColumn>, key: &[&str], cursors: &[&str]) -> Looked {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Looked {
            name: name.into(),
            select: Selection::Table(name.into()),
            shape: Shape { columns, key: own(key), cursors: own(cursors), rows: Some(1_200), bytes: Some(3 << 20) },
        }
    }

    fn postgres() -> Connection {
        Connection {
            from: SourceKind::Postgres,
            secret: Some("crm".parse().unwrap()),
            ca: Some("crm-ca".parse().unwrap()),
        }
    }

    fn made(connection: &Connection, looked: &[Looked]) -> Made {
        pipeline(&"crm".parse().unwrap(), connection, Some("0 10 * * *"), looked).unwrap()
    }

    struct NoEngines;

    impl Checks for NoEngines {
        fn expectation(&self, _: &str, _: &[millstream_events::contract::Column]) -> Result<(), Problem> {
            Ok(())
        }

        fn translatable(&self, _: &Select) -> Result<(), Problem> {
            Ok(())
        }
    }

    fn loaded(yaml: &str) -> Pipelines {
        let files = BTreeMap::from([("pipelines/crm.yaml".to_owned(), yaml.to_owned())]);
        let project = spec::Project { files: &files, buckets: Buckets::default(), checks: &NoEngines };
        spec::load(&project).unwrap_or_else(|mistakes| panic!("{}\n{yaml}", mistakes.render(100)))
    }

    #[test]
    fn a_table_with_a_key_and_a_cursor_is_merged_and_another_is_replaced() {
        let customers = looked(
            "public.customers",
            vec![
                column("id", "INT64", true),
                column("name", "STRING", false),
                column("balance", "NUMERIC(10, 2)", false),
                column("tags", "ARRAY<STRING>", false),
                column("updated_at", "TIMESTAMP", true),
                column("deleted_at", "TIMESTAMP", false),
            ],
            &["id"],
            &["updated_at", "id"],
        );
        let log =
            looked("public.log", vec![column("line", "STRING", false), column("at", "TIMESTAMP", false)], &[], &["at"]);
        let made = made(&postgres(), &[customers, log]);
        let expected = "\
apiVersion: millstream.dev/v1
name: crm
schedule: \"0 10 * * *\"
sources:
  customers:    # about 1200 rows, 3.0 MiB
    extract:
      from: postgres
      connection: secret:crm
      ca: secret:crm-ca
      table: public.customers
      cursor: updated_at
      # deleted: deleted_at    # if its value says that the row was deleted
    columns:
      id: INT64 required
      name: STRING
      balance: NUMERIC(10, 2)
      tags: ARRAY<STRING>
      updated_at: TIMESTAMP required
      deleted_at: TIMESTAMP
    table: source.customers
    write: {mode: merge, key: [id]}
  log:    # about 1200 rows, 3.0 MiB
    extract:
      from: postgres
      connection: secret:crm
      ca: secret:crm-ca
      table: public.log
    columns:
      line: STRING
      at: TIMESTAMP
    table: source.log
    write: replace
";
        assert_eq!(made.yaml, expected);
        assert_eq!(made.left_out, Vec::<String>::new());
        let pipelines = loaded(&made.yaml);
        let extracts = &pipelines.by_name.values().next().unwrap().extracts;
        assert!(matches!(&extracts[0].changes, Changes::Cursor(cursor) if cursor.column == "updated_at"));
        assert_eq!(extracts[1].changes, Changes::Everything);
    }

    #[test]
    fn a_column_that_grows_with_new_rows_alone_is_no_cursor_but_a_hint() {
        let columns = || {
            vec![
                column("id", "INT64", true),
                column("created_at", "TIMESTAMP", true),
                column("number", "INT64", true),
                column("row", "BYTES", true),
                column("lock_version", "INT64", true),
            ]
        };
        for (candidates, cursor) in [
            (["id", "number"], None),
            (["created_at", "id"], None),
            (["id", "row"], Some("row")),
            (["created_at", "lock_version"], Some("lock_version")),
        ] {
            let made = made(&postgres(), &[looked("orders", columns(), &["id"], &candidates)]);
            assert_eq!(made.sources[0].cursor.as_deref(), cursor, "{candidates:?}");
            let hint = format!("      # cursor: {}    # if rows are added and never change", candidates[0]);
            assert_eq!(made.yaml.contains(&hint), cursor.is_none(), "{}", made.yaml);
            assert_eq!(made.yaml.contains("    write: replace\n"), cursor.is_none(), "{}", made.yaml);
            loaded(&made.yaml);
        }
    }

    #[test]
    fn what_cannot_be_mapped_is_left_out_and_named() {
        let places = looked(
            "places",
            vec![
                column("id", "INT64", true),
                column("where", "GEOMETRY", false),
                column("Full Name", "STRING", false),
                column("ID", "INT64", false),
            ],
            &["id"],
            &["where"],
        );
        let shapes = looked("shapes", vec![column("shape", "GEOMETRY", false)], &[], &[]);
        let made = made(&postgres(), &[places, shapes]);
        assert!(made.yaml.contains("      columns: [id]\n") && !made.yaml.contains("shapes"), "{}", made.yaml);
        let reasons =
            ["places.where (geometry)", "places.Full Name (string)", "places.ID", "shapes.shape", "shapes: none"];
        assert_eq!(made.left_out.len(), reasons.len(), "{:?}", made.left_out);
        for (left_out, reason) in made.left_out.iter().zip(reasons) {
            assert!(left_out.starts_with(reason), "{left_out}");
        }
        assert_eq!(made.sources[0].key, Vec::<String>::new(), "without a cursor the table is replaced");
        loaded(&made.yaml);
    }

    #[test]
    fn nothing_that_can_be_mapped_is_an_error() {
        let shapes = looked("shapes", vec![column("shape", "GEOMETRY", false)], &[], &[]);
        let error = pipeline(&"crm".parse().unwrap(), &postgres(), None, &[shapes]).unwrap_err().to_string();
        assert!(error.contains("shapes.shape (geometry)"), "{error}");
    }

    #[test]
    fn names_become_names_and_no_two_sources_have_one() {
        let table = |name: &str| looked(name, vec![column("id", "INT64", true)], &[], &[]);
        let long = "x".repeat(80);
        let all =
            ["public.Orders", "audit.orders", "2026 budget", "a.b-c", "a.b_c", "a.b c", &long, &format!("{long}y")];
        let made = made(&postgres(), &all.map(table));
        let names: Vec<&str> = made.sources.iter().map(|source| source.source.as_str()).collect();
        assert_eq!(names[..6], ["public_orders", "audit_orders", "t_2026_budget", "a_b_c", "a_b_c_2", "a_b_c_3"]);
        assert_eq!((names[6].len(), names[7].len()), (60, 60));
        loaded(&made.yaml);
    }

    #[test]
    fn texts_that_yaml_would_take_for_something_else_are_quoted() {
        let mut odd = column("no", "STRING", true);
        odd.description = Some("what: \"it\" is # said\nhere".into());
        let sheet = millstream_events::extract::Sheet {
            object: "gs://landing/budget {2026}.xlsx".parse().unwrap(),
            cells: Cells { sheet: Some("2026: plan".into()), ..Cells::default() },
        };
        let looked = Looked {
            select: Selection::Sheet(sheet.clone()),
            ..looked("y", vec![odd, column("n", "BOOL", false)], &[], &[])
        };
        let made = made(&Connection { from: SourceKind::Excel, secret: None, ca: None }, &[looked]);
        let pipelines = loaded(&made.yaml);
        let extract = &pipelines.by_name.values().next().unwrap().extracts[0];
        assert_eq!((extract.name.as_str(), &extract.select), ("y", &Selection::Sheet(sheet)));
        let columns: Vec<(&str, Option<&str>)> = extract
            .contract
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.description.as_deref()))
            .collect();
        assert_eq!(columns, [("no", Some("what: \"it\" is # said\nhere")), ("n", None)]);
    }
}
