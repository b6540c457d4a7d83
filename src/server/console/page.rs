//! The pages, as pure functions of what they show.
//!
//! maud escapes every text; [`shown`] besides makes visible what would act on the text around it, and keeps
//! right-to-left names from turning their neighbours round. No page needs its script: it only keeps a page up to date.
//!
//! For the script: a `data-part` is brought up to date when the page's `data-live` topic changes; one
//! with `data-keyed` child by child, by their ids, so that a form in use stays as it is.

mod decisions;
mod endpoints;
mod holds;
mod login;
#[cfg(test)]
mod tests;

use axum::response::Html;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

pub(super) use self::decisions::decisions;
pub(super) use self::endpoints::endpoints;
pub(super) use self::holds::{Notice, hold, holds};
pub(super) use self::login::{Door, bounce, login, trouble};

use super::assets;
use super::session::Session;
use crate::approval::Assurance;
use crate::friction::report::text::{cut, visible};

/// A whole page.
pub(super) type Page = Html<String>;

/// What every page of a session shows around its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// Whose session.
    pub(super) session: &'a Session,
    /// Now.
    pub(super) now: Timestamp,
}

/// The pages of the menu.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Holds,
    Decisions,
    Endpoints,
    Elsewhere,
}

/// A whole page of a session. `live` are the topics on which its parts change.
fn page(frame: Frame<'_>, place: Place, title: &str, live: &str, main: &Markup) -> Page {
    let menu = [
        (Place::Holds, "/console", "Holds"),
        (Place::Decisions, "/console/decisions", "Decisions"),
        (Place::Endpoints, "/console/endpoints", "Endpoints"),
    ];
    let person = &frame.session.person;
    let header = html! {
        header.top {
            a.brand href="/console" { "thoth" }
            nav aria-label="Console" {
                ul {
                    @for (of, to, name) in menu {
                        li { a href=(to) aria-current=[(of == place).then_some("page")] { (name) } }
                    }
                }
            }
            div.who {
                span title=(assurance(person.assurance)) {
                    (shown(&person.name, 60)) " · " (shown(frame.session.tenant.as_str(), 64))
                }
                form method="post" action="/console/logout" {
                    (form_token(frame))
                    button.quiet type="submit" { "Log out" }
                }
            }
        }
    };
    let body = html! {
        a.skip href="#main" { "Skip to the content" }
        (header)
        main #main { (main) }
    };
    document(&head(title, &html! {}), Some(live), &body)
}

/// The document around a page.
fn document(head: &Markup, live: Option<&str>, body: &Markup) -> Page {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head { (head) }
            body data-live=[live] { (body) }
        }
    };
    Html(document.into_string())
}

/// What every document's head has, and something more.
fn head(title: &str, more: &Markup) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        meta name="robots" content="noindex";
        title { (visible(&cut(title, 100))) " · thoth" }
        link rel="icon" href="/console/icon.svg" type="image/svg+xml";
        link rel="stylesheet" href=(assets::style());
        script src=(assets::script()) defer {}
        (more)
    }
}

/// Somebody else's text, at most so many characters of it.
fn shown(text: &str, most: usize) -> Markup {
    html! { bdi { (visible(&cut(text, most))) } }
}

/// The field that makes a form one of this session's.
fn form_token(frame: Frame<'_>) -> Markup {
    html! { input type="hidden" name="form_token" value=(frame.session.form_token()); }
}

/// A name and what it is, where it is known.
fn fact(name: &str, value: Option<&Markup>) -> Markup {
    html! {
        @if let Some(value) = value {
            div { dt { (name) } dd { (value) } }
        }
    }
}

/// A moment, as far from now as it is. The script keeps it true.
fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let seconds = now.duration_since(at).as_secs();
    html! {
        time datetime=(rfc3339(at)) title=(moment(at)) data-age { (distance(seconds)) " ago" }
    }
}

/// How long it is until then. The script keeps it true.
fn left(until: Timestamp, now: Timestamp) -> Markup {
    let seconds = until.duration_since(now).as_secs();
    html! {
        time.left.soon[seconds < 60] datetime=(rfc3339(until)) title=(moment(until)) data-left {
            (distance(seconds)) " left"
        }
    }
}

/// A moment of the day, with its date.
fn at(at: Timestamp) -> Markup {
    html! { time datetime=(rfc3339(at)) { (moment(at)) } }
}

/// `2026-11-21T10:00:00Z`, without parts of a second.
fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `21 Nov 2026, 10:00:00 UTC`.
fn moment(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// `42 s`, `4 min`, `3 h 5 min`, `2 d`. The script has the same.
fn distance(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A number and its noun.
fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// How somebody was authenticated, for people.
fn assurance(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Elicitation => "at the client",
        Assurance::Terminal => "at a terminal of that machine",
        Assurance::ApiKey => "with an API key",
        Assurance::Link => "with a one-time link",
        Assurance::Oidc => "with the OpenID provider",
    }
}
