//! The official Rust SDK as a peer: `rmcp-peer serve MODE PORT` is a server over Streamable HTTP, and
//! `rmcp-peer client STEPS (COMMAND [ARGS] | URL)` plays a session and prints what the client saw, as the clients in
//! `battery/clients` do.

#![expect(
    deprecated,
    reason = "what a server asks of a client is deprecated, and played all the same"
)]

mod client;
mod server;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", mode, port] => server::serve(mode, port.parse()?).await,
        ["client", steps, program, ref rest @ ..] => client::play(steps, program, rest).await,
        _ => Err("rmcp-peer (serve MODE PORT | client STEPS (COMMAND [ARGS] | URL))".into()),
    }
}
