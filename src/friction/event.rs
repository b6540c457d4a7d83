//! Events and the stream they make: envelope, numbering and the three wire generations.
//!
//! The schemas of the generations are closed: an event of one is refused by collectors of another.
//! So the generation is a value of the stream, and what a generation does not admit is left out
//! ([`Wire::admits`]) or put where it does admit it ([`payload`]).
//!
//! # Invariants
//!
//! - Only what was admitted takes a number: a stream is numbered 0, 1, 2 … without gap.
//! - What is unknown is omitted, never `null`.
//! - What this program makes itself (ids, numbers, times, the operator's labels) stands before what
//!   comes from elsewhere, and only the latter is scrubbed: a digit in an id is nobody's phone.

pub mod failure;
pub mod payload;
pub mod runtime;

mod ids;
mod object;
mod shorten;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use uuid::Uuid;

pub use self::ids::Ids;
pub(in crate::friction) use self::object::{Object, quote};
use self::payload::Payload;
use self::runtime::Client;
use super::raw::{Raw, RawObject};
use super::scrub::{Counts, Scrubber};

/// A generation of the wire format: which collectors accept it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wire {
    /// baton-proxy up to 0.1.2, baton-sdk up to 0.2.7: 4 event types.
    W1,
    /// baton-proxy 0.1.3 to 0.6.13 and the published specification: 5 event types.
    W2,
    /// baton-proxy from 0.6.14, baton-sdk from 0.8.15: 20 event types.
    #[default]
    W3,
}

/// What is the same in every event of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// One session: one client and one server.
    pub session: String,
    /// Whether this program made up the session's id, or was told it.
    pub session_minted: bool,
    /// The operator's account.
    pub tenant: String,
    /// The label of the wrapped server.
    pub vendor: String,
    /// What the tenant agreed to.
    pub consent: String,
    /// Name and version of this program.
    pub software: String,
    /// Who uses it, where that is known.
    pub principal: Option<Principal>,
}

/// Who uses the agent. Never scrubbed: its purpose is to say who.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    id: String,
    form: Form,
}

/// Whether a principal's id is the id itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A pseudonym.
    Hashed,
    /// The id itself.
    Raw,
}

/// What is particular to one event, and must come from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// The event's id, a `UUIDv7`: collectors drop what they have seen.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
}

/// The events of one session.
#[derive(Clone, Debug)]
pub struct Stream {
    wire: Wire,
    origin: Origin,
    client: Client,
    next: u64,
    /// Whether a program says what happens; else its lines pass by.
    is_library: bool,
}

/// An event that may hold secrets.
#[derive(Debug)]
pub struct Draft {
    /// The text from its brace on, up to and with a comma.
    head: Vec<u8>,
    /// The other members, as an object of their own.
    rest: Vec<u8>,
    id: Uuid,
    sequence: u64,
}

/// An event as it may be sent: one line of JSON without its newline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    line: String,
    id: Uuid,
    sequence: u64,
}

// === impl Wire ===

impl Wire {
    /// Reads `w1`, `w2` or `w3`, in either case.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::W1, Self::W2, Self::W3]
            .into_iter()
            .find(|wire| wire.word().eq_ignore_ascii_case(word))
    }

    /// Its name in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::W1 => "w1",
            Self::W2 => "w2",
            Self::W3 => "w3",
        }
    }

    /// Whether collectors of this generation know the event's type.
    pub fn admits(self, payload: &Payload<'_>) -> bool {
        let since = match payload {
            Payload::Call { .. } | Payload::Annotation(_) => Self::W1,
            Payload::Surface(_) => Self::W2,
            Payload::List { .. } | Payload::Read { .. } | Payload::Prompt { .. } => Self::W3,
        };
        self >= since
    }
}

// === impl Principal ===

impl Principal {
    /// The longest id, in characters; longer ones are cut.
    pub const LONGEST: usize = 128;

    /// `None` for an id that is blank or holds NUL.
    pub fn new(id: &str, form: Form) -> Option<Self> {
        let bad = id.trim().is_empty() || id.contains('\0');
        (!bad).then(|| Self { id: id.chars().take(Self::LONGEST).collect(), form })
    }
}

// === impl Stream ===

impl Stream {
    /// A stream in which nothing was said yet.
    pub fn new(wire: Wire, origin: Origin) -> Self {
        Self { wire, origin, client: Client::default(), next: 0, is_library: false }
    }

    /// The same for what a program says of itself, where no line passes by: `transport_observed` is
    /// `library`, and an agent that nobody named is `unknown`.
    #[must_use]
    pub fn of_library(self) -> Self {
        Self { is_library: true, ..self }
    }

    /// The generation it is written in.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Which session it is.
    pub fn session(&self) -> &str {
        &self.origin.session
    }

    /// How many events there were.
    pub fn len(&self) -> u64 {
        self.next
    }

    /// Whether there was no event yet.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Takes in what a client says of itself, from `initialize.params.clientInfo`. The first that
    /// says anything is kept.
    pub fn client(&mut self, info: RawObject<'_>) {
        if self.client.is_unknown() {
            self.client = Client::read(info);
        }
    }

    /// The same from a request's `_meta`, where clients of the era without handshake say it.
    pub fn client_in(&mut self, meta: RawObject<'_>) {
        if self.client.is_unknown()
            && let Some(info) = meta.member(runtime::CLIENT_INFO).and_then(Raw::object)
        {
            self.client = Client::read(info);
        }
    }

    /// Writes one event, with the next number; `None` where the generation does not admit it, and
    /// then no number is used up. `meta` is `params._meta` of the request it is about.
    pub fn draft(
        &mut self,
        stamp: Stamp,
        meta: Option<RawObject<'_>>,
        payload: &Payload<'_>,
    ) -> Option<Draft> {
        if !self.wire.admits(payload) {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        Some(Draft {
            head: self.head(stamp, sequence, payload),
            rest: self.rest(meta, payload),
            id: stamp.id,
            sequence,
        })
    }

    /// The members that are this program's own.
    fn head(&self, stamp: Stamp, sequence: u64, payload: &Payload<'_>) -> Vec<u8> {
        let origin = &self.origin;
        let mut head = Vec::with_capacity(512);
        let mut event = Object::open(&mut head);
        event.text("event_id", &stamp.id.to_string());
        event.text("event_type", payload.event_type());
        event.text("session_id", &origin.session);
        event.number("sequence_number", sequence);
        event.text("captured_at", &stamp.at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string());
        event.text("tenant_id", &origin.tenant);
        if self.wire > Wire::W1 {
            event.text("vendor_id", &origin.vendor);
        }
        event.text("consent_token", &origin.consent);
        event.text("sdk_version", &origin.software);
        match self.wire {
            Wire::W1 => {}
            Wire::W2 => {
                // This generation knows pseudonyms only.
                if let Some(Principal { id, form: Form::Hashed }) = &origin.principal {
                    event.text("user_id", id);
                }
            }
            Wire::W3 => {
                if let Some(call_id) = payload.call_id() {
                    event.text("call_id", call_id);
                }
                if let Some(principal) = &origin.principal {
                    event.object("principal", |object| {
                        object.text("id", &principal.id);
                        object.text("source", "asserted");
                        object.text("form", principal.form.word());
                    });
                }
                let made = if origin.session_minted { "minted" } else { "observed" };
                event.text("session_id_origin", made);
                if self.is_library {
                    event.text("transport_observed", "library");
                }
            }
        }
        head.push(b',');
        head
    }

    /// The members that others have a say in.
    fn rest(&self, meta: Option<RawObject<'_>>, payload: &Payload<'_>) -> Vec<u8> {
        let mut rest = Vec::with_capacity(512);
        let mut event = Object::open(&mut rest);
        let unknown = if self.is_library { "unknown" } else { "mcp-proxy" };
        event.text("agent_runtime", self.client.runtime(meta).unwrap_or(unknown));
        event.object("payload", |object| payload.write(self.wire, object));
        if let Some(meta) = meta.filter(|meta| !meta.is_empty()) {
            event.raw("runtime_meta", meta.text());
        }
        if self.wire == Wire::W3 && !self.client.is_unknown() {
            event.object("client_observed", |object| {
                object.object("info", |info| {
                    info.text_if("name", self.client.name());
                    info.text_if("version", self.client.version());
                });
            });
        }
        event.close();
        rest
    }
}

// === impl Form ===

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::Raw => "raw",
        }
    }
}

// === impl Draft ===

impl Draft {
    /// Takes the secrets out, counts them, and makes every part valid JSON.
    pub fn scrub(self, scrubber: &Scrubber, counts: &mut Counts) -> Event {
        let rest = Raw::read(&self.rest)
            .unwrap_or_else(|| unreachable!("it was written from values that were read"));
        let clean = scrubber.scrub(rest, counts);
        let mut line = String::from_utf8(self.head)
            .unwrap_or_else(|_| unreachable!("it was written from strings"));
        line.push_str(&clean[1..]);
        Event { line, id: self.id, sequence: self.sequence }
    }
}

// === impl Event ===

impl Event {
    /// The event's text: one line, without its newline.
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// The same, to keep.
    pub fn into_line(self) -> String {
        self.line
    }

    /// By what a collector knows it again.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its place in the session.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}
