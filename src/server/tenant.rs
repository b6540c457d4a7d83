//! Whose rows are meant.

/// One tenant. Every statement that reads or writes a row of somebody's asks for one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tenant(Box<str>);

/// Not the name of a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a tenant's name is 1 to 64 lower-case letters, digits and hyphens")]
pub struct NotATenant;

impl Tenant {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`NotATenant`]
    pub fn parse(name: &str) -> Result<Self, NotATenant> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
            Ok(Self(name.into()))
        } else {
            Err(NotATenant)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
