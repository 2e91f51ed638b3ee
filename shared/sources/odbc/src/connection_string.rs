//! The connection string: which driver, which server, who reads, and how safely.

use std::{fmt, io::Write};

use millstream_ports::{PortError, PortResult, Secret};
use millstream_source_network::is_this_machine;
use tempfile::NamedTempFile;

/// Our own attribute: plain text to another machine is meant.
const ALLOW_INSECURE: &str = "millstream_allowinsecure";
/// Our own attribute: DB2's isolation, `CS` where it is absent.
const ISOLATION: &str = "millstream_isolation";

/// Drivers whose attributes are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Db2,
    PostgreSql,
    Other,
}

/// DB2's isolation of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Rows that were committed when each was read.
    CursorStability,
    /// Rows that were read stay as they are until the end.
    ReadStability,
    /// One moment; the whole table is locked for it.
    RepeatableRead,
}

impl Isolation {
    /// As the end of a statement says it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CursorStability => "CS",
            Self::ReadStability => "RS",
            Self::RepeatableRead => "RR",
        }
    }
}

/// A driver, a server and a user.
pub(crate) struct Target {
    text: String,
    shown: String,
    user: String,
    password: Option<String>,
    pub(crate) isolation: Isolation,
    /// Kept because the driver reads it with every connection.
    _ca: Option<NamedTempFile>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.shown).finish()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Target {
    /// Reads `Driver={..};Hostname=..;Port=..;Database=..;Uid=..;Pwd=..;Security=SSL`.
    ///
    /// # Errors
    /// `Invalid`, with nothing of the text in it.
    pub(crate) fn read(text: &str, ca: Option<&Secret>) -> PortResult<Self> {
        let attributes = attributes(text.trim()).ok_or_else(|| wrong("is no list of Name=value;"))?;
        let find = |names: &[&str]| attributes.iter().find(|attribute| names.contains(&attribute.name.as_str()));
        let value =
            |names: &[&str]| find(names).map(|attribute| attribute.value.clone()).filter(|value| !value.is_empty());
        let driver = value(&["driver"]).unwrap_or_default().to_ascii_lowercase();
        if driver.is_empty() && value(&["dsn"]).is_none() {
            return Err(wrong("has neither Driver nor DSN"));
        }
        let family = match driver.as_str() {
            name if name.contains("db2") || name.contains("libdb2") => Family::Db2,
            name if name.contains("postgresql") || name.contains("psqlodbc") => Family::PostgreSql,
            _ => Family::Other,
        };
        let host = value(&["hostname", "server", "servername", "host"]).unwrap_or_default();
        let (port, database) = (value(&["port"]), value(&["database", "dbalias", "dsn"]));
        let isolation = match value(&[ISOLATION]).map(|value| value.to_ascii_uppercase()).as_deref() {
            None | Some("CS") => Isolation::CursorStability,
            Some("RS") => Isolation::ReadStability,
            Some("RR") => Isolation::RepeatableRead,
            Some(_) => return Err(wrong("has a Millstream_Isolation that is none of CS, RS and RR")),
        };
        let says = |name: &str, values: &[&str]| {
            value(&[name]).is_some_and(|value| values.contains(&value.to_ascii_lowercase().as_str()))
        };
        let wants_tls = match family {
            Family::Db2 => says("security", &["ssl"]),
            Family::PostgreSql => says("sslmode", &["verify-full"]),
            Family::Other => {
                says("security", &["ssl"])
                    || says("sslmode", &["verify-full", "verify_identity"])
                    || says("sslverify", &["1"])
                    || says("encrypt", &["yes", "true", "mandatory", "strict"])
                        && !says("trustservercertificate", &["yes", "true"])
            }
        };
        if !wants_tls && !is_this_machine(&host) && !says(ALLOW_INSECURE, &["yes", "true", "1"]) {
            return Err(wrong(
                "does not ask for TLS that is verified (DB2: Security=SSL, PostgreSQL: SSLmode=verify-full) although the server is \
                 on another machine: ask for it, or add Millstream_AllowInsecure=yes",
            ));
        }
        let ca = ca.map(keep).transpose()?;
        let mut parts: Vec<String> = attributes
            .iter()
            .filter(|attribute| !matches!(attribute.name.as_str(), ALLOW_INSECURE | ISOLATION))
            .map(|attribute| attribute.text.clone())
            .collect();
        let path = ca.as_ref().map(|file| file.path().display().to_string());
        for (name, value) in additions(family, wants_tls, path)? {
            if find(&[&name.to_ascii_lowercase()]).is_none() {
                parts.push(format!("{name}={value}"));
            }
        }
        let mut shown = if host.is_empty() { "the ODBC source".to_owned() } else { host };
        if let Some(port) = port {
            shown = format!("{shown}:{port}");
        }
        if let Some(database) = database {
            shown = format!("{shown}/{database}");
        }
        Ok(Self {
            text: parts.join(";"),
            shown,
            user: value(&["uid", "user", "username"]).unwrap_or_default(),
            password: value(&["pwd", "password"]),
            isolation,
            _ca: ca,
        })
    }

    /// As the driver manager takes it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Who signs in.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// What a driver said, without the password that it may have repeated.
    pub(crate) fn without_password(&self, said: &str) -> String {
        match self.password.as_deref() {
            Some(password) if !password.is_empty() => said.replace(password, "(password)"),
            _ => said.to_owned(),
        }
    }
}

/// What a driver is told besides, where the text does not say it itself.
fn additions(family: Family, wants_tls: bool, ca: Option<String>) -> PortResult<Vec<(&'static str, String)>> {
    // Options of the library below PostgreSQL's driver.
    let mut options = "application_name=millstream options='-c default_transaction_read_only=on'".to_owned();
    if let (Family::PostgreSql, Some(path)) = (family, &ca) {
        options = format!("{options} sslrootcert='{path}'");
    }
    let mut added: Vec<(&str, String)> = match family {
        Family::Db2 => vec![("ClientApplName", "millstream".into()), ("ConnectTimeout", "15".into())],
        // Without a cursor its driver keeps a whole answer in memory; and it takes 255 for the length of texts without one.
        Family::PostgreSql => vec![
            ("UseDeclareFetch", "1".into()),
            ("Fetch", "2000".into()),
            ("MaxVarcharSize", "8190".into()),
            ("UnknownsAsLongVarchar", "1".into()),
            ("BoolsAsChar", "0".into()),
            ("pqopt", format!("{{{options}}}")),
        ],
        Family::Other => Vec::new(),
    };
    if family == Family::Db2 && wants_tls {
        added.push(("SSLClientHostnameValidation", "Basic".into()));
    }
    match (family, ca) {
        (_, None) | (Family::PostgreSql, Some(_)) => {}
        (Family::Db2, Some(path)) => added.push(("SSLServerCertificate", path)),
        (Family::Other, Some(_)) => {
            return Err(wrong(
                "names a driver to which a `ca` cannot be handed: name the file in the driver's own attribute",
            ));
        }
    }
    Ok(added)
}

fn keep(ca: &Secret) -> PortResult<NamedTempFile> {
    let written = NamedTempFile::new().and_then(|mut file| file.write_all(ca.expose()).map(|()| file));
    written.map_err(|error| {
        PortError::internal("the certificates cannot be written to a file for the driver").caused_by(error)
    })
}

fn wrong(why: &str) -> PortError {
    PortError::invalid(format!(
        "the ODBC connection string {why}; it is Driver={{..}};Hostname=..;Port=..;Database=..;Uid=..;Pwd=..: put the right one \
         into the secret"
    ))
}

/// A part of a connection string.
struct Attribute {
    /// In lower case.
    name: String,
    value: String,
    /// As it was written.
    text: String,
}

/// Splits at the semicolons outside of braces; `}}` is a brace within them.
fn attributes(text: &str) -> Option<Vec<Attribute>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.trim_matches([';', ' ']).is_empty() {
        rest = rest.trim_start_matches([';', ' ']);
        let (name, tail) = rest.split_once('=')?;
        if name.trim().is_empty() || name.contains([';', '{', '}']) {
            return None;
        }
        let (value, length) = if let Some(braced) = tail.strip_prefix('{') {
            let (value, length) = braced_value(braced)?;
            (value, length + 1)
        } else {
            let end = tail.find(';').unwrap_or(tail.len());
            (tail[..end].trim().to_owned(), end)
        };
        let end = name.len() + 1 + length;
        let after = rest[end..].trim_start();
        if !after.is_empty() && !after.starts_with(';') {
            return None;
        }
        found.push(Attribute { name: name.trim().to_ascii_lowercase(), value, text: rest[..end].to_owned() });
        rest = after;
    }
    (!found.is_empty()).then_some(found)
}

/// What is in braces, and the bytes of it with the closing brace.
fn braced_value(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (letter, letters.peek()) {
            ('}', Some((_, '}'))) => {
                letters.next();
                value.push('}');
            }
            ('}', _) => return Some((value, at + 1)),
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use millstream_ports::ErrorKind;

    use super::*;

    const DB2: &str =
        "Driver={IBM DB2 ODBC DRIVER};Hostname=db.example;Port=50001;Database=SHOP;Uid=reader;Pwd={a;b}}c=d};";

    #[test]
    fn a_connection_string_is_read() {
        let target = Target::read(&format!("{DB2}Security=SSL;Millstream_Isolation=rs"), None).unwrap();
        assert_eq!((target.to_string().as_str(), target.user()), ("db.example:50001/SHOP", "reader"));
        assert_eq!(target.password.as_deref(), Some("a;b}c=d"));
        assert_eq!(target.isolation.as_str(), "RS");
        assert!(target.text().starts_with("Driver={IBM DB2 ODBC DRIVER};Hostname=db.example;"), "{}", target.text());
        assert!(target.text().contains("Pwd={a;b}}c=d};Security=SSL;"), "{}", target.text());
        assert!(target.text().ends_with("SSLClientHostnameValidation=Basic"), "{}", target.text());
        assert!(!target.text().contains("Millstream"), "{}", target.text());
    }

    #[test]
    fn what_it_says_itself_is_not_said_again() {
        let text = "Driver=psqlodbcw.so;Server=localhost;Database=shop;Uid=a;Pwd=b;fetch=10";
        let target = Target::read(text, None).unwrap();
        assert!(target.text().contains("UseDeclareFetch=1"), "{}", target.text());
        assert!(!target.text().contains("Fetch=2000"), "{}", target.text());
    }

    #[test]
    fn certificates_are_a_file_for_the_driver() {
        let ca = Secret::new("-----BEGIN CERTIFICATE-----");
        let target = Target::read(&format!("{DB2}Security=SSL"), Some(&ca)).unwrap();
        let path = target.text().split("SSLServerCertificate=").nth(1).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), ca.expose());
        assert!(Target::read("Driver=other;Server=localhost", Some(&ca)).is_err());
    }

    #[test]
    fn plain_text_is_for_this_machine_or_asked_for() {
        assert!(Target::read(DB2, None).is_err());
        assert!(Target::read(&format!("{DB2}Millstream_AllowInsecure=yes"), None).is_ok());
        assert!(Target::read(&DB2.replace("db.example", "127.0.0.1"), None).is_ok());
        assert!(Target::read("DSN=shop;Uid=a;Pwd=b", None).is_err());
        assert!(Target::read("Driver=psqlodbcw.so;Server=db;SSLmode=require", None).is_err());
        assert!(Target::read("Driver=psqlodbcw.so;Server=db;SSLmode=verify-full", None).is_ok());
    }

    #[test]
    fn no_error_and_no_debug_shows_any_of_it() {
        for text in [
            "hunter2",
            "Driver={x;Pwd=hunter2",
            "Uid=a;Pwd=hunter2",
            "Driver=x;Hostname=db;Pwd=hunter2",
            "Driver=x;Hostname=localhost;Millstream_Isolation=hunter2",
            "Driver={x}hunter2",
        ] {
            let error = Target::read(text, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let target = Target::read("Driver=x;Server=localhost;Uid=a;Pwd=hunter2", None).unwrap();
        assert!(!format!("{target:?} {target}").contains("hunter2"));
        assert_eq!(target.without_password("refused: hunter2"), "refused: (password)");
    }
}
