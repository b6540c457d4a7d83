//! What a fleet's heartbeats cost. Measured on request, asserted never.

use std::fs;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;
use thoth::server::caller::Permissions;
use thoth::server::fleet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::live::Enforcer;

const ENDPOINTS: usize = 10_000;
/// Ten thousand a minute.
const PACE: Duration = Duration::from_millis(6);

/// What this process has used of a processor.
fn used() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[tokio::test]
#[ignore = "takes half a minute, and prints a figure: cargo test --release --test server load -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "the figure is what it is for")]
async fn ten_thousand_endpoints_that_beat_each_minute() {
    let enforcer = Enforcer::new().await;
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let mut store = enforcer.app.store.write().begin().await.unwrap();
    for number in 0..ENDPOINTS {
        sqlx::query(
            "INSERT INTO endpoints (tenant, endpoint_id, hostname, employee_email, fleet_id, \
             environment, enrollment, proxy_version, details, labels, status, health, \
             config_drifted, blocks_calls, report, key_id, created_at, updated_at) VALUES ('acme', \
             $1, 'mac', '', '', 'prod', 'jamf', '0.1.0', '{}', '{}', '', '', 0, 0, '{}', 'k', 0, 0)",
        )
        .bind(format!("mac-{number}"))
        .execute(&mut *store)
        .await
        .unwrap();
    }
    store.commit().await.unwrap();
    let stop = CancellationToken::new();
    let keeper = tokio::spawn(fleet::keep(enforcer.app.clone(), stop.clone()));
    let (began, before) = (Instant::now(), used());
    let beats = 5000_u32;
    for beat in 0..beats {
        tokio::time::sleep_until(began + PACE * beat).await;
        let id = format!("mac-{}", beat as usize * 7 % ENDPOINTS);
        let head = |session: &str| json!({"session_id": format!("{id}-{session}"), "agent_id": "files", "records": beat, "head": "ab".repeat(32), "is_over": false});
        let server = json!({"client": "claude-desktop", "name": "files", "standing": "wrapped"});
        let body = json!({
            "endpoint_id": id, "hostname": "mac", "os": "macos", "os_version": "15.1",
            "enrollment": "jamf", "status": "online", "enforcement_mode": "enforce",
            "environment": "prod", "proxy_version": "0.1.0", "agent_ids": ["files", "web"],
            "health": "healthy", "quarantined": false, "config_drifted": false,
            "servers": {"governed": vec![&server; 4], "ungoverned": [server]},
            "journals": [head("a"), head("b")], "decisions": {"allow": beat}, "sidecars": 2,
        });
        let path = format!("/acme/thoth/endpoints/{id}/checkin");
        let (status, _) = enforcer.send(Method::POST, &path, Some(&key), Some(body)).await;
        assert_eq!(status, StatusCode::OK);
    }
    let (took, spent) = (began.elapsed(), used().checked_sub(before).unwrap());
    stop.cancel();
    keeper.await.unwrap();
    let share = 100.0 * spent.as_secs_f64() / took.as_secs_f64();
    let rate = f64::from(beats) / took.as_secs_f64();
    println!("{rate:.0} check-ins a second: {share:.1} % of a core, the client's part included");
}
