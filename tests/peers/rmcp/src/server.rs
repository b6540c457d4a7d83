//! The server: the tools of `remote/servers/offer.mjs`, but `drop`, which this SDK gives a tool no means for.
//!
//! With sessions, whose streams can always be taken up again; or without, for older clients, with answers as streams
//! (`stateless`) or as JSON (`json`). Clients of 2026-07-28 have no sessions in any mode.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, InputRequest,
    InputRequests, InputRequiredResult, ListResourcesResult, ListToolsResult, LoggingLevel,
    LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
    ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource,
    ResourceContents, ServerCapabilities, ServerConfig, SetLevelRequestParams, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

const TURN: Duration = Duration::from_millis(20);
/// Between the last notification and the result: TypeScript clients lose a notification that they
/// read with its result.
const LAST: Duration = Duration::from_millis(100);
const TOOLS: [(&str, &str); 11] = [
    ("echo", r#"{"text": {"type": "string"}}"#),
    ("fail", "{}"),
    ("count", r#"{"upto": {"type": "number"}}"#),
    ("log", "{}"),
    ("wait", "{}"),
    ("cancelled", "{}"),
    ("change", "{}"),
    ("drop", "{}"),
    ("sample", "{}"),
    ("elicit", "{}"),
    ("roots", "{}"),
];

/// What all sessions share.
#[derive(Clone, Default)]
struct Offer {
    waiting: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
}

/// Serves at this port of the loopback until the process is ended.
pub async fn serve(mode: &str, port: u16) -> crate::Outcome {
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = mode == "sessions";
    config.json_response = mode == "json";
    config.sse_retry = Some(TURN);
    let offer = Offer::default();
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(offer.clone()), sessions, config);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

// === impl Offer ===

impl ServerHandler for Offer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_logging()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = TOOLS.iter().map(|(name, properties)| {
            let properties: Value = typed(serde_json::from_str(properties).ok())?;
            let schema = json!({"type": "object", "properties": properties});
            Ok(Tool::new(*name, *name, schema.as_object().cloned().unwrap_or_default()))
        });
        Ok(ListToolsResult::with_all_items(tools.collect::<Result<_, ErrorData>>()?))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![Resource::new("peers://note", "note")]))
    }

    async fn read_resource(
        &self,
        asked: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if asked.uri != "peers://note" {
            return Err(ErrorData::resource_not_found(format!("no resource {}", asked.uri), None));
        }
        Ok(ReadResourceResult::new(vec![ResourceContents::text("a note", asked.uri)]).into())
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = |name: &str| call.arguments.as_ref().and_then(|given| given.get(name)).cloned();
        let said = match call.name.as_ref() {
            "echo" => given("text").as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
            "fail" => {
                let failed = CallToolResult::error(vec![ContentBlock::text("it failed")]);
                return Ok(failed.into());
            }
            "count" => {
                let upto = given("upto").as_ref().and_then(Value::as_u64).unwrap_or_default();
                for step in 1..=upto {
                    progress(&context, step, upto + 1).await?;
                    sleep(TURN).await;
                }
                sleep(LAST).await;
                format!("counted to {upto}")
            }
            "log" => {
                let entry = LoggingMessageNotificationParam::new(
                    LoggingLevel::Error,
                    json!({"is": "here"}),
                );
                context.peer.notify_logging_message(entry).await.map_err(failed)?;
                sleep(TURN).await;
                "logged".to_owned()
            }
            "wait" => {
                self.wait(&context).await?;
                "waited".to_owned()
            }
            "cancelled" => {
                while self.waiting.load(Ordering::SeqCst) > 0 {
                    sleep(TURN).await;
                }
                self.cancelled.swap(0, Ordering::SeqCst).to_string()
            }
            "change" => {
                context.peer.notify_tool_list_changed().await.map_err(failed)?;
                sleep(TURN).await;
                "changed".to_owned()
            }
            "drop" => {
                progress(&context, 1, 2).await?;
                sleep(LAST).await;
                "still here".to_owned()
            }
            "sample" | "elicit" | "roots" => return ask(&call, &context).await,
            other => {
                return Err(ErrorData::invalid_params(format!("unknown tool {other}"), None));
            }
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(said)]).into())
    }
}

impl Offer {
    /// Waits for a second, or until the call is cancelled.
    async fn wait(&self, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        progress(context, 1, 2).await?;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        for _ in 0..50 {
            if context.ct.is_cancelled() {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                break;
            }
            sleep(TURN).await;
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Reports progress, where the caller asked for it.
async fn progress(
    context: &RequestContext<RoleServer>,
    done: u64,
    total: u64,
) -> Result<(), ErrorData> {
    let Some(token) = context.meta.get_progress_token() else {
        return Ok(());
    };
    let report = ProgressNotificationParam::new(token, done as f64).with_total(total as f64);
    context.peer.notify_progress(report).await.map_err(failed)
}

/// Asks the client: by a request of the server before 2026-07-28, by a result that requires input since.
async fn ask(
    call: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let form =
        json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let question = match call.name.as_ref() {
        "sample" => json!({"method": "sampling/createMessage", "params": {
            "messages": [{"role": "user", "content": {"type": "text", "text": "Say hello"}}], "maxTokens": 10}}),
        "elicit" => json!({"method": "elicitation/create", "params": {
            "mode": "form", "message": "Who?", "requestedSchema": form}}),
        _ => json!({"method": "roots/list"}),
    };
    let question: InputRequest = typed(serde_json::from_value(question).ok())?;
    let is_modern =
        context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    let said = if is_modern {
        let Some(said) = call.input_responses.as_ref().and_then(|said| said.get("asked")) else {
            let asked = InputRequests::from([("asked".to_owned(), question)]);
            return Ok(InputRequiredResult::new(Some(asked), Some("asked".to_owned())).into());
        };
        said.clone()
    } else {
        let said = match question {
            InputRequest::CreateMessage(asked) => serde_json::to_value(
                context.peer.create_message(asked.params).await.map_err(failed)?,
            ),
            InputRequest::Elicitation(asked) => serde_json::to_value(
                context.peer.create_elicitation(asked.params).await.map_err(failed)?,
            ),
            _ => serde_json::to_value(context.peer.list_roots().await.map_err(failed)?),
        };
        typed(said.ok())?
    };
    Ok(CallToolResult::success(vec![ContentBlock::text(said.to_string())]).into())
}

/// What must be there, since this file wrote it.
fn typed<T>(read: Option<T>) -> Result<T, ErrorData> {
    read.ok_or_else(|| ErrorData::internal_error("this server's own JSON", None))
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
