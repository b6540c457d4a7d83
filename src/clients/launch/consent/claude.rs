//! What the user approved in Claude Code.
//!
//! As version 2.1.197 does it, with one difference: there, once the folder is trusted, settings that
//! are committed with the project may approve its servers, and a run without a person takes them
//! all. Here neither does.
//!
//! | where | says no | says yes |
//! |---|---|---|
//! | `settings.json` in Claude's directory | always | always |
//! | `managed-settings.json` of the system | always | always |
//! | `.claude.json`, the project's part | always | always |
//! | `.claude/settings.local.json` of the project | always | where the folder is trusted and git does not have the file |
//! | `.claude/settings.json` of the project | always | never |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::{Answer, Approvals, Unread, first, json, plain, repository};
use crate::clients::table::{Base, Places, System};

/// How often git is looked after, and how long between: 3 s in all. One that waits for a disk, or for a
/// lock, must not keep the launch.
const LOOKS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(10);

/// What one of the files says.
#[derive(Clone, Debug, Default, Deserialize)]
struct Settings {
    #[serde(rename = "enableAllProjectMcpServers")]
    enable_all: Option<bool>,
    #[serde(default, rename = "enabledMcpjsonServers")]
    enabled: Vec<String>,
    #[serde(default, rename = "disabledMcpjsonServers")]
    disabled: Vec<String>,
}

/// A project's part of `.claude.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Project {
    #[serde(default)]
    has_trust_dialog_accepted: bool,
    #[serde(flatten)]
    settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
struct State {
    #[serde(default)]
    projects: BTreeMap<String, Project>,
}

/// What all of the files say.
#[derive(Clone, Debug, Default)]
struct Files {
    user: Settings,
    project_state: Project,
    shared: Settings,
    local: Settings,
    managed: Settings,
    /// Whether git has the local one, or nobody can tell.
    is_local_committed: bool,
}

pub(super) fn read(places: &Places, project: &Path) -> Result<Approvals, Unread> {
    let directory = directory(places);
    let state: State = match first(places, Base::Claude) {
        Some(base) => json(&base.join(".claude.json"))?.unwrap_or_default(),
        None => State::default(),
    };
    let part = |path: &Path| state.projects.get(path.to_str()?).cloned();
    let project_state = repository(project).and_then(part).or_else(|| part(project));
    let settings = |path: PathBuf| json::<Settings>(&path).map(Option::unwrap_or_default);
    let local = project.join(".claude/settings.local.json");
    let files = Files {
        user: settings(directory.join("settings.json"))?,
        project_state: project_state.unwrap_or_default(),
        shared: settings(project.join(".claude/settings.json"))?,
        managed: settings(managed(places))?,
        is_local_committed: is_committed(project, &local),
        local: settings(local)?,
    };
    Ok(judge(&files))
}

/// The directory with Claude's own settings.
fn directory(places: &Places) -> PathBuf {
    match first(places, Base::Claude) {
        Some(base) if base != places.home => base,
        _ => places.home.join(".claude"),
    }
}

fn managed(places: &Places) -> PathBuf {
    match places.system {
        System::Macos => places.root.join("Library/Application Support/ClaudeCode"),
        System::Linux => places.root.join("etc/claude-code"),
        System::Windows => first(places, Base::Programs).unwrap_or_default().join("ClaudeCode"),
    }
    .join("managed-settings.json")
}

/// Whether a file is part of the project as others have it. Only where git says that it is not, or
/// where there is no repository, is it not.
fn is_committed(project: &Path, file: &Path) -> bool {
    if repository(project).is_none() || !file.exists() {
        return false;
    }
    let asked = Command::new("git")
        .arg("-C")
        .arg(project)
        .args(["-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--"])
        .arg(file)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut git) = asked else { return true };
    for _ in 0..LOOKS {
        match git.try_wait() {
            Ok(Some(status)) => return status.code() != Some(1),
            Ok(None) => thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    let _ = git.kill();
    let _ = git.wait();
    true
}

fn judge(files: &Files) -> Approvals {
    let Files { user, project_state, shared, local, managed, is_local_committed } = files;
    let counts_local = project_state.has_trust_dialog_accepted && !is_local_committed;
    let mut approving = vec![user, &project_state.settings];
    approving.extend(Some(local).filter(|_| counts_local));
    approving.push(managed);
    let all = approving.iter().filter_map(|layer| layer.enable_all).next_back();
    let names = |names: &[String]| names.iter().map(|name| plain(name)).collect::<Vec<_>>();
    let rejecting = [user, &project_state.settings, shared, local, managed];
    Approvals {
        otherwise: if all == Some(true) { Answer::Yes } else { Answer::None },
        yes: approving.iter().flat_map(|layer| names(&layer.enabled)).collect(),
        no: rejecting.iter().flat_map(|layer| names(&layer.disabled)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_file_says_yes_and_no_as_far_as_it_may() {
        const YES: &str = r#"{"enabledMcpjsonServers": ["a b"]}"#;
        const NO: &str = r#"{"disabledMcpjsonServers": ["a b"]}"#;
        const ALL: &str = r#"{"enableAllProjectMcpServers": true}"#;
        use Answer::{No, None, Yes};
        type Put = fn(&mut Files, Settings);
        let user: Put = |files, settings| files.user = settings;
        let state: Put = |files, settings| files.project_state.settings = settings;
        let shared: Put = |files, settings| files.shared = settings;
        let local: Put = |files, settings| files.local = settings;
        let managed: Put = |files, settings| files.managed = settings;
        // The file; what it says; the answer where the folder is not trusted, where it is, and
        // where it is and git has the local settings.
        for (called, put, text, plainly, trusting, committed) in [
            ("user", user, YES, Yes, Yes, Yes),
            ("user", user, NO, No, No, No),
            ("user", user, ALL, Yes, Yes, Yes),
            ("state", state, YES, Yes, Yes, Yes),
            ("state", state, NO, No, No, No),
            ("state", state, ALL, Yes, Yes, Yes),
            ("shared", shared, YES, None, None, None),
            ("shared", shared, NO, No, No, No),
            ("shared", shared, ALL, None, None, None),
            ("local", local, YES, None, Yes, None),
            ("local", local, NO, No, No, No),
            ("local", local, ALL, None, Yes, None),
            ("managed", managed, YES, Yes, Yes, Yes),
            ("managed", managed, NO, No, No, No),
            ("managed", managed, ALL, Yes, Yes, Yes),
        ] {
            for (trusted, is_local_committed, answer) in
                [(false, false, plainly), (true, false, trusting), (true, true, committed)]
            {
                let mut files = Files { is_local_committed, ..Files::default() };
                put(&mut files, says(text));
                files.project_state.has_trust_dialog_accepted = trusted;
                let told = judge(&files);
                assert_eq!(
                    told.of("a_b"),
                    answer,
                    "{called} {text} {trusted} {is_local_committed}"
                );
            }
        }
    }

    #[test]
    fn a_no_anywhere_is_stronger_than_a_yes() {
        let mut files =
            Files { user: says(r#"{"enabledMcpjsonServers": ["a"]}"#), ..Files::default() };
        files.shared = says(r#"{"disabledMcpjsonServers": ["a"]}"#);
        assert_eq!(judge(&files).of("a"), Answer::No);
        files.managed = says(r#"{"enableAllProjectMcpServers": false}"#);
        files.user = says(r#"{"enableAllProjectMcpServers": true}"#);
        assert_eq!(judge(&files).of("b"), Answer::None);
    }
}
