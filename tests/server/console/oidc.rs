//! OpenID.
