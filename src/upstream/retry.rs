//! What is tried next, of a message that was not answered.
//!
//! Pure: a table. Only what the server cannot have executed is sent again, each remedy once.

/// What happened to one attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Happened {
    /// 401, 403 `invalid_token`, or the error code that was configured to mean the same: the
    /// credential was not accepted, and nothing was executed.
    Rejected,
    /// 404 to a message with a session's id, and not an unknown method, or a 400 that means it; or the
    /// stream that an HTTP+SSE session is bound to had ended: the session is gone, and nothing was
    /// executed.
    SessionGone,
    /// There was no connection: nothing was written.
    Unsent,
    /// The headers do not fit the body (-32020), and nothing was executed.
    HeaderMismatch,
    /// Anything else, such as a silence, a reset or 5xx: it may have been executed. Or 429: the server
    /// wants to be left alone, and whether to come again is for the client to say.
    Other,
}

/// Which remedies were tried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each remedy is tried or not, whatever the others"
)]
pub(super) struct Tried {
    pub(super) credential: bool,
    pub(super) session: bool,
    pub(super) connection: bool,
    pub(super) list: bool,
}

/// What is done before the message is sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Remedy {
    /// A newer credential.
    Credential,
    /// A new session.
    Session,
    /// A short pause, then a new connection.
    Connection,
    /// A new list of the tools.
    List,
}

// === impl Tried ===

impl Tried {
    /// The remedy for what happened, which then counts as tried; `None` to give up.
    pub(super) fn next(&mut self, happened: Happened) -> Option<Remedy> {
        let (tried, remedy) = match happened {
            Happened::Rejected => (&mut self.credential, Remedy::Credential),
            Happened::SessionGone => (&mut self.session, Remedy::Session),
            Happened::Unsent => (&mut self.connection, Remedy::Connection),
            Happened::HeaderMismatch => (&mut self.list, Remedy::List),
            Happened::Other => return None,
        };
        (!std::mem::replace(tried, true)).then_some(remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::Happened::{HeaderMismatch, Other, Rejected, SessionGone, Unsent};
    use super::*;

    #[test]
    fn each_remedy_is_tried_once_and_nothing_that_may_have_been_executed_is_sent_again() {
        let (credential, session) = (Some(Remedy::Credential), Some(Remedy::Session));
        let (connection, list) = (Some(Remedy::Connection), Some(Remedy::List));
        let table: [(&[Happened], &[Option<Remedy>]); 14] = [
            (&[Rejected], &[credential]),
            (&[Rejected, Rejected], &[credential, None]),
            (&[SessionGone], &[session]),
            (&[SessionGone, SessionGone], &[session, None]),
            (&[Unsent], &[connection]),
            (&[Unsent, Unsent], &[connection, None]),
            (&[HeaderMismatch], &[list]),
            (&[HeaderMismatch, HeaderMismatch], &[list, None]),
            (&[Other], &[None]),
            // The token was rotated to another principal: its session is unknown to the server.
            (&[Rejected, SessionGone], &[credential, session]),
            (&[SessionGone, Rejected], &[session, credential]),
            (&[Rejected, SessionGone, Rejected], &[credential, session, None]),
            (
                &[Unsent, Rejected, SessionGone, HeaderMismatch],
                &[connection, credential, session, list],
            ),
            (&[Rejected, Other], &[credential, None]),
        ];
        for (happened, expected) in table {
            let mut tried = Tried::default();
            let found: Vec<_> = happened.iter().map(|happened| tried.next(*happened)).collect();
            assert_eq!(found, expected, "{happened:?}");
        }
    }
}
