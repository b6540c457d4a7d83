//! The tool inventory.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use thoth::server::caller::{Permissions, Scope};

use crate::live::Enforcer;

const TENANTS: &str = "/acme/thoth/tool-inventory";
const OWN: &str = "/tool-inventory";

#[tokio::test]
async fn tools_are_reported_in_parts_and_replaced_by_name() {
    let enforcer = Enforcer::new().await;
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let send = async |path: &str, body| enforcer.send(Method::POST, path, Some(&key), body).await;
    let tool = |name: &str, text: &str| json!({"name": name, "description": text, "input_schema": {"type": "object"}});
    let part =
        |agent: &str, tools| Some(json!({"agent_id": agent, "source": "thoth", "tools": tools}));
    for (path, body) in [
        (TENANTS, part("files", json!([tool("read", "reads"), tool("write", "")]))),
        (OWN, part("files", json!([tool("read", "reads a file")]))),
        (
            OWN,
            Some(
                json!({"agentId": "web", "tools": [{"name": "get", "inputSchema": {}}, {"name": ""}]}),
            ),
        ),
    ] {
        let (status, answer) = send(path, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let get = async |path: &str| enforcer.send(Method::GET, path, Some(&key), None).await.1;
    let all = get(OWN).await;
    let told: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| [&tool["agent_id"], &tool["name"], &tool["description"]])
        .collect();
    let expected = [["files", "read", "reads a file"], ["files", "write", ""], ["web", "get", ""]];
    assert_eq!(json!(told), json!(expected));
    assert_eq!(all["data"][0]["input_schema"], json!({"type": "object"}));
    assert_eq!(get(&format!("{TENANTS}?agent_id=web")).await["total"], 1);
    assert_eq!(get(&format!("{OWN}?page=2&per_page=2")).await["data"][0]["name"], "get");
}

#[tokio::test]
async fn a_page_holds_a_hundred_tools_whatever_is_asked_for() {
    let enforcer = Enforcer::new().await;
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let tools: Vec<_> = (0..100).map(|number| json!({"name": format!("t{number}")})).collect();
    for agent in ["a", "b"] {
        let body = Some(json!({"agent_id": agent, "tools": tools}));
        let (status, said) = enforcer.send(Method::POST, OWN, Some(&key), body).await;
        assert_eq!(status, StatusCode::OK, "{said}");
    }
    for query in ["", "?per_page=1000", "?page=2&per_page=1000"] {
        let path = format!("{OWN}{query}");
        let page = enforcer.send(Method::GET, &path, Some(&key), None).await.1;
        assert_eq!(page["data"].as_array().unwrap().len(), 100, "{query}");
        assert_eq!((&page["per_page"], &page["total"]), (&json!(100), &json!(200)), "{query}");
    }
}

#[tokio::test]
async fn a_report_is_bounded_and_its_agents_own() {
    let enforcer = Enforcer::new().await;
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let scope = Scope::Agent("files".to_owned());
    let of_agent = enforcer.key_for("acme", Permissions::SIDECAR, scope).await;
    let report = |agent: &str, count: usize| json!({"agent_id": agent, "tools": vec![json!({"name": "x"}); count]});
    let long = json!({"agent_id": "a", "tools": [{"name": "x", "description": "d".repeat(9000), "input_schema": {"x": "y".repeat(70_000)}}]});
    for (key, body, expected) in [
        (&key, report("a", 100), StatusCode::OK),
        (&key, report("a", 101), StatusCode::BAD_REQUEST),
        (&key, report(" ", 1), StatusCode::BAD_REQUEST),
        (&key, json!([]), StatusCode::BAD_REQUEST),
        (&of_agent, report("files", 1), StatusCode::OK),
        (&of_agent, report("web", 1), StatusCode::FORBIDDEN),
        (&key, long, StatusCode::OK),
    ] {
        let (status, answer) = enforcer.send(Method::POST, OWN, Some(key), Some(body)).await;
        assert_eq!(status, expected, "{answer}");
    }
    let (_, seen) =
        enforcer.send(Method::GET, "/tool-inventory?agent_id=a", Some(&key), None).await;
    let tool = &seen["data"][0];
    assert_eq!(tool["description"].as_str().unwrap().len(), 4096);
    assert_eq!(tool["input_schema"], Value::Null);
    let (_, seen) = enforcer.send(Method::GET, OWN, Some(&of_agent), None).await;
    assert_eq!(seen["total"], 1, "a key of one agent sees that agent's");
}
