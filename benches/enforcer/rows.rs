//! What is measured, row by row.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Ask, Connection, Door, Http};
use crate::clock::now;
use crate::load::{flat_out, paced};
use crate::report::{Line, Target};
use crate::server::{Facts, Server};
use crate::stats::{Samples, Summary};
use crate::{Options, Trouble};

/// One row.
pub(crate) struct Row {
    name: &'static str,
    pub(crate) measure: for<'a> fn(&'a Options) -> Measuring<'a>,
}

type Measuring<'a> = Pin<Box<dyn Future<Output = Result<Vec<Line>, Trouble>> + 'a>>;

const ROWS: &[Row] = &[
    Row { name: "throughput", measure: |options| Box::pin(throughput(options)) },
    Row { name: "latency", measure: |options| Box::pin(latency(options)) },
    Row { name: "heartbeats", measure: |options| Box::pin(heartbeats(options)) },
    Row { name: "holds", measure: |options| Box::pin(holds(options)) },
];

/// The rows of these names; all where there are none.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Row>, Trouble> {
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| row.name == **name)) {
        let all: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("no row {unknown:?}; there are: {}", all.join(", ")).into());
    }
    let is_chosen = |row: &&Row| names.is_empty() || names.iter().any(|name| name == row.name);
    Ok(ROWS.iter().filter(is_chosen).collect())
}

/// SQLite, and Postgres where there is one: what they are called, and where they are.
fn stores(options: &Options) -> Vec<(&'static str, Option<&str>)> {
    let postgres = options.postgres.as_deref().map(|url| ("Postgres", Some(url)));
    [Some(("SQLite", None)), postgres].into_iter().flatten().collect()
}

/// Decisions in a second, on one processor.
async fn throughput(options: &Options) -> Result<Vec<Line>, Trouble> {
    let (blocks, long) = if options.quick { (1, 200) } else { (6, 2_000) };
    let long = Duration::from_millis(long);
    let mut lines = Vec::new();
    for (store, url) in stores(options) {
        let server = Server::start(options, url)?;
        for (http, name, connections) in [(Http::One, "HTTP/1.1", 32), (Http::Two, "HTTP/2", 8)] {
            let door = Door::new(&server.facts, http)?;
            let mut open = several(&door, connections).await?;
            // HTTP/2: eight streams each.
            let more = open.iter().flat_map(|one| (1..8).filter_map(|_| one.another()));
            let more: Vec<_> = more.collect();
            open.extend(more);
            let (floor, ask) = (Arc::new(health(&server.facts)), Arc::new(read(&server.facts)));
            (open, _) = flat_out(open, &ask, long / 2).await?;
            let (mut floors, mut rates, mut busy, mut made) = (vec![], vec![], 0.0, 0.0);
            for _ in 0..blocks {
                let rate;
                (open, rate) = flat_out(open, &floor, long / 2).await?;
                floors.push(rate);
                let (before, start) = (server.spent(), now());
                let rate;
                (open, rate) = flat_out(open, &ask, long).await?;
                rates.push(rate);
                busy += server.spent() - before;
                made += rate * start.elapsed().as_secs_f64();
            }
            let what = format!("decisions, {store}, {name}, {} at once", open.len());
            let target = if store == "SQLite" { Target::AtLeast(5_000.0) } else { Target::Stated };
            let line = Line::new("throughput", what, "/s", Summary::of_rates(rates), target)
                .with_floor(Summary::of_rates(floors))
                .beside("decisions for a second of the enforcer's processor time", made / busy);
            lines.push(line);
        }
    }
    Ok(lines)
}

/// What a decision takes while 1,000 are asked for in a second.
async fn latency(options: &Options) -> Result<Vec<Line>, Trouble> {
    let (connections, long) = if options.quick { (20, 300) } else { (200, 20_000) };
    let long = Duration::from_millis(long);
    let server = Server::start(options, None)?;
    let ask = Arc::new(read(&server.facts));
    let mut lines = Vec::new();
    for (http, name) in [(Http::One, "HTTP/1.1"), (Http::Two, "HTTP/2")] {
        let door = Door::new(&server.facts, http)?;
        let floor = Arc::new(health(&server.facts));
        let floor = paced(several(&door, connections).await?, &floor, 1_000, long / 4).await?;
        let open = several(&door, connections).await?;
        let (open, _) = flat_out(open, &ask, Duration::from_millis(200)).await?;
        let (before, start) = (server.spent(), now());
        let paced = paced(open, &ask, 1_000, long).await?;
        let share = (server.spent() - before) / start.elapsed().as_secs_f64();
        let unit = Duration::from_millis(1);
        let what = format!("a decision, 1,000/s over {connections} connections, {name}");
        let waits = paced.waits.summary(unit);
        lines.push(
            Line::new("latency", what, "ms", waits, Target::P99AtMost(5.0))
                .with_floor(floor.waits.summary(unit))
                .beside("the load's own lateness, p99, ms", paced.lateness.summary(unit).p99)
                .beside("the enforcer's share of its processor, %", share * 100.0),
        );
    }
    Ok(lines)
}

/// What 10,000 endpoints cost that say once a minute that they are there.
async fn heartbeats(options: &Options) -> Result<Vec<Line>, Trouble> {
    let (endpoints, long) = if options.quick { (50, 1) } else { (10_000, 30) };
    let long = Duration::from_secs(long);
    let mut lines = Vec::new();
    for (store, url) in stores(options) {
        let server = Server::start(options, url)?;
        let door = Door::new(&server.facts, Http::One)?;
        let mut open = several(&door, 16).await?;
        let chunk = usize::div_ceil(endpoints, open.len());
        let mut registering = JoinSet::new();
        for (nth, mut connection) in open.drain(..).enumerate() {
            let facts = server.facts.clone();
            registering.spawn(async move {
                for endpoint in (nth * chunk..endpoints).take(chunk) {
                    connection.send(&register(&facts, endpoint)).await?;
                }
                Ok::<_, Trouble>(connection)
            });
        }
        for connection in registering.join_all().await {
            open.push(connection?);
        }
        for (how, keep) in [("connections kept", true), ("a handshake each", false)] {
            let (before, start) = (server.spent(), now());
            let sent = beat(&server.facts, &door, endpoints, long, keep).await?;
            let took = start.elapsed().as_secs_f64();
            let share = (server.spent() - before) / took * 100.0;
            let what = format!("{endpoints} endpoints each minute, {store}, {how}");
            let target = if options.quick { Target::Stated } else { Target::Below(10.0) };
            let line = Line::new("heartbeats", what, "% core", Summary::single(share), target);
            lines.push(line.beside("check-ins in a second", sent / took));
        }
    }
    Ok(lines)
}

/// Lets the endpoints check in, one after the other, at the pace of so many in a minute.
async fn beat(
    facts: &Facts,
    door: &Door,
    endpoints: usize,
    long: Duration,
    keep: bool,
) -> Result<f64, Trouble> {
    let step = Duration::from_mins(1) / u32::try_from(endpoints)?;
    let mut free = if keep { several(door, 64).await? } else { Vec::new() };
    let (back, mut freed) = tokio::sync::mpsc::channel(64);
    let mut under_way = JoinSet::new();
    let mut pace = tokio::time::interval(step);
    let (start, mut sent) = (now(), 0_u32);
    while start.elapsed() < long {
        pace.tick().await;
        while let Ok(connection) = freed.try_recv() {
            free.push(connection);
        }
        let ask = check_in(facts, usize::try_from(sent)? % endpoints);
        let (kept, door, back) = (free.pop(), door.clone(), back.clone());
        under_way.spawn(async move {
            let mut connection = match kept {
                Some(connection) => connection,
                None => door.open().await?,
            };
            connection.send(&ask).await?;
            if keep {
                let _ = back.try_send(connection);
            }
            Ok::<_, Trouble>(())
        });
        sent += 1;
        while let Some(done) = under_way.try_join_next() {
            done??;
        }
    }
    for done in under_way.join_all().await {
        done?;
    }
    Ok(f64::from(sent))
}

/// Holds made, approved by a person, and claimed.
async fn holds(options: &Options) -> Result<Vec<Line>, Trouble> {
    let long = Duration::from_millis(if options.quick { 300 } else { 10_000 });
    let mut lines = Vec::new();
    for (store, url) in stores(options) {
        let server = Server::start(options, url)?;
        let door = Door::new(&server.facts, Http::One)?;
        let open = several(&door, 16).await?;
        let mut clients = JoinSet::new();
        let start = now();
        for (client, mut connection) in open.into_iter().enumerate() {
            let facts = server.facts.clone();
            clients.spawn(async move {
                let mut samples = Vec::new();
                while start.elapsed() < long {
                    let began = now();
                    let user = format!("user-{client}-{}", samples.len());
                    hold(&mut connection, &facts, &user).await?;
                    samples.push(began.elapsed());
                }
                Ok::<_, Trouble>(samples)
            });
        }
        let (mut samples, mut made) = (Samples::default(), 0.0);
        for client in clients.join_all().await {
            for sample in client? {
                samples.push(sample);
                made += 1.0;
            }
        }
        let rate = Summary::single(made / start.elapsed().as_secs_f64());
        let took = samples.summary(Duration::from_millis(1));
        let what = format!("holds made, approved and claimed, {store}, 16 at once");
        let line = Line::new("holds", what, "/s", rate, Target::Stated);
        lines.push(line.beside("one, p50, ms", took.p50).beside("one, p99, ms", took.p99));
    }
    Ok(lines)
}

async fn hold(connection: &mut Connection, facts: &Facts, user: &str) -> Result<(), Trouble> {
    let mut question = question();
    question["user_id"] = json!(user);
    question["tool_args"]["limit"] = json!(100_001); // needs a person
    let asked = connection.send(&post(&facts.key, "/v1/enforce", &question)).await?;
    let asked: Value = serde_json::from_slice(&asked)?;
    let text = |name: &str| asked[name].as_str().ok_or(format!("no {name} in {asked}"));
    let approval = text("approval_url")?.rsplit('/').next().unwrap_or_default();
    let path = format!("/default/thoth/approvals/{approval}/resolve");
    connection.send(&post(&facts.admin, &path, &json!({"decision": "approve"}))).await?;
    let look = Ask {
        method: "GET",
        path: format!("/v1/enforce/hold/{}", text("hold_token")?),
        key: format!("Bearer {}", facts.key),
        body: Bytes::new(),
    };
    let said = connection.send(&look).await?;
    let said: Value = serde_json::from_slice(&said)?;
    if said["decision"] == "ALLOW" { Ok(()) } else { Err(format!("held for ever: {said}").into()) }
}

async fn several(door: &Door, count: usize) -> Result<Vec<Connection>, Trouble> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        open.push(door.open().await?);
    }
    Ok(open)
}

fn post(key: &str, path: &str, body: &Value) -> Ask {
    let (key, body) = (format!("Bearer {key}"), Bytes::from(body.to_string()));
    Ask { method: "POST", path: path.to_owned(), key, body }
}

fn health(facts: &Facts) -> Ask {
    let key = format!("Bearer {}", facts.key);
    Ask { method: "GET", path: "/healthz".to_owned(), key, body: Bytes::new() }
}

fn read(facts: &Facts) -> Ask {
    post(&facts.key, "/v1/enforce", &question())
}

/// What a sidecar asks in a session that has made as many calls as are told, 128, about a call that
/// 22 of 100 rules match and that is allowed.
fn question() -> Value {
    json!({
        "agent_id": "bench", "tenant_id": "default", "user_id": "user@example.com",
        "session_id": "0197a3c2-6f0e-7cc4-b1a5-6d8c3a1f2e90", "tool_name": "read_file",
        "approved_scope": [], "enforcement_mode": "progressive",
        "session_tool_calls": vec!["read_file"; 128], "environment": "dev",
        "enforcement_trace_id": "0197a3c2-6f0e-7cc4-b1a5-6d8c3a1f2e90",
        "action_attestation_id": "5b8f5ee5-3c55-4a0f-8a5c-44a1b8d0a0c5",
        "identity_binding": {
            "agent_id": "bench", "tenant_id": "default", "user_id": "user@example.com",
        },
        "metadata": {"mcp_server": "files"},
        "tool_args": {
            "path": "/srv/workspace/reports/2026/q3/summary.md", "encoding": "utf-8",
            "offset": 0, "limit": 2000, "purpose": "Summarise the quarter for the board",
        },
    })
}

/// What a machine says of itself, in both of its requests.
fn registration(endpoint: usize) -> Value {
    json!({
        "endpoint_id": format!("laptop-{endpoint}"), "hostname": format!("laptop-{endpoint}"),
        "employee_email": format!("user-{endpoint}@example.com"), "os": "macos",
        "os_version": "26.1", "enrollment": "jamf", "status": "online",
        "enforcement_mode": "enforce", "environment": "prod", "proxy_version": "0.1.0",
        "fleet_id": "engineering", "agent_ids": ["filesystem", "github"],
    })
}

fn register(facts: &Facts, endpoint: usize) -> Ask {
    post(&facts.key, "/default/thoth/endpoints", &registration(endpoint))
}

fn check_in(facts: &Facts, endpoint: usize) -> Ask {
    let mut said = registration(endpoint);
    let more = json!({
        "checked_in_at": "2026-11-21T12:00:00Z", "health": "healthy", "quarantined": false,
        "config_drifted": false,
        "servers": {"governed": [
            {"client": "claude-desktop", "name": "filesystem", "standing": "governed"},
            {"client": "cursor", "name": "github", "standing": "governed"},
        ], "ungoverned": []},
        "policies": [{"id": "baseline", "version": "1", "sha256": "ab".repeat(32)}],
        "journals": [{
            "session_id": format!("s-{endpoint}"), "agent_id": "filesystem", "records": 12,
            "head": "cd".repeat(32), "is_over": false,
        }],
        "credentials": [],
        "decisions": {"allow": 10, "modify": 0, "block": 1, "step_up": 0, "defer": 0},
        "sidecars": 2,
    });
    if let (Some(said), Value::Object(more)) = (said.as_object_mut(), more) {
        said.extend(more);
    }
    post(&facts.key, &format!("/default/thoth/endpoints/laptop-{endpoint}/checkin"), &said)
}
