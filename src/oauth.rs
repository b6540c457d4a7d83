//! Logging in at an MCP server behind a URL: OAuth 2.1, as MCP's authorization wants it.
//!
//! [`Logins`] is for people: one logs in through a browser, and what comes of it is kept in a file.
//! [`Login`] is for whoever sends requests: it gives the token as it is now, and refreshes it.
//!
//! Sources: MCP 2025-11-25 and 2026-07-28, authorization; RFC 6749, 6750, 7009, 7591, 7636, 8252, 8414,
//! 8707, 9207 and 9728; OpenID Connect Discovery 1.0; draft-ietf-oauth-client-id-metadata-document.
//!
//! # Invariants
//!
//! - Tokens, codes and secrets are in request bodies, one header and one file (0600), and in no
//!   address, argument, log line, error or list.
//! - A login is for the server it was made at: it is used for no address that its `resource` does not cover,
//!   and its refresh token goes to the issuer's own endpoint.
//! - Every address is https, or http to this machine; no redirection is followed; every answer is bounded.
//! - No authorization server is used that does not say it knows PKCE with S256, or that describes another issuer.
//! - Of all processes that share a login, one at a time refreshes it, and each looks first at what
//!   the others have done; a new refresh token is on the disk before its access token is used.

mod attempt;
mod callback;
mod client;
mod discovery;
mod live;
mod memory;
mod net;
mod reach;
mod record;
mod resource;
mod scopes;
mod server;
mod session;
mod store;
mod token;
mod view;

pub use self::attempt::BadAnswer;
pub use self::callback::Nobody;
pub use self::client::{Kind, NoClient, Registration};
pub use self::discovery::NoLogin;
pub use self::live::{Login, LoginError};
pub use self::net::Silent;
pub use self::reach::OutOfReach;
pub use self::resource::BadResource;
pub use self::server::BadServer;
pub use self::session::{Ended, Logins, NotLoggedIn, PATIENCE, Wish};
pub use self::store::{BadName, Name, StoreError};
pub use self::token::NotGranted;
pub use self::view::{State, Summary};
