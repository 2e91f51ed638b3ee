//! The secret's URL.

use std::{
    io::Write,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use millstream_ports::{PortError, PortResult, Secret};
use millstream_source_network::is_this_machine;
use mongodb::options::{ClientOptions, ReadConcern, ServerAddress, Tls, TlsOptions};
use tempfile::NamedTempFile;

use crate::errors::{Place, listen};

/// How long a connection may take, and how long a server is looked for.
const CONNECT: Duration = Duration::from_secs(15);

/// What the nested documents and arrays of a collection become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nested {
    /// STRUCT and ARRAY where all values of the sample agree, JSON where they do not.
    Struct,
    /// JSON.
    Json,
}

/// What becomes of a field that the sample did not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is put into a JSON column beside the others.
    Column,
    /// Its document goes to quarantine.
    Quarantine,
}

/// The parameters that are this source's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) nested: Nested,
    pub(crate) unknown: Unknown,
    /// How many documents the shape is inferred from, from each end of a collection.
    pub(crate) sample: i64,
    /// Whether all ranges are read as of one point in time where the server can.
    pub(crate) snapshot: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { nested: Nested::Struct, unknown: Unknown::Column, sample: 1_000, snapshot: true }
    }
}

/// What a URL says.
pub(crate) struct Target {
    pub(crate) options: ClientOptions,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
    /// What documents are read that are no snapshot's.
    pub(crate) read_concern: ReadConcern,
    /// The certificates, which the driver reads from a file when the client is made.
    pub(crate) ca: Option<NamedTempFile>,
}

/// Parameters that would weaken TLS, or name files of a machine that the function does not run on.
const REFUSED: [&str; 8] = [
    "tlsinsecure",
    "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames",
    "tlsdisablecertificaterevocationcheck",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlscertificatekeyfilepassword",
    "sslverifycertificate",
];

impl Target {
    /// Reads a URL. A host of `mongodb+srv` is looked up.
    pub(crate) async fn read(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        let (url, own) = split(url.expose_text()?)?;
        // The driver's message may quote the URL, and with it the password.
        let unreadable = || {
            PortError::invalid(
                "the secret is no URL that MongoDB's driver takes: mongodb://user:password@host:27017/database?parameter=value, \
                 the special characters of user and password percent-encoded, and only the driver's parameters and those of the \
                 source's README",
            )
        };
        let mut options = match ClientOptions::parse(&url).await {
            Ok(options) => options,
            Err(error) if matches!(error.kind.as_ref(), mongodb::error::ErrorKind::DnsResolve { .. }) => {
                return Err(PortError::unavailable(
                    "the name in the secret's mongodb+srv URL cannot be resolved: check the host, and that DNS is reachable",
                ));
            }
            Err(_) => return Err(unreadable()),
        };
        let Some(database) = options.default_database.clone().filter(|name| !name.is_empty()) else {
            return Err(PortError::invalid(
                "the secret's URL names no database: mongodb://user:password@host:27017/database",
            ));
        };
        let ca = secure(&mut options, ca, own.plaintext)?;
        options.app_name = Some("millstream".into());
        options.connect_timeout.get_or_insert(CONNECT);
        options.server_selection_timeout.get_or_insert(CONNECT);
        // What a failover could take back is not read. The driver would take the client's own for a snapshot's too, which the
        // server refuses: it is said with each statement.
        let read_concern = options.read_concern.take().unwrap_or_else(ReadConcern::majority);
        let refused = Arc::new(AtomicBool::new(false));
        options.sdam_event_handler = Some(listen(Arc::clone(&refused)));
        let place = Place {
            refused,
            hosts: options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            database,
            user: options.credential.as_ref().and_then(|credential| credential.username.clone()),
        };
        Ok(Self { options, place, settings: own.settings, read_concern, ca })
    }
}

/// The parameters that the driver does not know.
struct Own {
    settings: Settings,
    plaintext: bool,
}

/// The URL without the parameters that are not the driver's.
fn split(text: &str) -> PortResult<(String, Own)> {
    let mut own = Own { settings: Settings::default(), plaintext: false };
    let text = text.trim();
    let Some((address, parameters)) = text.split_once('?') else { return Ok((text.to_owned(), own)) };
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let wrong =
            |takes: &str| Err(PortError::invalid(format!("the secret's URL: the parameter {name} takes {takes}")));
        match (name, value) {
            ("nested", "struct") => own.settings.nested = Nested::Struct,
            ("nested", "json") => own.settings.nested = Nested::Json,
            ("nested", _) => return wrong("struct or json"),
            ("unknown", "column") => own.settings.unknown = Unknown::Column,
            ("unknown", "quarantine") => own.settings.unknown = Unknown::Quarantine,
            ("unknown", _) => return wrong("column or quarantine"),
            ("snapshot", "on") => own.settings.snapshot = true,
            ("snapshot", "off") => own.settings.snapshot = false,
            ("snapshot", _) => return wrong("on or off"),
            ("allow_plaintext", "true") => own.plaintext = true,
            ("allow_plaintext", _) => return wrong("true"),
            ("sample", number) => match number.parse() {
                Ok(number @ 1..=100_000) => own.settings.sample = number,
                _ => return wrong("a number from 1 to 100000"),
            },
            _ => {
                if let Some(refused) = REFUSED.into_iter().find(|refused| name.eq_ignore_ascii_case(refused)) {
                    return Err(PortError::invalid(format!(
                        "the secret's URL has the parameter {refused}: certificates are always verified; put those to trust \
                         into a secret of their own and name it under `ca`"
                    )));
                }
                kept.push(parameter);
            }
        }
    }
    Ok((if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) }, own))
}

/// TLS by default; plain text where the URL says so and nobody is between.
fn secure(options: &mut ClientOptions, ca: Option<&Secret>, plaintext: bool) -> PortResult<Option<NamedTempFile>> {
    if matches!(options.tls, Some(Tls::Disabled)) {
        let near = options.hosts.iter().all(is_loopback);
        return if near || plaintext {
            Ok(None)
        } else {
            Err(PortError::invalid(
                "the secret's URL turns TLS off for a host that is not this machine: take tls=false out, or add allow_plaintext=true \
                 where the network itself is private",
            ))
        };
    }
    let kept =
        |error: std::io::Error| PortError::internal("the certificates cannot be kept in a file").caused_by(error);
    let file = match ca {
        Some(ca) => {
            let mut file = NamedTempFile::new().map_err(kept)?;
            file.write_all(ca.expose()).map_err(kept)?;
            Some(file)
        }
        None => None,
    };
    let mut tls = TlsOptions::default();
    tls.ca_file_path = file.as_ref().map(|file| file.path().to_owned());
    options.tls = Some(Tls::Enabled(tls));
    Ok(file)
}

fn is_loopback(address: &ServerAddress) -> bool {
    match address {
        ServerAddress::Tcp { host, .. } => is_this_machine(host),
        ServerAddress::Unix { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use millstream_ports::ErrorKind;

    use super::*;

    async fn read(url: &str) -> PortResult<Target> {
        Target::read(&Secret::new(url), None).await
    }

    #[tokio::test]
    async fn tls_is_on_unless_the_url_says_otherwise_for_this_machine() {
        for url in ["mongodb://db:27017/shop", "mongodb://127.0.0.1/shop?replicaSet=rs&nested=json"] {
            let target = read(url).await.unwrap();
            assert!(matches!(target.options.tls, Some(Tls::Enabled(_))), "{url}");
        }
        for url in [
            "mongodb://localhost/shop?tls=false",
            "mongodb://127.0.0.1:1,[::1]:2/shop?ssl=false",
            "mongodb://db/shop?tls=false&allow_plaintext=true",
        ] {
            let target = read(url).await.unwrap();
            assert!(matches!(target.options.tls, Some(Tls::Disabled)), "{url}");
        }
        assert_eq!(read("mongodb://localhost,db/shop?tls=false").await.err().unwrap().kind(), ErrorKind::Invalid);
        for parameter in ["tlsInsecure=true", "tlsAllowInvalidCertificates=true", "tlsCAFile=/a"] {
            let error = read(&format!("mongodb://localhost/shop?{parameter}")).await.err().unwrap();
            assert!(error.to_string().contains("always verified"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_parameters_of_the_source_are_its_own() {
        let url = "mongodb://localhost/shop?tls=false&nested=json&unknown=quarantine&sample=7&snapshot=off&\
                   readPreference=secondaryPreferred";
        let target = read(url).await.unwrap();
        let expected = Settings { nested: Nested::Json, unknown: Unknown::Quarantine, sample: 7, snapshot: false };
        assert_eq!(target.settings, expected);
        assert_eq!(target.options.app_name.as_deref(), Some("millstream"));
        assert!(target.options.selection_criteria.is_some());
        assert_eq!(target.place.database, "shop");
        for wrong in ["nested=xml", "unknown=", "sample=0", "snapshot=maybe", "no_such_parameter=1"] {
            let error = read(&format!("mongodb://localhost/shop?tls=false&{wrong}")).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
        }
    }

    #[tokio::test]
    async fn no_password_is_in_what_is_said_of_a_url() {
        for url in [
            "mongodb://reader:hunter2@db:27017",
            "mongodb://reader:hun?ter2@db:27017/shop",
            "mongodb://reader:hun/ter2@db/shop",
            "mongodb://reader:hunter2@db:port/shop",
            "mongodb://reader:hunter2@/shop",
            "postgres://reader:hunter2@db/shop",
            "mongodb://reader:hunter2@db/shop?tls=false",
            "mongodb://reader:hunter2@db/shop?hunter2=1",
            "mongodb://reader:hunter2%zz@db/shop",
        ] {
            let error = read(url).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2") && !said.contains("ter2"), "{said}");
        }
    }
}
