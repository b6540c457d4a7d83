//! What an enforcer makes for itself where it was given nothing: a certificate and two keys, in a
//! directory of its own that nobody else can read.
//!
//! # Invariants
//!
//! - What was made stays: after a restart the certificate, and with it the pin, is the same, and so
//!   are the keys.
//! - A certificate that is renewed keeps its key. Who trusts or pins the key notices nothing.
//! - Several enforcers that start at once in one directory agree.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::Tenant;
use super::caller::{Permissions, Scope};
use super::keys::{self, Adopted, NewKey};
use super::store::{Store, StoreError};
use crate::profile::{self, Unsafe};
use crate::tls::serve::{Identity, NotAnIdentity};

/// The certificate's file, which sidecars may read as their CA bundle.
pub const CERTIFICATE: &str = "certificate.pem";
const PRIVATE_KEY: &str = "certificate.key";

/// For how long a certificate is good, and how long before its end it is renewed.
const LIFE: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);
const RENEWAL: SignedDuration = SignedDuration::from_hours(60 * 24);

/// The longest file that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// The enforcer's own certificate.
#[derive(Debug)]
pub struct Own {
    /// The certificate, with its key.
    pub identity: Identity,
    /// Where it lies.
    pub file: PathBuf,
    /// Whether it was made just now in place of another one.
    pub is_renewed: bool,
}

/// Why something could not be made, or read again.
#[derive(Debug, thiserror::Error)]
pub enum OutsetError {
    /// A file is not safe to rely on, or cannot be written.
    #[error("the enforcer's own directory cannot be used")]
    Unsafe(#[from] Unsafe),
    /// No certificate can be made with these names and this key.
    #[error("no certificate can be made for the enforcer")]
    Certificate(#[source] rcgen::Error),
    /// What was made cannot be used.
    #[error("the enforcer's own certificate cannot be used")]
    Identity(#[source] NotAnIdentity),
    /// A file of a key holds something else.
    #[error("{} does not hold a key; move it away", .0.display())]
    NotAKey(PathBuf),
    /// The store failed.
    #[error("the enforcer's own keys cannot be put in place")]
    Store(#[from] StoreError),
}

/// The certificate in this directory; made where there is none, or where it is about to end or is
/// not for all of these names.
///
/// # Errors
///
/// [`OutsetError`]
pub fn own_identity(
    directory: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<Own, OutsetError> {
    let file = directory.join(CERTIFICATE);
    let private = directory.join(PRIVATE_KEY);
    if !private.exists() {
        let made = KeyPair::generate().map_err(OutsetError::Certificate)?;
        profile::put(directory, PRIVATE_KEY, made.serialize_pem().as_bytes())?;
    }
    let key = profile::read_secret(&private, LONGEST)?;
    let there = profile::read_private(&file, LONGEST)?;
    if let Some(chain) = &there
        && let Ok(identity) = Identity::read(chain, &key, now)
        && is_good(&identity, names, now)
    {
        return Ok(Own { identity, file, is_renewed: false });
    }
    let chain = certificate(&key, names, now)?;
    profile::replace(directory, CERTIFICATE, chain.as_bytes())?;
    let identity = Identity::read(chain.as_bytes(), &key, now).map_err(OutsetError::Identity)?;
    Ok(Own { identity, file, is_renewed: there.is_some() })
}

fn is_good(identity: &Identity, names: &[String], now: Timestamp) -> bool {
    let certificate = &identity.certificate;
    let lasts = now.checked_add(RENEWAL).is_ok_and(|soon| soon < certificate.not_after);
    lasts && names.iter().all(|name| certificate.names.contains(name))
}

/// A certificate of this key for these names, signed by itself.
fn certificate(key: &[u8], names: &[String], now: Timestamp) -> Result<String, OutsetError> {
    let made = || {
        let key = std::str::from_utf8(key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let key = KeyPair::from_pem(key)?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "thoth enforcer");
        // An authority would be refused as a server by those who trust it.
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // A day of grace for clocks that are behind.
        let (from, until) = (now - SignedDuration::from_hours(24), now + LIFE);
        let ymd = |time: Timestamp| {
            let date = time.to_zoned(TimeZone::UTC).date();
            date_time_ymd(
                date.year().into(),
                date.month().unsigned_abs(),
                date.day().unsigned_abs(),
            )
        };
        (params.not_before, params.not_after) = (ymd(from), ymd(until));
        Ok(params.self_signed(&key)?.pem())
    };
    made().map_err(OutsetError::Certificate)
}

/// What a key of the enforcer's own is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Sidecars on this machine.
    Sidecar,
    /// Whoever runs the enforcer.
    Admin,
}

/// The file with this tenant's key for this role; the key is made where there is none, and where
/// the one that is there was revoked.
///
/// # Errors
///
/// [`OutsetError`]
pub async fn own_key(
    store: &Store,
    directory: &Path,
    tenant: &Tenant,
    role: Role,
    now: Timestamp,
) -> Result<PathBuf, OutsetError> {
    let name = role.file_of(tenant);
    let path = directory.join(&name);
    profile::put(directory, &name, line(&keys::random()).as_bytes())?;
    if adopt(store, &path, tenant, role, now).await? != Adopted::Good {
        profile::replace(directory, &name, line(&keys::random()).as_bytes())?;
        adopt(store, &path, tenant, role, now).await?;
    }
    Ok(path)
}

async fn adopt(
    store: &Store,
    path: &Path,
    tenant: &Tenant,
    role: Role,
    now: Timestamp,
) -> Result<Adopted, OutsetError> {
    let text = profile::read_secret(path, LONGEST)?;
    let not_a_key = || OutsetError::NotAKey(path.to_owned());
    let key = std::str::from_utf8(&text).map_err(|_| not_a_key())?.trim();
    // Not one that a person has put there.
    if !keys::is_random(key) {
        return Err(not_a_key());
    }
    let (name, permissions) = match role {
        Role::Sidecar => ("sidecars on the enforcer's machine", Permissions::SIDECAR),
        Role::Admin => ("whoever runs the enforcer", Permissions::ALL),
    };
    let new =
        NewKey { name: name.to_owned(), permissions, scope: Scope::Organization, expires_at: None };
    Ok(keys::adopt(store, tenant, &keys::hash_of(key), &new, now).await?)
}

fn line(key: &str) -> String {
    format!("{key}\n")
}

// === impl Role ===

impl Role {
    /// `sidecar.key`; other tenants than the first have their names in it.
    fn file_of(self, tenant: &Tenant) -> String {
        let role = match self {
            Self::Sidecar => "sidecar",
            Self::Admin => "admin",
        };
        match tenant.as_str() {
            "default" => format!("{role}.key"),
            other => format!("{role}-{other}.key"),
        }
    }
}
