//! Tells the friction of a small program: `cargo run --example friction`.
//!
//! Its events go to standard error, or to the places that the first argument names:
//! `cargo run --example friction -- file:///var/tmp/events.jsonl`.

use std::time::Duration;

use serde_json::json;
use thoth::friction::Client;
use thoth::friction::client::{Annotation, ClientError, Signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ClientError> {
    let places = std::env::args().nth(1).unwrap_or_else(|| "stderr:".to_owned());
    let client = Client::builder()
        .sink(places)
        .vendor("invoices")
        .agent("example", env!("CARGO_PKG_VERSION"))
        .build()?;
    session(&client).await;
    client.close(Duration::from_secs(3)).await;
    Ok(())
}

/// What an agent may do to a set of invoices, and where it gets stuck.
pub(crate) async fn session(client: &Client) {
    // A call as most are: its result, or its error, is told and given back.
    let paid = client
        .trace("get_invoice", json!({"number": 7, "mail_to": "jane@example.com"}))
        .intent("find out whether invoice 7 is paid")
        .expected("the invoice's state")
        .workflow("1: answer a customer's question")
        .run(get_invoice(7))
        .await;

    // Where the end is known elsewhere, a call is kept until then.
    if paid.is_ok() {
        let call = client
            .trace("change_address", json!({"number": 7, "city": "Thebes"}))
            .intent("correct the address on invoice 7")
            .workflow("1: answer a customer's question")
            .begin();
        call.failed("sent_already", "invoice 7 is sent and cannot be changed");
    }

    // What went wrong, in the agent's own words.
    client.annotate(
        Annotation::report("an invoice that is sent cannot be changed, and no tool cancels it")
            .intent("correct the address on invoice 7")
            .signal(Signal::DeadEnd)
            .tool("change_address")
            .suggested_improvement("a tool that cancels an invoice and sends it anew")
            .context("downstream_blocked", true),
    );

    // Nobody tells how this one ended: it is told as abandoned.
    drop(client.trace("cancel_invoice", json!({"number": 7})).begin());
}

/// Stands for a tool.
async fn get_invoice(number: u32) -> Result<serde_json::Value, std::io::Error> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(json!({"number": number, "state": "paid"}))
}
