//! The URL: where the server is, who reads, and how safely.

use std::{fmt, time::Duration};

use millstream_ports::{PortError, PortResult, Secret};
use millstream_source_network::is_this_machine;
use tiberius::{AuthMethod, Config, EncryptionLevel};
use url::Url;

/// How long connecting and signing in may take, each.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a statement waits for a row that someone else has locked.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

const PARAMETERS: &str = "encrypt, trust_server_certificate, host_name_in_certificate, allow_insecure, application_intent, \
                          lock_timeout, fine_times";

/// What becomes of a time with more digits than BigQuery's six.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FineTimes {
    /// Its row goes to quarantine.
    Fault,
    /// The seventh digit is cut off.
    Cut,
}

/// A server, a database and a user.
#[derive(Clone)]
pub(crate) struct Target {
    host: String,
    port: u16,
    database: Option<String>,
    user: String,
    password: String,
    encryption: EncryptionLevel,
    trusts_any_certificate: bool,
    host_name_in_certificate: Option<String>,
    ca: Option<Vec<u8>>,
    reads_a_replica: bool,
    pub(crate) lock_timeout: Duration,
    pub(crate) fine_times: FineTimes,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.to_string()).finish()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        self.database.as_ref().map_or(Ok(()), |database| write!(f, "/{database}"))
    }
}

impl Target {
    /// Reads `sqlserver://user:password@host:1433/database?parameter=value`.
    ///
    /// # Errors
    /// `Invalid`, with nothing of the URL in it: where it is malformed, any part of it may be a part of the password.
    pub(crate) fn read(text: &str, ca: Option<&Secret>) -> PortResult<Self> {
        let url = Url::parse(text.trim()).map_err(|error| {
            wrong(&format!("cannot be read ({error}); special characters of the password are written %XX"))
        })?;
        if !matches!(url.scheme(), "sqlserver" | "mssql") {
            return Err(wrong("begins with another scheme than sqlserver://"));
        }
        // An unescaped / ? or # in the password would move the rest of it into these.
        if url.fragment().is_some() || url.path().contains('@') || url.query().is_some_and(|query| query.contains('@'))
        {
            return Err(wrong("has a / ? # or @ in the password, which are written %2F %3F %23 and %40"));
        }
        let part = |text: &str| {
            let decoded = percent_decoded(text).ok_or_else(|| wrong("has a %XX that is no text"))?;
            Ok::<_, PortError>((!decoded.is_empty()).then_some(decoded))
        };
        let host = url.host_str().and_then(|host| part(host).transpose()).transpose()?;
        let (Some(host), Some(user)) = (host, part(url.username())?) else {
            return Err(wrong("has no host or no user"));
        };
        let mut target = Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(1433),
            database: part(url.path().trim_start_matches('/'))?,
            user,
            password: part(url.password().unwrap_or_default())?.ok_or_else(|| wrong("has no password"))?,
            encryption: EncryptionLevel::Required,
            trusts_any_certificate: false,
            host_name_in_certificate: None,
            ca: ca.map(|ca| ca.expose().to_vec()),
            reads_a_replica: false,
            lock_timeout: LOCK_TIMEOUT,
            fine_times: FineTimes::Cut,
        };
        let mut allows_insecure = false;
        for (name, value) in url.query_pairs() {
            let name: String = name.chars().filter(|letter| !matches!(letter, '_' | '-')).collect();
            match (name.to_ascii_lowercase().as_str(), value.to_ascii_lowercase().as_str()) {
                ("encrypt", "true" | "on" | "yes" | "mandatory") => target.encryption = EncryptionLevel::Required,
                ("encrypt", "strict") => target.encryption = EncryptionLevel::Strict,
                ("encrypt", "false" | "off" | "no") => target.encryption = EncryptionLevel::NotSupported,
                ("trustservercertificate", "true" | "yes") => target.trusts_any_certificate = true,
                ("allowinsecure", "true" | "yes") => allows_insecure = true,
                ("trustservercertificate" | "allowinsecure", "false" | "no") => {}
                ("hostnameincertificate", _) => target.host_name_in_certificate = Some(value.into_owned()),
                ("applicationintent", "readonly") => target.reads_a_replica = true,
                ("applicationintent", "readwrite") => {}
                ("finetimes", "cut") => {}
                ("finetimes", "quarantine") => target.fine_times = FineTimes::Fault,
                ("locktimeout", seconds) => {
                    let seconds = seconds.parse::<u32>().ok().filter(|seconds| *seconds <= 86_400);
                    let seconds = seconds.ok_or_else(|| wrong("has a lock_timeout that is no number of seconds"))?;
                    target.lock_timeout = Duration::from_secs(seconds.into());
                }
                _ => {
                    let known =
                        format!("has a parameter or a value of one that is not known; parameters are {PARAMETERS}");
                    return Err(wrong(&known));
                }
            }
        }
        let unsafe_way = target.trusts_any_certificate || matches!(target.encryption, EncryptionLevel::NotSupported);
        if unsafe_way && !allows_insecure && !target.is_on_this_machine() {
            return Err(wrong(
                "turns TLS or its verification off for a server on another machine: give the server's certificates as `ca`, \
                 or add allow_insecure=true",
            ));
        }
        if target.trusts_any_certificate && target.ca.is_some() {
            return Err(wrong("trusts any certificate although there is a `ca`: take one of them away"));
        }
        Ok(target)
    }

    /// The host and the port.
    pub(crate) fn address(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }

    /// Who signs in.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The driver's settings for an address: the URL's, or one that the server has sent us on to.
    pub(crate) fn config(&self, host: &str, port: u16) -> Config {
        let mut config = Config::new();
        config.host(host);
        config.port(port);
        if let Some(database) = &self.database {
            config.database(database);
        }
        config.application_name("millstream");
        config.authentication(AuthMethod::sql_server(&self.user, &self.password));
        config.encryption(self.encryption);
        config.readonly(self.reads_a_replica);
        config.handshake_timeout(Some(CONNECT_TIMEOUT));
        // A statement has a deadline of its own, of which this would be a second one.
        config.command_timeout(None);
        // Half of a surrogate pair would end the whole reading: it is found in the value instead, and is a fault.
        config.lossy_utf16_decoding(true);
        if self.trusts_any_certificate {
            config.trust_cert();
            return config;
        }
        config.trust_webpki_roots();
        if let Some(ca) = &self.ca {
            config.trust_cert_ca_bundle(ca.clone());
        }
        if let Some(name) = &self.host_name_in_certificate {
            config.hostname_in_certificate(name);
        }
        config
    }

    fn is_on_this_machine(&self) -> bool {
        is_this_machine(&self.host)
    }
}

fn wrong(why: &str) -> PortError {
    PortError::invalid(format!(
        "the URL of the SQL Server {why}; it is sqlserver://user:password@host:1433/database: put the right one into the secret"
    ))
}

/// Undoes `%XX`; `None` for what is no UTF-8 then.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: u8| (digit as char).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push((hex(*high)? * 16 + hex(*low)?) as u8);
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use millstream_ports::ErrorKind;

    use super::*;

    #[test]
    fn a_url_is_read() {
        let target =
            Target::read("sqlserver://reader:p%40ss%2Fword@db.example:1444/Shop%20A?applicationIntent=ReadOnly", None)
                .unwrap();
        assert_eq!(target.to_string(), "db.example:1444/Shop A");
        assert_eq!((target.user(), target.password.as_str()), ("reader", "p@ss/word"));
        assert_eq!(target.encryption, EncryptionLevel::Required);
        assert!(target.reads_a_replica && !target.trusts_any_certificate);
        let here =
            Target::read("sqlserver://sa:secret@[::1]?encrypt=off&lock_timeout=5&fine_times=quarantine", None).unwrap();
        assert_eq!(here.address(), ("::1".to_owned(), 1433));
        assert_eq!(here.encryption, EncryptionLevel::NotSupported);
        assert_eq!((here.lock_timeout, here.fine_times), (Duration::from_secs(5), FineTimes::Fault));
    }

    #[test]
    fn no_error_and_no_debug_shows_any_of_it() {
        for url in [
            "sqlserver://reader:hunter2@",
            "sqlserver://reader@db/hunter2",
            "sqlserver://reader:hunter2/x@db/shop",
            "sqlserver://reader:hunter2?x@db/shop",
            "sqlserver://reader:hunter2#x@db/shop",
            "sqlserver://reader:x@db:hunter2/shop",
            "sqlserver://reader:x@db/shop?hunter2=1",
            "sqlserver://reader:x@db/shop?encrypt=hunter2",
            "sqlserver://reader:x@db/shop?lock_timeout=hunter2",
            "postgres://reader:hunter2@db/shop",
            "hunter2",
        ] {
            let error = Target::read(url, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let target = Target::read("sqlserver://reader:hunter2@db/shop", None).unwrap();
        assert!(!format!("{target:?} {target}").contains("hunter2"));
    }

    #[test]
    fn less_safety_is_for_this_machine_or_asked_for_twice() {
        for less in ["encrypt=off", "trust_server_certificate=true"] {
            assert!(Target::read(&format!("sqlserver://a:b@db/shop?{less}"), None).is_err());
            assert!(Target::read(&format!("sqlserver://a:b@127.0.0.1/shop?{less}"), None).is_ok());
            assert!(Target::read(&format!("sqlserver://a:b@db/shop?{less}&allow_insecure=true"), None).is_ok());
        }
        let ca = Secret::new("-----BEGIN CERTIFICATE-----");
        assert!(Target::read("sqlserver://a:b@localhost/shop?trust_server_certificate=true", Some(&ca)).is_err());
    }
}
