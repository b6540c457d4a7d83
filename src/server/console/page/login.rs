//! The pages that need no session: the door, the way on, and what went wrong.

use maud::html;

use super::{Page, document, head};

/// What the door says.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server::console) struct Door<'a> {
    /// Where to go afterwards: a path of this console.
    pub(in crate::server::console) to: &'a str,
    /// Whether there is an OpenID provider.
    pub(in crate::server::console) oidc: bool,
    /// What went wrong before.
    pub(in crate::server::console) wrong: Option<&'a str>,
}

/// Where people come in.
pub(in crate::server::console) fn login(door: Door<'_>) -> Page {
    document(
        &head("Log in", &html! {}),
        None,
        &html! {
            main.door #main {
                p.brand { "thoth" }
                h1 { "Log in" }
                @if let Some(wrong) = door.wrong {
                    p.wrong role="alert" { (wrong) }
                }
                @if door.oidc {
                    form method="post" action="/console/login/oidc" {
                        input type="hidden" name="to" value=(door.to);
                        button.approve type="submit" { "Continue with your organization" }
                    }
                    p.or { "or with a one-time link" }
                }
                form #by-code method="post" action="/console/login" {
                    input type="hidden" name="to" value=(door.to);
                    div #code-field {
                        label for="code" { "Code" }
                        input #code name="code" type="text" required autocomplete="off" autocapitalize="none"
                            spellcheck="false" minlength="43" maxlength="43" aria-describedby="code-help";
                        p.hint #code-help {
                            "What follows the # in the one-time link that was printed when the enforcer started. It works once, for ten minutes."
                        }
                    }
                    button.approve.quiet[door.oidc] type="submit" { "Log in" }
                }
            }
        },
    )
}

/// A page that goes on by itself. Cookies of this site are not sent on the way from another one;
/// from here they are.
pub(in crate::server::console) fn bounce(to: &str) -> Page {
    let refresh = html! { meta http-equiv="refresh" content={ "0;url=" (to) }; };
    let body = html! {
        main.door #main {
            p.brand { "thoth" }
            p { a href=(to) { "Continue" } }
        }
    };
    document(&head("One moment", &refresh), None, &body)
}

/// Something went wrong: one sentence, and a way back.
pub(in crate::server::console) fn trouble(title: &str, sentence: &str) -> Page {
    document(
        &head(title, &html! {}),
        None,
        &html! {
            main.door #main {
                p.brand { "thoth" }
                h1 { (title) }
                p { (sentence) }
                p { a href="/console" { "To the holds" } }
            }
        },
    )
}
