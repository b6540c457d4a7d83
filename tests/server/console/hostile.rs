//! Names, arguments, reasons and notes that are attacks: none becomes markup.

use axum::http::Method;
use serde_json::json;

use super::browser::Browser;
use super::{enforcer, hold, person};

/// What is tried wherever somebody else's text is shown.
const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</bdi></code></h2><form action=https://evil.example><button>Approve",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<!--<script>alert(1)//-->",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "<base href=https://evil.example>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "\u{202e}eteled\u{2066}",
    "\u{3c}\u{200b}script>",
    "＜script＞alert(1)＜/script＞",
];

/// The page with everything that may be said about this attack escaped; panics where some is not.
fn assert_inert(page: &str, attack: &str, at: &str) {
    let only_ours = page.matches("<script").count();
    assert_eq!(only_ours, 1, "{at}: {attack}");
    for tag in [
        "<img",
        "<svg",
        "<meta http-equiv",
        "<base",
        "<iframe",
        "onerror=",
        "onload=\"",
        "evil.example/x.css\"",
    ] {
        let raw = page.matches(tag).count();
        let escaped = page.matches(&format!("&lt;{}", &tag[1..])).count();
        assert!(raw == 0 || tag.starts_with("on") || escaped >= raw, "{at}: {tag} of {attack}");
    }
    if attack.contains('<') {
        assert!(!page.contains(attack), "{at}: {attack} stands there as it is");
    }
    for active in ['\u{202e}', '\u{2066}', '\u{200b}'] {
        assert!(!page.contains(active), "{at}: U+{:04X} stands there as it is", active as u32);
    }
}

#[tokio::test]
async fn nothing_that_others_say_becomes_markup() {
    for attack in ATTACKS {
        let enforcer = enforcer().await;
        let tool = format!("write_{attack}");
        let arguments = json!({*attack: attack, "nested": [{"a": attack}], "text": format!("{{\"x\":\"{attack}\"}}")});
        let (id, _) = hold(&enforcer, &tool, attack, &arguments).await;
        let mut browser = person(&enforcer).await;
        let one = format!("/console/approvals/{id}");
        for path in ["/console", one.as_str()] {
            let page = browser.get(path).await.text;
            assert_inert(&page, attack, path);
            assert_eq!(page.matches("<form").count(), 2, "{path}: {attack}");
        }
        let token = browser.get(&one).await.form_token().to_owned();
        let form = [("form_token", token.as_str()), ("decision", "deny"), ("note", attack)];
        browser.post(&one, &form).await;
        let done = format!("/console?done={id}");
        for path in [one.as_str(), done.as_str(), "/console/decisions"] {
            assert_inert(&browser.get(path).await.text, attack, path);
        }
    }
}

#[tokio::test]
async fn nothing_in_an_address_becomes_markup_or_a_way_out() {
    let enforcer = enforcer().await;
    let mut stranger = Browser::new(enforcer.router.clone());
    let mut inside = person(&enforcer).await;
    for attack in ATTACKS {
        let escaped: Vec<_> = attack.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let escaped = escaped.concat();
        for path in [
            format!("/console/login?to={escaped}"),
            format!("/console/login?to=/console/{escaped}"),
            format!("/console?done={escaped}"),
            format!("/console/approvals/{escaped}"),
            format!("/console/{escaped}"),
            format!("/console/login/callback?code={escaped}&state={escaped}&error={escaped}"),
        ] {
            for browser in [&mut stranger, &mut inside] {
                let shown = browser
                    .send(Method::GET, &path, &[("sec-fetch-site", "same-origin")], None)
                    .await;
                assert!(shown.to().is_empty() || shown.to().starts_with("/console"), "{path}");
                if shown.text.contains("<html") {
                    assert_inert(&shown.text, attack, &path);
                }
            }
        }
    }
}
