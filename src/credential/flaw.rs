//! Why a source gives no secret right now.

/// Why a source gives no secret right now. Fixed text: it holds nothing of what was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Flaw {
    /// There is no file.
    #[error("there is no such file")]
    Missing,
    /// Its permissions keep this user out.
    #[error("this user may not read the file")]
    Denied,
    /// It is a directory, a device, or a pipe, which could be read only once.
    #[error("it is not a regular file")]
    NotAFile,
    /// The system cannot read it.
    #[error("the file cannot be read")]
    Unreadable,
    /// The disk did not answer.
    #[error("it could not be read in time")]
    Slow,
    /// Somebody else could have written it.
    #[error("others can write the file")]
    Writable,
    /// Somebody else could have read it.
    #[error("others can read the file")]
    Readable,
    /// More than [`MAX_FILE`](super::MAX_FILE), or a command's
    /// [`MAX_OUTPUT`](super::MAX_OUTPUT).
    #[error("it is too long for a credential")]
    TooLong,
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Nothing is in it, as in a file that is just being written.
    #[error("it is empty")]
    Empty,
    /// It begins like JSON and is not, or has no text `api_key` or `token`.
    #[error("it is not JSON with a text `api_key` or `token`")]
    NotJson,
    /// It is neither lines `Name: value` nor a JSON object of texts, or a name stands twice.
    #[error("it is neither lines `Name: value` nor a JSON object of texts, one for each header")]
    NotHeaders,
    /// One of its headers is thoth's own to set, such as `Content-Length`.
    #[error("it has a header that the transport sets itself")]
    Reserved,
    /// It is not one line of visible ASCII.
    #[error("it holds a character that cannot be sent in an HTTP header")]
    Unsendable,
    /// It begins like JSON and is no list of revoked keys.
    #[error("it is JSON, and no list of texts")]
    NotAList,
    /// The keychain has no such entry.
    #[error("the keychain has no such entry")]
    NoEntry,
    /// There is no keychain, it is locked, or it lets nobody in.
    #[error("the keychain cannot be opened")]
    Locked,
    /// This build cannot read keychains.
    #[error("this build of thoth reads no keychain")]
    NoKeychain,
    /// The program is not there, or cannot be run.
    #[error("the command cannot be started")]
    NotStarted,
    /// It was killed.
    #[error("the command did not end in time")]
    TimedOut,
    /// It ended with an error; what it says about it is to be had by running it by hand.
    #[error("the command failed")]
    Failed,
}

impl Flaw {
    /// Whether this is how a file looks that is just being replaced.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Missing
                | Self::Empty
                | Self::NotJson
                | Self::NotHeaders
                | Self::Unreadable
                | Self::Slow
        )
    }
}
