//! Reads a JWK Set: a file, or one GET of a URL. Blocking, bounded in size and in time.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::ACCEPT;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::error::Error;
use crate::logout_token::MAX_JWKS;

/// The most that a fetch may take, from the name's resolution to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How a JWK Set is read.
pub enum Fetch {
    /// From a file.
    File(PathBuf),
    /// From a URL, by a client that was made for it.
    Url(Agent, Uri),
}

impl Fetch {
    /// Checks a URL, and makes a client for it.
    pub fn url(text: &str) -> Result<Self, Error> {
        let wrong = |problem: &str| {
            Error::config(
                format!("the URL of the provider's keys {problem}"),
                "Write the jwks_uri of the issuer's metadata: https://id.example.org/jwks. Only on this machine may it begin with http://",
            )
        };
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has a user or a password in it"));
        }
        let local = is_this_machine(authority.host());
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if local => {}
            Some("http") => return Err(wrong("is plain http, where anybody on the way could put keys of their own")),
            _ => return Err(wrong("does not begin with https://")),
        }
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(authorities())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = Agent::config_builder()
            .tls_config(tls.build())
            // Another address than the configured one is nowhere to get keys from.
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .user_agent("sealjar");
        // What is on this machine is not asked for through a proxy.
        let config = if local { config.proxy(None) } else { config };
        Ok(Self::Url(config.build().new_agent(), uri))
    }

    /// Reads it. The problem is a phrase for the log.
    pub fn run(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => read_file(path),
            Self::Url(agent, uri) => get(agent, uri),
        }
    }
}

/// At most one byte more than a set may have.
pub fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("it cannot be opened ({error})"))?;
    file.take(MAX_JWKS as u64 + 1).read_to_end(&mut bytes).map_err(|error| format!("it cannot be read ({error})"))?;
    Ok(bytes)
}

fn get(agent: &Agent, uri: &Uri) -> Result<Vec<u8>, String> {
    let request = agent.get(uri).header(ACCEPT, "application/jwk-set+json, application/json");
    let mut response = request.call().map_err(|error| error.to_string())?;
    match response.status().as_u16() {
        200 => {}
        status @ 300..400 => return Err(format!("the answer is {status}, and redirects are not followed")),
        status => return Err(format!("the answer is {status} instead of 200")),
    }
    let body = response.body_mut().with_config().limit(MAX_JWKS as u64).read_to_vec();
    body.map_err(|error| error.to_string())
}

/// `localhost`, `127.0.0.0/8` and `[::1]`.
fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Those that this machine trusts, or that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn authorities() -> Vec<Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate authority of this machine cannot be read");
    }
    found.certs.iter().map(|cert| Certificate::from_der(cert.as_ref()).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for good in
            ["https://id.example.org/jwks", "http://127.0.0.1:8080/jwks", "http://localhost/", "http://[::1]:1/k"]
        {
            assert!(Fetch::url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example.org/jwks",
            "http://127.0.0.1@id.example.org/jwks",
            "http://localhost.example.org/",
            "http://128.0.0.1/",
            "https://user:password@id.example.org/jwks",
            "ftp://127.0.0.1/jwks",
            "file:///etc/jwks",
            "/jwks",
            "",
        ] {
            let error = Fetch::url(bad).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("jwks_uri") && !error.contains("password@"), "{bad}: {error}");
        }
    }
}
