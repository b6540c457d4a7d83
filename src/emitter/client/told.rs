//! What a program tells: values that wait, and the story that is made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::Annotation;
use crate::emitter::Story;
use crate::emitter::room::{Key, Place, Waits};
use crate::friction::event::failure::Failure;
use crate::friction::event::payload::{self, CallStep, Intent, IntentSource, Payload};
use crate::friction::event::{Draft, Ids, Stamp, Stream};
use crate::friction::raw::{Raw, RawObject};
use crate::friction::tale::{Moment, call_id};

/// What stands where parameters were left out.
pub(super) const LEFT_OUT: &[u8] = br#"{"[left out]":"[too much to tell]"}"#;

/// How much of a text stays, in characters, where there is no room.
const KEPT: usize = 256;

/// One thing that a program says.
#[derive(Debug)]
pub(super) enum Told {
    Annotated { annotation: Box<Annotation>, context: Option<Bytes> },
    Ended { ticket: u64, end: End },
    Made(Box<Made>),
}

/// A call.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) ticket: u64,
    pub(super) tool: String,
    /// An object's text.
    pub(super) params: Bytes,
    pub(super) said: Said,
}

/// What a call is made for.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) goal: Option<String>,
    pub(super) expected: Option<String>,
    pub(super) workflow: Option<String>,
}

/// How a call ended. An empty text is a result that is not told.
#[derive(Debug)]
pub(super) enum End {
    Failed { error_type: String, body: String },
    Succeeded { result: Bytes },
}

/// The story of one program.
pub(super) struct Library {
    stream: Stream,
    ids: Ids,
    session: String,
    open: BTreeMap<u64, Open>,
}

struct Open {
    tool: String,
    since: Duration,
}

// === impl Told ===

impl Waits for Told {
    fn place(&self) -> Place {
        match self {
            Self::Annotated { .. } => Place::Alone,
            Self::Ended { ticket, .. } => Place::Ends(Key::Call(*ticket)),
            Self::Made(made) => Place::Begins(Key::Call(made.ticket)),
        }
    }

    fn each_text(&mut self, visit: &mut dyn FnMut(&mut Bytes)) {
        match self {
            Self::Annotated { context, .. } => context.iter_mut().for_each(visit),
            Self::Ended { end: End::Succeeded { result: text }, .. } => visit(text),
            Self::Ended { end: End::Failed { .. }, .. } => {}
            Self::Made(made) => visit(&mut made.params),
        }
    }

    fn weight(&self) -> usize {
        let long = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Annotated { annotation, .. } => annotation.texts().map(long).sum(),
            Self::Ended { end: End::Failed { error_type, body }, .. } => {
                error_type.len() + body.len()
            }
            Self::Ended { end: End::Succeeded { .. }, .. } => 0,
            Self::Made(made) => made.tool.len() + made.said.texts().map(long).sum::<usize>(),
        }
    }

    fn thin(&mut self) -> bool {
        match self {
            Self::Annotated { .. } => return false,
            Self::Ended { end: End::Failed { error_type, body }, .. } => {
                cut(error_type);
                cut(body);
            }
            Self::Ended { end: End::Succeeded { result }, .. } => *result = Bytes::new(),
            Self::Made(made) => {
                made.params = Bytes::from_static(LEFT_OUT);
                made.said = Said::default();
                cut(&mut made.tool);
            }
        }
        true
    }
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(KEPT) {
        text.truncate(end);
    }
}

// === impl Said ===

impl Said {
    fn texts(&self) -> impl Iterator<Item = &Option<String>> {
        [&self.goal, &self.expected, &self.workflow].into_iter()
    }

    fn intent(&self) -> Intent<'_> {
        Intent {
            goal: self.goal.as_deref(),
            expected: self.expected.as_deref(),
            workflow: self.workflow.as_deref(),
            source: IntentSource::LibraryArg,
        }
    }
}

// === impl Library ===

impl Library {
    pub(super) fn new(stream: Stream) -> Self {
        let session = stream.session().to_owned();
        Self { stream, ids: Ids::default(), session, open: BTreeMap::new() }
    }

    fn write(
        &mut self,
        payload: &Payload<'_>,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let id: Uuid = self.ids.next(moment.at, random());
        self.stream.draft(Stamp { id, at: moment.at }, None, payload).into_iter().collect()
    }

    fn write_call(
        &mut self,
        ticket: u64,
        tool: &str,
        step: CallStep<'_>,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let call_id = call_id(&self.session, ticket);
        self.write(&Payload::Call { call_id: &call_id, tool, step }, moment, random)
    }

    fn ended(
        &mut self,
        ticket: u64,
        end: &End,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let Some(open) = self.open.remove(&ticket) else {
            return Vec::new();
        };
        let lasted = moment.since_start.saturating_sub(open.since).as_millis();
        let duration_ms = u64::try_from(lasted).ok();
        let step = match end {
            End::Succeeded { result } => CallStep::End { result: Raw::read(result), duration_ms },
            End::Failed { error_type, body } => CallStep::Error {
                failure: Failure {
                    error_type: error_type.as_str().into(),
                    body: body.as_str().into(),
                    kind: None,
                },
                result: None,
                duration_ms,
            },
        };
        self.write_call(ticket, &open.tool, step, moment, random)
    }
}

impl Story<Told> for Library {
    fn tell(
        &mut self,
        what: &Told,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        match what {
            Told::Annotated { annotation, context } => {
                let annotation = payload::Annotation {
                    context: context.as_deref().and_then(RawObject::read),
                    ..annotation.payload()
                };
                self.write(&Payload::Annotation(annotation), moment, random)
            }
            Told::Ended { ticket, end } => self.ended(*ticket, end, moment, random),
            Told::Made(made) => {
                let open = Open { tool: made.tool.clone(), since: moment.since_start };
                self.open.insert(made.ticket, open);
                let params = RawObject::read(&made.params).unwrap_or(RawObject::EMPTY);
                let step = CallStep::Start { params, intent: made.said.intent() };
                self.write_call(made.ticket, &made.tool, step, moment, random)
            }
        }
    }

    /// Calls whose ends were lost, or that outlive their client.
    fn end(&mut self, moment: Moment, random: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        let open: Vec<_> = self.open.keys().copied().collect();
        let end = super::trace::abandoned();
        open.into_iter().flat_map(|ticket| self.ended(ticket, &end, moment, random)).collect()
    }
}
