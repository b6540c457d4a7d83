//! What clients declare, what they are asked, what they answer.

use serde_json::{Value, json};

use super::*;
use crate::gate::plain::is_active;
use crate::gate::verdict::{Keeper, PolicyRef};

fn hold(url: Option<&str>) -> Hold {
    Hold {
        token: "tok".to_owned(),
        approval_url: url.map(str::to_owned),
        expires_at: None,
        timeout: None,
        keeper: Keeper::Enforcer,
    }
}

#[test]
fn what_a_client_can_is_read_from_what_it_declares() {
    for (elicitation, expected) in [
        (json!({}), "form"),
        (json!({"form": {}}), "form"),
        (json!({"form": {"applyDefaults": true}}), "form"),
        (json!({"schemaValidation": true}), "form"),
        (json!({"form": {}, "url": {}}), "form url"),
        (json!({"url": {}}), "url"),
        (json!({"form": null}), "form"),
        (json!({"url": true}), ""),
        (json!(true), ""),
        (json!(null), ""),
        (json!([]), ""),
        (json!("form"), ""),
    ] {
        let greeting = json!({"capabilities": {"roots": {}, "elicitation": elicitation}});
        let meta = json!({
            "progressToken": 1,
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": elicitation},
        });
        for modes in [
            Modes::of_greeting(greeting.to_string().as_bytes()),
            Modes::of_meta(meta.to_string().as_bytes()),
        ] {
            let named = [(modes.form, "form"), (modes.url, "url")];
            let found: Vec<_> =
                named.iter().filter(|(can, _)| *can).map(|(_, name)| *name).collect();
            assert_eq!(found.join(" "), expected, "{elicitation}");
        }
    }
    for nothing in [&b""[..], b"{}", b"null", b"[]", br#"{"capabilities":7}"#] {
        assert_eq!(Modes::of_greeting(nothing), Modes::NONE);
        assert_eq!(Modes::of_meta(nothing), Modes::NONE);
    }
}

#[test]
fn in_which_way_a_person_is_asked() {
    let page = hold(Some("https://thoth.example/a/1"));
    let none = hold(None);
    let [form, url, both] =
        [(true, false), (false, true), (true, true)].map(|(form, url)| Modes { form, url });
    for (modes, self_approval, hold, expected) in [
        (Modes::NONE, Some(true), &page, None),
        (form, Some(true), &page, Some(Way::Form)),
        (form, Some(true), &none, Some(Way::Form)),
        (form, Some(false), &page, None),
        (form, None, &page, None),
        (url, Some(true), &page, Some(Way::Page)),
        (url, Some(false), &page, Some(Way::Page)),
        (url, None, &page, Some(Way::Page)),
        (url, None, &none, None),
        (both, Some(true), &page, Some(Way::Form)),
        (both, None, &page, Some(Way::Page)),
        (both, Some(false), &none, None),
    ] {
        assert_eq!(modes.way(self_approval, hold), expected, "{modes:?} {self_approval:?}");
    }
}

#[test]
fn a_person_is_sent_over_tls_or_to_this_machine_and_nowhere_else() {
    for (url, expected) in [
        ("https://thoth.example/approvals/1?x=y#z", true),
        ("https://thoth.example", true),
        ("https://[2001:db8::1]:8443/a", true),
        ("http://localhost:8443/a", true),
        ("http://localhost", true),
        ("http://127.0.0.1:8443/a", true),
        ("http://127.1.2.3/", true),
        ("http://[::1]:80/a", true),
        ("http://[::1]", true),
        ("", false),
        ("https://", false),
        ("https:///a", false),
        ("http://thoth.example/a", false),
        ("http://127.0.0.1.evil.example/a", false),
        ("http://127.0.0.256/a", false),
        ("http://localhost.evil.example/", false),
        ("http://localhost@evil.example/", false),
        ("http://localhost:80@evil.example/", false),
        ("https://thoth.example@evil.example/", false),
        ("http://localhost\\@evil.example/", false),
        ("https://a b/", false),
        ("https://a/\n", false),
        ("https://a/\u{202e}", false),
        ("javascript:alert(1)", false),
        ("file:///etc/passwd", false),
        ("HTTPS://thoth.example/", false),
    ] {
        assert_eq!(is_page(url), expected, "{url:?}");
    }
}

#[test]
fn a_question_names_what_it_is_about_and_is_short() {
    let grounds = Grounds {
        reason: Some("deletions need approval.".to_owned()),
        rule_ids: vec!["no-deletes".to_owned(), "other".to_owned()],
        policy: Some(PolicyRef { id: "files".to_owned(), version: "3".to_owned(), sha256: None }),
        ..Grounds::default()
    };
    let hold = hold(Some("https://thoth.example/a/1"));
    let arguments = "{\"path\":\"/srv/\u{202e}x\"}";
    let question = Question { tool: "delete_file", arguments, grounds: &grounds, hold: &hold };
    let form: Value = serde_json::from_str(&question.params(Way::Form, None)).unwrap();
    assert_eq!(
        form["message"],
        "Let the agent run `delete_file`? By rule no-deletes of policy files, a person must approve \
         it: deletions need approval. Arguments: {\"path\":\"/srv/\u{fffd}x\"}"
    );
    assert_eq!(
        form["requestedSchema"],
        json!({
            "type": "object",
            "properties": {"approve": {
                "type": "boolean",
                "title": "Approve this call",
                "description": "Yes lets exactly this call through, once.",
                "default": false,
            }},
            "required": ["approve"],
        })
    );
    assert_eq!(form.as_object().unwrap().len(), 2, "the mode of a form is not named in 2025-06-18");

    let page: Value = serde_json::from_str(&question.params(Way::Page, Some("p"))).unwrap();
    assert_eq!(page["mode"], "url");
    assert_eq!(page["url"], "https://thoth.example/a/1");
    assert_eq!(page["elicitationId"], "p");
    assert!(page["message"].as_str().unwrap().contains("Open the page"));
    let unnamed: Value = serde_json::from_str(&question.params(Way::Page, None)).unwrap();
    assert_eq!(unnamed.get("elicitationId"), None);
}

#[test]
fn a_question_is_short_and_harmless_whatever_it_is_about() {
    let long = "\u{202e}é\n".repeat(10_000);
    let grounds =
        Grounds { reason: Some(long.clone()), rule_ids: vec![long.clone()], ..Grounds::default() };
    let hold = hold(Some("https://thoth.example/a/1"));
    let question = Question { tool: &long, arguments: &long, grounds: &grounds, hold: &hold };
    for way in [Way::Form, Way::Page] {
        let params: Value = serde_json::from_str(&question.params(way, None)).unwrap();
        let message = params["message"].as_str().unwrap();
        assert!(message.len() <= 1_024, "{}", message.len());
        assert!(!message.chars().any(is_active), "{message}");
    }
}

#[test]
fn only_an_accepted_form_that_says_so_agrees() {
    use Word::{Agree, Decline, Deny, Dismiss, Open, Unsupported};
    for (body, form, page) in [
        (r#""result":{"action":"accept","content":{"approve":true}}"#, Some(Agree), Some(Open)),
        (r#""result":{"action":"accept","content":{"approve":false}}"#, Some(Deny), Some(Open)),
        (
            r#""result":{"action":"accept","content":{"approve":true,"x":1},"_meta":{}}"#,
            Some(Agree),
            Some(Open),
        ),
        (r#""result":{"action":"accept"}"#, None, Some(Open)),
        (r#""result":{"action":"accept","content":{}}"#, None, Some(Open)),
        (r#""result":{"action":"accept","content":{"approve":"true"}}"#, None, Some(Open)),
        (r#""result":{"action":"accept","content":{"approve":1}}"#, None, Some(Open)),
        (r#""result":{"action":"accept","content":{"Approve":true}}"#, None, Some(Open)),
        (r#""result":{"action":"accept","content":[true]}"#, None, Some(Open)),
        (r#""result":{"action":"decline"}"#, Some(Deny), Some(Decline)),
        (r#""result":{"action":"decline","content":{"approve":true}}"#, Some(Deny), Some(Decline)),
        (r#""result":{"action":"cancel"}"#, Some(Dismiss), Some(Dismiss)),
        (r#""result":{"action":"cancel","content":null}"#, Some(Dismiss), Some(Dismiss)),
        (r#""error":{"code":-32601,"message":"no"}"#, Some(Unsupported), Some(Unsupported)),
        (r#""result":{"action":"Accept","content":{"approve":true}}"#, None, None),
        (r#""result":{"action":"approve","content":{"approve":true}}"#, None, None),
        (r#""result":{"content":{"approve":true}}"#, None, None),
        (r#""result":{"roots":[]}"#, None, None),
        (r#""result":true"#, None, None),
        (r#""result":null"#, None, None),
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":"x",{body}}}"#);
        assert_eq!(answer(line.as_bytes(), Way::Form).ok(), form, "{body}");
        assert_eq!(answer(line.as_bytes(), Way::Page).ok(), page, "{body}");
    }
}
