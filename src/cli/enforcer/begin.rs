//! Makes and checks everything that an enforcer is made of.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use hyper::Uri;
use tokio::net::TcpListener;

use super::Args;
use super::told::Told;
use crate::cli::exit;
use crate::cli::fault::Fault;
use crate::config;
use crate::config::ambient::Ambient;
use crate::config::settings::Tls;
use crate::config::variables::Env;
use crate::machine::{Machine, clock};
use crate::profile::{self, Unsafe};
use crate::secret::{ApiKey, NotAKey};
use crate::server::bus::Bus;
use crate::server::caller::Callers;
use crate::server::console;
use crate::server::decisions::{Recorder, Writer};
use crate::server::events::{self, Forward};
use crate::server::keys::KeyFile;
use crate::server::limits::Limits;
use crate::server::outset::{self, Own, Role};
use crate::server::rulebook::{Rulebook, Sources};
use crate::server::settings::{Oidc, Settings};
use crate::server::store::{Store, StoreError};
use crate::server::{App, Parts, Tenant};
use crate::tls::serve::{Acceptor, Identity, NotAnIdentity};

/// The longest PEM file or secret that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// Everything, ready to serve.
pub(super) struct Begun {
    pub(super) app: App,
    /// Writes decisions until the last request has ended.
    pub(super) writer: Writer,
    pub(super) listener: TcpListener,
    pub(super) acceptor: Acceptor,
    pub(super) sources: Sources,
    pub(super) told: Told,
}

/// Why something given cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("there is no home directory; set THOTH_HOME_DIR to a directory for thoth's own files")]
    Homeless,
    #[error("--tenant cannot be used")]
    Tenant(#[source] crate::server::tenant::NotATenant),
    #[error(
        "--public-url is not the https address of a server, such as https://enforcer.example.com"
    )]
    PublicUrl,
    #[error("the path of the enforcer's own store cannot be written as text; give --store")]
    Store,
    #[error("--tls-cert {} cannot be read", path.display())]
    Certificate {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("--tls-key cannot be used")]
    Key(#[source] Unsafe),
    #[error("--tls-cert {} and its --tls-key cannot be used", path.display())]
    Identity {
        path: PathBuf,
        #[source]
        source: NotAnIdentity,
    },
    #[error(
        "--listen {0} is reachable from other machines: give --tls-cert and --tls-key, or say \
         --tls-self-signed where every sidecar will be given the pin"
    )]
    Exposed(SocketAddr),
    #[error("--oidc-client-secret-file cannot be used")]
    SecretFile(#[source] Unsafe),
    #[error("--oidc-client-secret-file does not hold a secret alone")]
    Secret(#[source] NotAKey),
}

/// The address cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}")]
struct Taken {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// Makes everything, and listens; takes no connection yet.
///
/// # Errors
///
/// 78 where something given cannot be used, 69 where the address or the store cannot be had.
pub(super) async fn begin(args: &Args, env: &Env) -> Result<Begun, Fault> {
    let bad = |error| Fault::new(exit::CONFIGURATION, error);
    let now = clock::now();
    let tenant = Tenant::parse(&args.tenant).map_err(Unusable::Tenant).map_err(bad)?;
    let directory = directory(env)?;
    let sources = Sources::new(args.policy.clone());
    let rules = Rulebook::new(sources.book().map_err(Fault::of(exit::CONFIGURATION))?);
    let key_file = args.api_keys.as_deref().map(KeyFile::read).transpose();
    let key_file = key_file.map_err(Fault::of(exit::CONFIGURATION))?;
    let settings = settings(args, tenant.clone()).map_err(bad)?;
    let public = args.public_url.as_deref().map(public_url).transpose().map_err(bad)?;
    let (identity, bundle) = identity(args, &directory, public.as_deref())?;
    let acceptor = Acceptor::new(&identity).map_err(Fault::of(exit::CONFIGURATION))?;

    let taken = |source| Taken { address: args.listen, source };
    let listener = TcpListener::bind(args.listen).await.map_err(taken);
    let listener = listener.map_err(Fault::of(exit::UNAVAILABLE))?;
    let address = listener.local_addr().map_err(taken).map_err(Fault::of(exit::UNAVAILABLE))?;

    let url = store_url(args, &directory).map_err(bad)?;
    let store = Store::open(&url).await;
    let store = store.map_err(|error| Fault::new(code_of(&error), error))?;
    let keys = if let Some(file) = key_file {
        file.adopt(&store, now).await.map_err(Fault::of(exit::UNAVAILABLE))?;
        None
    } else {
        let own = |role| outset::own_key(&store, &directory, &tenant, role, now);
        let admin = own(Role::Admin).await.map_err(Fault::of(exit::CONFIGURATION))?;
        Some((own(Role::Sidecar).await.map_err(Fault::of(exit::CONFIGURATION))?, admin))
    };
    let public_url = public.unwrap_or_else(|| format!("https://{}", reachable(address)));
    let forward = forward(args, env, &directory)?;
    let (bus, relay) = Bus::of(&store);
    let (recorder, writer) = Recorder::start(store.clone(), bus.clone());
    let app = App::new(Parts {
        callers: Callers::new(&bus),
        bus,
        limits: args.rate_limit.0.map_or_else(Limits::off, Limits::per_second),
        decisions: recorder,
        forward,
        clock: clock::now,
        public_url,
        settings,
        ..Parts::of(store, rules)
    });
    app.tasks.spawn(relay.run(app.stop.clone()));
    app.tasks.spawn(events::keep(app.clone(), events::Retention::default(), app.stop.clone()));
    let link = console::link(&app, &tenant).await.map_err(Fault::of(exit::UNAVAILABLE))?;
    let told = Told::new(&app, address, &tenant, &identity, bundle, keys).with_console(Some(link));
    Ok(Begun { app, writer, listener, acceptor, sources, told })
}

/// Where events are sent on to.
fn forward(args: &Args, env: &Env, directory: &Path) -> Result<Forward, Fault> {
    let Some(url) = &args.otlp else { return Ok(Forward::default()) };
    let ambient = Ambient::of(env, &["OTEL_EXPORTER_OTLP_HEADERS"]);
    let opened = Forward::open(url, ambient, &Tls::default(), directory, clock::now);
    opened.map_err(Fault::of(exit::CONFIGURATION))
}

/// The enforcer's own directory, made where it is not there yet.
fn directory(env: &Env) -> Result<PathBuf, Fault> {
    let home = config::home(env);
    if home.as_os_str().is_empty() {
        return Err(Fault::new(exit::CONFIGURATION, Unusable::Homeless));
    }
    let directory = home.join("enforcer");
    profile::open(&home).map_err(Fault::of(exit::CONFIGURATION))?;
    profile::open_inside(&directory).map_err(Fault::of(exit::CONFIGURATION))?;
    Ok(directory)
}

fn settings(args: &Args, tenant: Tenant) -> Result<Settings, Unusable> {
    let secret = |path: &PathBuf| {
        let text = profile::read_secret(path, LONGEST).map_err(Unusable::SecretFile)?;
        let text = String::from_utf8(text).map_err(|_| Unusable::Secret(NotAKey))?;
        ApiKey::parse(&text).map_err(Unusable::Secret)
    };
    let client_secret = args.oidc_client_secret_file.as_ref().map(secret).transpose()?;
    let oidc = args.oidc_issuer.clone().zip(args.oidc_client_id.clone());
    let oidc = oidc.map(|(issuer, client_id)| Oidc {
        issuer,
        client_id,
        client_secret,
        allowed: args.oidc_allow.clone(),
    });
    // Where it has an address of its own, somebody on this machine passes others' requests on.
    let are_metrics_open = args.listen.ip().is_loopback() && args.public_url.is_none();
    Ok(Settings { tenant, otlp: args.otlp.clone(), oidc, are_metrics_open })
}

/// The certificate to show and, where it is the enforcer's own, the file that sidecars trust.
fn identity(
    args: &Args,
    directory: &Path,
    public: Option<&str>,
) -> Result<(Identity, Option<PathBuf>), Fault> {
    let bad = |error| Fault::new(exit::CONFIGURATION, error);
    let now = clock::now();
    if let Some((path, key)) = args.tls_cert.as_ref().zip(args.tls_key.as_ref()) {
        let unread = |source| bad(Unusable::Certificate { path: path.clone(), source });
        let chain = std::fs::read(path).map_err(unread)?;
        let key = profile::read_secret(key, LONGEST).map_err(Unusable::Key).map_err(bad)?;
        let unusable = |source| bad(Unusable::Identity { path: path.clone(), source });
        return Ok((Identity::read(&chain, &key, now).map_err(unusable)?, None));
    }
    if !args.listen.ip().is_loopback() && !args.tls_self_signed {
        return Err(bad(Unusable::Exposed(args.listen)));
    }
    let names = names(args.listen.ip(), public);
    let own = outset::own_identity(directory, &names, now);
    let Own { identity, file, is_renewed } = own.map_err(Fault::of(exit::CONFIGURATION))?;
    if is_renewed {
        let pin = identity.certificate.fingerprint.to_string();
        tracing::warn!(
            pin,
            "the enforcer's own certificate was renewed: tell the sidecars its pin"
        );
    }
    Ok((identity, Some(file)))
}

/// What the enforcer's own certificate is for.
fn names(listen: IpAddr, public: Option<&str>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = public.and_then(|url| url.parse::<Uri>().ok()?.host().map(ToOwned::to_owned));
    let host = host.map(|host| host.trim_matches(['[', ']']).to_owned());
    let listened =
        if listen.is_unspecified() { Machine::gather().hostname } else { Some(listen.to_string()) };
    names.extend(host.into_iter().chain(listened));
    let mut seen = Vec::new();
    names.retain(|name| {
        let is_new = !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    names
}

/// The address as others reach it.
fn reachable(address: SocketAddr) -> String {
    match Machine::gather().hostname {
        Some(host) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
        Some(_) | None => address.to_string(),
    }
}

/// An https address without anything after the port.
fn public_url(text: &str) -> Result<String, Unusable> {
    let text = text.trim_end_matches('/');
    let uri: Uri = text.parse().map_err(|_| Unusable::PublicUrl)?;
    let is_plain = uri.path() == "/" && uri.query().is_none();
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if uri.scheme_str() != Some("https") || uri.host().is_none() || !is_plain || has_user {
        return Err(Unusable::PublicUrl);
    }
    Ok(text.to_owned())
}

/// The store's address: as it was given, or a file of the enforcer's own.
fn store_url(args: &Args, directory: &Path) -> Result<String, Unusable> {
    if let Some(url) = &args.store {
        Ok(url.clone())
    } else {
        let path = directory.join("store.db");
        path.to_str().map(|path| format!("sqlite:{path}")).ok_or(Unusable::Store)
    }
}

/// What a store that cannot be opened ends thoth with: whether another address would help, or
/// waiting.
fn code_of(error: &StoreError) -> u8 {
    match error {
        StoreError::Address(_) | StoreError::File(_) | StoreError::Newer { .. } => {
            exit::CONFIGURATION
        }
        StoreError::Failed(_)
        | StoreError::InUse { .. }
        | StoreError::Lock { .. }
        | StoreError::Migrate(_)
        | StoreError::Open { .. }
        | StoreError::Silent { .. }
        | StoreError::Unreadable { .. } => exit::UNAVAILABLE,
    }
}
