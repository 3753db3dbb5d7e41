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
use tokio_rustls::TlsAcceptor;

/// Bits of a key file's mode that let others in: more than 0640.
const MODE_TOO_OPEN: u32 = 0o027;

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM; readable by owner and group at most (0640).
    pub key_file: PathBuf,
    /// Clients must show a certificate of this authority, PEM.
    pub client_ca_file: Option<PathBuf>,
    /// The lowest version spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl TlsVersion {
    fn and_above(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            Self::V1_3 => &[&rustls::version::TLS13],
        }
    }
}

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
    files: TlsFiles,
    present: RwLock<TlsAcceptor>,
}

impl Tls {
    /// Reads certificate and key.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
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

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(files.min_version.and_above())
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
