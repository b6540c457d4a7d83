//! The proof for people.

use std::io::{self, Write};

use super::Proof;
use crate::cli::health::text::{peer, to_the_second};
use crate::cli::paint::Paint;
use crate::cli::printable::Printable;
use crate::clients::coverage::Standing;
use crate::credential::State;
use crate::health::friction::{Lost, Spool, of_sidecar};
use crate::health::report::{Client, Credential, Running, Server};

pub(super) fn print(proof: &Proof<'_>, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    let host = proof.endpoint.hostname.as_deref().unwrap_or("a machine without a name");
    writeln!(
        out,
        "thoth {} on {} ({}): {} governed, {} not",
        proof.version,
        Printable(host),
        proof.environment,
        servers(proof.governed),
        proof.ungoverned,
    )?;
    writeln!(out, "\n{}", paint.heading("Clients"))?;
    if proof.clients.is_empty() {
        writeln!(out, "  none found")?;
    }
    for client in proof.clients {
        write_client(client, paint, out)?;
    }
    writeln!(out, "\n{}", paint.heading("Sidecars"))?;
    if proof.sidecars.is_empty() {
        writeln!(out, "  none runs")?;
    }
    for sidecar in proof.sidecars {
        writeln!(out, "  {}", Printable(&in_one_line(sidecar)))?;
    }
    if !proof.credentials.is_empty() {
        writeln!(out, "\n{}", paint.heading("Credentials"))?;
    }
    for Credential { name, held } in proof.credentials {
        let state = held.state.map_or("not asked for yet", State::word);
        let fingerprint = held.fingerprint.as_deref().unwrap_or("unknown");
        let line = format!("{name}  {state}  {fingerprint}  from {}", held.source);
        writeln!(out, "  {}", Printable(&line))?;
    }
    writeln!(out, "\n{}", paint.heading("Decides"))?;
    for policy in proof.policy {
        let source = policy.source.as_deref().unwrap_or("unknown");
        let sha256 = policy.sha256.as_deref().unwrap_or("unknown");
        let line = format!("{} v{} ({source}, sha256 {sha256})", policy.id, policy.version);
        writeln!(out, "  policy    {}", Printable(&line))?;
    }
    writeln!(out, "  enforcer  {}", Printable(&peer(proof.enforcer)))?;
    writeln!(out, "\n{}", paint.heading("Friction"))?;
    writeln!(out, "  {}", Printable(&proof.friction.in_words()))?;
    for sidecar in proof.sidecars {
        if let Some(friction) = &sidecar.friction {
            let line = format!("{}  {}", sidecar.agent_id, of_sidecar(friction));
            writeln!(out, "  {}", Printable(&line))?;
        }
    }
    for Spool { place, waiting_bytes, lost } in &proof.friction.spools {
        let Lost { evicted, refused, damaged } = lost;
        let line = format!(
            "spool of {place}: {waiting_bytes} bytes; lost: {evicted} evicted, {refused} refused, \
             {damaged} damaged",
        );
        writeln!(out, "  {}", Printable(&line))?;
    }
    if let Some(session) = &proof.last_session {
        writeln!(out, "\n{}", paint.heading("Last decisions"))?;
        writeln!(out, "  {}", Printable(&session.journal))?;
        for decision in &session.decisions {
            let tool = decision.tool.as_deref().unwrap_or("-");
            let code = decision.reason_code.as_deref().unwrap_or_default();
            let line = format!("{}  {:<8} {tool}  {code}", decision.time, decision.decision);
            writeln!(out, "  {}", Printable(line.trim_end()))?;
        }
    }
    Ok(())
}

fn servers(count: usize) -> String {
    if count == 1 { "1 server".to_owned() } else { format!("{count} servers") }
}

fn write_client(client: &Client, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  {}  {}", client.name, Printable(&client.path))?;
    if let Some(why) = &client.unreadable {
        writeln!(out, "    {} cannot be read: {}", paint.wrong(), Printable(why))?;
    } else if client.servers.is_empty() {
        writeln!(out, "    no server")?;
    }
    for server in &client.servers {
        let mark = if server.standing.is_governed() { paint.fine() } else { paint.wrong() };
        let name = Printable(&server.name).to_string();
        writeln!(out, "    {mark} {name:<24} {}", Printable(&standing(server)))?;
    }
    Ok(())
}

fn standing(server: &Server) -> String {
    let mut told = word(server.standing).to_owned();
    if let Some(within) = &server.within {
        told = format!("{told}, in {within}");
    }
    if server.disabled {
        told += ", switched off";
    }
    if let Some(why) = &server.why {
        told = format!("{told}: {why}");
    }
    if !server.standing.is_governed() && server.can_be_wrapped {
        told += "; `thoth wrap-config` would govern it";
    }
    told
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Wrapped => "wrapped",
        Standing::Bypassing => "bypassing",
        Standing::Tampered => "tampered",
        Standing::Unreadable => "unreadable",
    }
}

fn in_one_line(sidecar: &Running) -> String {
    let counts = sidecar.decisions;
    let counted = [
        (counts.allow, "allowed"),
        (counts.modify, "modified"),
        (counts.block, "blocked"),
        (counts.step_up, "stepped up"),
        (counts.defer, "deferred"),
    ];
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    let counted: Vec<_> = counted.map(|(count, word)| format!("{count} {word}")).collect();
    let decided = if counted.is_empty() { "no call yet".to_owned() } else { counted.join(", ") };
    let last = sidecar.last_decision_at.map(|at| format!(", last at {}", to_the_second(at)));
    let policies =
        sidecar.policies.iter().map(|policy| format!("{} v{}", policy.id, policy.version));
    let policies: Vec<_> = policies.collect();
    let policies = if policies.is_empty() { "no policy".to_owned() } else { policies.join(", ") };
    format!(
        "{} ({})  pid {} since {}, {}: {decided}{}; {policies}",
        sidecar.agent_id,
        sidecar.server,
        sidecar.pid,
        to_the_second(sidecar.started_at),
        sidecar.enforcement_mode,
        last.unwrap_or_default(),
    )
}
