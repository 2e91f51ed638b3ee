//! How databases are reached: whether a host is this machine, and TLS that verifies who answers.

use std::{net::IpAddr, sync::Arc};

use millstream_ports::{PortError, PortResult, Secret};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Whether a host is this machine: what goes there crosses no network.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The roots of the web.
#[must_use]
pub fn web_roots() -> RootCertStore {
    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

/// Adds the certificates (PEM) of the secret `ca`.
///
/// # Errors
/// `Invalid` when it holds none, or something else.
pub fn add_certificates(roots: &mut RootCertStore, ca: &Secret) -> PortResult<()> {
    let unreadable = || PortError::invalid("the secret `ca` holds no certificates in PEM form");
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(ca.expose()) {
        roots.add(certificate.map_err(|_| unreadable())?).map_err(|_| unreadable())?;
    }
    if roots.len() == before { Err(unreadable()) } else { Ok(()) }
}

/// The certificates of `ca` alone, or the roots of the web where there is none.
///
/// # Errors
/// As [`add_certificates`].
pub fn roots(ca: Option<&Secret>) -> PortResult<RootCertStore> {
    let Some(ca) = ca else { return Ok(web_roots()) };
    let mut roots = RootCertStore::empty();
    add_certificates(&mut roots, ca)?;
    Ok(roots)
}

/// The cryptography of every connection.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// TLS that verifies the server's chain by these roots, and its name.
///
/// # Errors
/// `Internal` when there is no common version of TLS: never with this provider.
pub fn verified(roots: RootCertStore) -> PortResult<ClientConfig> {
    let versions = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| PortError::internal("TLS cannot be set up").caused_by(error))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["db", "localhost.example.com", "10.0.0.1", "0.0.0.0", "::", "[::1", ""] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn a_secret_without_certificates_is_refused() {
        for text in ["", "hunter2", "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n"] {
            let error = roots(Some(&Secret::new(text))).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some("the secret `ca` holds no certificates in PEM form"));
        }
        assert!(roots(None).is_ok_and(|roots| !roots.is_empty()));
    }
}
