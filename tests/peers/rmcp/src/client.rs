//! The client: it finds out the server's era first, as the SDK's `Auto` does.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::ClientHandler;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest,
    CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult, ErrorData,
    Implementation, ListRootsResult, LoggingMessageNotificationParam, PingRequest,
    ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
    ResourceUpdatedNotificationParam, SetLevelRequestParams,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, PeerRequestOptions, RequestContext,
    RoleClient, RunningService, ServiceError,
};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

type Session = RunningService<RoleClient, Heard>;

/// What the server asks, tells and reports, in no order.
#[derive(Clone, Default)]
struct Heard {
    asked: Arc<Mutex<Vec<Value>>>,
    told: Arc<Mutex<Vec<Value>>>,
    progress: Arc<Mutex<Vec<Value>>>,
    progressed: Arc<Notify>,
}

/// Plays the session in the file `steps` with a server that is a command or a URL.
pub async fn play(steps: &str, program: &str, rest: &[&str]) -> crate::Outcome {
    let steps: Vec<Value> = serde_json::from_slice(&std::fs::read(steps)?)?;
    let heard = Heard::default();
    let mode = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    let session = if program.starts_with("http") {
        let transport = StreamableHttpClientTransport::from_uri(program);
        heard.clone().serve_with_lifecycle(transport, mode).await?
    } else {
        let mut command = tokio::process::Command::new(program);
        command.args(rest);
        heard.clone().serve_with_lifecycle(TokioChildProcess::new(command)?, mode).await?
    };
    let session = Arc::new(session);
    let mut transcript = vec![json!({"do": "connect", "result": session.peer_info().as_deref()})];
    for step in steps {
        let mut entry = step.clone();
        let (key, value) = match perform(&session, &heard, &step).await {
            Ok(result) => ("result", result),
            Err(error) => ("error", json!({"message": error.to_string()})),
        };
        entry[key] = value;
        transcript.push(entry);
    }
    if let Ok(session) = Arc::try_unwrap(session).map_err(drop) {
        session.cancel().await?;
    }
    let sorted = |entries: &Mutex<Vec<Value>>| {
        let mut lines: Vec<_> = taken(entries).iter().map(Value::to_string).collect();
        lines.sort();
        lines
    };
    let (asked, told) = (sorted(&heard.asked), sorted(&heard.told));
    println!("{}", json!({"transcript": transcript, "asked": asked, "told": told}));
    Ok(())
}

async fn perform(
    session: &Arc<Session>,
    heard: &Heard,
    step: &Value,
) -> Result<Value, Box<dyn std::error::Error>> {
    let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
    Ok(match text("do").as_str() {
        "ping" => {
            let ping = PingRequest { method: Default::default(), extensions: Default::default() };
            plain(session.send_request(ClientRequest::PingRequest(ping)).await?)
        }
        "list_tools" => plain(session.list_tools(None).await?),
        "list_resources" => plain(session.list_resources(None).await?),
        "read" => plain(session.read_resource(ReadResourceRequestParams::new(text("uri"))).await?),
        "set_level" => {
            let level: SetLevelRequestParams =
                serde_json::from_value(json!({"level": text("level")}))?;
            plain(session.set_level(level).await?)
        }
        "call" => plain(session.call_tool(call(step)).await?),
        "progress" => {
            taken(&heard.progress);
            let result = plain(session.call_tool(call(step)).await?);
            // Notifications are taken up by tasks of their own.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut progress = taken(&heard.progress);
            progress.sort_by_key(Value::to_string);
            json!({"result": result, "progress": progress})
        }
        "cancel" => {
            let request = ClientRequest::CallToolRequest(CallToolRequest::new(call(step)));
            let progressed = heard.progressed.notified();
            let options = PeerRequestOptions::no_options();
            let mut handle = session.send_cancellable_request(request, options).await?;
            // Where answers are JSON there is no progress before the result.
            tokio::select! {
                () = progressed => {
                    handle.cancel(Some("enough".to_owned())).await?;
                    json!("cancelled")
                }
                result = &mut handle.rx => plain(result??),
            }
        }
        "together" => {
            let calls = step["calls"].as_array().cloned().unwrap_or_default();
            together(session, calls.iter().map(call)).await?
        }
        "many" => {
            let count = usize::try_from(step["count"].as_u64().unwrap_or_default())?;
            together(session, std::iter::repeat_n(call(step), count)).await?
        }
        other => return Err(format!("unknown step: {other}").into()),
    })
}

/// All at once; the results in the order of the calls.
async fn together(
    session: &Arc<Session>,
    calls: impl Iterator<Item = CallToolRequestParams>,
) -> Result<Value, Box<dyn std::error::Error>> {
    let tasks: Vec<_> = calls
        .map(|call| {
            let session = Arc::clone(session);
            tokio::spawn(async move { outcome(session.call_tool(call)).await })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await?);
    }
    Ok(Value::Array(results))
}

async fn outcome<T: Serialize>(call: impl Future<Output = Result<T, ServiceError>>) -> Value {
    match call.await {
        Ok(result) => json!({"result": plain(result)}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn call(step: &Value) -> CallToolRequestParams {
    let name = step["tool"].as_str().unwrap_or_default().to_owned();
    let arguments = step["arguments"].as_object().cloned().unwrap_or_default();
    CallToolRequestParams::new(name).with_arguments(arguments)
}

fn plain(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn taken(entries: &Mutex<Vec<Value>>) -> Vec<Value> {
    std::mem::take(&mut *entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

fn noted(entries: &Mutex<Vec<Value>>, entry: Value) {
    entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(entry);
}

// === impl Heard ===

impl ClientHandler for Heard {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder()
            .enable_elicitation()
            .enable_roots()
            .enable_sampling()
            .build();
        ClientConfig::new(capabilities, Implementation::new("rmcp", "1.0.0"))
    }

    async fn create_message(
        &self,
        asked: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        noted(&self.asked, plain(asked));
        answer(json!({"role": "assistant", "model": "none", "stopReason": "endTurn",
            "content": {"type": "text", "text": "hello"}}))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        noted(&self.asked, json!("roots/list"));
        answer(json!({"roots": [{"uri": "file:///srv/project", "name": "project"}]}))
    }

    async fn create_elicitation(
        &self,
        asked: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        noted(&self.asked, plain(asked));
        answer(json!({"action": "accept", "content": {"name": "Ada"}}))
    }

    async fn on_progress(
        &self,
        report: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let entry = json!([report.progress, report.total, report.message]);
        noted(&self.progress, entry);
        self.progressed.notify_waiters();
    }

    async fn on_logging_message(
        &self,
        entry: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        noted(&self.told, plain(entry));
    }

    async fn on_resource_updated(
        &self,
        updated: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        noted(&self.told, plain(updated));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        noted(&self.told, json!("notifications/tools/list_changed"));
    }
}

fn answer<T: serde::de::DeserializeOwned>(said: Value) -> Result<T, ErrorData> {
    serde_json::from_value(said).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
