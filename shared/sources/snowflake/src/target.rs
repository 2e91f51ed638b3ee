//! The URL: which account, who reads, and in which warehouse.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use millstream_ports::{PortError, PortResult, Secret};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use url::Url;

const PARAMETERS: &str = "warehouse, role, private_key, host, port, tls, allow_plaintext";

/// How the user proves who they are.
pub(crate) enum Proof {
    /// A password.
    Password(String),
    /// An RSA key, whose public half the user has.
    Key(PrivateKeyDer<'static>),
}

/// An account, a user, and where statements run.
pub(crate) struct Target {
    /// The account's identifier, without its region.
    pub(crate) account: String,
    /// `https://host:port`.
    pub(crate) base: Url,
    pub(crate) user: String,
    pub(crate) proof: Proof,
    pub(crate) database: String,
    pub(crate) schema: Option<String>,
    pub(crate) warehouse: Option<String>,
    pub(crate) role: Option<String>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.to_string()).finish()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.database)
    }
}

impl Target {
    /// Reads `snowflake://user:password@account/database/schema?warehouse=..&role=..`.
    ///
    /// # Errors
    /// `Invalid`, with nothing of the URL in it: where it is malformed, any part of it may be a part of the password.
    pub(crate) fn read(text: &str) -> PortResult<Self> {
        let url = Url::parse(text.trim()).map_err(|error| {
            wrong(&format!("cannot be read ({error}); special characters of the password are written %XX"))
        })?;
        if url.scheme() != "snowflake" {
            return Err(wrong("begins with another scheme than snowflake://"));
        }
        // An unescaped / ? or # in the password would move the rest of it into these.
        if url.fragment().is_some() || url.path().contains('@') || url.query().is_some_and(|query| query.contains('@'))
        {
            return Err(wrong("has a / ? # or @ in the password, which are written %2F %3F %23 and %40"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no account"))?.to_owned();
        if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(wrong("has an account with characters that no account has"));
        }
        let user = decoded(url.username())?.ok_or_else(|| wrong("has no user"))?;
        let mut path = url.path().trim_matches('/').split('/');
        let database = decoded(path.next().unwrap_or_default())?.ok_or_else(|| wrong("has no database"))?;
        let schema = decoded(path.next().unwrap_or_default())?;
        if path.next().is_some() {
            return Err(wrong("has more after the schema"));
        }
        let given = Parameters::of(&url)?;
        let password = decoded(url.password().unwrap_or_default())?;
        let proof = match (password, given.key) {
            (Some(password), None) => Proof::Password(password),
            (None, Some(key)) => Proof::Key(key),
            (Some(_), Some(_)) => return Err(wrong("has both a password and a private_key: one of them is enough")),
            (None, None) => return Err(wrong("has neither a password nor a private_key")),
        };
        // An account, an account with its region, or the whole name of its host.
        let is_host = [".snowflakecomputing.com", ".snowflakecomputing.cn"].iter().any(|end| host.ends_with(end));
        let name =
            given.host.unwrap_or_else(|| if is_host { host.clone() } else { format!("{host}.snowflakecomputing.com") });
        let is_local = millstream_source_network::is_this_machine(&name);
        if !given.tls && !is_local && !given.plaintext {
            return Err(wrong(
                "turns TLS off for a host of another machine: take tls=off out, or add allow_plaintext=true",
            ));
        }
        let scheme = if given.tls { "https" } else { "http" };
        let port = given.port.or(url.port()).map_or_else(String::new, |port| format!(":{port}"));
        let base = Url::parse(&format!("{scheme}://{name}{port}/")).map_err(|_| wrong("has a host that is none"))?;
        let account = host.split('.').next().unwrap_or_default().to_owned();
        let (warehouse, role) = (given.warehouse, given.role);
        Ok(Self { account, base, user, proof, database, schema, warehouse, role })
    }
}

/// What stands after the `?`.
struct Parameters {
    warehouse: Option<String>,
    role: Option<String>,
    key: Option<PrivateKeyDer<'static>>,
    host: Option<String>,
    port: Option<u16>,
    tls: bool,
    plaintext: bool,
}

impl Parameters {
    fn of(url: &Url) -> PortResult<Self> {
        let mut given =
            Self { warehouse: None, role: None, key: None, host: None, port: None, tls: true, plaintext: false };
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("warehouse", value) if !value.is_empty() => given.warehouse = Some(value.to_owned()),
                ("role", value) if !value.is_empty() => given.role = Some(value.to_owned()),
                ("private_key", value) => given.key = Some(private_key(value)?),
                ("host", value) if !value.is_empty() => given.host = Some(value.to_owned()),
                ("port", value) => {
                    given.port = Some(value.parse().map_err(|_| wrong("has a port that is no number"))?);
                }
                ("tls", "on") => given.tls = true,
                ("tls", "off") => given.tls = false,
                ("allow_plaintext", "true") => given.plaintext = true,
                ("allow_plaintext", "false") => {}
                _ => {
                    return Err(wrong(&format!(
                        "has a parameter or a value of one that is not known; parameters are {PARAMETERS}"
                    )));
                }
            }
        }
        Ok(given)
    }
}

/// A private key: PEM with its line breaks as `%0A`, or what stands between its lines in base64, also in that of URLs.
fn private_key(text: &str) -> PortResult<PrivateKeyDer<'static>> {
    if text.contains("ENCRYPTED") {
        return Err(wrong(
            "has a private_key that is encrypted: `openssl pkcs8 -topk8 -nocrypt` writes it without a password",
        ));
    }
    if text.contains("-----BEGIN") {
        // A + of base64 is a space in a URL's parameter.
        let lines =
            text.lines().map(|line| if line.starts_with("-----") { line.into() } else { line.replace(' ', "+") });
        let pem = lines.collect::<Vec<_>>().join("\n");
        return PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong("has a private_key that is no PEM"));
    }
    let plain: String = text
        .chars()
        .filter(|letter| *letter != '=')
        .map(|letter| match letter {
            '-' | ' ' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    // `-` of URLs' base64 and a `+` that became a space are both `+`.
    let padded = format!("{plain}{}", "=".repeat((4 - plain.len() % 4) % 4));
    let der = BASE64_STANDARD.decode(padded).map_err(|_| wrong("has a private_key that is no base64"))?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)))
}

fn wrong(why: &str) -> PortError {
    PortError::invalid(format!(
        "the URL of the Snowflake account {why}; it is snowflake://user:password@account/database/schema?warehouse=NAME: put the \
         right one into the secret"
    ))
}

/// Undoes `%XX`; `None` for nothing.
fn decoded(text: &str) -> PortResult<Option<String>> {
    // A parameter's value is the same but for `+`, which a path and a password may have as it is.
    let escaped = text.replace('+', "%2B");
    let pair = format!("x={escaped}");
    if text.contains('&') {
        return Err(wrong("has a & that is not written %26"));
    }
    let value = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
    let value = value.filter(|value| !value.is_empty());
    if value.as_ref().is_some_and(|value| value.contains('\u{FFFD}')) {
        return Err(wrong("has a %XX that is no text"));
    }
    Ok(value)
}

/// The TLS of every call: verified by the roots of the web, and by these certificates (PEM) where there are any.
pub(crate) fn tls(ca: Option<&Secret>) -> PortResult<rustls::ClientConfig> {
    // Results come from the stores of a cloud, whatever stands in front of the account.
    let mut roots = millstream_source_network::web_roots();
    if let Some(ca) = ca {
        millstream_source_network::add_certificates(&mut roots, ca)?;
    }
    millstream_source_network::verified(roots)
}

#[cfg(test)]
mod tests {
    use millstream_ports::ErrorKind;

    use super::*;

    #[test]
    fn a_url_is_read() {
        let target =
            Target::read("snowflake://reader:p%40ss%2Fw+rd@myorg-shop/SHOP/Sales%20A?warehouse=XS&role=READ").unwrap();
        assert_eq!(target.to_string(), "myorg-shop/SHOP");
        assert_eq!(target.base.as_str(), "https://myorg-shop.snowflakecomputing.com/");
        assert!(matches!(&target.proof, Proof::Password(password) if password == "p@ss/w+rd"));
        assert_eq!((target.schema.as_deref(), target.warehouse.as_deref()), (Some("Sales A"), Some("XS")));
        let region = Target::read("snowflake://reader:x@ab123.eu-west-1/SHOP").unwrap();
        assert_eq!((region.account.as_str(), region.schema), ("ab123", None));
        assert_eq!(region.base.host_str(), Some("ab123.eu-west-1.snowflakecomputing.com"));
        let whole = Target::read("snowflake://reader:x@ab123.privatelink.snowflakecomputing.com/SHOP").unwrap();
        assert_eq!(
            (whole.account.as_str(), whole.base.host_str()),
            ("ab123", Some("ab123.privatelink.snowflakecomputing.com"))
        );
    }

    #[test]
    fn no_error_and_no_debug_shows_any_of_it() {
        for url in [
            "snowflake://reader:hunter2@",
            "snowflake://reader@shop/hunter2",
            "snowflake://reader:hunter2/x@shop/db",
            "snowflake://reader:hunter2?x@shop/db",
            "snowflake://reader:hunter2#x@shop/db",
            "snowflake://reader:x@shop:hunter2/db",
            "snowflake://reader:x@shop/db?hunter2=1",
            "snowflake://reader:x@shop/db?tls=hunter2",
            "snowflake://reader@shop/db?private_key=hunter2!",
            "snowflake://reader@shop/db?private_key=-----BEGIN%20PRIVATE%20KEY-----hunter2",
            "postgres://reader:hunter2@shop/db",
            "hunter2",
        ] {
            let error = Target::read(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let target = Target::read("snowflake://reader:hunter2@shop/db").unwrap();
        assert!(!format!("{target:?} {target}").contains("hunter2"));
    }

    #[test]
    fn plain_text_is_for_this_machine_or_said_twice() {
        let read = |rest: &str| Target::read(&format!("snowflake://a:b@shop/db?{rest}"));
        assert_eq!(read("host=127.0.0.1&port=8080&tls=off").unwrap().base.as_str(), "http://127.0.0.1:8080/");
        assert!(read("tls=off").unwrap_err().to_string().contains("allow_plaintext"));
        assert!(read("host=proxy.example&tls=off").is_err());
        assert!(read("host=proxy.example&tls=off&allow_plaintext=true").is_ok());
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        assert!(tls(Some(&Secret::new("nothing"))).unwrap_err().to_string().contains("`ca`"));
        assert!(tls(None).is_ok());
    }
}
