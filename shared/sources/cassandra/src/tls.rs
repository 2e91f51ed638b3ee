//! TLS to nodes whose certificates may name hosts.
//!
//! The driver knows nodes by their addresses alone, also those that the URL names. A certificate is taken if it is valid for the
//! node's address or for a host that the URL names; with `tls_host` only for that.

use std::sync::Arc;

use millstream_ports::{PortError, PortResult, Secret};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// What connections to nodes are verified by: `ca` (PEM), else the web's roots.
pub(crate) fn config(ca: Option<&Secret>, tls_host: Option<&str>, hosts: &[String]) -> PortResult<Arc<ClientConfig>> {
    let name = |host: &String| ServerName::try_from(host.clone());
    let (names, by_address) = match tls_host {
        Some(host) => {
            let name = name(&host.to_owned());
            (vec![name.map_err(|_| PortError::invalid("the secret's URL: tls_host is no name of a host"))?], false)
        }
        None => (hosts.iter().filter_map(|host| name(host).ok()).collect(), true),
    };
    let wrong = |error: &dyn std::fmt::Display| PortError::invalid(format!("TLS cannot be set up: {error}"));
    let provider = millstream_source_network::provider();
    let roots = Arc::new(millstream_source_network::roots(ca)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let inner = verifier.build().map_err(|error| wrong(&error))?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| wrong(&error))?.dangerous();
    let verifier = Arc::new(NodeVerifier { inner, names, by_address });
    Ok(Arc::new(config.with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Verifies chains as the web does, and names as said above.
#[derive(Debug)]
struct NodeVerifier {
    inner: Arc<WebPkiServerVerifier>,
    names: Vec<ServerName<'static>>,
    by_address: bool,
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        address: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut outcome = Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        for name in self.by_address.then_some(address).into_iter().chain(&self.names) {
            outcome = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
