//! A server's command line without what was put around it: thoth, or baton-proxy.
//!
//! Two wrappers of one kind would tell everything twice. Of thoth, only the outermost is taken away,
//! and its flags are kept for the thoth that takes its place: one further in holds policies of its
//! own, which nobody said should no longer count.

use crate::clients::document::{Wrapped, wrapped};

/// What is to be started.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Unwrapped<'a> {
    /// What the outermost thoth was told.
    pub(super) flags: &'a [String],
    /// The server's command.
    pub(super) command: &'a str,
    /// Its arguments.
    pub(super) args: &'a [String],
}

/// A wrapper with nothing in it that could be started.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("it starts baton-proxy in a way that cannot be unwrapped; name the server's own command")]
pub(super) struct Stuck;

/// Takes the wrappers away.
///
/// # Errors
///
/// [`Stuck`].
pub(super) fn of<'a>(command: &'a str, args: &'a [String]) -> Result<Unwrapped<'a>, Stuck> {
    let mut bare = Unwrapped { flags: &[], command, args };
    let mut is_ours = false;
    loop {
        if let Some(Wrapped { flags, command, args, .. }) = wrapped(bare.command, bare.args)
            && !is_ours
        {
            is_ours = true;
            bare = Unwrapped { flags, command, args };
        } else if let Some(behind) = behind_baton(bare.command, bare.args) {
            let behind = behind.strip_prefix(&["--".to_owned()]).unwrap_or(behind);
            let (command, args) = behind.split_first().ok_or(Stuck)?;
            if command.starts_with('-') {
                return Err(Stuck); // `--url`, or something that a newer one knows
            }
            bare = Unwrapped { command, args, ..bare };
        } else {
            return Ok(bare);
        }
    }
}

/// What baton-proxy is told, where this starts it: by its name, as a module of Python, or through
/// what installs Python's programs as they are needed.
fn behind_baton<'a>(command: &str, args: &'a [String]) -> Option<&'a [String]> {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command).to_ascii_lowercase();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    match name {
        "baton-proxy" => Some(args),
        "uvx" | "uv" | "pipx" => {
            let own = args.iter().position(|word| word == "--").unwrap_or(args.len());
            // `--from baton-proxy baton-proxy`: the last is the program.
            let at = args[..own].iter().take_while(|word| !is_package(word)).count();
            let named = args[at..own].iter().take_while(|word| is_package(word)).count();
            (named > 0).then(|| &args[at + named..])
        }
        _ if name == "py" || name.starts_with("python") => {
            let at = args.iter().position(|word| word == "-m")?;
            let is_first = args[..at].iter().all(|word| word.starts_with('-'));
            (is_first && args.get(at + 1)? == "baton_proxy").then(|| &args[at + 2..])
        }
        _ => None,
    }
}

/// `baton-proxy`, with a version or extras.
fn is_package(word: &str) -> bool {
    word.strip_prefix("baton-proxy").is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(['=', '@', '[', '<', '>', '~', '!'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn wrappers_are_taken_away_and_nothing_else() {
        for (line, flags, server) in [
            ("npx -y server /srv", "", "npx -y server /srv"),
            ("/bin/thoth run --policy p --undo x -- npx -y server", "--policy p", "npx -y server"),
            ("baton-proxy -- npx -y server", "", "npx -y server"),
            ("baton-proxy npx -y server", "", "npx -y server"),
            ("/usr/bin/python3.11 -m baton_proxy -- node s.js", "", "node s.js"),
            ("python -u -m baton_proxy node s.js", "", "node s.js"),
            ("C:\\x\\python.exe -m baton_proxy -- node s.js", "", "node s.js"),
            ("uvx baton-proxy==0.6.18 -- node s.js", "", "node s.js"),
            ("uvx --from baton-proxy[s3] baton-proxy -- node s.js", "", "node s.js"),
            ("uv tool run baton-proxy -- node s.js", "", "node s.js"),
            ("baton-proxy -- python -m baton_proxy -- baton-proxy node", "", "node"),
            ("thoth run --agent-id a -- baton-proxy -- node", "--agent-id a", "node"),
            ("baton-proxy -- thoth run --agent-id a -- node", "--agent-id a", "node"),
            // The inner one has policies of its own.
            (
                "thoth run --env dev -- thoth run --policy p -- n",
                "--env dev",
                "thoth run --policy p -- n",
            ),
            // Not a wrapper.
            ("python -m server -m baton_proxy", "", "python -m server -m baton_proxy"),
            ("python s.py -m baton_proxy -- x", "", "python s.py -m baton_proxy -- x"),
            ("uvx mcp-server-git -- baton-proxy", "", "uvx mcp-server-git -- baton-proxy"),
            ("npx baton-proxy-like", "", "npx baton-proxy-like"),
            ("uvx baton-proxy-like -- x", "", "uvx baton-proxy-like -- x"),
            ("thoth status", "", "thoth status"),
        ] {
            let line = words(line);
            let (flags, server) = (words(flags), words(server));
            let expected = Unwrapped { flags: &flags, command: &server[0], args: &server[1..] };
            assert_eq!(of(&line[0], &line[1..]), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn a_proxy_without_a_command_is_told() {
        for line in ["baton-proxy", "baton-proxy --", "baton-proxy --url https://h.example"] {
            let line = words(line);
            assert_eq!(of(&line[0], &line[1..]), Err(Stuck), "{line:?}");
        }
    }
}
