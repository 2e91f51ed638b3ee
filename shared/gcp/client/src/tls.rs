//! One TLS provider for every client in the process.

/// Makes ring the process's TLS provider. Google's clients are built without one of their own, so that there are not two.
/// Called again it changes nothing.
pub fn install_tls() {
    // An error says that a provider is installed already, which is all that is asked for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
