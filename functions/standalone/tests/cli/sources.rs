//! `millstream sources`: looks at databases and workbooks, and pipelines made of them.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
};

use serde_json::{Value, json};

use crate::support::Project;

const CRM: &str = r#"apiVersion: millstream.dev/v1
name: crm
schedule: "0 10 * * *"
sources:
  customers:
    extract: {from: postgres, connection: secret:crm, table: public.customers, cursor: updated_at, lookback: 2h}
    columns: {id: INT64 required, updated_at: TIMESTAMP}
    table: source.customers
    write: {mode: merge, key: [id]}
  orders:
    extract: {from: mysql, connection: secret:shop, query: "SELECT id, total FROM orders"}
    schedule: "*/5 * * * *"
    table: source.orders
"#;

impl Project {
    fn secret(&self, name: &str, value: &str) {
        let folder = self.path().join("data/secrets");
        fs::create_dir_all(&folder).unwrap();
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(folder.join(name)).unwrap();
        file.write_all(value.as_bytes()).unwrap();
    }
}

#[test]
fn what_is_extracted_is_listed_with_when_and_how() {
    let project = Project::new();
    let left = project.run(&["sources", "list"]).well();
    assert!(left.stdout.contains("No pipeline extracts anything"), "{}", left.stdout);
    fs::write(project.path().join("pipelines/crm.yaml"), CRM).unwrap();
    let listed = project.run(&["sources", "list", "--json"]).well().json();
    assert_eq!(listed[0]["source"], "crm.customers");
    assert_eq!(listed[0]["connection"], json!({ "from": "postgres", "secret": "crm" }));
    assert_eq!(listed[0]["select"], json!({ "table": "public.customers" }));
    assert_eq!(listed[0]["changes"]["cursor"]["column"], "updated_at");
    assert_eq!(
        (&listed[0]["schedule"], &listed[1]["schedule"], &listed[0]["bookmark"]),
        (&json!("0 10 * * *"), &json!("*/5 * * * *"), &Value::Null)
    );
    let shown = project.run(&["sources", "list"]).well().stdout;
    let line = shown.lines().find(|line| line.contains("crm.customers")).unwrap();
    for word in ["postgres", "public.customers", "by updated_at, 7200 s back", "source.customers", "never"] {
        assert!(line.contains(word), "{word} is not in {line}");
    }
    assert!(shown.contains("SELECT id, total FROM orders") && shown.contains("read whole"), "{shown}");
}

#[test]
fn a_source_that_is_not_there_or_not_clear_is_told_with_those_that_are() {
    let project = Project::new();
    let error = |arguments: &[&str]| {
        let left = project.run(&[&["sources", "inspect"], arguments].concat());
        assert_eq!((left.code, left.stdout.as_str()), (1, ""), "{arguments:?}");
        left.stderr
    };
    assert!(error(&["customers"]).contains("--from"));
    fs::write(project.path().join("pipelines/crm.yaml"), CRM).unwrap();
    fs::write(
        project.path().join("pipelines/copy.yaml"),
        CRM.replace("name: crm", "name: copy").replace("source.", "source.copy_"),
    )
    .unwrap();
    assert!(error(&["customer"]).contains("crm.customers, crm.orders"));
    assert!(error(&["customers"]).contains("copy.customers or crm.customers"));
    assert!(error(&["--from", "oracle", "--connection", "secret:x"]).contains("postgres, mysql"));
    assert!(error(&["--from", "postgres"]).contains("--connection secret:NAME"));
    assert!(error(&["--from", "excel"]).contains("--object gs://"));
}

#[test]
fn a_url_in_the_place_of_a_secrets_name_is_refused_and_not_repeated() {
    let project = Project::new();
    let left = project.run(&["sources", "inspect", "--from", "postgres", "--connection", "postgres://u:hunter2@h/d"]);
    assert_eq!(left.code, 1);
    assert!(left.stderr.contains("secret:NAME") && !left.stderr.contains("hunter2"), "{}", left.stderr);
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_kind_that_the_build_does_not_read_is_told_with_the_feature_that_brings_it() {
    let project = Project::new();
    project.secret("crm", "postgres://u:hunter2@localhost/d");
    let left = project.run(&["sources", "inspect", "--from", "postgres", "--connection", "secret:crm"]);
    assert_eq!(left.code, 1);
    assert!(left.stderr.contains("reads no PostgreSQL: build with `--features postgres`"), "{}", left.stderr);
}

#[cfg(feature = "excel")]
mod excel {
    use rust_xlsxwriter::Workbook;

    use super::*;

    const OBJECT: &str = "gs://landing/plans/budget.xlsx";

    fn project() -> Project {
        let project = Project::new();
        let folder = project.path().join("data/buckets/landing/plans");
        fs::create_dir_all(&folder).unwrap();
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet().set_name("2026").unwrap();
        for (column, header) in ["team", "amount", "Approved by"].into_iter().enumerate() {
            sheet.write(0, u16::try_from(column).unwrap(), header).unwrap();
        }
        sheet.write(1, 0, "north").unwrap().write(1, 1, 12.5).unwrap().write(1, 2, "Ada").unwrap();
        workbook.add_worksheet().set_name("notes").unwrap().write(0, 0, "note").unwrap().write(1, 0, "none").unwrap();
        workbook.save(folder.join("budget.xlsx")).unwrap();
        project
    }

    #[test]
    fn a_workbooks_sheets_show_their_columns() {
        let project = project();
        let inspect = ["sources", "inspect", "--from", "excel", "--object", OBJECT];
        let first = project.run(&[&inspect[..], &["--json"]].concat()).well().json();
        let table = &first["tables"][0];
        let names: Vec<&Value> = table["columns"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
        assert_eq!(names, ["team", "amount", "Approved by"]);
        assert_eq!(table["rows"], 1);
        let notes = project.run(&[&inspect[..], &["--table", "notes"]].concat()).well().stdout;
        assert!(notes.starts_with("notes  ~1 rows") && notes.contains("note") && notes.contains("STRING"), "{notes}");
        let absent = project.run(&[&inspect[..], &["--table", "2025"]].concat());
        assert!(absent.code == 1 && absent.stderr.contains("2025"), "{}", absent.stderr);
    }

    #[test]
    fn a_pipeline_of_a_workbook_passes_the_check_and_says_what_it_left_out() {
        let project = project();
        let plan =
            ["sources", "plan", "--from", "excel", "--object", OBJECT, "--tables", "2026", "--pipeline", "budget"];
        let left = project.run(&[&plan[..], &["--output", "pipelines/budget.yaml"]].concat()).well();
        assert!(left.stderr.contains("left out: 2026.Approved by"), "{}", left.stderr);
        let written = fs::read_to_string(project.path().join("pipelines/budget.yaml")).unwrap();
        assert!(written.contains("      sheet: \"2026\"\n      columns: [team, amount]\n"), "{written}");
        project.run(&["check"]).well();
        let streamed = project.run(&plan).well();
        assert_eq!(streamed.stdout, written);
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use millstream_peers::{Postgres, PostgresSettings};

    use super::*;

    const TABLES: &str = "
        CREATE TABLE customers (
            id bigint PRIMARY KEY, name text NOT NULL, balance numeric(10, 2), updated_at timestamptz NOT NULL
        );
        COMMENT ON COLUMN customers.name IS 'as on the invoice';
        INSERT INTO customers SELECT n, 'customer ' || n, n * 1.25, '2026-11-01T00:00:00Z'::timestamptz + n * interval '1 hour'
        FROM generate_series(1, 50) AS n;
        CREATE TABLE places (id integer PRIMARY KEY, \"Full Name\" text);
        CREATE SCHEMA audit;
        CREATE TABLE audit.log (line text);
        CREATE VIEW names AS SELECT name FROM customers;
        ANALYZE;
    ";

    struct Crm {
        project: Project,
        server: Postgres,
    }

    impl Crm {
        fn start() -> Self {
            let server = Postgres::start(PostgresSettings::default());
            server.create_database("crm");
            server.execute("crm", TABLES);
            let project = Project::new();
            project.secret("crm", &format!("{}?sslmode=disable", server.url("crm")));
            Self { project, server }
        }

        /// A command on the database.
        fn run(&self, command: &str, more: &[&str]) -> crate::support::Left {
            let fixed = ["sources", command, "--from", "postgres", "--connection", "secret:crm"];
            self.project.run(&[&fixed[..], more].concat())
        }
    }

    #[test]
    fn tables_and_columns_are_shown_and_a_pipeline_is_made_of_them() {
        let crm = Crm::start();
        let tables = crm.run("inspect", &["--json"]).well().json();
        let names: Vec<&Value> = tables["tables"].as_array().unwrap().iter().map(|table| &table["name"]).collect();
        assert_eq!(names, ["audit.log", "public.customers", "public.names", "public.places"]);
        assert_eq!((&tables["tables"][1]["rows"], &tables["tables"][2]["is_view"]), (&json!(50), &json!(true)));
        let shown = crm.run("inspect", &[]).well().stdout;
        assert!(
            shown.lines().any(|line| line.trim_start().starts_with("public.customers") && line.contains("~50")),
            "{shown}"
        );

        let columns = crm.run("inspect", &["--table", "public.*", "--json"]).well().json();
        let customers = &columns["tables"][0];
        assert_eq!((&customers["name"], &customers["key"]), (&json!("public.customers"), &json!(["id"])));
        assert_eq!(customers["columns"][2]["type"], "NUMERIC(10, 2)");
        assert_eq!(customers["columns"][1]["description"], "as on the invoice");
        assert!(customers["cursors"].as_array().unwrap().contains(&json!("updated_at")), "{customers}");
        let shown = crm.run("inspect", &["--table", "public.customers"]).well().stdout;
        let id = shown.lines().find(|line| line.trim_start().starts_with("id ")).unwrap();
        assert!(id.contains("INT64") && id.contains("required") && id.contains("key"), "{shown}");

        let plan = ["--tables", "public.customers", "public.pl*", "--pipeline", "crm", "--schedule", "0 10 * * *"];
        let to_file = [&plan[..], &["--output", "pipelines/crm.yaml"]].concat();
        let left = crm.run("plan", &to_file).well();
        assert!(left.stderr.contains("left out: public.places.Full Name (text)"), "{}", left.stderr);
        crm.project.run(&["check"]).well();
        let listed = crm.project.run(&["sources", "list", "--json"]).well().json();
        assert_eq!((&listed[0]["source"], &listed[0]["table"]), (&json!("crm.customers"), &json!("source.customers")));
        assert_eq!(listed[0]["changes"]["cursor"]["column"], "updated_at");
        assert_eq!(listed[1]["changes"], "everything");

        let again = crm.run("plan", &to_file);
        assert!(again.code == 1 && again.stderr.contains("is there already"), "{}", again.stderr);
        let by_name =
            crm.project.run(&["sources", "inspect", "customers", "--table", "audit.log", "--json"]).well().json();
        assert_eq!(by_name["tables"][0]["columns"][0]["name"], "line");
    }

    #[test]
    fn a_pipeline_that_was_made_extracts_and_says_how_far_it_has_come() {
        let crm = Crm::start();
        crm.run("plan", &["--tables", "public.*", "--pipeline", "crm", "--output", "pipelines/crm.yaml"]).well();
        let position = || {
            let listed = crm.project.run(&["sources", "list", "--json"]).well().json();
            assert_eq!(listed[0]["source"], "crm.customers");
            listed[0]["bookmark"]["position"].clone()
        };
        assert_eq!(position(), Value::Null);
        crm.project.run(&["run", "crm", "--again"]).well();
        let first = position();
        assert!(first.as_str().unwrap().contains("2026-11-03"), "{first}");
        let count = || crm.project.value("SELECT COUNT(*) || ' of ' || SUM(balance) FROM source.customers");
        assert_eq!(count(), "50 of 1593.75");
        crm.server
            .execute("crm", "UPDATE customers SET balance = 1001.25, updated_at = '2026-12-01T00:00:00Z' WHERE id = 1");
        crm.project.run(&["run", "crm", "--again"]).well();
        assert_eq!(count(), "50 of 2593.75");
        assert!(position().as_str().unwrap().contains("2026-12-01"), "{}", position());
        let shown = crm.project.run(&["sources", "list"]).well().stdout;
        assert!(shown.contains("2026-12-01") && shown.contains("all of it"), "{shown}");
    }

    /// Secret Manager, which answers with one value whatever it is asked for; gives its address.
    #[cfg(feature = "cloud")]
    fn secret_manager(value: &str) -> String {
        use std::{
            io::{BufRead, BufReader},
            net::TcpListener,
        };

        use base64::{Engine, engine::general_purpose::STANDARD};

        let data = STANDARD.encode(value);
        let payload = json!({ "data": data, "dataCrc32c": crc32c::crc32c(value.as_bytes()).to_string() });
        let body = json!({ "payload": payload }).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
                let length = body.len();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
                write!(stream, "{head} {length}\r\n\r\n{body}").unwrap();
            }
        });
        address
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn a_deployments_secrets_are_secret_managers() {
        let crm = Crm::start();
        let folder = crm.project.path();
        let url = fs::read_to_string(folder.join("data/secrets/crm")).unwrap();
        fs::remove_file(folder.join("data/secrets/crm")).unwrap();
        fs::write(folder.join("millstream.toml"), "[env.prod.gcp]\nproject = \"shop\"\nlocation = \"EU\"\n").unwrap();
        let inspect = ["--env", "prod", "sources", "inspect", "--from", "postgres", "--connection", "secret:crm"];
        let of_deployment = |more: &[&str]| -> crate::support::Left {
            let mut command = crate::support::program(folder);
            command
                .env("SECRET_MANAGER_EMULATOR_HOST", secret_manager(&url))
                .env("STORAGE_EMULATOR_HOST", "127.0.0.1:9");
            command.args(inspect).args(more).output().unwrap().into()
        };
        let shown = of_deployment(&["--cloud"]).well().stdout;
        assert!(shown.contains("public.customers"), "{shown}");
        let here = of_deployment(&[]);
        assert!(here.code == 1 && here.stderr.contains("data/secrets/crm"), "{}", here.stderr);
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_is_written() {
        let crm = Crm::start();
        let absent = crm.run("inspect", &["--table", "public.order*"]);
        assert!(absent.code == 1 && absent.stderr.contains("public.customers"), "{}", absent.stderr);
        let cron =
            crm.run("plan", &["--tables", "*", "--pipeline", "crm", "--schedule", "at ten", "--output", "x.yaml"]);
        assert!(cron.code == 3 && cron.stderr.contains("at ten"), "{}", cron.stderr);
        assert!(!crm.project.path().join("x.yaml").exists());
        let unnamed = crm.run("plan", &["--pipeline", "crm"]);
        assert!(unnamed.code == 1 && unnamed.stderr.contains("--tables"), "{}", unnamed.stderr);
        let capital = crm.run("plan", &["--tables", "public.places", "--pipeline", "Crm"]);
        assert!(capital.code == 1 && capital.stderr.contains("--pipeline"), "{}", capital.stderr);

        let url = fs::read_to_string(crm.project.path().join("data/secrets/crm")).unwrap();
        let (start, end) = (url.find("postgres:").unwrap(), url.find('@').unwrap());
        crm.project.secret("crm", &url.replacen(&url[start..end], "postgres://postgres:hunter2", 1));
        let refused = crm.run("inspect", &[]);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("password") && !refused.stderr.contains("hunter2"), "{}", refused.stderr);
    }
}
