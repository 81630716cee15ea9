//! TLS: versions, authorities, and what a failed handshake means. TLS 1.2 and 1.3 with *ring*; HTTP/1.1 is agreed on.

use std::error::Error;
use std::io;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::options::CaBundle;

/// How TLS is spoken: with the authorities in `bundle` if there is one, else with the compiled-in ones.
///
/// # Errors
/// When the bundle can't be used; the setting and the file are named.
pub(super) fn client_config(bundle: Option<&CaBundle>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| format!("TLS can't be set up: {error}"))?;
    let builder = match bundle {
        Some(bundle) => builder.with_root_certificates(authorities(bundle)?),
        None => builder.with_webpki_roots(),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The authorities in a bundle. All of its certificates must be usable: one that is left out would be missed later,
/// when nobody looks at the file any more.
fn authorities(bundle: &CaBundle) -> Result<RootCertStore, String> {
    let unusable = |why: String| {
        format!("{} names the file {}, which can't be used: {why}", bundle.setting, bundle.file.display())
    };
    let text = std::fs::read(&bundle.file).map_err(|error| unusable(error.to_string()))?;
    let mut authorities = RootCertStore::empty();
    for (before, certificate) in CertificateDer::pem_slice_iter(&text).enumerate() {
        let number = before + 1;
        let certificate = certificate
            .map_err(|error| unusable(format!("certificate {number} in it is broken: {}", broken(&error))))?;
        authorities
            .add(certificate)
            .map_err(|error| unusable(format!("certificate {number} in it is no authority's: {error}")))?;
    }
    if authorities.is_empty() {
        let what = "it must hold certificates as PEM, each between -----BEGIN CERTIFICATE----- and \
                    -----END CERTIFICATE-----, and holds none";
        return Err(unusable(what.to_owned()));
    }
    Ok(authorities)
}

fn broken(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its end is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a line that begins with ----- isn't understood".to_owned(),
        pem::Error::Base64Decode(_) => "it isn't Base64".to_owned(),
        other => other.to_string(),
    }
}

/// What a failed handshake with `host` means and what can be done, if `error` comes from one.
pub(super) fn explain(error: &(dyn Error + 'static), host: &str, bundle: Option<&CaBundle>) -> Option<String> {
    let cause = handshake_error(error)?;
    let advice = match cause {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            match bundle {
                Some(CaBundle { file, setting }) => {
                    format!("; only the authorities in {} are trusted, since {setting} says so", file.display())
                }
                None => "; if a proxy or an endpoint of your own is there, name a file with its authority in \
                         AWS_CA_BUNDLE"
                    .to_owned(),
            }
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "; is the clock of this machine right?".to_owned(),
        rustls::Error::InvalidMessage(_) => "; is that a port for https?".to_owned(),
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => "; TLS 1.2 or 1.3 is needed".to_owned(),
        _ => String::new(),
    };
    Some(format!("TLS with {host} failed: {cause}{advice}"))
}

/// The error of rustls's in a chain of errors. An `io::Error` hides what it holds from `source`.
fn handshake_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}
