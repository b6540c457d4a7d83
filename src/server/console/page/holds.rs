//! What waits for a person, and one approval's page.

use maud::{Markup, html};

use super::{Frame, Page, Place, ago, assurance, at, count, fact, form_token, left, page, shown};
use crate::approval::{Answered, State};
use crate::server::console::view::Hold;

/// The longest note, in characters.
const NOTE: usize = 500;

/// What became of an answer that was just given.
#[derive(Clone, Debug)]
pub(in crate::server::console) struct Notice<'a> {
    /// What was answered, as it stands now.
    pub(in crate::server::console) hold: &'a Hold,
}

/// All that waits for a person; the oldest first, so that what is new moves nothing.
pub(in crate::server::console) fn holds(
    frame: Frame<'_>,
    holds: &[Hold],
    is_all: bool,
    notice: Option<&Notice<'_>>,
) -> Page {
    let waiting = match holds.len() {
        0 => "Nothing waits for a person.".to_owned(),
        many => format!("{} for a person.", count(many, "call waits", "calls wait")),
    };
    let title = match holds.len() {
        0 => "Holds".to_owned(),
        many => format!("({many}) Holds"),
    };
    page(
        frame,
        Place::Holds,
        &title,
        "approvals",
        &html! {
            div.heading {
                h1 { "Holds" }
                p #waiting role="status" aria-live="polite" data-part { (waiting) }
                p.live #live role="status" hidden {}
            }
            div #notice role="status" aria-live="polite" tabindex="-1" data-part {
                @if let Some(notice) = notice { (told(&notice.hold.state, notice.hold)) }
            }
            div.cards #holds data-part data-keyed {
                @for hold in holds { (card(frame, hold, true)) }
            }
            div #none data-part {
                @if holds.is_empty() {
                    div.empty {
                        p.big { "All quiet" }
                        p { "When a rule asks for a person, the call appears here by itself." }
                    }
                }
                @if !is_all {
                    p.hint { "There are more; they appear when these are answered." }
                }
            }
        },
    )
}

/// One approval's page: where a sidecar sends whoever is to answer.
pub(in crate::server::console) fn hold(frame: Frame<'_>, hold: &Hold) -> Page {
    let title = format!("{} {}", hold.tool, state_word(&hold.state));
    page(
        frame,
        Place::Elsewhere,
        &title,
        "approvals",
        &html! {
            div.heading {
                h1 { "Approval" }
                p { a href="/console" { "All holds" } }
                p.live #live role="status" hidden {}
            }
            div.cards #approval data-part data-keyed { (card(frame, hold, false)) }
        },
    )
}

/// One call. Its id says in which state it is, so that a changed one replaces it.
fn card(frame: Frame<'_>, hold: &Hold, in_list: bool) -> Markup {
    let word = hold.state.word();
    let name = format!("hold-{}-{word}", hold.id);
    let title = format!("{name}-tool");
    let is_pending = hold.state == State::Pending;
    let rules = html! {
        @for (nth, rule) in hold.rules.iter().take(20).enumerate() {
            @if nth > 0 { ", " }
            code { (shown(rule, 128)) }
        }
        @if hold.rules.len() > 20 { " and " (hold.rules.len() - 20) " more" }
    };
    let text = |text: &str| html! { (shown(text, 256)) };
    html! {
        article.card id=(name) aria-labelledby=(title) {
            div.what {
                h2 id=(title) { (tool(hold)) }
                @if is_pending {
                    (left(hold.expires_at, frame.now))
                } @else {
                    span class={ "badge " (word) } { (state_word(&hold.state)) }
                }
            }
            @if let Some(reason) = &hold.reason {
                p.reason { (shown(reason, 1000)) }
            }
            (arguments(hold))
            dl.facts {
                (fact("Agent", Some(&text(&hold.agent))))
                (fact("User", Some(&text(&hold.user))))
                (fact("Environment", Some(&text(&hold.environment))))
                (fact("Rules", (!hold.rules.is_empty()).then_some(&rules)))
                (fact("Policy", hold.policy.as_deref().map(text).as_ref()))
                (fact("Asked", Some(&ago(hold.asked_at, frame.now))))
            }
            @if is_pending { (form(frame, hold, in_list)) } @else { (told(&hold.state, hold)) }
        }
    }
}

/// The tool's name, and its server's.
fn tool(hold: &Hold) -> Markup {
    html! {
        code { (shown(&hold.tool, 256)) }
        @if let Some(server) = &hold.server {
            span.on { " on " (shown(server, 256)) }
        }
    }
}

fn arguments(hold: &Hold) -> Markup {
    let arguments = &hold.arguments;
    html! {
        details.arguments open[arguments.is_short()] {
            summary { "Arguments" }
            pre tabindex="0" { code { (arguments.text) } }
        }
        @if arguments.is_cut {
            p.hint.warn { "These arguments are longer than what is shown here." }
        }
        @if arguments.hidden > 0 {
            p.hint { (count(arguments.hidden.try_into().unwrap_or(usize::MAX), "value looks", "values look"))
                " like a secret or personal, and is not shown." }
        }
    }
}

/// Where an answer is given. A note is a text area: the enter key approves nothing.
fn form(frame: Frame<'_>, hold: &Hold, in_list: bool) -> Markup {
    let note = format!("note-{}", hold.id);
    let is_own = hold.user.eq_ignore_ascii_case(&frame.session.person.name);
    let may_approve = !(is_own && hold.self_approval == Some(false));
    html! {
        form.answer method="post" action={ "/console/approvals/" (hold.id) } data-answer {
            (form_token(frame))
            @if in_list { input type="hidden" name="from" value="list"; }
            label for=(note) { "Note " span.optional { "(optional; goes into the record)" } }
            textarea id=(note) name="note" rows="1" maxlength=(NOTE) autocomplete="off" {}
            p.hint {
                @match hold.self_approval {
                    Some(false) if is_own => "This is your own call, and its rule wants somebody else to approve it.",
                    Some(false) => "Whoever makes the call may not approve it themselves.",
                    Some(true) => "Whoever makes the call may approve it themselves, too.",
                    None => "An approval is good for this one call, once.",
                }
            }
            div.buttons {
                button.approve type="submit" name="decision" value="approve" disabled[!may_approve] { "Approve" }
                button.deny type="submit" name="decision" value="deny" { "Deny" }
            }
            p.wrong role="alert" {}
        }
    }
}

/// What has become of a call, in a sentence.
fn told(state: &State, hold: &Hold) -> Markup {
    let by = |answered: &Answered| {
        html! {
            (shown(&answered.by, 256)) " " (assurance(answered.assurance)) ", " (at(answered.at)) "."
            @if let Some(note) = &answered.note {
                " " q { (shown(note, NOTE)) }
            }
        }
    };
    let name = html! { code { (shown(&hold.tool, 256)) } };
    html! {
        p class={ "told " (state.word()) } {
            @match state {
                State::Pending => { (name) " still waits for a person." },
                State::Approved(answered) => {
                    strong { "Approved." } " " (name) " may be called once. Answered by " (by(answered))
                },
                State::Denied(answered) => {
                    strong { "Denied." } " " (name) " is refused. Answered by " (by(answered))
                },
                State::Spent(answered) => {
                    strong { "Approved and used." } " " (name) " was let through. Answered by " (by(answered))
                },
                State::Withdrawn => {
                    strong { "Withdrawn." } " Whoever called " (name) " gave up; an answer changes nothing."
                },
                State::Expired => {
                    strong { "Expired." } " Nobody answered " (name) " in time, or the answer was not used."
                },
            }
        }
    }
}

fn state_word(state: &State) -> &'static str {
    match state {
        State::Pending => "waiting",
        State::Approved(_) => "approved",
        State::Denied(_) => "denied",
        State::Spent(_) => "approved and used",
        State::Withdrawn => "withdrawn",
        State::Expired => "expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::Assurance;
    use crate::server::console::view::Arguments;

    fn hold(state: State) -> Hold {
        let at = "2026-11-21T10:00:00Z".parse().unwrap();
        Hold {
            id: "apr_1".to_owned(),
            tool: "pay".to_owned(),
            server: None,
            agent: "agent".to_owned(),
            user: "ada".to_owned(),
            environment: "prod".to_owned(),
            arguments: Arguments::of("{}", 0, false),
            rules: Vec::new(),
            reason: None,
            policy: None,
            self_approval: None,
            asked_at: at,
            expires_at: at,
            state,
        }
    }

    #[test]
    fn each_state_is_told_in_a_sentence_that_says_who_and_how_sure() {
        let answered = |assurance| Answered {
            by: "ada@acme.example".to_owned(),
            assurance,
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            note: Some("ok & <b>".to_owned()),
        };
        for (state, parts) in [
            (State::Pending, &["still waits for a person."][..]),
            (
                State::Approved(answered(Assurance::Link)),
                &["Approved.", "may be called once", "with a one-time link", "ok &amp; &lt;b&gt;"],
            ),
            (State::Denied(answered(Assurance::Oidc)), &["Denied.", "with the OpenID provider"]),
            (State::Spent(answered(Assurance::Elicitation)), &["and used.", "at the client"]),
            (State::Withdrawn, &["Withdrawn.", "an answer changes nothing"]),
            (State::Expired, &["Expired."]),
        ] {
            let hold = hold(state);
            let sentence = told(&hold.state, &hold).into_string();
            for part in parts {
                assert!(sentence.contains(part), "no {part} in {sentence}");
            }
        }
    }
}
