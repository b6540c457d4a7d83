//! Gathers what a server offers from its answers, page by page, until it can be told as one.
//!
//! A list may come in pages, which are put together by their cursors: a page belongs to the list whose
//! last page named its cursor when it was asked for. A list that is begun anew replaces one that is
//! not complete.
//!
//! # Invariants
//!
//! - An offer is told whole or not at all, and each distinct one once.
//! - What is gathered is bounded: a list of more than [`MOST_PAGES`] pages or [`MOST_BYTES`] bytes is
//!   not told, nor are more than [`MOST_OFFERS`] offers.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::friction::event::payload::{Added, AddedParams, Payload, Surface};
use crate::friction::inject::{Additions, Mode, Param};
use crate::friction::raw::{Raw, RawObject};
use crate::friction::surface::Offer;
use crate::gate::json::{Kind, unescape};

/// The most pages of one list.
pub(super) const MOST_PAGES: usize = 1024;
/// The most bytes of all tools of one list, as the server spelled them.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// The most distinct offers that are told of one session.
pub(super) const MOST_OFFERS: usize = 1024;

/// The member of `_meta` by which a server of the era without handshake names itself.
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// What a server offers, as far as it was seen.
#[derive(Debug, Default)]
pub(super) struct Survey {
    greeting: Option<Greeting>,
    list: Option<List>,
    lists: u64,
    /// The hashes of the offers that were told.
    told: BTreeSet<String>,
}

/// Which page of tools is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Page {
    /// The first of a list.
    First,
    /// The next of that list.
    Next {
        /// The list's number.
        list: u64,
    },
    /// One that belongs to no list that is being gathered.
    Stray,
}

/// A list whose pages were all seen: the texts of their `tools`.
#[derive(Debug)]
pub(super) struct Whole(Vec<Box<[u8]>>);

/// What a server said of itself; texts of JSON values.
#[derive(Debug)]
struct Greeting {
    server_info: Option<Box<[u8]>>,
    capabilities: Option<Box<[u8]>>,
    instructions: Option<Box<[u8]>>,
}

/// A list of which more pages are to come.
#[derive(Debug)]
struct List {
    number: u64,
    pages: Vec<Box<[u8]>>,
    bytes: usize,
    /// The cursor of the page to come.
    next: String,
}

// === impl Survey ===

impl Survey {
    /// Takes in an answer to `initialize` or `server/discover`; the last one counts.
    pub(super) fn greeted(&mut self, result: RawObject<'_>) {
        let object =
            |value: Option<Raw<'_>>| value.and_then(Raw::object).map(|object| object.text().into());
        let meta = result.member("_meta").and_then(Raw::object);
        let named = || meta.and_then(|meta| meta.member(SERVER_INFO));
        let instructions = result.member("instructions");
        self.greeting = Some(Greeting {
            server_info: object(result.member("serverInfo").or_else(named)),
            capabilities: object(result.member("capabilities")),
            instructions: instructions
                .filter(|instructions| instructions.kind() == Kind::Text)
                .map(|instructions| instructions.text().into()),
        });
    }

    /// Which page a request with these parameters asks for.
    pub(super) fn asked(&self, params: RawObject<'_>) -> Page {
        let Some(cursor) = cursor(params, "cursor") else { return Page::First };
        match &self.list {
            Some(list) if list.next == *cursor => Page::Next { list: list.number },
            Some(_) | None => Page::Stray,
        }
    }

    /// Takes in the answer to such a request: the list, once it is whole.
    pub(super) fn listed(&mut self, page: Page, result: RawObject<'_>) -> Option<Whole> {
        let mut list = match page {
            Page::First => {
                self.lists += 1;
                self.list = None;
                List { number: self.lists, pages: Vec::new(), bytes: 0, next: String::new() }
            }
            Page::Next { list } => self.list.take_if(|current| current.number == list)?,
            Page::Stray => return None,
        };
        let tools = result.member("tools").filter(|tools| tools.kind() == Kind::Array)?;
        list.bytes += tools.text().len();
        if list.pages.len() == MOST_PAGES || list.bytes > MOST_BYTES {
            return None;
        }
        list.pages.push(tools.text().into());
        match cursor(result, "nextCursor") {
            None => Some(Whole(list.pages)),
            Some(next) => {
                list.next = next.into_owned();
                // Its next page is another one: an answer that comes twice is not taken twice.
                self.lists += 1;
                list.number = self.lists;
                self.list = Some(list);
                None
            }
        }
    }

    /// Tells an offer through `tell`, unless it was told before, or has no hash: see [`Offer::hash`].
    pub(super) fn tell(
        &mut self,
        whole: &Whole,
        additions: Option<&Additions>,
        tell: impl FnOnce(&Payload<'_>),
    ) {
        let pages = whole.0.iter().filter_map(|page| Raw::read(page));
        let tools: Vec<RawObject<'_>> =
            pages.flat_map(Raw::elements).filter_map(Raw::object).collect();
        let texts: Vec<&[u8]> = tools.iter().map(|tool| tool.text()).collect();
        let greeting = self.greeting.as_ref();
        let server_info = greeting.and_then(|greeting| greeting.server_info.as_deref());
        let capabilities = greeting.and_then(|greeting| greeting.capabilities.as_deref());
        let instructions = greeting.and_then(|greeting| greeting.instructions.as_deref());
        let offer = Offer { server_info, capabilities, instructions, tools: &texts };
        let Some(hash) = offer.hash() else { return };
        if self.told.len() == MOST_OFFERS || !self.told.insert(hash.clone()) {
            return;
        }
        let instructions = instructions.map(unescape);
        let own: Vec<String> = additions
            .into_iter()
            .flat_map(Additions::tool_names)
            .filter(|own| !tools.iter().any(|tool| is_named(*tool, own)))
            .collect();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let names = Param::ALL.map(Param::name);
        let params = |mode: Mode| {
            let required: &[&str] = if mode == Mode::Required { &names } else { &[] };
            (mode != Mode::Off).then_some(AddedParams {
                names: &names,
                required,
                mode: mode.word(),
            })
        };
        tell(&Payload::Surface(Surface {
            hash: &hash,
            server_info: server_info.and_then(RawObject::read),
            capabilities: capabilities.and_then(RawObject::read),
            instructions: instructions.as_deref(),
            tools: &tools,
            added: Added {
                tools: &own,
                params: additions.and_then(|additions| params(additions.mode)),
                instructions: additions.is_some() && greeting.is_some(),
            },
        }));
    }
}

fn is_named(tool: RawObject<'_>, name: &str) -> bool {
    tool.member("name").is_some_and(|own| own.kind() == Kind::Text && unescape(own.text()) == name)
}

/// A cursor; what is empty or null is none, as baton-proxy reads it.
fn cursor<'a>(object: RawObject<'a>, name: &str) -> Option<Cow<'a, str>> {
    let cursor = object.member(name)?;
    match cursor.kind() {
        Kind::Text => Some(unescape(cursor.text())).filter(|cursor| !cursor.is_empty()),
        Kind::Literal if cursor.text() == b"null" => None,
        Kind::Array | Kind::Literal | Kind::Number | Kind::Object => {
            Some(String::from_utf8_lossy(cursor.text()))
        }
    }
}
