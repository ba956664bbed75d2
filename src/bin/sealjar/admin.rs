//! `sealjar admin`

use std::net::SocketAddr;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

use clap::Args;
use sealjar::Error;
use sealjar::admin;
use sealjar::admin::audit::{Entry, Event};
use sealjar::admin::guard::Site;
use sealjar::admin::tokens::TokenFile;
use sealjar::admin::trail::Trail;
use sealjar::backchannel::{Algorithm, Provider};
use sealjar::io::ring_secret::from_env;
use sealjar::time::Clock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use warp::Filter as _;

use crate::connections;
use crate::output::Output;
use crate::place::Place;
use crate::tls::Tls;

#[derive(Args)]
pub struct Admin {
    /// Where to listen. Beyond this machine only with TLS, or with one of the two flags below.
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// A further name under which it is addressed, with or without a port; may be given several times.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// A proxy in front of it speaks TLS, so that browsers see https, and nobody else reaches it.
    #[arg(long, conflicts_with = "tls_cert")]
    behind_tls_proxy: bool,
    /// Listens beyond this machine without TLS: whoever can read the network reads the tokens.
    #[arg(long, conflicts_with_all = ["behind_tls_proxy", "tls_cert"])]
    allow_plain_http: bool,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    logouts: Logouts,
}

/// A provider whose logouts are received at `/backchannel-logout`; without it there is no such route.
#[derive(Args)]
#[group(requires_all = ["issuer", "client_id", "jwks"], multiple = true)]
struct Logouts {
    /// The OpenID provider whose logout tokens end sessions, as its metadata name it.
    #[arg(id = "issuer", long = "backchannel-issuer", value_name = "URL")]
    issuer: Option<String>,
    /// What the app is called at that provider.
    #[arg(id = "client_id", long = "backchannel-client-id", value_name = "ID")]
    client_id: Option<String>,
    /// That provider's keys: its `jwks_uri`, or a file that holds its JWK Set.
    #[arg(id = "jwks", long = "backchannel-jwks", value_name = "URL|FILE")]
    jwks: Option<String>,
    /// Signatures that are accepted [default: RS256]
    #[arg(id = "algorithm", long = "backchannel-algorithm", value_name = "RS256|PS256|ES256|EdDSA")]
    algorithm: Vec<String>,
}

impl Logouts {
    fn provider(&self) -> Result<Option<Provider>, Error> {
        let (Some(issuer), Some(client_id), Some(jwks)) = (&self.issuer, &self.client_id, &self.jwks) else {
            return Ok(None);
        };
        let provider = Provider::new(issuer, client_id);
        let provider = if jwks.contains("://") { provider.keys_url(jwks) } else { provider.keys_file(jwks) };
        if self.algorithm.is_empty() {
            return Ok(Some(provider));
        }
        let named = |name: &String| {
            Algorithm::from_name(name).ok_or_else(|| Error::Usage {
                problem: format!("{name} is no signature that logout tokens can have here").into(),
                fix: "Write --backchannel-algorithm RS256, PS256, ES256 or EdDSA, as the client is registered".into(),
            })
        };
        let algorithms: Vec<_> = self.algorithm.iter().map(named).collect::<Result<_, _>>()?;
        Ok(Some(provider.algorithms(algorithms)))
    }
}

/// How long requests that are being answered may take when it is asked to stop.
const GOODBYE: Duration = Duration::from_secs(10);

impl Admin {
    pub async fn run(self, place: &Place, output: &Output) -> Result<ExitCode, Error> {
        let is_private = self.listen.ip().is_loopback() || self.tls.is_wanted() || self.behind_tls_proxy;
        if !is_private && !self.allow_plain_http {
            return Err(Error::Usage {
                problem: format!(
                    "{} can be reached from other machines, and tokens would cross the network in plain text",
                    self.listen
                )
                .into(),
                fix: "Listen on 127.0.0.1; or name a certificate with --tls-cert and --tls-key; or put a proxy with TLS in \
                      front of it and say --behind-tls-proxy; or, where nobody else can read the network, say --allow-plain-http"
                    .into(),
            });
        }
        log();
        let (acceptor, provider) = (self.tls.acceptor()?, self.logouts.provider()?);
        let operator = place.open().await?.with_ring_secret(from_env()?);
        let home = place.home();
        let token_count = TokenFile::in_home(&home).current()?.iter().count();
        let (listener, address) = self.bind().await?;
        let hosts = self.host.iter().map(String::as_str).chain(["127.0.0.1", "localhost", "[::1]"]);
        let is_tls = acceptor.is_some();
        let listening = format!("{}://{address}", if is_tls { "https" } else { "http" });
        let started = Entry { result: Some(listening.clone()), ..Entry::new(Event::Started, "admin") };
        Trail::in_home(&home).write(&started, Clock::system().now().seconds())?;
        let whose = format!("{} in {}", operator.app(), operator.store().describe());
        let admin =
            admin::Admin::new(operator, Some(place.list()?), &home, Site::new(hosts, is_tls || self.behind_tls_proxy));
        let admin = match provider {
            Some(provider) => admin.with_logouts_of(provider)?,
            None => admin,
        };
        let routes = admin::routes(&admin).recover(admin::not_found).unify().boxed();
        let (mut terminate, mut interrupt) = (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(connections::serve(listener, acceptor, routes, stopped));
        output.answer(&json!({ "listening": listening, "tokens": token_count }), || {
            let hint =
                if token_count == 0 { "\nThere is no token yet: sealjar token new --scope read,revoke" } else { "" };
            format!("Listening on {listening} for the app {whose}.{hint}")
        });
        std::future::poll_fn(|cx| match (terminate.poll_recv(cx), interrupt.poll_recv(cx)) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
        admin.close().await;
        drop(stop);
        if tokio::time::timeout(GOODBYE, server).await.is_err() {
            tracing::warn!("some requests were still being answered after 10 seconds");
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn bind(&self) -> Result<(TcpListener, SocketAddr), Error> {
        let bound = TcpListener::bind(self.listen).await;
        let bound = bound.and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        bound.map_err(|error| Error::Config {
            problem: format!("cannot listen on {} ({error})", self.listen).into(),
            fix: "Choose another address with --listen; port 0 takes any that is free".into(),
        })
    }
}

fn caught(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Error> {
    signal(kind).map_err(|error| Error::Config {
        problem: format!("signals cannot be caught ({error})").into(),
        fix: "Check the system's limits".into(),
    })
}

/// What this crate has to say, on standard error, at the level that `SEALJAR_LOG` names. What the server says of connections that break is noise.
fn log() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let level = std::env::var("SEALJAR_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO);
    let own = tracing_subscriber::filter::Targets::new().with_target("sealjar", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    let subscriber = tracing_subscriber::registry().with(own).with(lines);
    // Set once, at the start of the one program.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
