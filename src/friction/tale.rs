//! Tells what happens in a session as friction events.
//!
//! A call is two events, with one `call_id`; so are listing, reading a resource and getting a prompt.
//! What a server offers is told once its list of tools is complete (`survey`), between that list's
//! beginning and its end.
//!
//! Every event is about something that happened: no note is made up from an intent that came with a
//! call, as baton-proxy 0.3 to 0.6.16 did (W3 forbids it, and the call's own start says it).
//!
//! # Invariants
//!
//! - An end follows its beginning, once: an end whose beginning was lost is not told.
//! - Memory is that of what is open, and of a list whose pages come in: none of it is a part of a line,
//!   which would keep the whole line.

mod survey;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::survey::{Page, Survey};
use super::event::failure::{Failure, Unanswered};
use super::event::payload::{CallStep, FetchStep, ListStep, Listed, Payload};
use super::event::{Draft, Ids, Object, Stamp, Stream};
use super::inject::annotate::Report;
use super::inject::{Additions, Said};
use super::raw::{Raw, RawObject};
use crate::gate::happening::{CallMade, Ended, Happening};
use crate::gate::json::{Kind, unescape};
use crate::gate::message::client::Method;
use crate::gate::record::Ticket;

/// The longest `_meta` that is kept until a request's end, in bytes: a longer one is told with its
/// beginning only.
const LONGEST_META: usize = 64 << 10;

/// When something happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// By the wall's clock: what events say.
    pub at: Timestamp,
    /// Since the session began, by a clock that never jumps: what durations are told by.
    pub since_start: Duration,
}

/// The story of one session: turns happenings into events.
#[derive(Debug)]
pub struct Tale {
    stream: Stream,
    ids: Ids,
    additions: Option<Additions>,
    survey: Survey,
    calls: BTreeMap<u64, Open<Arc<str>>>,
    requests: BTreeMap<u64, Open<Asked>>,
}

/// A request that has no end yet.
#[derive(Debug)]
struct Open<T> {
    what: T,
    meta: Option<Box<[u8]>>,
    since: Duration,
}

/// What a request asks for, other than a call.
#[derive(Debug)]
enum Asked {
    /// What the server says of itself. Not told; but it is a part of what the server offers.
    Greeting,
    /// Prompts or resources.
    List(Listed),
    /// A prompt, by its name.
    Prompt(Box<str>),
    /// A resource, by its address.
    Resource(Box<str>),
    /// Tools.
    Tools(Page),
}

/// Writes the events of one moment.
struct Pen<'t> {
    stream: &'t mut Stream,
    ids: &'t mut Ids,
    moment: Moment,
    random: &'t mut dyn FnMut() -> u128,
    drafts: Vec<Draft>,
}

/// The id of a call in events and in the journal's records: the same in both, and in no other call.
pub fn call_id(session: &str, ticket: u64) -> String {
    Ticket(ticket).call_id(session)
}

// === impl Tale ===

impl Tale {
    /// A tale in which nothing happened yet. `additions`: what is added to the session, for
    /// `surface_snapshot`; `None` where nothing is.
    pub fn new(stream: Stream, additions: Option<Additions>) -> Self {
        Self {
            stream,
            ids: Ids::default(),
            additions,
            survey: Survey::default(),
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }

    /// Tells one happening. `random` gives random bits for event ids.
    pub fn tell(
        &mut self,
        happening: &Happening,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        match happening {
            Happening::CallMade(call) => self.call_made(call, moment, random),
            Happening::CallEnded(Ticket(ticket), end) => {
                let Some(call) = self.calls.remove(ticket) else { return Vec::new() };
                self.call_ended(*ticket, &call, end, moment, random)
            }
            Happening::RequestMade { number, method, params } => {
                self.request_made(*number, *method, params, moment, random)
            }
            Happening::RequestEnded { number, end, added } => {
                let Some(request) = self.requests.remove(number) else { return Vec::new() };
                self.request_ended(&request, end, *added, moment, random)
            }
            Happening::Noted { arguments, meta } => {
                self.hear(meta.as_deref());
                let mut pen = self.pen(moment, random);
                if let Some(arguments) = RawObject::read(arguments) {
                    // Whether notes are welcome was asked where it was answered.
                    if let Ok(report) = Report::read(arguments, true) {
                        pen.write(meta.as_deref(), &Payload::Annotation(report.annotation()));
                    }
                }
                pen.drafts
            }
        }
    }

    /// Closes what is still open, once the session is over.
    pub fn end(&mut self, moment: Moment, random: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for (ticket, call) in std::mem::take(&mut self.calls) {
            drafts.extend(self.call_ended(ticket, &call, &Ended::Unanswered, moment, random));
        }
        for (_, request) in std::mem::take(&mut self.requests) {
            drafts.extend(self.request_ended(&request, &Ended::Unanswered, 0, moment, random));
        }
        drafts
    }

    fn call_made(
        &mut self,
        call: &CallMade,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let Ticket(ticket) = call.ticket;
        if self.calls.contains_key(&ticket) {
            return Vec::new();
        }
        self.hear(call.meta.as_deref());
        let call_id = call_id(self.stream.session(), ticket);
        let said = call.said.as_deref().and_then(RawObject::read).map(Said::read);
        let mut pen = self.pen(moment, random);
        pen.write(
            call.meta.as_deref(),
            &Payload::Call {
                call_id: &call_id,
                tool: &call.tool,
                step: CallStep::Start {
                    params: RawObject::read(&call.arguments).unwrap_or(RawObject::EMPTY),
                    intent: said.as_ref().map(Said::intent).unwrap_or_default(),
                },
            },
        );
        let drafts = pen.drafts;
        self.calls.insert(ticket, Open::new(Arc::clone(&call.tool), call.meta.as_deref(), moment));
        drafts
    }

    fn call_ended(
        &mut self,
        ticket: u64,
        call: &Open<Arc<str>>,
        end: &Ended,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let call_id = call_id(self.stream.session(), ticket);
        let duration_ms = call.lasted(moment);
        let failed = matches!(end, Ended::Result { is_error: true, .. });
        let step = match result(end) {
            Err(failure) => CallStep::Error { failure, result: None, duration_ms },
            Ok(text) if failed => CallStep::Error {
                failure: Failure::of_tool(text),
                result: Raw::read(text),
                duration_ms,
            },
            Ok(text) => CallStep::End { result: Raw::read(text), duration_ms },
        };
        let mut pen = self.pen(moment, random);
        let payload = Payload::Call { call_id: &call_id, tool: &call.what, step };
        pen.write(call.meta.as_deref(), &payload);
        pen.drafts
    }

    fn request_made(
        &mut self,
        number: u64,
        method: Method,
        params: &[u8],
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        if self.requests.contains_key(&number) {
            return Vec::new();
        }
        let params = RawObject::read(params).unwrap_or(RawObject::EMPTY);
        let meta = params.member("_meta").and_then(Raw::object).map(RawObject::text);
        self.hear(meta);
        let asked = match method {
            Method::Initialize => {
                if let Some(info) = params.member("clientInfo").and_then(Raw::object) {
                    self.stream.client(info);
                }
                Asked::Greeting
            }
            Method::Discover => Asked::Greeting,
            Method::GetPrompt => Asked::Prompt(text(params, "name")),
            Method::ListPrompts => Asked::List(Listed::Prompts),
            Method::ListResources => Asked::List(Listed::Resources),
            Method::ListTools { .. } => Asked::Tools(self.survey.asked(params)),
            Method::ReadResource => Asked::Resource(text(params, "uri")),
            Method::Listen | Method::Other => return Vec::new(),
        };
        let mut pen = self.pen(moment, random);
        asked.tell_start(params, |payload| pen.write(meta, payload));
        let drafts = pen.drafts;
        self.requests.insert(number, Open::new(asked, meta, moment));
        drafts
    }

    fn request_ended(
        &mut self,
        request: &Open<Asked>,
        end: &Ended,
        added: usize,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let Self { stream, ids, additions, survey, .. } = self;
        let mut pen = Pen { stream, ids, moment, random, drafts: Vec::new() };
        let result = result(end).map(RawObject::read);
        // What cannot be read, or was left out, says nothing of the server.
        if let Ok(Some(result)) = result {
            match request.what {
                Asked::Greeting => survey.greeted(result),
                Asked::Tools(page) => {
                    if let Some(whole) = survey.listed(page, result) {
                        survey.tell(&whole, additions.as_ref(), |payload| pen.write(None, payload));
                    }
                }
                Asked::List(_) | Asked::Prompt(_) | Asked::Resource(_) => {}
            }
        }
        let meta = request.meta.as_deref();
        let duration_ms = request.lasted(moment);
        let result = result.map(|result| result.unwrap_or(RawObject::EMPTY));
        request.what.tell_end(result, added, duration_ms, |payload| pen.write(meta, payload));
        pen.drafts
    }

    /// Takes in what a request's `_meta` says of the client.
    fn hear(&mut self, meta: Option<&[u8]>) {
        if let Some(meta) = meta.and_then(RawObject::read) {
            self.stream.client_in(meta);
        }
    }

    fn pen<'t>(&'t mut self, moment: Moment, random: &'t mut dyn FnMut() -> u128) -> Pen<'t> {
        let Self { stream, ids, .. } = self;
        Pen { stream, ids, moment, random, drafts: Vec::new() }
    }
}

// === impl Asked ===

impl Asked {
    fn tell_start(&self, params: RawObject<'_>, tell: impl FnOnce(&Payload<'_>)) {
        match self {
            Self::Greeting => {}
            Self::List(of) => tell(&Payload::List { of: *of, step: ListStep::Start }),
            Self::Tools(_) => tell(&Payload::List { of: Listed::Tools, step: ListStep::Start }),
            Self::Prompt(name) => {
                let params = params.member("arguments").and_then(Raw::object);
                tell(&Payload::Prompt { name, step: FetchStep::Start { params } });
            }
            Self::Resource(uri) => {
                let params = without_meta(params);
                let params = RawObject::read(&params).filter(|params| !params.is_empty());
                tell(&Payload::Read { uri, step: FetchStep::Start { params } });
            }
        }
    }

    fn tell_end(
        &self,
        result: Result<RawObject<'_>, Failure<'_>>,
        added: usize,
        duration_ms: Option<u64>,
        tell: impl FnOnce(&Payload<'_>),
    ) {
        let list = |of: Listed, result| {
            let step = match result {
                Ok(result) => {
                    ListStep::End { count: count(result, of) + added as u64, duration_ms }
                }
                Err(failure) => ListStep::Error { failure, duration_ms },
            };
            Payload::List { of, step }
        };
        let fetch = |result| match result {
            Ok(_) => FetchStep::End { duration_ms },
            Err(failure) => FetchStep::Error { failure, duration_ms },
        };
        match self {
            Self::Greeting => {}
            Self::List(of) => tell(&list(*of, result)),
            Self::Tools(_) => tell(&list(Listed::Tools, result)),
            Self::Prompt(name) => tell(&Payload::Prompt { name, step: fetch(result) }),
            Self::Resource(uri) => tell(&Payload::Read { uri, step: fetch(result) }),
        }
    }
}

// === impl Open ===

impl<T> Open<T> {
    fn new(what: T, meta: Option<&[u8]>, moment: Moment) -> Self {
        let meta = meta.filter(|meta| meta.len() <= LONGEST_META).map(Into::into);
        Self { what, meta, since: moment.since_start }
    }

    /// Whole milliseconds until that moment.
    fn lasted(&self, moment: Moment) -> Option<u64> {
        u64::try_from(moment.since_start.saturating_sub(self.since).as_millis()).ok()
    }
}

// === impl Pen ===

impl Pen<'_> {
    /// Writes one event, if the generation admits it; `meta` is the text of a request's `_meta`.
    fn write(&mut self, meta: Option<&[u8]>, payload: &Payload<'_>) {
        let stamp =
            Stamp { id: self.ids.next(self.moment.at, (self.random)()), at: self.moment.at };
        let meta = meta.and_then(RawObject::read);
        self.drafts.extend(self.stream.draft(stamp, meta, payload));
    }
}

/// The text of a result, whatever it says; or why there is none.
fn result(end: &Ended) -> Result<&[u8], Failure<'_>> {
    match end {
        Ended::Result { result, .. } => Ok(result),
        Ended::Error { error, .. } => Err(Failure::of_error(error)),
        Ended::Refused { code, message, reason_code } => Err(match reason_code.as_deref() {
            Some("id_in_use") => Failure::unanswered(Unanswered::IdReused),
            Some("bad_id" | "call_without_id") => Failure::unanswered(Unanswered::IdInvalid),
            Some(_) | None => Failure::refused(*code, message),
        }),
        Ended::Cancelled => Err(Failure::unanswered(Unanswered::Cancelled)),
        Ended::Unanswered => Err(Failure::unanswered(Unanswered::Closed)),
    }
}

/// How many entries a page lists.
fn count(result: RawObject<'_>, of: Listed) -> u64 {
    let name = match of {
        Listed::Prompts => "prompts",
        Listed::Resources => "resources",
        Listed::Tools => "tools",
    };
    result.member(name).into_iter().flat_map(Raw::elements).count() as u64
}

/// A text of the parameters; empty where it is none.
fn text(params: RawObject<'_>, name: &str) -> Box<str> {
    let text = params.member(name).filter(|text| text.kind() == Kind::Text);
    text.map(|text| unescape(text.text()).into()).unwrap_or_default()
}

/// The parameters but for `_meta`, which an event tells elsewhere.
fn without_meta(params: RawObject<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(params.text().len());
    let mut object = Object::open(&mut text);
    params.each(|name, value| {
        if name != "_meta" {
            object.raw(name, value.text());
        }
    });
    object.close();
    text
}
