//! Whom a client trusts: the built-in authorities, or those of a file. Nothing of the environment.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// What a client needs for TLS.
///
/// # Errors
/// The file cannot be used, and why.
pub(super) fn config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let complain =
                |why: &dyn std::fmt::Display| format!("`tls.ca`: `{}` cannot be used: {why}", file.display());
            let pem = std::fs::read(file).map_err(|error| complain(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| complain(&error))?;
                roots.add(certificate).map_err(|error| complain(&error))?;
            }
            if roots.is_empty() {
                return Err(complain(&"it holds no certificate in PEM form"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
