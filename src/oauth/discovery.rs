//! Finds out where to log in at an MCP server: MCP 2026-07-28, "Authorization Server Discovery".

use bytes::Bytes;
use hyper::http::request::Builder;
use hyper::{Request, StatusCode};
use oauth2::url::Url;

use super::net::{Net, Silent, shown};
use super::reach::{OutOfReach, Reach};
use super::resource::{self, BadResource, ResourceMetadata};
use super::server::{self, BadServer, ServerMetadata};
use crate::https::Challenge;

/// The revision that a request without a session belongs to.
const REVISION: &str = "2026-07-28";

/// What an MCP server and its authorization server say.
#[derive(Debug)]
pub(super) struct Discovered {
    /// What the tokens are for: the server, as it calls itself.
    pub(super) resource: String,
    /// The scopes that its refusal names.
    pub(super) challenged: Option<Vec<String>>,
    /// The scopes that its metadata lists.
    pub(super) of_resource: Option<Vec<String>>,
    pub(super) server: ServerMetadata,
}

/// Why nobody can log in there.
#[derive(Debug, thiserror::Error)]
pub enum NoLogin {
    /// Somebody did not answer.
    #[error(transparent)]
    Silent(#[from] Silent),
    /// Some address is not asked.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    /// The server's metadata lies with somebody else.
    #[error("the server's metadata would be at {0:?}, which is another host's")]
    Elsewhere(String),
    /// The server's metadata cannot be used.
    #[error("the server's metadata at {at} cannot be used")]
    Resource {
        /// Where it is.
        at: String,
        /// Why not.
        #[source]
        why: BadResource,
    },
    /// The authorization server cannot be used.
    #[error("the authorization server described at {at} cannot be used")]
    Server {
        /// Where its description is.
        at: String,
        /// Why not.
        #[source]
        why: BadServer,
    },
    /// Nothing is where the metadata should be.
    #[error("{at} says nowhere whom to log in with ({status}); does it want a login at all?")]
    NoMetadata {
        /// The server.
        at: String,
        /// What it answered to a request without a login.
        status: StatusCode,
    },
    /// Nothing is where the description should be.
    #[error("the authorization server {issuer:?} does not describe itself at any of: {tried}")]
    NoDescription {
        /// The authorization server.
        issuer: String,
        /// Where it was looked for.
        tried: String,
    },
}

/// Asks the MCP server at `url`, without a login, and whom it names.
pub(super) async fn discover(net: &Net, reach: Reach, url: &Url) -> Result<Discovered, NoLogin> {
    let mut refusal = net.ask_head(url, handshake(url)).await?;
    if refusal.status != StatusCode::UNAUTHORIZED {
        // Some let everybody shake hands and refuse only what is asked next, and since MCP 2026-07-28 there
        // are servers without a handshake.
        let asked = net.ask_head(url, list_of_tools(url)).await;
        refusal =
            asked.ok().filter(|asked| asked.status == StatusCode::UNAUTHORIZED).unwrap_or(refusal);
    }
    let challenge = match refusal.status {
        StatusCode::UNAUTHORIZED => Challenge::of(&refusal.headers).unwrap_or_default(),
        _ => Challenge::default(),
    };
    let places = match &challenge.resource_metadata {
        Some(place) => {
            let place = reach.admit("address of the server's metadata", place)?;
            if !resource::is_same_origin(&place, url) {
                return Err(NoLogin::Elsewhere(place.into()));
            }
            vec![place]
        }
        None => resource::places(url),
    };
    let Some((at, document)) = first(net, &places).await? else {
        if challenge.resource_metadata.is_none() {
            return of_old(net, reach, url, challenge.scopes, refusal.status).await;
        }
        return Err(NoLogin::NoMetadata { at: shown(url), status: refusal.status });
    };
    let metadata = ResourceMetadata::read(&document, url)
        .map_err(|why| NoLogin::Resource { at: shown(&at), why })?;
    let issuer = metadata.issuer();
    let server = describe(net, reach, &reach.admit("authorization server", issuer)?, &[issuer])
        .await?
        .ok_or_else(|| nowhere(issuer))?;
    Ok(Discovered {
        resource: metadata.resource,
        challenged: challenge.scopes,
        of_resource: metadata.scopes_supported,
        server,
    })
}

/// MCP 2025-03-26 knew no metadata of servers: a server's origin was its authorization server.
async fn of_old(
    net: &Net,
    reach: Reach,
    url: &Url,
    challenged: Option<Vec<String>>,
    status: StatusCode,
) -> Result<Discovered, NoLogin> {
    let origin = url.origin().ascii_serialization();
    let root = reach.admit("server's address", &origin)?;
    // Nobody has spelled the issuer, so both spellings of the origin are it.
    let server = describe(net, reach, &root, &[&origin, root.as_str()])
        .await?
        .ok_or(NoLogin::NoMetadata { at: shown(url), status })?;
    Ok(Discovered { resource: url.as_str().to_owned(), challenged, of_resource: None, server })
}

async fn describe(
    net: &Net,
    reach: Reach,
    issuer: &Url,
    spelled: &[&str],
) -> Result<Option<ServerMetadata>, NoLogin> {
    let Some((at, document)) = first(net, &server::places(issuer)).await? else {
        return Ok(None);
    };
    let server = ServerMetadata::read(&document, spelled, reach)
        .map_err(|why| NoLogin::Server { at: shown(&at), why })?;
    Ok(Some(server))
}

fn nowhere(issuer: &str) -> NoLogin {
    let places = Url::parse(issuer).map(|issuer| server::places(&issuer)).unwrap_or_default();
    let tried: Vec<_> = places.iter().map(Url::as_str).collect();
    NoLogin::NoDescription { issuer: issuer.to_owned(), tried: tried.join(", ") }
}

/// The first of these places with a JSON object. Many hosts show a page, with 200, for what they do not have.
async fn first(net: &Net, places: &[Url]) -> Result<Option<(Url, Bytes)>, Silent> {
    for place in places {
        let answer = net.get(place).await?;
        let is_object = answer.body().trim_ascii_start().first() == Some(&b'{');
        if answer.status() == StatusCode::OK && is_object {
            return Ok(Some((place.clone(), answer.into_body())));
        }
    }
    Ok(None)
}

/// What a client without a login sends first. Whatever it opens at a server that wants no login is left to time
/// out there.
fn handshake(url: &Url) -> hyper::http::Result<Request<Bytes>> {
    let body = serde_json::json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": client(),
        },
    });
    post(url).body(body.to_string().into())
}

/// The first request that is of use, as of MCP 2026-07-28: it is in no session. Only its refusal is of interest.
fn list_of_tools(url: &Url) -> hyper::http::Result<Request<Bytes>> {
    let body = serde_json::json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/list",
        "params": {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": REVISION,
                "io.modelcontextprotocol/clientInfo": client(),
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    post(url)
        .header("mcp-protocol-version", REVISION)
        .header("mcp-method", "tools/list")
        .body(body.to_string().into())
}

fn client() -> serde_json::Value {
    serde_json::json!({ "name": "thoth", "version": env!("CARGO_PKG_VERSION") })
}

fn post(url: &Url) -> Builder {
    Request::post(url.as_str())
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
}
