//! The machines, and how they are.

use maud::{Markup, html};

use super::{Frame, Page, Place, ago, page, shown};
use crate::server::console::view::{Counts, Endpoint, Health};

/// Machines, those that need somebody first. `counts` are those of all, also of what is not listed.
pub(in crate::server::console) fn endpoints(
    frame: Frame<'_>,
    endpoints: &[Endpoint],
    counts: Counts,
) -> Page {
    let figures = [
        (counts.all, "all", "in all"),
        (counts.online, class(Health::Online), Health::Online.word()),
        (counts.stale, class(Health::Stale), Health::Stale.word()),
        (counts.at_risk, class(Health::AtRisk), Health::AtRisk.word()),
        (counts.quarantined, class(Health::Quarantined), Health::Quarantined.word()),
    ];
    let missing = usize::try_from(counts.all).unwrap_or(0).saturating_sub(endpoints.len());
    page(
        frame,
        Place::Endpoints,
        "Endpoints",
        "endpoints",
        &html! {
            div.heading {
                h1 { "Endpoints" }
                p.live #live role="status" hidden {}
            }
            div #endpoints data-part {
                ul.figures {
                    @for (count, class, word) in figures {
                        li class={ (class) @if count == 0 { " zero" } } {
                            strong { (count) } " " (word)
                        }
                    }
                }
                @if endpoints.is_empty() {
                    div.empty {
                        p.big { "None yet" }
                        p { "A machine appears here when a sidecar on it has checked in." }
                    }
                } @else {
                    table {
                        thead { tr {
                            th scope="col" { "Endpoint" } th scope="col" { "Health" } th scope="col" { "User" }
                            th scope="col" { "Servers" } th scope="col" { "Version" } th scope="col" { "Last seen" }
                        } }
                        tbody { @for endpoint in endpoints { (row(frame, endpoint)) } }
                    }
                    @if missing > 0 {
                        p.hint { "Another " (missing) " are not shown." }
                    }
                }
            }
        },
    )
}

fn row(frame: Frame<'_>, endpoint: &Endpoint) -> Markup {
    let unknown = || html! { span.on { "–" } };
    let known = |text: &Option<String>| match text {
        Some(text) => shown(text, 128),
        None => unknown(),
    };
    html! {
        tr {
            th scope="row" data-title="Endpoint" {
                @if let Some(name) = &endpoint.name {
                    (shown(name, 128)) " "
                }
                code.id { (shown(&endpoint.id, 128)) }
            }
            td data-title="Health" {
                span class={ "badge " (class(endpoint.health)) } { (endpoint.health.word()) }
            }
            td data-title="User" {
                (known(&endpoint.user))
                @if let Some(environment) = &endpoint.environment {
                    span.on { " in " (shown(environment, 64)) }
                }
            }
            td data-title="Servers" {
                @match (endpoint.governed, endpoint.ungoverned) {
                    (None, None) => (unknown()),
                    (governed, ungoverned) => {
                        (governed.unwrap_or(0)) " governed"
                        @if let Some(ungoverned @ 1..) = ungoverned {
                            ", " strong.warn { (ungoverned) " ungoverned" }
                        }
                    }
                }
            }
            td data-title="Version" { (known(&endpoint.version)) }
            td.when data-title="Last seen" {
                @match endpoint.seen_at {
                    Some(at) => (ago(at, frame.now)),
                    None => (unknown()),
                }
            }
        }
    }
}

fn class(health: Health) -> &'static str {
    match health {
        Health::Online => "online",
        Health::Stale => "stale",
        Health::Quarantined => "quarantined",
        Health::AtRisk => "risk",
        Health::Registered | Health::Stopped => "off",
    }
}
