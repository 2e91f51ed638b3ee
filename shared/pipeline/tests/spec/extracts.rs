//! Sources that are extracted: what they mean, and the mistakes in them.

use millstream_events::{
    extract::{ChangeLog, Changes, Cursor, Lookback, Selection, SourceKind},
    work::WriteMode,
};
use millstream_pipeline::{
    advice::advice,
    model::{Extract, Pipeline},
    spec::{Code, Diagnostic, graph},
};

use crate::{FileMap, load_files, mistakes_at_marks};

const SHOP: &str = r#"apiVersion: millstream.dev/v1
name: shop
schedule: "0 6 * * *"
sources:
  customers:
    extract:
      from: postgres
      connection: secret:crm
      ca: secret:crm-ca
      table: public.customers
      columns: [id, name, updated_at, deleted_at]
      split_by: id
      cursor: updated_at
      lookback: 2h
      deleted: deleted_at
      limits: {rows: 1_000_000, bytes: 10Gi, statement: 30m, parallel: 8}
    schedule: "0 * * * *"
    columns: {id: INT64 required, name: STRING, updated_at: TIMESTAMP, deleted_at: TIMESTAMP}
    expect: ["id > 0"]
    table: source.customers
    write: {mode: merge, key: [id]}
  orders:
    extract: {from: postgres, connection: secret:crm, table: public.orders, log: {publication: shop, slot: shop_orders}}
    table: source.orders
    write: {mode: merge, key: [id]}
  countries:
    extract: {from: mariadb, connection: secret:erp, query: "SELECT code, name FROM countries"}
    table: source.countries
  budget:
    extract: {from: excel, object: gs://landing/finance/budget.xlsx, sheet: "2026", range: "B3:F200", header_row: 1}
    table: source.budget
"#;

fn files(text: &str) -> FileMap {
    FileMap::from([("pipelines/shop.yaml".to_owned(), text.to_owned())])
}

fn shop() -> Pipeline {
    load_files(&files(SHOP)).unwrap().by_name.into_values().next().unwrap()
}

fn extract(name: &str) -> Extract {
    shop().extracts.into_iter().find(|extract| extract.name == name).unwrap()
}

#[test]
fn every_part_of_an_extraction_reaches_the_model() {
    let customers = extract("customers");
    assert_eq!(customers.schedule.as_deref(), Some("0 * * * *"));
    assert_eq!(customers.connection.from, SourceKind::Postgres);
    assert_eq!(customers.connection.secret.unwrap().as_str(), "crm");
    assert_eq!(customers.connection.ca.unwrap().as_str(), "crm-ca");
    assert_eq!(customers.select, Selection::Table("public.customers".into()));
    assert_eq!(customers.only, ["id", "name", "updated_at", "deleted_at"]);
    assert_eq!(customers.split_by.as_deref(), Some("id"));
    let cursor = Cursor {
        column: "updated_at".into(),
        lookback: Some(Lookback::Seconds(7_200)),
        deleted: Some("deleted_at".into()),
    };
    assert_eq!(customers.changes, Changes::Cursor(cursor));
    let limits = customers.limits;
    assert_eq!((limits.rows, limits.bytes), (Some(1_000_000), Some(10 << 30)));
    assert_eq!((limits.statement_seconds, limits.parallel), (1_800, 8));
    assert_eq!(customers.contract.columns.len(), 4);
    assert_eq!(customers.contract.expect, ["id > 0"]);
    assert_eq!(customers.write, WriteMode::Merge { key: vec!["id".into()] });

    let log = ChangeLog { publication: "shop".into(), slot: "shop_orders".into() };
    assert_eq!(extract("orders").changes, Changes::Log(log));
    assert!(extract("orders").contract.columns.is_empty(), "the source's own");

    let countries = extract("countries");
    assert_eq!(countries.connection.from, SourceKind::Mysql, "MariaDB speaks MySQL's protocol");
    assert_eq!(countries.select, Selection::Query("SELECT code, name FROM countries".into()));
    assert_eq!((countries.changes, countries.write), (Changes::Everything, WriteMode::Replace));

    let Selection::Sheet(sheet) = extract("budget").select else { panic!("a sheet") };
    assert_eq!(sheet.object.to_string(), "gs://landing/finance/budget.xlsx");
    assert_eq!((sheet.cells.sheet.as_deref(), sheet.cells.range.as_deref()), (Some("2026"), Some("B3:F200")));
    assert_eq!(sheet.cells.header_row, Some(1));
}

#[test]
fn a_pipeline_has_its_own_schedule_and_those_of_its_sources() {
    let shop = shop();
    let schedules: Vec<_> = shop.schedules().collect();
    assert_eq!(schedules, [(None, "0 6 * * *"), (Some("customers"), "0 * * * *")]);
}

#[test]
fn the_graph_says_where_rows_come_from_and_how_changes_are_found() {
    let graph = graph(&shop());
    let does = |id: &str| graph.nodes.iter().find(|node| node.id == id).unwrap().does.clone();
    assert_eq!(does("source.customers"), "merges on id public.customers of postgres by updated_at, at 0 * * * *");
    assert_eq!(does("source.orders"), "merges on id public.orders of postgres from its log shop_orders");
}

/// The one mistake of the example with a text of it replaced; `«` marks its place.
#[track_caller]
fn told(from: &str, to: &str) -> Diagnostic {
    assert!(SHOP.contains(from), "the example has no {from}");
    let mut mistakes = mistakes_at_marks(files(&SHOP.replacen(from, to, 1)));
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    mistakes.remove(0)
}

#[test]
fn a_password_where_a_secrets_name_belongs_is_refused_and_not_repeated() {
    let mistake = told("connection: secret:erp", "connection: «mysql://root:hunter2@db/shop");
    assert_eq!(mistake.code, Code::InvalidValue);
    assert!(!format!("{} {:?} {:?}", mistake.message, mistake.expected, mistake.hint).contains("hunter2"));
    assert_eq!(mistake.expected.as_deref(), Some("a secret by its name, secret:NAME"));
}

#[test]
fn what_does_not_go_together_is_told() {
    for (from, to, message) in [
        ("from: mariadb", "from: «mariadbb", "is not one of the choices"),
        (", connection: secret:erp,", ",", "needs a `connection`"),
        ("query: \"SELECT code, name FROM countries\"", "table: a, query: b", "needs what to read"),
        ("{from: excel, object", "{from: excel, connection: «secret:x, object", "a workbook has no connection"),
        ("    write: {mode: merge, key: [id]}\n  orders:", "  orders:", "cannot replace the table"),
        ("    write: {mode: merge, key: [id]}\n  countries:", "  countries:", "changes of a log are merged"),
        (
            "    table: source.budget\n",
            "    table: source.budget\n    file: {format: csv}\n",
            "`file` says how uploads",
        ),
        ("    table: source.budget\n", "    upload: x.csv\n    table: source.budget\n", "one of `extract`"),
        ("secret:erp, query", "secret:erp, lookback: «1h, query", "goes with a `cursor`"),
    ] {
        let text = SHOP.replacen(from, to, 1);
        assert_ne!(text, SHOP, "the example has no {from}");
        let marked = text.contains('«');
        let Err(mistakes) = load_files(&files(&text.replace('«', ""))) else { panic!("{to} is taken") };
        assert_eq!(mistakes.0.len(), 1, "{to}: {mistakes:#?}");
        let told = &mistakes.0[0];
        let all = format!("{} {:?} {:?}", told.message, told.expected, told.code).to_lowercase();
        assert!(all.contains(message), "{to}: {all}");
        if marked {
            assert_eq!(mistakes_at_marks(files(&text)).len(), 1);
        }
    }
}

#[test]
fn an_upload_has_no_schedule() {
    let text = SHOP.replacen(
        "  budget:\n    extract: {from: excel, object: gs://landing/finance/budget.xlsx, sheet: \"2026\", range: \"B3:F200\", header_row: 1}\n",
        "  budget:\n    upload: budget.csv\n    columns: {id: INT64}\n    schedule: «\"0 * * * *\"\n",
        1,
    );
    let mistakes = mistakes_at_marks(files(&text));
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    assert_eq!(mistakes[0].message, "only a source with `extract` has a schedule");
}

#[test]
fn what_nothing_starts_and_what_stays_in_the_table_is_advised_of() {
    let told = |text: &str| -> Vec<String> {
        advice(&load_files(&files(text)).unwrap()).iter().map(ToString::to_string).collect()
    };
    assert_eq!(told(SHOP), Vec::<String>::new());
    let by_hand = told(&SHOP.replacen("schedule: \"0 6 * * *\"\n", "", 1));
    assert_eq!(by_hand.len(), 3, "customers have a schedule of their own: {by_hand:?}");
    assert!(by_hand[0].starts_with("warning: shop, source orders: nothing starts its extraction"), "{by_hand:?}");
    let stays = told(&SHOP.replacen("      deleted: deleted_at\n", "", 1));
    assert_eq!(stays.len(), 1);
    assert!(stays[0].contains("source customers: a row that is deleted at the source stays"), "{stays:?}");
}
