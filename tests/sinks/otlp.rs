//! Events as log records, at a collector that reads them with OpenTelemetry's own types.

use std::time::Duration;

use hyper::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use prost::Message as _;
use thoth::config::ambient::Ambient;
use thoth::config::settings::{OtlpPlace, SinkPlace};
use thoth::sink::Event;
use uuid::Uuid;

use super::fake::collector::FakeCollector;
use super::fake::{Certificate, Script};
use super::{LONG, events, offer, sinks, sinks_trusting, soon, until};

/// What a collector says that took everything: a message without a member.
fn taken() -> Script {
    Script::Answer(200, String::new())
}

fn place(url: &str, variables: &[(&str, &str)]) -> SinkPlace {
    let ambient: Ambient = variables.iter().copied().collect();
    SinkPlace::Otlp(OtlpPlace { url: format!("{url}/v1/logs"), ambient })
}

/// What arrived: each record, and the headers it came with.
fn records(collector: &FakeCollector) -> Vec<(LogRecord, Vec<KeyValue>, HeaderMap)> {
    let mut records = Vec::new();
    for seen in collector.seen() {
        assert_eq!((&*seen.method, &*seen.path), ("POST", "/v1/logs"));
        let request = ExportLogsServiceRequest::decode(seen.bytes).unwrap();
        for resource in request.resource_logs {
            let of_resource = resource.resource.unwrap().attributes;
            for record in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                records.push((record, of_resource.clone(), seen.headers.clone()));
            }
        }
    }
    records
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name).unwrap().value.clone();
    let value = value.unwrap().value.unwrap();
    if let Value::StringValue(text) = value { text } else { format!("{value:?}") }
}

#[tokio::test]
async fn an_event_becomes_a_record_that_says_what_it_is() {
    let (home, collector) = (tempfile::tempdir().unwrap(), FakeCollector::plain([taken()]).await);
    let json = r#"{"event_id":"x","event_type":"tool_call_error","session_id":"s-1",
        "sequence_number":7,"captured_at":"2026-11-21T10:00:00.000001Z","tenant_id":"acme",
        "vendor_id":"files","call_id":"c-1","payload":{"tool_name":"read"}}"#;
    let json = json.replace(['\n', ' '], "");
    let event = Event::new(Uuid::from_u128(1), json.clone().into()).unwrap();
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%2Fb")];
    let sinks = sinks(home.path(), &[place(&collector.fake().url(), &headers)]);
    offer(&sinks, std::slice::from_ref(&event));
    sinks.close(soon(LONG)).await;

    let (record, resource, headers) = records(&collector).remove(0);
    assert_eq!(record.body, Some(AnyValue { value: Some(Value::StringValue(json)) }));
    assert_eq!(record.event_name, "tool_call_error");
    assert_eq!(record.severity_number(), SeverityNumber::Error);
    assert_eq!(record.time_unix_nano, 1_795_255_200_000_001_000);
    assert_ne!(record.observed_time_unix_nano, 0);
    for (name, value) in [
        ("baton.event_id", &*event.id().to_string()),
        ("session.id", "s-1"),
        ("baton.sequence_number", "IntValue(7)"),
        ("baton.tenant_id", "acme"),
        ("baton.vendor_id", "files"),
        ("baton.call_id", "c-1"),
    ] {
        assert_eq!(text(&record.attributes, name), value, "{name}");
    }
    assert_eq!(text(&resource, "service.name"), "thoth");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-team"], "a/b");
    assert!(!headers.contains_key("authorization"), "the key is another collector's");
}

#[tokio::test]
async fn every_event_arrives_once_over_tls_too() {
    let late = Script::Late(Duration::from_millis(20), 200, String::new());
    let slow = FakeCollector::plain([late]).await;
    let encrypted = FakeCollector::with(Certificate::Good).await;
    encrypted.treats(taken());
    for collector in [slow, encrypted] {
        let home = tempfile::tempdir().unwrap();
        let tls = collector.fake().tls();
        let sinks = sinks_trusting(home.path(), &[place(&collector.fake().url(), &[])], &tls);
        offer(&sinks, &events(100));
        sinks.close(soon(LONG)).await;
        let records = records(&collector);
        let ids: Vec<_> =
            records.iter().map(|(record, ..)| text(&record.attributes, "baton.event_id")).collect();
        let mut expected = super::ids(&events(100));
        expected.sort();
        let mut found = ids.clone();
        found.sort();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_record_that_is_rejected_counts_as_refused_and_a_busy_collector_is_asked_again() {
    let partly =
        ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "no".to_owned() };
    let rejected = ExportLogsServiceResponse { partial_success: Some(partly) }.encode_to_vec();
    let rejected = Script::Answer(200, String::from_utf8(rejected).unwrap());
    let busy = Script::AnswerWith(503, "retry-after", "1".to_owned(), String::new());
    let home = tempfile::tempdir().unwrap();
    let collector = FakeCollector::plain([rejected, busy, taken()]).await;
    let sinks = sinks(home.path(), &[place(&collector.fake().url(), &[])]);
    offer(&sinks, &events(2));
    until(&sinks, |all| {
        let at = all[0].collector.as_ref().unwrap();
        (at.delivered, at.losses.refused) == (1, 1)
    })
    .await;
    sinks.close(soon(LONG)).await;
    assert_eq!(collector.seen().len(), 3);
}
