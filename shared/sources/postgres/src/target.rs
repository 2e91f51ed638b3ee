//! The server that a URL names, and how its connection is protected.

use std::{fmt, net::IpAddr, time::Duration};

use millstream_ports::{PortError, PortResult, Secret};
use millstream_source_network::is_this_machine;
use rustls::ClientConfig;
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The parameters that a URL may carry besides this crate's own.
const KNOWN: [&str; 13] = [
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "port",
    "target_session_attrs",
];

const FORM: &str =
    "it is to be postgres://USER:PASSWORD@HOST:5432/DATABASE, with %XX for what is not a letter or digit";

/// A line that is silent for so long is asked whether it is still there: a server that vanished ends a reading.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A server, a user and a database.
pub(crate) struct Target {
    config: Config,
    /// `None` for plain text.
    tls: Option<MakeRustlsConnect>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({} as {})", self.name(), self.user())
    }
}

impl Target {
    /// Reads the URL and the certificates.
    ///
    /// # Errors
    /// `Invalid` says what is wrong, and no part of either.
    pub(crate) fn new(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        let (url, parameters) = split(url.expose_text()?.trim())?;
        let mut config: Config = url.parse().map_err(|_| wrong("a part of it is not in the right form"))?;
        if config.get_user().is_none_or(str::is_empty) {
            return Err(wrong("it names no user"));
        }
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host"));
        }
        for host in config.get_hosts() {
            // A password with an @ in it would end in the host, which messages name.
            let named = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c));
            if matches!(host, Host::Tcp(name) if !named(name)) {
                return Err(wrong("its host is no host name: write an @ in the password as %40"));
            }
        }
        let encrypted = parameters.tls && config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        if !encrypted && !parameters.plaintext && !is_local(&config) {
            return Err(wrong(
                "it turns TLS off for a host that is not this machine: take out sslmode=disable, or add \
                 allow_plaintext=true where the network itself is protected",
            ));
        }
        config.application_name("millstream").ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        if !parameters.keepalives {
            config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 3).keepalives_retries(3);
        }
        let tls = encrypted.then(|| tls(ca)).transpose()?.map(MakeRustlsConnect::new);
        Ok(Self { config, tls })
    }

    /// What the driver is told.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The TLS of connections; `None` for plain text.
    pub(crate) fn tls(&self) -> Option<&MakeRustlsConnect> {
        self.tls.as_ref()
    }

    /// The user.
    pub(crate) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The database.
    pub(crate) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.user())
    }

    /// The hosts and ports, for people.
    pub(crate) fn name(&self) -> String {
        let ports = self.config.get_ports();
        let name = |(index, host): (usize, &Host)| match host {
            Host::Tcp(host) => {
                format!("{host}:{}", ports.get(index).or(ports.first()).copied().unwrap_or(5432))
            }
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        };
        self.config.get_hosts().iter().enumerate().map(name).collect::<Vec<_>>().join(",")
    }
}

/// This crate's own parameters.
struct Parameters {
    tls: bool,
    plaintext: bool,
    keepalives: bool,
}

/// The URL without this crate's own parameters, and those.
fn split(url: &str) -> PortResult<(String, Parameters)> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("it does not begin with postgres://"));
    }
    // The user and the password end at the first @; a ? among them is theirs.
    let host = url.find('@').map_or(0, |at| at + 1);
    let (address, query) = match url[host..].split_once('?') {
        Some((address, query)) => (&url[..host + address.len()], query),
        None => (url, ""),
    };
    let mut own = Parameters { tls: true, plaintext: false, keepalives: false };
    let mut left = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", "disable")) => own.tls = false,
            // Whatever of these is asked for, the chain and the host's name are verified.
            Some(("sslmode", "require" | "verify-ca" | "verify-full")) => own.tls = true,
            Some(("sslmode", _)) => {
                return Err(wrong("its sslmode is to be verify-full (which is in force without it) or disable"));
            }
            Some(("sslrootcert" | "sslcert" | "sslkey", _)) => {
                return Err(wrong("it names a file: put the server's certificates into a secret and name it in `ca`"));
            }
            Some(("allow_plaintext", "true")) => own.plaintext = true,
            Some((key, _)) if KNOWN.contains(&key) => {
                own.keepalives |= key.starts_with("keepalives");
                left.push(pair);
            }
            _ => {
                return Err(wrong(&format!(
                    "it has a parameter that is not known; known are sslmode, allow_plaintext, {}",
                    KNOWN.join(", ")
                )));
            }
        }
    }
    let mark = if left.is_empty() { "" } else { "?" };
    Ok((format!("{address}{mark}{}", left.join("&")), own))
}

fn wrong(what: &str) -> PortError {
    PortError::invalid(format!("the URL in the secret cannot be used: {what}; {FORM}"))
}

/// Whether every address is of this machine: what goes there crosses no network.
fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => is_this_machine(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// TLS that verifies the server's chain and name, by these certificates or those of the web.
fn tls(ca: Option<&Secret>) -> PortResult<ClientConfig> {
    millstream_source_network::verified(millstream_source_network::roots(ca)?)
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
        let read = target("postgres://reader:s%40crt@db.example.com:5433/shop").unwrap();
        assert_eq!((read.name().as_str(), read.user(), read.database()), ("db.example.com:5433", "reader", "shop"));
        assert_eq!(read.config().get_password(), Some(b"s@crt".as_slice()));
        assert_eq!(read.config().get_ssl_mode(), SslMode::Require);
        assert!(read.tls().is_some());
        assert!(
            target("postgres://reader:p@db/shop?sslmode=require&target_session_attrs=any").unwrap().tls().is_some()
        );
    }

    #[test]
    fn plain_text_is_for_this_machine_or_said_twice() {
        assert!(target("postgres://u:p@localhost/d?sslmode=disable").unwrap().tls().is_none());
        assert!(target("postgres://u:p@127.0.0.1:1/d?sslmode=disable").unwrap().tls().is_none());
        assert!(target("postgres://u:p@[::1]/d?sslmode=disable").unwrap().tls().is_none());
        assert!(target("postgres://u:p@%2Fcloudsql%2Fproject%3Aregion%3Ashop/d").unwrap().tls().is_none());
        assert!(target("postgres://u:p@db/d?sslmode=disable&allow_plaintext=true").unwrap().tls().is_none());
        assert!(refusal("postgres://u:p@db/d?sslmode=disable").contains("allow_plaintext"));
        assert!(refusal("postgres://u:p@localhost/d?hostaddr=10.0.0.1&sslmode=disable").contains("allow_plaintext"));
        assert!(refusal("postgres://u:p@db/d?sslmode=prefer").contains("verify-full"));
        assert!(refusal("postgres://u:p@db/d?sslrootcert=/etc/ca.pem").contains("`ca`"));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_any_part_of_it() {
        for url in [
            "mysql://reader:hunter2@db/shop",
            "reader:hunter2@db",
            "postgres://reader:hun@hunter2@db/shop",
            "postgres://reader:hunter2@db:port/shop",
            "postgres://reader:hunter2@db/shop?hunter2=1",
            "postgres://reader:x@db/shop?hunter2",
            "postgres://:hunter2@db/shop",
            "postgres://reader:hunter2@/shop",
            "postgres://hunter2",
        ] {
            let message = refusal(url);
            assert!(!message.contains("hunter2"), "{url}: {message}");
            assert!(message.contains("postgres://USER"), "{url}: {message}");
        }
        let debug = format!("{:?}", target("postgres://reader:hunter2@db/shop").unwrap());
        assert!(!debug.contains("hunter2"), "{debug}");
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        let error = Target::new(&Secret::new("postgres://u:p@db/d"), Some(&Secret::new("nothing"))).unwrap_err();
        assert!(error.to_string().contains("`ca`"));
    }
}
