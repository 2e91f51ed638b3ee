//! The server that a URL names, and how its connections are made.

use std::{fmt, time::Duration};

use millstream_ports::{PortError, PortResult, Secret};
use millstream_source_network::is_this_machine;
use mysql_async::{Opts, OptsBuilder, SslOpts};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};

const FORM: &str = "it is to be mysql://USER:PASSWORD@HOST:3306/DATABASE, with %XX for what is not a letter or digit";

const PARAMETERS: &str = "tls, tls_host, allow_plaintext, connections, snapshot and tinyint1";

/// A line that is silent for so long is asked whether it is still there: a server that vanished ends a reading.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Connections of a reading, by default: as many as an extraction reads ranges at once by default, and some.
const CONNECTIONS: usize = 8;

/// A server, a user, a database, and what the URL says about reading.
#[derive(Clone)]
pub(crate) struct Target {
    opts: Opts,
    server: String,
    options: Options,
}

/// What the URL's own parameters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// How many connections a reading may have.
    pub(crate) connections: usize,
    /// Whether writers are held up while several connections take their snapshots.
    pub(crate) lock: bool,
    /// Whether `tinyint(1)` is a truth value.
    pub(crate) tinyint1_is_bool: bool,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({} as {})", self.server, self.user())
    }
}

impl Target {
    /// Reads the URL and the certificates.
    ///
    /// # Errors
    /// `Invalid` says what is wrong, and no part of either.
    pub(crate) fn new(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        // The driver has no way to be given a provider. Another one that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (address, parameters) = split(url.expose_text()?.trim())?;
        let opts = Opts::from_url(&address).map_err(|_| wrong("a part of it is not in the right form"))?;
        if opts.user().is_none_or(str::is_empty) {
            return Err(wrong("it names no user"));
        }
        // IPv6 addresses stand in brackets in a URL, and nowhere else.
        let host = opts.ip_or_hostname().trim_matches(['[', ']']).to_owned();
        // A part of a password could end in the host, which messages name.
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c)) {
            return Err(wrong("its host is no host name: write an @ in the password as %40"));
        }
        if !parameters.tls && !parameters.plaintext && !is_this_machine(&host) {
            return Err(wrong(
                "it turns TLS off for a host that is not this machine: take out tls=off, or add allow_plaintext=true where \
                 the network itself is protected",
            ));
        }
        let server = match host.contains(':') {
            true => format!("[{host}]:{}", opts.tcp_port()),
            false => format!("{host}:{}", opts.tcp_port()),
        };
        let ssl = parameters.tls.then(|| tls(ca, parameters.tls_host)).transpose()?;
        let opts = OptsBuilder::from_opts(opts)
            .ip_or_hostname(host)
            .prefer_socket(false)
            .tcp_keepalive(Some(KEEPALIVE))
            .ssl_opts(ssl)
            .connect_attribute("program_name", "millstream");
        Ok(Self { opts: opts.into(), server, options: parameters.options })
    }

    /// What the driver is told.
    pub(crate) fn opts(&self) -> &Opts {
        &self.opts
    }

    /// The user.
    pub(crate) fn user(&self) -> &str {
        self.opts.user().unwrap_or_default()
    }

    /// The database that names without one are of.
    pub(crate) fn database(&self) -> Option<&str> {
        self.opts.db_name().filter(|name| !name.is_empty())
    }

    /// The host and port, for people.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// What the URL says about reading.
    pub(crate) fn options(&self) -> Options {
        self.options
    }
}

/// This crate's own parameters.
struct Parameters<'a> {
    tls: bool,
    tls_host: Option<&'a str>,
    plaintext: bool,
    options: Options,
}

/// The URL without parameters, and those.
fn split(url: &str) -> PortResult<(String, Parameters<'_>)> {
    let Some(rest) = url.strip_prefix("mysql://").or_else(|| url.strip_prefix("mariadb://")) else {
        return Err(wrong("it does not begin with mysql:// or mariadb://"));
    };
    // The user and the password end at the first @; a ? among them is theirs.
    let host = rest.find('@').map_or(0, |at| at + 1);
    let (address, query) = match rest[host..].split_once('?') {
        Some((address, query)) => (&rest[..host + address.len()], query),
        None => (rest, ""),
    };
    let options = Options { connections: CONNECTIONS, lock: false, tinyint1_is_bool: true };
    let mut own = Parameters { tls: true, tls_host: None, plaintext: false, options };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("tls", "on")) => own.tls = true,
            Some(("tls", "off")) => own.tls = false,
            Some(("tls", _)) => return Err(wrong("its tls is to be on (which is in force without it) or off")),
            Some(("tls_host", name)) => own.tls_host = Some(name),
            Some(("allow_plaintext", "true")) => own.plaintext = true,
            Some(("connections", number)) => match number.parse() {
                Ok(number @ 1..=64) => own.options.connections = number,
                _ => return Err(wrong("its connections is to be a number from 1 to 64")),
            },
            Some(("snapshot", "lock")) => own.options.lock = true,
            Some(("snapshot", _)) => return Err(wrong("its snapshot can only be lock")),
            Some(("tinyint1", "int64")) => own.options.tinyint1_is_bool = false,
            Some(("tinyint1", "bool")) => own.options.tinyint1_is_bool = true,
            Some(("tinyint1", _)) => return Err(wrong("its tinyint1 is to be bool (as without it) or int64")),
            _ => return Err(wrong(&format!("it has a parameter that is not known; known are {PARAMETERS}"))),
        }
    }
    Ok((format!("mysql://{address}"), own))
}

fn wrong(what: &str) -> PortError {
    PortError::invalid(format!("the URL in the secret cannot be used: {what}; {FORM}"))
}

/// TLS that verifies the server's chain and name, by these certificates or those of the web.
fn tls(ca: Option<&Secret>, host: Option<&str>) -> PortResult<SslOpts> {
    let mut opts = SslOpts::default();
    if let Some(pem) = ca {
        let certificates = CertificateDer::pem_slice_iter(pem.expose()).collect::<Result<Vec<_>, _>>();
        if !certificates.is_ok_and(|certificates| !certificates.is_empty()) {
            return Err(PortError::invalid("the secret `ca` holds no certificates in PEM form"));
        }
        opts = opts.with_root_certs(vec![pem.expose().to_vec().into()]).with_disable_built_in_roots(true);
    }
    if let Some(name) = host {
        ServerName::try_from(name).map_err(|_| wrong("its tls_host is no host name"))?;
        opts = opts.with_danger_tls_hostname_override(Some(name.to_owned()));
    }
    Ok(opts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> PortResult<Target> {
        Target::new(&Secret::new(url), None)
    }

    fn refusal(url: &str) -> String {
        let error = target(url).expect_err(url);
        assert_eq!(error.kind(), millstream_ports::ErrorKind::Invalid);
        error.to_string()
    }

    #[test]
    fn a_url_is_read_and_tls_is_on_without_being_asked_for() {
        let read = target("mysql://reader:s%40crt@db.example.com:3307/shop").unwrap();
        assert_eq!((read.server(), read.user(), read.database()), ("db.example.com:3307", "reader", Some("shop")));
        assert_eq!(read.opts().pass(), Some("s@crt"));
        assert!(read.opts().ssl_opts().is_some());
        let read = target("mariadb://reader@[2001:db8::1]?tls=on&tls_host=db.example.com&connections=3").unwrap();
        assert_eq!((read.server(), read.database()), ("[2001:db8::1]:3306", None));
        assert_eq!(read.opts().ip_or_hostname(), "2001:db8::1");
        assert_eq!(read.opts().ssl_opts().unwrap().tls_hostname_override(), Some("db.example.com"));
        assert_eq!(read.options(), Options { connections: 3, lock: false, tinyint1_is_bool: true });
        let read = target("mysql://u:p@db/d?snapshot=lock&tinyint1=int64").unwrap();
        assert_eq!(read.options(), Options { connections: 8, lock: true, tinyint1_is_bool: false });
    }

    #[test]
    fn plain_text_is_for_this_machine_or_said_twice() {
        for url in ["u:p@localhost/d?tls=off", "u:p@127.0.0.1:1/d?tls=off", "u:p@[::1]/d?tls=off"] {
            assert!(target(&format!("mysql://{url}")).unwrap().opts().ssl_opts().is_none());
        }
        assert!(target("mysql://u:p@db/d?tls=off&allow_plaintext=true").unwrap().opts().ssl_opts().is_none());
        assert!(refusal("mysql://u:p@db/d?tls=off").contains("allow_plaintext"));
        assert!(refusal("mysql://u:p@db/d?tls=maybe").contains("tls is to be"));
        assert!(refusal("mysql://u:p@db/d?connections=0").contains("1 to 64"));
        assert!(refusal("mysql://u:p@db/d?tls_host=a b").contains("tls_host"));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_any_part_of_it() {
        for url in [
            "postgres://reader:hunter2@db/shop",
            "reader:hunter2@db",
            "mysql://reader:hunter2@db:port/shop",
            "mysql://reader:hunter2@db/shop?hunter2=1",
            "mysql://reader:x@db/shop?hunter2",
            "mysql://:hunter2@db/shop",
            "mysql://reader:hunter2@/shop",
            "mysql://reader:hunter2@d(b/shop",
            "mysql://hunter2",
            "mysql://reader:3306#hunter2@db/shop",
        ] {
            let message = refusal(url);
            assert!(!message.contains("hunter2"), "{url}: {message}");
            assert!(message.contains("mysql://USER"), "{url}: {message}");
        }
        let debug = format!("{:?}", target("mysql://reader:hunter2@db/shop").unwrap());
        assert!(!debug.contains("hunter2"), "{debug}");
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        for pem in ["nothing", "", "-----BEGIN CERTIFICATE-----\n"] {
            let error = Target::new(&Secret::new("mysql://u:p@db/d"), Some(&Secret::new(pem))).unwrap_err();
            assert!(error.to_string().contains("`ca`"), "{pem}");
        }
    }
}
