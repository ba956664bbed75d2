//! TLS of `sealjar admin` itself: certificate and key from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sealjar::Error;
use sealjar::io::private;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use zeroize::Zeroizing;

/// Certificate and key.
#[derive(Args)]
pub struct Tls {
    /// Speaks TLS with the certificate in this file (PEM), the intermediate ones behind it; then it may listen beyond
    /// this machine.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM), in a file that nobody else may read.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// The largest key and the longest chain that anybody has.
const LARGEST: u64 = 256 * 1024;

impl Tls {
    /// Whether it is wanted.
    pub const fn is_wanted(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// What connections are accepted with; nothing where TLS is not wanted.
    pub fn acceptor(&self) -> Result<Option<TlsAcceptor>, Error> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let (chain, private) = (chain(cert)?, private_key(key)?);
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = builder.with_safe_default_protocol_versions();
        let config = config.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
        let mut config = config.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => bad(
                format!("the key in {} does not belong to the certificate in {}", key.display(), cert.display()),
                "Name the two that were made together; the server's own certificate stands first in its file",
            ),
            other => bad(
                format!("the certificate in {} and its key cannot be used ({other})", cert.display()),
                "Use an RSA, ECDSA or Ed25519 key, and a certificate that was issued for it",
            ),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unread = |why: String| {
        let problem = format!("the certificate in {} cannot be read ({why})", path.display());
        bad(problem, "Name a file in PEM form, with the server's certificate and then the intermediate ones")
    };
    let text = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(unread("there is none in it".to_owned())),
        chain => chain.map_err(|error| unread(error.to_string())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let unread = |why: &str| {
        let problem = format!("the private key in {} cannot be used ({why})", path.display());
        bad(problem, "Name a file in PEM form without a password, that only this user may read (mode 0600)")
    };
    let text = private::read(path, LARGEST).map_err(|error| unread(&error.to_string()))?;
    let text = Zeroizing::new(text.ok_or_else(|| unread("there is no such file"))?);
    // What the parser says of a file that holds another secret may repeat it.
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| unread("there is none in it"))
}

fn bad(problem: String, fix: &'static str) -> Error {
    Error::Config { problem: problem.into(), fix: fix.into() }
}
