//! The secret's URL.

use std::{fmt, sync::Arc};

use millstream_ports::{PortError, PortResult, Secret};
use millstream_source_network::is_this_machine;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use scylla::statement::Consistency;

use crate::{errors::Place, tls};

/// The port of CQL's native protocol.
const PORT: u16 = 9_042;

const PARAMETERS: &str = "tls, tls_host, allow_plaintext, consistency, datacenter and page_rows";

/// A cluster, a user and how to read.
#[derive(Clone)]
pub(crate) struct Target {
    /// `host:port` of each node that is named.
    pub(crate) nodes: Vec<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: String,
    pub(crate) keyspace: Option<String>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) consistency: Consistency,
    pub(crate) datacenter: Option<String>,
    /// Rows of a page: what a node holds in memory for an answer.
    pub(crate) page_rows: i32,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("nodes", &self.nodes)
            .field("user", &self.user)
            .field("keyspace", &self.keyspace)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// The parameters after the question mark.
struct Parameters {
    tls: bool,
    tls_host: Option<String>,
    allow_plaintext: bool,
    consistency: Consistency,
    datacenter: Option<String>,
    page_rows: i32,
}

impl Target {
    /// Reads `cassandra://user:password@host:9042,host:9042/keyspace?parameter=value`.
    ///
    /// Nothing of the URL is in an error besides the names of known parameters: in a malformed one any part may be the
    /// password's.
    pub(crate) fn read(url: &Secret, ca: Option<&Secret>) -> PortResult<Self> {
        let text = url.expose_text()?.trim();
        let rest = text.strip_prefix("cassandra://").or_else(|| text.strip_prefix("scylla://"));
        let rest = rest.ok_or_else(|| wrong("it does not start with cassandra://"))?;
        let (address, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, keyspace) = address.split_once('/').unwrap_or((address, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        if keyspace.contains(['/', '@'])
            || parameters.contains('@')
            || credentials.is_some_and(|text| text.contains('@'))
        {
            return Err(wrong("the password has a special character that is not percent-encoded"));
        }
        let (user, password) = match credentials.map(|text| text.split_once(':')) {
            Some(Some((user, password))) => (Some(decoded(user)?), decoded(password)?),
            Some(None) => return Err(wrong("it names a user without a password")),
            None => (None, String::new()),
        };
        let hosts = hosts.split(',').map(host).collect::<PortResult<Vec<_>>>()?;
        let parameters = Parameters::read(parameters)?;
        let names: Vec<String> = hosts.iter().map(|(host, _)| host.clone()).collect();
        let tls = if parameters.tls {
            Some(tls::config(ca, parameters.tls_host.as_deref(), &names)?)
        } else if parameters.allow_plaintext || names.iter().all(|host| is_this_machine(host)) {
            None
        } else {
            return Err(wrong(
                "it turns TLS off for a host that is not this machine: take tls=off out, or add allow_plaintext=true where the \
                 network itself is protected",
            ));
        };
        let node = |(host, port): &(String, u16)| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        let keyspace = decoded(keyspace)?;
        Ok(Self {
            nodes: hosts.iter().map(node).collect(),
            user,
            password,
            keyspace: (!keyspace.is_empty()).then_some(keyspace),
            tls,
            consistency: parameters.consistency,
            datacenter: parameters.datacenter,
            page_rows: parameters.page_rows,
        })
    }

    pub(crate) fn place(&self) -> Place {
        Place { nodes: self.nodes.join(","), user: self.user.clone() }
    }
}

impl Parameters {
    fn read(text: &str) -> PortResult<Self> {
        let mut read = Self {
            tls: true,
            tls_host: None,
            allow_plaintext: false,
            consistency: Consistency::LocalQuorum,
            datacenter: None,
            page_rows: 1_000,
        };
        for parameter in text.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let takes = |what: &str| Err(wrong(&format!("the parameter {name} takes {what}")));
            match (name, value) {
                ("tls", "on") => read.tls = true,
                ("tls", "off") => read.tls = false,
                ("tls", _) => return takes("on or off"),
                ("tls_host", "") => return takes("the name that certificates are to be for"),
                ("tls_host", host) => read.tls_host = Some(decoded(host)?),
                ("allow_plaintext", "true") => read.allow_plaintext = true,
                ("allow_plaintext", _) => return takes("true"),
                ("consistency", value) => {
                    read.consistency = match value {
                        "one" => Consistency::One,
                        "two" => Consistency::Two,
                        "three" => Consistency::Three,
                        "quorum" => Consistency::Quorum,
                        "all" => Consistency::All,
                        "local_quorum" => Consistency::LocalQuorum,
                        "local_one" => Consistency::LocalOne,
                        _ => return takes("one, two, three, quorum, all, local_quorum or local_one"),
                    };
                }
                ("datacenter", "") => return takes("the name of one"),
                ("datacenter", name) => read.datacenter = Some(decoded(name)?),
                ("page_rows", number) => match number.parse() {
                    Ok(number @ 1..=100_000) => read.page_rows = number,
                    _ => return takes("a number from 1 to 100000"),
                },
                _ => return Err(wrong(&format!("it has a parameter that is none of {PARAMETERS}"))),
            }
        }
        Ok(read)
    }
}

fn wrong(what: &str) -> PortError {
    PortError::invalid(format!(
        "the secret's URL is not cassandra://user:password@host:9042/keyspace?parameter=value: {what}"
    ))
}

fn decoded(text: &str) -> PortResult<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| wrong("a part of it has a %XX that is no UTF-8"))
}

fn host(text: &str) -> PortResult<(String, u16)> {
    let is_host =
        |host: &str| !host.is_empty() && host.chars().all(|next| next.is_ascii_alphanumeric() || ".-_:".contains(next));
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| wrong("a port is no number")))?;
    if is_host(host) { Ok((host.to_owned(), port)) } else { Err(wrong("a host is none")) }
}

#[cfg(test)]
mod tests {
    use millstream_ports::ErrorKind;

    use super::*;

    fn read(url: &str) -> PortResult<Target> {
        Target::read(&Secret::new(url), None)
    }

    #[test]
    fn a_url_names_nodes_a_user_and_a_keyspace() {
        let target =
            read("cassandra://reader:p%40ss%2F@a.example:9043,[::1],b/shop?consistency=one&page_rows=5").unwrap();
        assert_eq!(target.nodes, ["a.example:9043", "[::1]:9042", "b:9042"]);
        assert_eq!((target.user.as_deref(), target.password.as_str()), (Some("reader"), "p@ss/"));
        assert_eq!(target.keyspace.as_deref(), Some("shop"));
        assert_eq!((target.consistency, target.page_rows), (Consistency::One, 5));
        assert!(target.tls.is_some(), "unless it says otherwise");
        let target = read("scylla://localhost").unwrap();
        assert_eq!((target.user, target.keyspace, target.consistency), (None, None, Consistency::LocalQuorum));
    }

    #[test]
    fn plain_text_is_for_this_machine() {
        for url in ["localhost/a?tls=off", "127.0.0.1:1,[::1]:2?tls=off", "db/a?tls=off&allow_plaintext=true"] {
            assert!(read(&format!("cassandra://{url}")).unwrap().tls.is_none(), "{url}");
        }
        assert!(read("cassandra://localhost,db/a?tls=off").unwrap_err().to_string().contains("allow_plaintext"));
    }

    #[test]
    fn nothing_of_a_wrong_url_is_said() {
        for url in [
            "postgres://reader:hunter2@db/shop",
            "cassandra://hunter2@db/shop",
            "cassandra://reader:hunt@hunter2@db/shop",
            "cassandra://reader:hunt/hunter2@db/shop",
            "cassandra://reader:hunt?hunter2@db/shop",
            "cassandra://reader:%ff%fehunter2@db/shop",
            "cassandra://reader:hunter2@db:port/shop",
            "cassandra://reader:hunter2@/shop",
            "cassandra://reader:hunter2@db/shop?hunter2=1",
            "cassandra://reader:hunter2@db/shop?page_rows=hunter2",
            "cassandra://reader:hunter2@db/shop?tls=off",
        ] {
            let error = read(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let target = read("cassandra://reader:hunter2@db/shop").unwrap();
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn certificates_are_pem() {
        let read = |ca: &str| Target::read(&Secret::new("cassandra://db/shop"), Some(&Secret::new(ca)));
        for wrong in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(read(wrong).unwrap_err().to_string().contains("PEM"), "{wrong}");
        }
    }
}
