//! `thoth doctor`: everything that would keep `thoth run` from starting, and every setting.
//!
//! It takes the flags of `run` and checks what `run` would check, but starts nothing.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use tokio::runtime;

use super::fault::{Fault, chain};
use super::paint::Paint;
use super::{doctor_tls, exit, local, remote};
use crate::config::flags::RunFlags;
use crate::config::layers::{Layers, MANAGED};
use crate::config::settings::Config;
use crate::config::variables::Env;
use crate::config::{Overridden, Problem, Reading, read};
use crate::credential::{NoCredential, Standing, State};
use crate::machine::Machine;
use crate::preflight::{Facts, Finding, check};
use crate::upstream::authority::Authority;

/// Check what `thoth run` needs, and show every setting and where it comes from.
///
/// Give it the flags you would give to `thoth run`.
///
/// Exit status: 0 all is fine, 1 something is to be fixed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth doctor --policy rules.toml -- npx -y some-server")]
pub struct Args {
    #[command(flatten)]
    flags: RunFlags,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Look at a server's certificate chain instead, and at whether it would be trusted
    #[arg(long, value_name = "URL")]
    tls: Option<String>,

    /// The server's command; it is not started
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// All that is told, in the form of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    ok: bool,
    machine: About<'a>,
    checks: Vec<Check<'a>>,
    settings: Vec<Setting<'a>>,
    notices: &'a [String],
}

#[derive(Serialize)]
struct About<'a> {
    hostname: Option<&'a str>,
    os: &'a str,
    os_version: Option<&'a str>,
    user: Option<&'a str>,
    uid: Option<u32>,
}

#[derive(Serialize)]
struct Check<'a> {
    id: &'a str,
    ok: bool,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
}

#[derive(Serialize)]
struct Setting<'a> {
    name: &'a str,
    value: &'a str,
    /// The flag or variable it was found in, `managed` or `profile`; `null` where it is what holds
    /// without.
    from: Option<&'a str>,
    /// Whether the managed file alone may say it.
    locked: bool,
}

impl Args {
    /// Looks, and tells.
    ///
    /// # Errors
    ///
    /// Where there was nothing to look at, or the report could not be written.
    pub(super) fn run(
        self,
        env: &Env,
        paint: Paint,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let reading = self.read(env, &Layers::of_system(env));
        let config = reading.draft();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?;
        if let Some(url) = &self.tls {
            let looking = doctor_tls::run(url, &config.tls, self.json, out);
            return runtime.block_on(looking).map_err(Fault::of(exit::UNAVAILABLE));
        }
        let mut also = Vec::new();
        let mut pins = None;
        match remote::enforcer(config, "", "doctor") {
            Ok(enforcer) => pins = runtime.block_on(remote::pins(config, enforcer.as_ref())),
            Err(error) => also.push(Finding::configuration(
                "enforcer",
                chain(&error),
                "correct the enforcer's address, or the files it is verified with",
            )),
        }
        also.extend(runtime.block_on(api_key(config)));
        if reading.problems().is_empty() {
            also.extend(runtime.block_on(upstream(config)));
        }
        let facts = Facts::gather(config, Machine::gather(), pins);
        let server = self.command.first().map(|command| command.to_string_lossy().into_owned());
        match local::judge(config, &facts.machine, &server.unwrap_or_default()) {
            Ok(judge) => also.extend(judge.policies.iter().map(|policy| {
                let sha256 = policy.sha256.as_deref().unwrap_or_default();
                Finding::fine(
                    "policy",
                    format!("{} v{} is in force (sha256 {sha256})", policy.id, policy.version),
                )
            })),
            Err(error) => also.push(Finding::configuration(
                "policy",
                chain(&error),
                "correct the file; `thoth policy check` tells more",
            )),
        }
        let code = self.report(&reading, &facts, also, paint, out).map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::from(code))
    }

    /// Reads the configuration as `thoth run` would.
    pub fn read(&self, env: &Env, layers: &Layers) -> Reading {
        read(&self.flags, self.command.first().map(OsString::as_os_str), env, layers)
    }

    /// Tells what was found. `also` are the findings of other checks, such as of the policies.
    ///
    /// # Errors
    ///
    /// Where `out` cannot be written to.
    pub fn report(
        &self,
        reading: &Reading,
        facts: &Facts,
        also: Vec<Finding>,
        paint: Paint,
        out: &mut impl Write,
    ) -> io::Result<u8> {
        let mut findings: Vec<_> = reading.problems().iter().map(unusable).collect();
        if findings.is_empty() {
            findings.push(Finding::fine("configuration", "every setting can be used"));
        }
        findings.extend(reading.overridden().iter().map(overridden));
        findings.push(who_decides(reading.draft()));
        findings.extend(check(reading.draft(), facts));
        findings.extend(also);

        let report = Report::new(reading, &facts.machine, &findings);
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)?;
        } else {
            report.print(paint, out)?;
        }
        Ok(if report.ok { exit::OK } else { exit::NO })
    }
}

/// What a key is like that is not read with the configuration: a command is run.
async fn api_key(config: &Config) -> Option<Finding> {
    let credential = config.enforcer.as_ref()?.api_key.as_ref()?;
    let id = "api-key";
    let standing = credential.standing();
    if standing.source != "command" && standing.state != State::Revoked {
        return None; // the configuration says what it is, or what is wrong with it
    }
    Some(match credential.current().await {
        Ok(_) => {
            let fingerprint = credential.standing().fingerprint.unwrap_or_default();
            Finding::fine(id, format!("the command prints a key ({fingerprint})"))
        }
        Err(NoCredential::Missing(flaw)) => Finding::configuration(
            id,
            format!("the command prints no key: {flaw}"),
            "run it by hand; what it says on standard error is not shown here",
        ),
        Err(revoked @ NoCredential::Revoked { .. }) => Finding::configuration(
            id,
            format!("the API key cannot be used: {revoked}"),
            "put a new key in its place",
        ),
    })
}

/// What a server behind a URL would be shown. Commands are run, and a login that is about to end is
/// refreshed; the server itself is not connected to.
async fn upstream(config: &Config) -> Option<Finding> {
    let authority = Authority::new(config.upstream.as_ref()?, &config.tls);
    let id = "upstream";
    let presented = authority.present().await;
    authority.settle().await;
    Some(match presented {
        Ok(_) => {
            let shown: Vec<_> = authority.standings().iter().map(in_words).collect();
            let shown =
                if shown.is_empty() { "no credential".into() } else { shown.join(", and ") };
            Finding::fine(id, format!("the server is shown {shown}"))
        }
        Err(refused) => Finding::configuration(
            id,
            chain(&refused),
            "put it where it is looked for; run a command by hand to see what it says",
        ),
    })
}

fn in_words(standing: &Standing) -> String {
    let Standing { name, source, fingerprint, .. } = standing;
    let fingerprint = fingerprint.as_deref().unwrap_or("unknown");
    let stays = match &**source {
        "file" | "command" | "keychain" | "login" => "",
        _ => ", which cannot change while thoth runs",
    };
    format!("{name} ({fingerprint}) from {source}{stays}")
}

fn unusable(problem: &Problem) -> Finding {
    let text = format!("{}: {}", problem.place(), problem.what());
    Finding::configuration("configuration", text, problem.fix())
}

fn overridden(attempt: &Overridden) -> Finding {
    let Overridden { name, by } = attempt;
    Finding::configuration(
        "locked",
        format!("{by} says something else than {MANAGED}, which locks {name} and counts"),
        format!("remove {by}; to change the setting, ask whoever manages this machine"),
    )
}

fn who_decides(config: &Config) -> Finding {
    let rules = match config.managed.count() + config.policies.count() {
        0 => None,
        1 => Some("one policy on this machine".to_owned()),
        count => Some(format!("{count} policies on this machine")),
    };
    let enforcer =
        config.enforcer.as_ref().map(|enforcer| format!("the enforcer at {}", enforcer.url));
    let text = match (rules, enforcer) {
        (Some(rules), Some(enforcer)) => format!("{rules} and {enforcer} decide"),
        (Some(one), None) | (None, Some(one)) => format!("{one} decides"),
        (None, None) if config.environment.is_strict() => "nothing decides".to_owned(),
        (None, None) => "the built-in baseline rules decide".to_owned(),
    };
    Finding::fine("decides", text)
}

// === impl Report ===

impl<'a> Report<'a> {
    fn new(reading: &'a Reading, machine: &'a Machine, findings: &'a [Finding]) -> Self {
        let checks = findings.iter().map(|finding| Check {
            id: finding.id,
            ok: finding.is_fine(),
            text: &finding.text,
            fix: finding.failure.as_ref().map(|failure| &*failure.fix),
        });
        let settings = reading.shown().iter().map(|shown| Setting {
            name: shown.name,
            value: &shown.value,
            from: shown.origin.layer(),
            locked: shown.locked,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            ok: findings.iter().all(Finding::is_fine),
            machine: About {
                hostname: machine.hostname.as_deref(),
                os: machine.os,
                os_version: machine.os_version.as_deref(),
                user: machine.user.as_deref(),
                uid: machine.uid,
            },
            checks: checks.collect(),
            settings: settings.collect(),
            notices: &reading.draft().notices,
        }
    }

    fn print(&self, paint: Paint, out: &mut impl Write) -> io::Result<()> {
        let machine = &self.machine;
        writeln!(
            out,
            "thoth {} on {} ({} {}), as {}\n",
            self.version,
            machine.hostname.unwrap_or("a machine without a name"),
            machine.os,
            machine.os_version.unwrap_or("of unknown version"),
            machine.user.unwrap_or("a user without a name"),
        )?;
        writeln!(out, "{}", paint.heading("Checks"))?;
        for check in &self.checks {
            let mark = if check.ok { paint.fine() } else { paint.wrong() };
            writeln!(out, "  {mark} {:<24} {}", check.id, one_line(check.text))?;
            if let Some(fix) = check.fix {
                writeln!(out, "       fix: {}", one_line(fix))?;
            }
        }
        writeln!(out, "\n{}", paint.heading("Settings"))?;
        let (idle, set): (Vec<_>, Vec<_>) = self
            .settings
            .iter()
            .partition(|setting| setting.from.is_none() && !setting.locked && setting.value == "-");
        for setting in set {
            let value = one_line(setting.value);
            let from = setting.from.unwrap_or("default");
            let locked = if setting.locked { ", locked" } else { "" };
            writeln!(out, "  {:<40} {value}  ({from}{locked})", setting.name)?;
        }
        let idle: Vec<_> = idle.iter().map(|setting| setting.name).collect();
        writeln!(out, "  not set: {}", idle.join(", "))?;
        if !self.notices.is_empty() {
            writeln!(out, "\n{}", paint.heading("Notices"))?;
            for notice in self.notices {
                writeln!(out, "  {}", one_line(notice))?;
            }
        }
        match self.checks.iter().filter(|check| !check.ok).count() {
            0 => writeln!(out, "\nAll is fine."),
            1 => writeln!(out, "\nOne thing to fix."),
            count => writeln!(out, "\n{count} things to fix."),
        }
    }
}

/// A path may hold anything, also what would drive a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn told(words: &[&str], env: &[(&str, &str)]) -> (u8, String) {
        told_under(&Layers::default(), words, env)
    }

    fn told_under(layers: &Layers, words: &[&str], env: &[(&str, &str)]) -> (u8, String) {
        let args = Line::parse_from([&["doctor"], words].concat()).args;
        let env = [("HOME", "/nowhere")].iter().chain(env).copied().collect();
        let machine = Machine {
            hostname: Some("host".into()),
            os: "linux",
            os_version: Some("24.04".into()),
            user: Some("ann".into()),
            uid: Some(501),
            is_root: Some(false),
            ..Machine::default()
        };
        let reading = args.read(&env, layers);
        let facts = Facts::gather(reading.draft(), machine, None);
        let mut out = Vec::new();
        let code = args.report(&reading, &facts, Vec::new(), Paint::default(), &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_sound_setup_is_fine() {
        let (code, text) = told(&["--", "/usr/bin/npx", "-y"], &[("THOTH_API_KEY", "abc")]);
        assert_eq!(code, exit::OK);
        for line in [
            "thoth 0.1.0 on host (linux 24.04), as ann\n",
            "  ok configuration            every setting can be used\n",
            "  ok decides                  the built-in baseline rules decide\n",
            "  ok non-root                 thoth does not run as root\n",
            "  THOTH_ENV                                dev  (default)\n",
            "  THOTH_AGENT_ID                           npx  (default)\n",
            "  not set: THOTH_TENANT_ID, THOTH_USER_ID, ",
            "  THOTH_API_KEY                            sha256:ba7816bf  (THOTH_API_KEY)\n",
            "\nAll is fine.\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn each_thing_to_fix_says_how() {
        let (code, text) = told(
            &["--denial=loud", "--policy=/nowhere/\u{1b}[31m"],
            &[("THOTH_EXPECTED_PROXY_USER", "thoth"), ("THOTH_ENFORCR_URL", "x")],
        );
        assert_eq!(code, exit::NO);
        for line in [
            "  no configuration            --denial: is no shape of a refusal\n       fix: write auto, error or result\n",
            "  no expected-user            thoth runs as ann, not as thoth\n       fix: start it as thoth",
            "  no policy-file              the policy /nowhere/?[31m cannot be read",
            "  --denial                                 cannot be used  (--denial)\n",
            "  THOTH_ENFORCR_URL: is no variable that thoth knows",
            "\n3 things to fix.\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_script_reads_the_same_as_json() {
        let (code, text) = told(&["--json", "--env=production"], &[]);
        assert_eq!(code, exit::NO);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["ok"], false);
        assert_eq!(report["machine"]["uid"], 501);
        assert_eq!(report["checks"][0]["id"], "configuration");
        assert_eq!(report["checks"][0]["ok"], false);
        assert_eq!(report["checks"][0]["fix"], "set it, or give --policy FILE");
        assert_eq!(report["settings"][0]["name"], "THOTH_ENV");
        assert_eq!(report["settings"][0]["value"], "production");
        assert_eq!(report["settings"][0]["from"], "--env");
        assert_eq!(report["settings"][1]["from"], serde_json::Value::Null);
    }

    #[test]
    fn what_is_managed_and_who_says_something_else_is_shown() {
        let managed =
            br#"{"enforcement_mode": "block", "tenant_id": "acme", "policy": ["baseline"],
            "locked": ["enforcement_mode"]}"#;
        let layers = Layers::of_text(Some(managed), Some(br#"{"user_id": "ann"}"#));
        let (code, text) = told_under(&layers, &[], &[("THOTH_ENFORCEMENT", "observe")]);
        assert_eq!(code, exit::NO);
        let check = format!(
            "  no locked                   THOTH_ENFORCEMENT says something else than {MANAGED}, \
             which locks enforcement_mode and counts\n       fix: remove THOTH_ENFORCEMENT; "
        );
        for line in [
            &*check,
            "  ok decides                  one policy on this machine decides\n",
            "  THOTH_ENFORCEMENT_MODE                   block  (managed, locked)\n",
            "  THOTH_TENANT_ID                          acme  (managed)\n",
            "  THOTH_USER_ID                            ann  (profile)\n",
            "  --policy                                 baseline  (managed)\n",
            "\nOne thing to fix.\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let (code, text) = told_under(&layers, &["--json"], &[]);
        assert_eq!(code, exit::OK, "{text}");
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let settings = report["settings"].as_array().unwrap();
        let mode = settings.iter().find(|found| found["name"] == "THOTH_ENFORCEMENT_MODE").unwrap();
        assert_eq!((&mode["from"], &mode["locked"]), (&"managed".into(), &true.into()));
    }

    #[test]
    fn the_findings_of_others_count() {
        let args = Line::parse_from(["doctor"]).args;
        let reading = args.read(&Env::from_iter([("HOME", "/nowhere")]), &Layers::default());
        let broken = Finding::configuration("policy", "does not parse", "mend it");
        let code = args.report(
            &reading,
            &Facts::default(),
            vec![broken],
            Paint::default(),
            &mut Vec::new(),
        );
        assert_eq!(code.unwrap(), exit::NO);
    }
}
