//! Pipelines that are made, read back by the pipelines' own rules.

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
    Connection { from: SourceKind::Postgres, secret: Some("crm".parse().unwrap()), ca: Some("crm-ca".parse().unwrap()) }
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
    let reasons = ["places.where (geometry)", "places.Full Name (string)", "places.ID", "shapes.shape", "shapes: none"];
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
    let all = ["public.Orders", "audit.orders", "2026 budget", "a.b-c", "a.b_c", "a.b c", &long, &format!("{long}y")];
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
    let columns: Vec<(&str, Option<&str>)> =
        extract.contract.columns.iter().map(|column| (column.name.as_str(), column.description.as_deref())).collect();
    assert_eq!(columns, [("no", Some("what: \"it\" is # said\nhere")), ("n", None)]);
}
