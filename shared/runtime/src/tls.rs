//! One TLS provider for every client in the process.

/// Makes ring the process's TLS provider, where there is none: HTTP clients are built without one of their own, so that
/// there are not two.
pub fn install() {
    // An error says that another thread was faster, which is all that is asked for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
