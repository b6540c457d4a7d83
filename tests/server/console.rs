//! The console, as a browser sees it: what it is sent, what it may send, and what it cannot do.

mod browser;
mod hostile;
mod oidc;

use axum::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::browser::{Browser, Shown};
use crate::live::Enforcer;
use thoth::approval::{Assurance, State};
use thoth::machine::clock;
use thoth::policy::{Policy, PolicySet};
use thoth::server::bus::{Change, Topic};
use thoth::server::caller::Permissions;
use thoth::server::rulebook::Book;
use thoth::server::{Tenant, approvals, console};

/// Rules that ask a person about everything; about one tool somebody else than its user.
const RULES: &str = r#"
[policy]
id = "people"
version = 7
default = "block"

[[rule]]
id = "writes-need-a-person"
tools = ["write_*"]
effect = "step_up"
reason = "what is written stays"

[[rule]]
id = "four-eyes"
tools = ["pay"]
effect = "step_up"
reason = "money needs two people"
self_approval = false
"#;

/// An enforcer with those rules.
pub(crate) async fn enforcer() -> Enforcer {
    let enforcer = Enforcer::new().await;
    let set = PolicySet::new(vec![Policy::parse("people.toml", RULES).unwrap()]).unwrap();
    enforcer.app.rules.replace(Book::new(set));
    enforcer
}

/// What a sidecar asks.
fn question(tenant: &str, tool: &str, user: &str, arguments: &Value) -> Value {
    json!({
        "agent_id": "writer-7", "tenant_id": tenant, "tool_name": tool, "session_id": "s-1",
        "user_id": user, "approved_scope": [], "enforcement_mode": "progressive",
        "session_tool_calls": [], "tool_args": arguments, "environment": "prod",
        "metadata": {"mcp_server": "files"},
    })
}

/// Makes a call that needs a person: the approval's id, and the token of the one who waits.
async fn hold(enforcer: &Enforcer, tool: &str, user: &str, arguments: &Value) -> (String, String) {
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let body = question("acme", tool, user, arguments);
    let (status, said) = enforcer.send(Method::POST, "/v1/enforce", Some(&key), Some(body)).await;
    assert_eq!((status, &said["decision"]), (StatusCode::OK, &json!("STEP_UP")), "{said}");
    let url = said["approval_url"].as_str().unwrap();
    let id = url.strip_prefix("https://127.0.0.1:8443/console/approvals/").unwrap();
    (id.to_owned(), said["hold_token"].as_str().unwrap().to_owned())
}

/// Somebody who came in by a link.
async fn person(enforcer: &Enforcer) -> Browser {
    let mut browser = Browser::new(enforcer.router.clone());
    let shown = browser.log_in(&link(enforcer).await).await;
    assert_eq!(shown.status, StatusCode::SEE_OTHER, "{}", shown.text);
    browser
}

/// A link's code.
async fn link(enforcer: &Enforcer) -> String {
    let link = console::link(&enforcer.app, &tenant()).await.unwrap();
    let code = link.strip_prefix("https://127.0.0.1:8443/console/login#").unwrap();
    code.to_owned()
}

fn tenant() -> Tenant {
    Tenant::parse("acme").unwrap()
}

async fn state(enforcer: &Enforcer, id: &str) -> State {
    approvals::one(&enforcer.app, &tenant(), id).await.unwrap().unwrap().approval.state
}

// === Coming in ===

#[tokio::test]
async fn a_link_opens_the_console_once_and_the_page_it_was_meant_for() {
    let enforcer = enforcer().await;
    let code = link(&enforcer).await;
    let mut browser = Browser::new(enforcer.router.clone());

    let shown = browser.get("/console/decisions").await;
    assert_eq!(
        (shown.status, shown.to()),
        (StatusCode::SEE_OTHER, "/console/login?to=/console/decisions")
    );
    let door = browser.get("/console/login?to=/console/decisions").await;
    assert!(door.text.contains(r#"name="to" value="/console/decisions""#), "{}", door.text);

    let form = [("code", code.as_str()), ("to", "/console/decisions")];
    let shown = browser.post("/console/login", &form).await;
    assert_eq!((shown.status, shown.to()), (StatusCode::SEE_OTHER, "/console/decisions"));
    let cookie = shown.header("set-cookie").to_owned();
    for part in
        ["__Host-thoth=", "Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=43200"]
    {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(browser.get("/console/decisions").await.status, StatusCode::OK);

    let mut other = Browser::new(enforcer.router.clone());
    let again = other.log_in(&code).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert_eq!(other.cookies(), "", "{}", again.text);
}

#[tokio::test]
async fn looking_at_a_link_does_not_use_it_up() {
    let enforcer = enforcer().await;
    let code = link(&enforcer).await;
    let mut browser = Browser::new(enforcer.router.clone());
    // A previewer follows the link; the fragment stays with it.
    for path in ["/console/login", "/console/login?code=x", &format!("/console/login?code={code}")]
    {
        let shown = browser.get(path).await;
        assert_eq!((shown.status, browser.cookies().as_str()), (StatusCode::OK, ""));
    }
    assert_eq!(browser.log_in(&code).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_code_that_is_old_or_wrong_opens_nothing_and_both_look_alike() {
    let enforcer = enforcer().await;
    let code = link(&enforcer).await;
    sqlx_set(&enforcer, "UPDATE console_links SET expires_at = $1", clock::now()).await;
    let mut pages = Vec::new();
    let unknown = "A".repeat(43);
    for code in [code.as_str(), &unknown, "short", ""] {
        let shown = Browser::new(enforcer.router.clone()).log_in(code).await;
        assert_eq!(shown.status, StatusCode::UNAUTHORIZED, "{code:?}");
        pages.push(shown.text);
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "what is wrong with a code is not told");
}

#[tokio::test]
async fn who_guesses_too_often_is_refused_for_a_while_even_with_a_good_code() {
    let enforcer = enforcer().await;
    let mut browser = Browser::new(enforcer.router.clone());
    let mut refused = 0;
    for _ in 0..14 {
        let shown = browser.log_in(&"B".repeat(43)).await;
        refused += usize::from(shown.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!((3..=4).contains(&refused), "{refused}");
    let shown = browser.log_in(&link(&enforcer).await).await;
    assert_eq!((shown.status, shown.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
}

#[tokio::test]
async fn the_store_has_no_token_that_could_be_used() {
    let enforcer = enforcer().await;
    let code = link(&enforcer).await;
    let mut browser = person(&enforcer).await;
    let token = browser.cookies().split_once('=').unwrap().1.to_owned();
    for table in ["console_links", "console_sessions"] {
        let rows = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(format!(
            "SELECT hash FROM {table}"
        )))
        .fetch_all(enforcer.app.store.read())
        .await
        .unwrap();
        assert_eq!(rows.len(), 1);
        for hash in rows {
            assert!(hash.len() == 64 && !hash.contains(&code) && !hash.contains(&token));
            // The hash itself is no token either.
            browser.set_cookie(&format!("__Host-thoth={}", &hash[..43]));
            assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
        }
    }
}

// === Being in ===

#[tokio::test]
async fn nothing_is_shown_to_anybody_who_is_not_logged_in() {
    let enforcer = enforcer().await;
    let (id, _) = hold(&enforcer, "write_file", "ada", &json!({"path": "/srv/a"})).await;
    let one = format!("/console/approvals/{id}");
    for cookie in
        ["", "__Host-thoth=", "__Host-thoth=x", &format!("__Host-thoth={}", "C".repeat(43))]
    {
        let mut browser = Browser::new(enforcer.router.clone());
        browser.set_cookie(cookie);
        for path in ["/console", "/console/decisions", "/console/endpoints", &one] {
            let shown = browser.get(path).await;
            assert_eq!(shown.status, StatusCode::SEE_OTHER, "{path}");
            assert!(shown.to().starts_with("/console/login"), "{path}");
            assert!(!shown.text.contains("write_file"), "{path}");
        }
        assert_eq!(browser.get("/console/live").await.status, StatusCode::UNAUTHORIZED);
        for path in [one.as_str(), "/console/logout"] {
            let form = [("decision", "approve"), ("form_token", "x")];
            assert_eq!(browser.post(path, &form).await.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    assert_eq!(state(&enforcer, &id).await, State::Pending);
}

#[tokio::test]
async fn a_session_ends_when_nothing_happens_and_at_its_end() {
    let enforcer = enforcer().await;
    let ago = |minutes| clock::now() - SignedDuration::from_mins(minutes);
    for (column, at, good) in [
        ("seen_at", ago(59), true),
        ("seen_at", ago(61), false),
        ("ends_at", ago(-1), true),
        ("ends_at", ago(0), false),
    ] {
        let mut browser = person(&enforcer).await;
        assert_eq!(browser.get("/console").await.status, StatusCode::OK);
        sqlx_set(&enforcer, &format!("UPDATE console_sessions SET {column} = $1"), at).await;
        let shown = browser.get("/console").await;
        assert_eq!(shown.status == StatusCode::OK, good, "{column} {at}");
        sqlx_set(&enforcer, "DELETE FROM console_sessions WHERE ends_at <> $1", clock::now()).await;
    }
}

#[tokio::test]
async fn what_a_page_does_by_itself_keeps_no_session_alive() {
    let enforcer = enforcer().await;
    let mut browser = person(&enforcer).await;
    let before = clock::now() - SignedDuration::from_mins(30);
    sqlx_set(&enforcer, "UPDATE console_sessions SET seen_at = $1", before).await;
    let seen = async || -> i64 {
        let select = sqlx::query_scalar("SELECT seen_at FROM console_sessions");
        select.fetch_one(enforcer.app.store.read()).await.unwrap()
    };
    browser.send(Method::GET, "/console", &[("x-thoth-live", "1")], None).await;
    assert_eq!(seen().await, before.as_microsecond());
    browser.get("/console").await;
    assert!(seen().await > before.as_microsecond());
}

#[tokio::test]
async fn logging_out_ends_the_session_for_whoever_has_its_cookie() {
    let enforcer = enforcer().await;
    let mut browser = person(&enforcer).await;
    let page = browser.get("/console").await;
    let stolen = browser.cookies();

    let wrong = browser.post("/console/logout", &[("form_token", "0")]).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    let out = browser.post("/console/logout", &[("form_token", page.form_token())]).await;
    assert_eq!((out.status, out.to()), (StatusCode::SEE_OTHER, "/console/login"));
    assert_eq!(browser.cookies(), "__Host-thoth=");
    browser.set_cookie(&stolen);
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_from_another_site_comes_back_from_here_with_the_cookie() {
    let enforcer = enforcer().await;
    let mut browser = Browser::new(enforcer.router.clone());
    let from_chat = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    // The browser has a strict cookie, and does not send it.
    let shown = browser.send(Method::GET, "/console/approvals/apr_1", &from_chat, None).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(
        shown.text.contains(r#"content="0;url=/console/approvals/apr_1?again""#),
        "{}",
        shown.text
    );
    // From here it would have; so it has none.
    let shown = browser.get("/console/approvals/apr_1?again").await;
    assert_eq!(shown.to(), "/console/login?to=/console/approvals/apr_1");
}

// === Answering ===

#[tokio::test]
async fn a_hold_is_shown_with_what_an_approver_needs_and_no_secret() {
    let enforcer = enforcer().await;
    let arguments = json!({"path": "/srv/a.txt", "password": "correct-horse-battery"});
    let (id, _) = hold(&enforcer, "write_file", "ada@acme.example", &arguments).await;
    let mut browser = person(&enforcer).await;

    for path in ["/console", &format!("/console/approvals/{id}")] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        for part in [
            "write_file",
            "files",
            "writer-7",
            "ada@acme.example",
            "prod",
            "writes-need-a-person",
            "what is written stays",
            "people 7",
            "/srv/a.txt",
            "left</time>",
            "Approve",
            "Deny",
            "1 value looks like a secret",
        ] {
            assert!(page.text.contains(part), "{path}: no {part} in {}", page.text);
        }
        assert!(!page.text.contains("correct-horse"), "{path}");
    }
    assert!(browser.get("/console").await.text.contains("1 call waits for a person."));
}

#[tokio::test]
async fn an_approval_given_here_lets_the_waiting_call_through_once_and_says_who() {
    let enforcer = enforcer().await;
    let arguments = json!({"path": "/srv/a"});
    let (id, token) = hold(&enforcer, "write_file", "ada", &arguments).await;
    let mut browser = person(&enforcer).await;
    let page = browser.get("/console").await;

    let form = [
        ("form_token", page.form_token()),
        ("decision", "approve"),
        ("note", "  for the release\n"),
        ("from", "list"),
    ];
    let shown = browser.post(&format!("/console/approvals/{id}"), &form).await;
    assert_eq!(
        (shown.status, shown.to()),
        (StatusCode::SEE_OTHER, format!("/console?done={id}").as_str())
    );
    let list = browser.get(shown.to()).await.text;
    assert!(
        list.contains("Approved.")
            && list.contains("console link")
            && list.contains("for the release"),
        "{list}"
    );
    assert!(list.contains("Nothing waits for a person."));

    let State::Approved(answered) = state(&enforcer, &id).await else { panic!("not approved") };
    assert_eq!((answered.by.as_str(), answered.assurance), ("console link", Assurance::Link));
    assert_eq!(answered.note.as_deref(), Some("for the release"));
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let path = format!("/v1/enforce/hold/{token}");
    let (_, said) = enforcer.send(Method::GET, &path, Some(&key), None).await;
    assert_eq!(said["decision"], "ALLOW", "{said}");
    let page = browser.get(&format!("/console/approvals/{id}")).await.text;
    assert!(
        page.contains("Approved and used.") && !page.contains("<button class=\"approve\""),
        "{page}"
    );
}

#[tokio::test]
async fn a_denial_given_here_blocks_and_the_first_answer_stands() {
    let enforcer = enforcer().await;
    let (id, token) = hold(&enforcer, "write_file", "ada", &json!({})).await;
    let (mut first, mut second) = (person(&enforcer).await, person(&enforcer).await);
    let path = format!("/console/approvals/{id}");
    for (browser, decision) in [(&mut first, "deny"), (&mut second, "approve")] {
        let page = browser.get(&path).await;
        // The second one's page was open before the first one answered.
        let token = page.some_form_token();
        let shown = browser.post(&path, &[("form_token", &token), ("decision", decision)]).await;
        assert_eq!((shown.status, shown.to()), (StatusCode::SEE_OTHER, path.as_str()));
        assert!(browser.get(&path).await.text.contains("Denied."));
    }
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let path = format!("/v1/enforce/hold/{token}");
    let (_, said) = enforcer.send(Method::GET, &path, Some(&key), None).await;
    assert_eq!(said["decision"], "BLOCK", "{said}");
}

#[tokio::test]
async fn a_form_counts_only_from_this_console_and_this_session() {
    let enforcer = enforcer().await;
    let (id, _) = hold(&enforcer, "write_file", "ada", &json!({})).await;
    let (mut browser, mut other) = (person(&enforcer).await, person(&enforcer).await);
    let path = format!("/console/approvals/{id}");
    let own = browser.get(&path).await.some_form_token();
    let others = other.get(&path).await.some_form_token();
    assert_ne!(own, others);

    let ours = ("sec-fetch-site", "same-origin");
    let host = ("host", "127.0.0.1:8443");
    for (headers, token, status) in [
        (vec![("sec-fetch-site", "cross-site")], own.as_str(), StatusCode::FORBIDDEN),
        (vec![("sec-fetch-site", "same-site")], &own, StatusCode::FORBIDDEN),
        (vec![("sec-fetch-site", "none")], &own, StatusCode::FORBIDDEN),
        (vec![host, ("origin", "https://evil.example")], &own, StatusCode::FORBIDDEN),
        (vec![host, ("origin", "null")], &own, StatusCode::FORBIDDEN),
        (vec![host], &own, StatusCode::FORBIDDEN),
        (vec![ours], &others, StatusCode::FORBIDDEN),
        (vec![ours], "", StatusCode::FORBIDDEN),
        (vec![host, ("origin", "https://127.0.0.1:8443")], &own, StatusCode::SEE_OTHER),
    ] {
        assert_eq!(state(&enforcer, &id).await, State::Pending, "{headers:?}");
        let body = [("form_token", token), ("decision", "approve")];
        let shown = browser.send(Method::POST, &path, &headers, Some(&body)).await;
        assert_eq!(shown.status, status, "{headers:?} {token}");
    }
    assert!(matches!(state(&enforcer, &id).await, State::Approved(_)));
}

#[tokio::test]
async fn reading_changes_nothing() {
    let enforcer = enforcer().await;
    let (id, _) = hold(&enforcer, "write_file", "ada", &json!({})).await;
    let mut browser = person(&enforcer).await;
    let token = browser.get("/console").await.some_form_token();
    for path in [
        format!("/console/approvals/{id}?decision=approve&form_token={token}"),
        format!("/console?decision=approve&done={id}"),
        format!("/console/logout?form_token={token}"),
    ] {
        browser.get(&path).await;
    }
    assert_eq!(state(&enforcer, &id).await, State::Pending);
    assert_eq!(browser.get("/console").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_form_with_something_else_in_it_is_refused() {
    let enforcer = enforcer().await;
    let (id, _) = hold(&enforcer, "write_file", "ada", &json!({})).await;
    let mut browser = person(&enforcer).await;
    let token = browser.get("/console").await.some_form_token();
    let long = "x".repeat(20_000);
    for (path, decision, note, status) in [
        (format!("/console/approvals/{id}"), "maybe", "", StatusCode::BAD_REQUEST),
        (format!("/console/approvals/{id}"), "approve", &*long, StatusCode::PAYLOAD_TOO_LARGE),
        ("/console/approvals/apr_none".to_owned(), "approve", "", StatusCode::NOT_FOUND),
        ("/console/approvals/%0d%0ax".to_owned(), "approve", "", StatusCode::NOT_FOUND),
        ("/console/approvals/..%2f".to_owned(), "approve", "", StatusCode::NOT_FOUND),
    ] {
        let form = [("form_token", token.as_str()), ("decision", decision), ("note", note)];
        assert_eq!(browser.post(&path, &form).await.status, status, "{path} {decision}");
    }
    assert_eq!(state(&enforcer, &id).await, State::Pending);
}

#[tokio::test]
async fn a_rule_that_wants_somebody_else_says_so() {
    let enforcer = enforcer().await;
    let (others, _) = hold(&enforcer, "pay", "ada@acme.example", &json!({})).await;
    let (own, _) = hold(&enforcer, "pay", "console link", &json!({})).await;
    let mut browser = person(&enforcer).await;
    let path = |id: &str| format!("/console/approvals/{id}");
    let page = browser.get(&path(&others)).await;
    assert!(page.text.contains("Whoever makes the call may not approve it themselves."));
    let page = browser.get(&path(&own)).await;
    assert!(
        page.text.contains("This is your own call") && page.text.contains(" disabled"),
        "{}",
        page.text
    );
    let form = [("form_token", page.form_token()), ("decision", "approve")];
    let shown = browser.post(&path(&own), &form).await;
    assert_eq!(shown.status, StatusCode::FORBIDDEN);
    assert!(shown.text.contains("somebody else"), "{}", shown.text);
    assert_eq!(state(&enforcer, &own).await, State::Pending);
    assert_eq!(browser.post(&path(&others), &form).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn another_tenants_holds_are_not_there() {
    let enforcer = enforcer().await;
    let (id, _) = hold(&enforcer, "write_file", "ada", &json!({})).await;
    let link = console::link(&enforcer.app, &Tenant::parse("other").unwrap()).await.unwrap();
    let mut browser = Browser::new(enforcer.router.clone());
    browser.log_in(link.split_once('#').unwrap().1).await;

    let list = browser.get(&format!("/console?done={id}")).await;
    assert!(list.text.contains("All quiet") && !list.text.contains("write_file"), "{}", list.text);
    assert!(!browser.get("/console/decisions").await.text.contains("write_file"));
    let path = format!("/console/approvals/{id}");
    assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
    let form = [("form_token", list.form_token()), ("decision", "approve")];
    assert_eq!(browser.post(&path, &form).await.status, StatusCode::NOT_FOUND);
    assert_eq!(state(&enforcer, &id).await, State::Pending);
}

// === What every answer says ===

#[tokio::test]
async fn every_answer_of_the_console_forbids_what_it_does_not_need() {
    let enforcer = enforcer().await;
    let mut browser = person(&enforcer).await;
    let mut stranger = Browser::new(enforcer.router.clone());
    for path in [
        "/console",
        "/console/login",
        "/console/style.css",
        "/console/script.js",
        "/console/icon.svg",
        "/console/none",
        "/console/live",
    ] {
        for shown in [browser.head(path).await, stranger.head(path).await] {
            let policy = shown.header("content-security-policy");
            for part in [
                "default-src 'none'",
                "script-src 'self';",
                "style-src 'self';",
                "connect-src 'self';",
                "form-action 'self';",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "trusted-types 'none'",
            ] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(shown.header(name), value, "{path}");
            }
            let is_file = path.contains('.');
            assert_eq!(shown.header("cache-control") == "no-store", !is_file, "{path}");
        }
    }
}

#[tokio::test]
async fn pages_hold_no_inline_script_style_or_foreign_address() {
    let enforcer = enforcer().await;
    hold(&enforcer, "write_file", "ada", &json!({"a": [1, 2]})).await;
    let mut browser = person(&enforcer).await;
    for path in
        ["/console", "/console/decisions", "/console/endpoints", "/console/login", "/console/none"]
    {
        let page = browser.get(path).await.text;
        assert_eq!(page.matches("<script").count(), 1, "{path}");
        assert!(page.contains(r#"<script src="/console/script.js?v="#), "{path}");
        for part in ["style=\"", "<style", " onclick", "javascript:", "http://", "https://"] {
            assert!(!page.contains(part), "{path}: {part}");
        }
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{path}");
        assert!(page.contains("width=device-width"), "{path}");
    }
}

// === Live ===

#[tokio::test]
async fn a_stream_tells_of_changes_of_its_tenant_and_ends_at_logout() {
    let enforcer = enforcer().await;
    let mut browser = person(&enforcer).await;
    let token = browser.get("/console").await.some_form_token();
    let mut stream = browser.stream("/console/live").await;
    assert_eq!(stream.kind, "text/event-stream");
    assert_eq!(stream.next().await.unwrap(), "retry: 2000\n\n");
    assert_eq!(stream.next().await.unwrap(), ": here\n\n");

    let key = enforcer.key("other", Permissions::SIDECAR).await;
    let body = question("other", "write_file", "ada", &json!({}));
    enforcer.send(Method::POST, "/v1/enforce", Some(&key), Some(body)).await;
    hold(&enforcer, "write_file", "ada", &json!({})).await;
    assert_eq!(stream.next().await.unwrap(), "event: changed\ndata: approvals\n\n");

    browser.post("/console/logout", &[("form_token", &token)]).await;
    assert_eq!(stream.next().await.unwrap(), "event: ended\ndata: \n\n");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_burst_of_changes_is_one_word_and_a_stream_ends_with_its_session() {
    let enforcer = enforcer().await;
    let mut browser = person(&enforcer).await;
    let mut stream = browser.stream("/console/live").await;
    stream.next().await;
    stream.next().await;
    let tell = |topic| enforcer.app.bus.tell(Change { tenant: tenant(), topic });
    tell(Topic::Decisions);
    assert_eq!(stream.next().await.unwrap(), "event: changed\ndata: decisions\n\n");
    for _ in 0..50 {
        tell(Topic::Decisions);
        tell(Topic::Endpoint("e".to_owned()));
        tell(Topic::Key("k".to_owned()));
    }
    assert_eq!(stream.next().await.unwrap(), "event: changed\ndata: decisions endpoints\n\n");
    for _ in 0..3000 {
        tell(Topic::Key("k".to_owned()));
    }
    let missed = stream.next().await.unwrap();
    assert_eq!(missed, "event: changed\ndata: approvals decisions endpoints\n\n");

    sqlx_set(&enforcer, "UPDATE console_sessions SET ends_at = $1", clock::now()).await;
    tell(Topic::Decisions);
    assert_eq!(stream.next().await.unwrap(), "event: ended\ndata: \n\n");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn machines_show_their_servers_whoever_needs_somebody_first() {
    let enforcer = enforcer().await;
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    for (id, is_drifted, governed) in [("a", false, 1), ("b", true, 2)] {
        let servers = json!({"governed": vec!["x"; governed], "ungoverned": ["y"]});
        let told = json!({"config_drifted": is_drifted, "servers": servers});
        for (path, body) in [
            ("/acme/thoth/endpoints".to_owned(), json!({"endpoint_id": id, "hostname": id})),
            (format!("/acme/thoth/endpoints/{id}/checkin"), told),
        ] {
            let (status, said) = enforcer.send(Method::POST, &path, Some(&key), Some(body)).await;
            assert_eq!(status, StatusCode::OK, "{said}");
        }
    }
    let page = person(&enforcer).await.get("/console/endpoints").await.text;
    for servers in ["1 governed", "2 governed", "1 ungoverned"] {
        assert!(page.contains(servers), "no {servers} in {page}");
    }
}

#[tokio::test]
async fn no_more_streams_are_open_than_there_are_places() {
    let enforcer = enforcer().await;
    let mut browser = person(&enforcer).await;
    let mut open = Vec::new();
    for _ in 0..console::STREAMS {
        open.push(browser.stream("/console/live").await);
    }
    assert_eq!(browser.get("/console/live").await.status, StatusCode::SERVICE_UNAVAILABLE);
    open.pop();
    assert_eq!(browser.stream("/console/live").await.kind, "text/event-stream");
}

/// Sets a time in the store.
async fn sqlx_set(enforcer: &Enforcer, statement: &str, to: Timestamp) {
    sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
        .bind(to.as_microsecond())
        .execute(enforcer.app.store.write())
        .await
        .unwrap();
}

impl Shown {
    /// The token of any form of this page, for another request.
    fn some_form_token(&self) -> String {
        self.form_token().to_owned()
    }
}
