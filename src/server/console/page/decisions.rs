//! What was decided lately.

use maud::{Markup, html};

use super::{Frame, Page, Place, ago, page, shown};
use crate::server::console::view::Decision;
use crate::server::decisions::Word;

/// The newest decisions, newest first.
pub(in crate::server::console) fn decisions(frame: Frame<'_>, decisions: &[Decision]) -> Page {
    page(
        frame,
        Place::Decisions,
        "Decisions",
        "decisions",
        &html! {
            div.heading {
                h1 { "Decisions" }
                p { "The newest first. The record that proves them is each sidecar’s journal." }
                p.live #live role="status" hidden {}
            }
            div #decisions data-part {
                @if decisions.is_empty() {
                    div.empty { p.big { "None yet" } p { "Each answer to a sidecar is listed here." } }
                } @else {
                    table {
                        thead { tr {
                            th scope="col" { "Decision" } th scope="col" { "Tool" } th scope="col" { "Agent" }
                            th scope="col" { "User" } th scope="col" { "Why" } th scope="col" { "When" }
                        } }
                        tbody { @for decision in decisions { (row(frame, decision)) } }
                    }
                }
            }
        },
    )
}

fn row(frame: Frame<'_>, decision: &Decision) -> Markup {
    let (class, word) = named(decision.word);
    html! {
        tr {
            td data-title="Decision" {
                span class={ "badge " (class) } { (word) }
                @if let Some(other) = decision.instead_of {
                    span.on { " observed; else " (named(other).1) }
                }
            }
            th scope="row" data-title="Tool" {
                code { (shown(&decision.tool, 128)) }
                @if let Some(server) = &decision.server { span.on { " on " (shown(server, 128)) } }
            }
            td data-title="Agent" { (shown(&decision.agent, 128)) }
            td data-title="User" {
                (shown(&decision.user, 128)) span.on { " in " (shown(&decision.environment, 64)) }
            }
            td.why data-title="Why" {
                @if let Some(reason) = &decision.reason { (shown(reason, 300)) " " }
                @for rule in decision.rules.iter().take(5) { code.rule { (shown(rule, 128)) } " " }
                @if decision.rules.len() > 5 { "and " (decision.rules.len() - 5) " more " }
                @if let Some(id) = &decision.approval {
                    a href={ "/console/approvals/" (id) } { "approval" }
                }
            }
            td.when data-title="When" { (ago(decision.at, frame.now)) }
        }
    }
}

/// A class and a word for it.
fn named(word: Word) -> (&'static str, &'static str) {
    match word {
        Word::Allow => ("allow", "allowed"),
        Word::Block => ("block", "blocked"),
        Word::StepUp => ("step_up", "held"),
        Word::Modify => ("modify", "modified"),
        Word::Defer => ("defer", "deferred"),
    }
}
