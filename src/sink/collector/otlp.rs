//! An OpenTelemetry collector: `POST {base}/v1/logs`, one log record a request, as OTLP/HTTP in
//! protobuf has it (OTLP 1.9), with the official types, over a [`Line`].
//!
//! The exporter and the batch processor of the SDK are not used: what they cannot send they lose
//! silently, and they bring another HTTP client. What waits, waits in the spool.

use std::borrow::Cow;

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde::Deserialize;
use tokio::time::Instant;

use super::{EXCHANGE, Fate, answered, fate, line};
use crate::config::ambient::Ambient;
use crate::config::settings::OtlpPlace;
use crate::https::{Line, Reply};
use crate::sink::{Event, Setup, SinkError};

/// Which variables hold headers, as `name=value,name=value`; the later one goes first.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_LOGS_HEADERS"];

/// One collector, and the connections to it.
#[derive(Debug)]
pub(in crate::sink) struct Otlp {
    line: Line,
    headers: HeaderMap,
    clock: fn() -> Timestamp,
}

/// What a record says beside its body. What an event does not say is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Facts<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    tenant_id: Cow<'a, str>,
    #[serde(borrow)]
    vendor_id: Cow<'a, str>,
    #[serde(borrow)]
    call_id: Option<Cow<'a, str>>,
    sequence_number: Option<i64>,
    captured_at: Option<Timestamp>,
}

// === impl Otlp ===

impl Otlp {
    pub(super) fn new(place: &OtlpPlace, setup: &Setup) -> Result<Self, SinkError> {
        let line = line(&place.url, &setup.tls, setup.clock)?;
        Ok(Self { line, headers: headers(&place.ambient), clock: setup.clock })
    }

    pub(super) async fn send(&self, event: Event) -> Fate {
        let deadline = Instant::now() + EXCHANGE;
        let Ok(text) = std::str::from_utf8(event.bytes()) else {
            return Fate::Unwanted("an event is not UTF-8".to_owned());
        };
        let body = request(&event, text, (self.clock)()).encode_to_vec().into();
        let place = match self.line.place(deadline).await {
            Ok(place) => place,
            Err(outcome) => return answered(outcome).err().unwrap_or(Fate::later("no place")),
        };
        let headers = self.headers.clone();
        let outcome = self.line.exchange(place, Method::POST, "", headers, body, deadline).await;
        answered(outcome).map_or_else(|fate| fate, |reply| meaning(&reply))
    }
}

/// One event as a record. Whatever an event is, it becomes one: its body is the event itself.
fn request(event: &Event, text: &str, now: Timestamp) -> ExportLogsServiceRequest {
    let facts: Facts<'_> = serde_json::from_str(text).unwrap_or_default();
    let mut attributes = vec![attribute("baton.event_id", event.id().to_string())];
    for (name, value) in [
        ("session.id", Some(&facts.session_id)),
        ("baton.tenant_id", Some(&facts.tenant_id)),
        ("baton.vendor_id", Some(&facts.vendor_id)),
        ("baton.call_id", facts.call_id.as_ref()),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            attributes.push(attribute(name, value.as_ref()));
        }
    }
    if let Some(number) = facts.sequence_number {
        attributes.push(key_value("baton.sequence_number", Value::IntValue(number)));
    }
    let severity = if facts.event_type.ends_with("_error") {
        SeverityNumber::Error
    } else {
        SeverityNumber::Info
    };
    let record = LogRecord {
        time_unix_nano: facts.captured_at.map(nanoseconds).unwrap_or_default(),
        observed_time_unix_nano: nanoseconds(now),
        severity_number: severity.into(),
        body: Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) }),
        attributes,
        event_name: facts.event_type.into_owned(),
        ..LogRecord::default()
    };
    let version = env!("CARGO_PKG_VERSION");
    let resource = vec![attribute("service.name", "thoth"), attribute("service.version", version)];
    let scope = InstrumentationScope {
        name: "thoth".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource { attributes: resource, ..Resource::default() }),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope),
                log_records: vec![record],
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

/// OTLP says with a 200, too, that a record was not taken.
fn meaning(reply: &Reply) -> Fate {
    let said = reply.body.as_ref().ok().filter(|_| reply.status.is_success());
    let said = said.and_then(|body| ExportLogsServiceResponse::decode(body.clone()).ok());
    match said.and_then(|said| said.partial_success) {
        Some(partly) if partly.rejected_log_records > 0 => Fate::Unwanted(
            partly.error_message.chars().filter(|each| !each.is_control()).take(200).collect(),
        ),
        _ => fate(reply.status, reply.retry_after),
    }
}

fn nanoseconds(time: Timestamp) -> u64 {
    time.as_nanosecond().try_into().unwrap_or(0)
}

fn attribute(name: &str, value: impl Into<String>) -> KeyValue {
    key_value(name, Value::StringValue(value.into()))
}

fn key_value(name: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

/// The content type, and what the operator wants sent with each request. What is no header is left
/// out.
fn headers(ambient: &Ambient) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let lists = HEADERS.iter().filter_map(|name| ambient.get(name));
    for (name, value) in
        lists.flat_map(|list| list.split(',')).filter_map(|one| one.split_once('='))
    {
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        let value = HeaderValue::from_bytes(&decoded(value.trim()));
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers
}

/// Text without its percent escapes. What looks like one and is none stays.
fn decoded(text: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        let mut byte = [0];
        match behind.get(..2).filter(|_| first == b'%') {
            Some(digits) if hex::decode_to_slice(digits, &mut byte).is_ok() => {
                decoded.push(byte[0]);
                rest = &behind[2..];
            }
            _ => {
                decoded.push(first);
                rest = behind;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::StatusCode;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_event_that_says_nothing_is_a_record_all_the_same() {
        let event = Event::new(Uuid::nil(), "[1]".into()).unwrap();
        let request = request(&event, "[1]", Timestamp::UNIX_EPOCH);
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!(record.body.clone().unwrap().value, Some(Value::StringValue("[1]".to_owned())));
        assert_eq!((record.attributes.len(), &*record.event_name), (1, ""));
    }

    #[test]
    fn what_an_answer_means_for_a_record() {
        let rejected = |count| {
            let partly = ExportLogsPartialSuccess {
                rejected_log_records: count,
                error_message: "too\nlong".to_owned(),
            };
            ExportLogsServiceResponse { partial_success: Some(partly) }.encode_to_vec().into()
        };
        for (status, body, expected) in [
            (200, Bytes::new(), Fate::Taken),
            (200, rejected(0), Fate::Taken),
            (200, rejected(1), Fate::Unwanted("toolong".to_owned())),
            (200, "not protobuf".into(), Fate::Taken),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let reply = Reply { status, retry_after: None, body: Ok(body) };
            assert_eq!(meaning(&reply), expected);
        }
    }

    #[test]
    fn headers_are_the_operators_but_for_the_content_type() {
        let ambient = [
            (HEADERS[0], "api-key=a%20b, x=1,content-type=text/plain,no header,bad name=2"),
            (HEADERS[1], "x=100%"),
        ];
        let headers = headers(&ambient.into_iter().collect());
        let found: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let expected =
            [("api-key", "a b"), ("x", "100%"), ("content-type", "application/x-protobuf")];
        assert_eq!(found.len(), expected.len());
        assert!(expected.iter().all(|one| found.contains(one)), "{found:?}");
    }
}
