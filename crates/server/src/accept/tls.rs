//! TLS by rustls with the one crypto provider of the product, aws-lc-rs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use statehold::config::{TlsSettings, TlsVersion};
use tokio_rustls::TlsAcceptor;

/// Bits of a key file's mode that let others in: more than 0640.
const MODE_TOO_OPEN: u32 = 0o027;

/// Why TLS cannot be set up.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A key file is open to others.
    TooOpen(PathBuf),
    /// A file holds no usable certificate or key.
    NotPem(PathBuf),
    /// Certificate and key, or the authority, are refused.
    Refused(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, _) => write!(f, "cannot read {}", path.display()),
            Self::TooOpen(path) => write!(f, "{} must not be readable by others (mode 0640)", path.display()),
            Self::NotPem(path) => write!(f, "{} holds nothing usable in PEM", path.display()),
            Self::Refused(why) => write!(f, "certificate and key cannot be used: {why}"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            Self::TooOpen(_) | Self::NotPem(_) | Self::Refused(_) => None,
        }
    }
}

/// The present certificate. Connections that are there keep the one they began with.
pub(crate) struct Tls {
    files: TlsSettings,
    present: RwLock<TlsAcceptor>,
}

impl Tls {
    /// Reads certificate and key.
    pub(crate) fn load(files: TlsSettings) -> Result<Self, TlsError> {
        let present = RwLock::new(acceptor(&files)?);
        Ok(Self { files, present })
    }

    /// Reads them again. When that fails, those before stay.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        *self.present.write() = acceptor(&self.files)?;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.present.read().clone()
    }
}

fn and_above(version: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_1_2: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    match version {
        TlsVersion::V1_2 => &FROM_1_2,
        TlsVersion::V1_3 => &FROM_1_2[..1],
    }
}

fn acceptor(files: &TlsSettings) -> Result<TlsAcceptor, TlsError> {
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(and_above(files.min_version))
        .map_err(refused)?;
    let builder = match &files.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
    };
    let mut config = builder
        .with_single_cert(certificates(&files.cert_file)?, private_key(&files.key_file)?)
        .map_err(refused)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn client_verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::Refused(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| TlsError::Refused(error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable(path.to_owned(), error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::NotPem(path.to_owned())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    use std::os::unix::fs::PermissionsExt;
    let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & MODE_TOO_OPEN != 0 {
        return Err(TlsError::TooOpen(path.to_owned()));
    }
    let pem = zeroize::Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NotPem(path.to_owned()))
}
