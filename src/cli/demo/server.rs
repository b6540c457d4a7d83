//! `thoth demo-server`: what `thoth demo` wraps, and the witness of what reaches it.
//!
//! Every line that arrives is first appended to the witness file. Then it goes either to a small
//! document server that lives in memory and touches nothing else, or, where a command is given,
//! to that command's standard input unchanged. So the demonstration can compare what a server
//! was really sent with what the policy decided, whichever server it is.
//!
//! Blocking `std` code on purpose: it shares nothing with what it bears witness about.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use serde_json::{Value, json};

/// Serve the demonstration's documents, or stand before another server and write down what it is
/// sent. Started by `thoth demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file each line is appended to before anything acts on it
    #[arg(long, value_name = "FILE")]
    witness: PathBuf,

    /// The server to stand before, instead of the built-in one
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The server cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("cannot write {}", path.display())]
    Witness { path: PathBuf, source: io::Error },
    #[error("cannot run {}", command.display())]
    Command { command: OsString, source: io::Error },
    #[error("cannot go on with the session")]
    Session(#[from] io::Error),
}

/// A few documents in memory.
#[derive(Debug)]
struct Library {
    documents: BTreeMap<&'static str, String>,
    commands: Vec<String>,
}

// === impl Args ===

impl Args {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode, Failed> {
        let witness = File::options()
            .append(true)
            .create(true)
            .open(&self.witness)
            .map_err(|source| Failed::Witness { path: self.witness, source })?;
        let input = io::stdin().lock();
        match self.command.split_first() {
            None => Library::new().serve(input, witness, out)?,
            Some((command, args)) => {
                let mut child = Command::new(command)
                    .args(args)
                    .stdin(Stdio::piped())
                    .spawn()
                    .map_err(|source| Failed::Command { command: command.clone(), source })?;
                drop(input);
                return Ok(relay(&mut child, witness)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Copies standard input to the child until either ends; the child writes to our output itself.
///
/// The copying thread is left behind when the child ends first: it waits for a line that nobody
/// needs, and the process is about to end.
fn relay(child: &mut Child, mut witness: File) -> io::Result<ExitCode> {
    let mut to_child =
        child.stdin.take().unwrap_or_else(|| unreachable!("it was spawned with a pipe"));
    thread::spawn(move || -> io::Result<()> {
        let mut line = Vec::new();
        let mut input = io::stdin().lock();
        while input.read_until(b'\n', &mut line)? > 0 {
            witness.write_all(&line)?;
            to_child.write_all(&line)?;
            to_child.flush()?;
            line.clear();
        }
        Ok(())
    });
    let code = child.wait()?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

// === impl Library ===

impl Library {
    fn new() -> Self {
        Self {
            documents: [
                ("private/salaries.csv", "name,salary\nAda,1\n"),
                ("public/handbook.md", "# Leave\nTake it.\n"),
                ("public/menu.md", "# Monday\nSoup.\n"),
            ]
            .map(|(path, text)| (path, text.to_owned()))
            .into(),
            commands: Vec::new(),
        }
    }

    /// Answers line after line until the input ends.
    fn serve(
        mut self,
        mut input: impl BufRead,
        mut witness: impl Write,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            witness.write_all(&line)?;
            if let Some(answer) = self.answer(&line) {
                writeln!(out, "{answer}")?;
                out.flush()?;
            }
            line.clear();
        }
        Ok(())
    }

    /// The answer to one line; none to a notification.
    fn answer(&mut self, line: &[u8]) -> Option<Value> {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            let error = json!({"code": -32700, "message": "not JSON"});
            return Some(json!({"jsonrpc": "2.0", "id": null, "error": error}));
        };
        let id = message.get("id")?;
        let params = &message["params"];
        let outcome = match message["method"].as_str() {
            Some("initialize") => Ok(json!({
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "thoth-demo", "version": env!("CARGO_PKG_VERSION")},
            })),
            Some("ping") => Ok(json!({})),
            Some("tools/list") => Ok(json!({ "tools": tools() })),
            Some("tools/call") => {
                let name = params["name"].as_str().unwrap_or_default();
                self.call(name, &params["arguments"])
                    .ok_or_else(|| json!({"code": -32602, "message": "unknown tool"}))
            }
            _ => Err(json!({"code": -32601, "message": "unknown method"})),
        };
        Some(match outcome {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        })
    }

    /// Does what the tool says; `None` where there is no such tool.
    fn call(&mut self, tool: &str, args: &Value) -> Option<Value> {
        let path = args["path"].as_str().unwrap_or_default();
        let text = args["text"].as_str().unwrap_or_default();
        let said = match tool {
            "list_documents" => Ok(self.names(|_| true, usize::MAX)),
            "read_document" => self.documents.get(path).cloned().ok_or(path),
            "query" => {
                let limit = args["limit"].as_u64().unwrap_or(10);
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                Ok(self.names(|document| document.contains(text), limit))
            }
            "write_document" => self.documents.get_mut(path).ok_or(path).map(|document| {
                text.clone_into(document);
                "written".to_owned()
            }),
            "delete_document" => {
                let gone = self.documents.remove(path);
                gone.map(|_| "deleted".to_owned()).ok_or(path)
            }
            "run_shell" => {
                let command = args["command"].as_str().unwrap_or_default();
                self.commands.push(command.to_owned());
                Ok(format!("noted down as command {}", self.commands.len()))
            }
            _ => return None,
        };
        let (is_error, text) = match said {
            Ok(text) => (false, text),
            Err(path) => (true, format!("no document `{path}`")),
        };
        Some(json!({"content": [{"type": "text", "text": text}], "isError": is_error}))
    }

    fn names(&self, fits: impl Fn(&str) -> bool, limit: usize) -> String {
        let fitting = self.documents.iter().filter(|(_, text)| fits(text));
        let names: Vec<&str> = fitting.map(|(name, _)| *name).take(limit).collect();
        names.join("\n")
    }
}

/// What the built-in server answers to `tools/list`.
fn tools() -> Value {
    serde_json::from_str(include_str!("tools.json"))
        .unwrap_or_else(|_| unreachable!("the file is part of the program, and tested"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(lines: &str) -> (Vec<Value>, Vec<u8>) {
        let mut witness = Vec::new();
        let mut out = Vec::new();
        Library::new().serve(lines.as_bytes(), &mut witness, &mut out).unwrap();
        let answers = serde_json::Deserializer::from_slice(&out).into_iter();
        (answers.collect::<Result<_, _>>().unwrap(), witness)
    }

    fn call(tool: &str, args: &Value) -> String {
        let params = json!({"name": tool, "arguments": args});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    }

    #[test]
    fn every_tool_does_something() {
        let handbook = json!({"path": "public/handbook.md", "text": "new"});
        let lines = [
            call("list_documents", &json!({})),
            call("query", &json!({"text": "#", "limit": 1})),
            call("write_document", &handbook),
            call("read_document", &handbook),
            call("delete_document", &handbook),
            call("read_document", &handbook),
            call("run_shell", &json!({"command": "id"})),
        ];
        let (answers, _) = conversation(&lines.join("\n"));
        let said: Vec<&str> = answers
            .iter()
            .map(|answer| answer["result"]["content"][0]["text"].as_str().unwrap())
            .collect();
        assert_eq!(
            said,
            [
                "private/salaries.csv\npublic/handbook.md\npublic/menu.md",
                "public/handbook.md",
                "written",
                "new",
                "deleted",
                "no document `public/handbook.md`",
                "noted down as command 1",
            ]
        );
        assert_eq!(answers[5]["result"]["isError"], true);
    }

    #[test]
    fn every_listed_tool_exists() {
        for tool in tools().as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            assert!(Library::new().call(name, &json!({})).is_some(), "{name}");
        }
    }

    #[test]
    fn what_arrives_is_witnessed_before_it_is_answered() {
        let lines = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\nnot JSON\n";
        let (answers, witness) = conversation(lines);
        assert_eq!(witness, lines.as_bytes());
        assert_eq!(answers.len(), 1, "a notification is not answered");
        assert_eq!(answers[0]["error"]["code"], -32700);
    }
}
