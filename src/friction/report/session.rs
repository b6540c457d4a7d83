//! One session, read from the lines of an event stream.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;

use super::detect::End;
use super::line::{Labels, Line, Told};
use super::pairs;
use super::text::Excerpt;

/// How many events of one session are kept; those that come later are counted.
const MOST: usize = 100_000;
/// How many categories of scrubbed texts are told apart.
const CATEGORIES: usize = 64;
/// What stands where something was scrubbed.
const MARK: &[u8] = b"[REDACTED:";

/// One session: one client and one server.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The label of the wrapped server.
    pub vendor: Option<String>,
    /// The operator's account.
    pub tenant: Option<String>,
    /// The program that told the stream.
    pub software: Option<String>,
    /// The agent, by the name events give it.
    pub runtime: Option<String>,
    /// The client, as it introduced itself.
    pub client: Option<Software>,
    /// What the server offered last.
    pub surface: Option<Surface>,
    /// How many different offers there were.
    pub surfaces: usize,
    /// The times of its first and last events.
    pub window: Option<(Timestamp, Timestamp)>,
    /// How it was read.
    pub reading: Reading,
    /// How many texts were scrubbed, by category. One text may stand in several events.
    pub scrubbed: BTreeMap<String, u64>,
    /// The calls, in the order they were made.
    pub calls: Vec<Call>,
    /// What was asked for besides: listings, resources, prompts.
    pub requests: Vec<Request>,
    /// What the agent said of its own accord, in order.
    pub annotations: Vec<Annotation>,
}

/// How a session was read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Reading {
    /// Events that count.
    pub events: usize,
    /// Events that were there already.
    pub duplicates: usize,
    /// Lines that are no event, of whichever session.
    pub malformed: usize,
    /// Numbers for which there is no event, up to the last one: lost, or in files that are gone.
    pub missing: u64,
    /// Events beyond what is kept.
    pub left_out: usize,
}

/// A name and a version.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Software {
    /// Its name.
    pub name: String,
    /// Its version; empty where it did not say.
    pub version: String,
}

/// What a server offers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Surface {
    /// Equal for equal offers.
    pub hash: String,
    /// The server, as it introduced itself.
    pub server: Option<Software>,
    /// How many tools it has.
    pub tools: usize,
}

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// The number of its first event.
    pub sequence: u64,
    /// The number of its last event, where it has ended.
    pub ended: Option<u64>,
    /// Its id in the journal, where the stream has ids.
    pub id: Option<String>,
    /// The tool's name.
    pub tool: String,
    /// Equal for equal arguments; `None` where the event of its start is missing.
    pub arguments: Option<u64>,
    /// The beginning of its arguments.
    pub params: Option<Excerpt>,
    /// What the agent said it wants.
    pub intent: Option<Excerpt>,
    /// What the agent said it expects.
    pub expected: Option<Excerpt>,
    /// When it was made, where that is known.
    pub at: Option<Timestamp>,
    /// The same, in milliseconds since the session began.
    pub at_ms: u64,
    /// How long it took, in milliseconds, where that is known.
    pub took_ms: Option<u64>,
    /// How it ended.
    pub end: End,
    /// The type of its error.
    pub error_type: Option<String>,
    /// The text of its error.
    pub error_body: Option<Excerpt>,
    /// The kind of its error, where the format has a word for it.
    pub failure_kind: Option<String>,
    /// What the journal says of it.
    pub decision: Option<Decision>,
}

/// What was decided about a call, from the journal.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Decision {
    /// `allow`, `modify`, `step_up`, `defer` or `block`.
    pub decision: String,
    /// Whether the call was forwarded.
    pub forwarded: bool,
    /// The rules that decided.
    pub rule_ids: Vec<String>,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// Why, in a word.
    pub reason_code: Option<String>,
}

/// A listing, a resource that was read, or a prompt that was got.
#[derive(Clone, Debug)]
pub struct Request {
    /// The number of its first event.
    pub sequence: u64,
    /// `tools/list`, `resources/read`, …
    pub method: &'static str,
    /// Which resource or prompt; empty for a listing.
    pub name: String,
    /// When it was made, where that is known.
    pub at: Option<Timestamp>,
    /// The same, in milliseconds since the session began.
    pub at_ms: u64,
    /// How long it took, in milliseconds, where that is known.
    pub took_ms: Option<u64>,
    /// How it ended.
    pub end: End,
    /// The type of its error.
    pub error_type: Option<String>,
    /// The text of its error.
    pub error_body: Option<Excerpt>,
}

/// What an agent said of its own accord.
#[derive(Clone, Debug, Default)]
pub struct Annotation {
    /// The number of its event.
    pub sequence: u64,
    /// When it was said.
    pub at: Option<Timestamp>,
    /// What the user wants.
    pub intent: Option<Excerpt>,
    /// What should have come of it.
    pub expected: Option<Excerpt>,
    /// What came of it.
    pub what_happened: Option<Excerpt>,
    /// One of the words for friction, or another.
    pub signal_type: Option<String>,
    /// The task it is a part of.
    pub workflow: Option<Excerpt>,
    /// What would have helped.
    pub improvement: Option<Excerpt>,
    /// The tool it is about.
    pub tool: Option<String>,
    /// Whether the agent said that it cannot go on.
    pub blocks: bool,
    /// Whatever else was said.
    pub context: Vec<(String, Excerpt)>,
}

// === impl Annotation ===

impl Annotation {
    /// Whether it reports friction, rather than note an intent.
    pub fn is_report(&self) -> bool {
        self.what_happened.is_some() || self.signal_type.is_some()
    }
}

// === impl Session ===

impl Session {
    /// Reads one session from lines of events: of one file, or of several one after the other, the
    /// oldest first. `session` is its id; without one, it is the session that began last.
    ///
    /// Lines that are no event are counted and passed over; events are put in the order of their
    /// numbers, and one that is there twice counts once. `None` where there is no such session.
    pub fn read<'a>(
        lines: impl IntoIterator<Item = &'a [u8]>,
        session: Option<&str>,
    ) -> Option<Self> {
        let mut reader = Reader::new(session);
        lines.into_iter().for_each(|line| reader.line(line));
        reader.finish()
    }

    /// Adds what the journal says of its calls, by their ids. A call that was refused is one the
    /// server never saw, whatever its error's code looks like; and the other way round.
    pub fn join(&mut self, mut decision: impl FnMut(&str) -> Option<Decision>) {
        for call in &mut self.calls {
            let Some(found) = call.id.as_deref().and_then(&mut decision) else { continue };
            if call.end == End::Failed && !found.forwarded {
                call.end = End::Refused;
            } else if call.end == End::Refused && found.forwarded {
                call.end = End::Failed;
            }
            call.decision = Some(found);
        }
    }

    /// How long it lasted, in milliseconds.
    pub fn lasted_ms(&self) -> u64 {
        self.window.map_or(0, |(first, last)| since(first, last))
    }
}

/// Reads one session line by line, where lines are not all there at once.
#[derive(Debug)]
pub struct Reader {
    wanted: Option<String>,
    /// The session that is read, once there is one.
    id: Option<String>,
    begun: Option<Timestamp>,
    /// The sessions that began before it.
    others: HashSet<String>,
    events: Vec<Told>,
    ids: HashSet<u64>,
    reading: Reading,
    scrubbed: BTreeMap<String, u64>,
}

// === impl Reader ===

impl Reader {
    /// See [`Session::read`].
    pub fn new(session: Option<&str>) -> Self {
        Self {
            wanted: session.map(str::to_owned),
            id: None,
            begun: None,
            others: HashSet::new(),
            events: Vec::new(),
            ids: HashSet::new(),
            reading: Reading::default(),
            scrubbed: BTreeMap::new(),
        }
    }

    /// Reads one line. Blank ones are nothing.
    pub fn line(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Some(read) = Line::read(line) else {
            self.reading.malformed += 1;
            return;
        };
        if self.id.as_deref() != Some(read.session()) && !self.turn_to(&read) {
            return;
        }
        if read.id().is_some_and(|id| !self.ids.insert(id)) {
            self.reading.duplicates += 1;
        } else if self.events.len() >= MOST {
            self.reading.left_out += 1;
        } else {
            self.events.push(read.told());
            self.count_marks(line);
        }
    }

    /// The session, where there was one.
    pub fn finish(mut self) -> Option<Session> {
        self.events.sort_by_key(|event| event.sequence);
        let (first, last) = (self.events.first()?, self.events.last()?);
        let (lowest, highest) = (first.sequence, last.sequence);
        // Streams count from 0; the SDK's from 1.
        let beginning = lowest.min(1);
        let distinct = self.events.chunk_by(|one, next| one.sequence == next.sequence).count();
        let expected = highest - beginning + 1;
        self.reading.events = self.events.len();
        self.reading.missing =
            expected.saturating_sub(distinct as u64).saturating_sub(self.reading.left_out as u64);
        let times = || self.events.iter().filter_map(|event| event.at);
        let window = times().min().zip(times().max());

        let mut session = Session {
            id: self.id?,
            window,
            reading: self.reading,
            scrubbed: self.scrubbed,
            ..Session::default()
        };
        pairs::tell(&mut session, self.events);
        Some(session)
    }

    /// Decides about a session that is not the one at hand: whether it is read from here on.
    fn turn_to(&mut self, line: &Line<'_>) -> bool {
        let id = line.session();
        if self.wanted.as_ref().is_some_and(|wanted| wanted != id) || self.others.contains(id) {
            return false;
        }
        let begun = line.at();
        if self.id.is_some() && begun < self.begun {
            self.others.insert(id.to_owned());
            return false;
        }
        let malformed = self.reading.malformed;
        let others = std::mem::take(&mut self.others);
        let last = self.id.take();
        *self = Self { others, ..Self::new(self.wanted.as_deref()) };
        self.others.extend(last);
        self.reading.malformed = malformed;
        self.id = Some(id.to_owned());
        self.begun = begun;
        true
    }

    fn count_marks(&mut self, line: &[u8]) {
        for at in memchr::memmem::find_iter(line, MARK) {
            let rest = &line[at + MARK.len()..];
            let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
            let length = rest.iter().take(64).take_while(|byte| name(byte)).count();
            if length == 0 || rest.get(length) != Some(&b']') {
                continue;
            }
            let category = String::from_utf8_lossy(&rest[..length]);
            if let Some(count) = self.scrubbed.get_mut(&*category) {
                *count += 1;
            } else if self.scrubbed.len() < CATEGORIES {
                self.scrubbed.insert(category.into_owned(), 1);
            }
        }
    }
}

/// Milliseconds from one time to another; 0 where the clock was set back.
pub(in crate::friction::report) fn since(first: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(then.as_millisecond() - first.as_millisecond()).unwrap_or(0)
}

impl Session {
    /// Takes what an event says of the stream.
    pub(super) fn label(&mut self, labels: Labels) {
        let keep = |kept: &mut Option<String>, new: Option<String>| {
            if new.is_some() {
                *kept = new;
            }
        };
        keep(&mut self.vendor, labels.vendor);
        keep(&mut self.tenant, labels.tenant);
        keep(&mut self.software, labels.software);
        keep(&mut self.runtime, labels.runtime);
        if labels.client.is_some() {
            self.client = labels.client;
        }
    }
}

#[cfg(test)]
mod tests;
