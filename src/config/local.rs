//! Reads what is said about this side: who calls, the rules, the journal, the home, the log.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::flags::RunFlags;
use super::parse::{self, Wrong};
use super::reader::Reader;
use super::settings::{Identity, Journal, Log};
use super::sources::{Found, Origin, Overridden, Setting};
use super::variables as name;
use crate::policy::Pack;

const FLAG: Origin = Origin::Flag("--policy");
const PROFILE: Origin = Origin::Profile("policy");

/// The longest line that is read, in bytes, where nothing else is said: 64 MiB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn identity(
    read: &mut Reader<'_>,
    flags: &RunFlags,
    command: Option<&OsStr>,
) -> Identity {
    let of_agent = Setting::of(&[&name::AGENT_ID]).or_flag("--agent-id", flags.agent_id.as_ref());
    let agent_id = read.optional(of_agent, parse::text);
    if command.is_some() && !read.is_given(of_agent) {
        read.follows(of_agent, &named_after(command), Origin::Default);
    }
    let tenant_id = read.optional(
        Setting::of(&[&name::TENANT_ID]).or_flag("--tenant-id", flags.tenant_id.as_ref()),
        parse::text,
    );
    let user_id = read.optional(
        Setting::of(&[&name::USER_ID]).or_flag("--user-id", flags.user_id.as_ref()),
        parse::text,
    );
    let session_intent = read.optional(
        Setting::of(&[&name::SESSION_INTENT])
            .or_flag("--session-intent", flags.session_intent.as_ref()),
        parse::text,
    );
    let approved_scope = read.optional(
        Setting::of(&[&name::APPROVED_SCOPE])
            .or_flag("--approved-scope", flags.approved_scope.as_ref()),
        parse::list,
    );
    let intent_tools =
        read.optional(Setting::of(&[&name::INTENT_TOOL_ALLOWLIST]), parse::intent_tools);
    let blocked_ancestors = read.optional(Setting::of(&[&name::BLOCKED_ANCESTORS]), parse::list);
    let blocked_binaries = read.optional(Setting::of(&[&name::BLOCKED_BINARIES]), parse::list);
    Identity {
        agent_id: agent_id.unwrap_or_else(|| named_after(command)),
        tenant_id,
        user_id,
        session_intent,
        approved_scope: approved_scope.unwrap_or_default(),
        intent_tools: intent_tools.unwrap_or_default(),
        blocked_ancestors: blocked_ancestors.unwrap_or_default(),
        blocked_binaries: blocked_binaries.unwrap_or_default(),
    }
}

/// The last part of the command's path.
fn named_after(command: Option<&OsStr>) -> String {
    command
        .and_then(|command| Path::new(command).file_name())
        .map_or_else(|| "agent".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The policies of all layers: they add up, since of several the strictest verdict counts. Where
/// the managed file locks them, it is the only one to say any.
pub(super) fn policies(read: &mut Reader<'_>, flags: &RunFlags) -> (Vec<Pack>, Vec<PathBuf>) {
    let setting = Setting::flag_only("--policy", None, "-");
    let layers = read.layers();
    let managed = layers.managed().policies();
    let mut given: Vec<(PathBuf, Origin)> = Vec::new();
    let mut add = |path: PathBuf, origin| {
        if given.iter().all(|(known, _)| *known != path) {
            given.push((path, origin));
        }
    };
    for entry in managed {
        add(entry.into(), Origin::Managed("policy"));
    }
    let others = layers.profile().policies().iter().map(|entry| (entry.into(), PROFILE));
    let others = others.chain(flags.policy.iter().map(|path| (path.clone(), FLAG)));
    for (path, origin) in others {
        if read.is_locked(setting) {
            if !managed.iter().any(|entry| Path::new(entry) == path) {
                read.overrides(Overridden { name: "policy", by: origin });
            }
        } else {
            add(path, origin);
        }
    }
    if given.is_empty() {
        read.show_default(setting);
    }
    for (path, origin) in &given {
        let text = path.to_string_lossy().into_owned();
        read.show(setting, &Found { text, origin: *origin });
    }
    let (mut packs, mut files) = (Vec::new(), Vec::new());
    for (path, origin) in given {
        match path.to_str().and_then(Pack::named) {
            Some(pack) if origin != FLAG => packs.push(pack),
            _ => files.push(path),
        }
    }
    (packs, files)
}

pub(super) fn journal(read: &mut Reader<'_>, flags: &RunFlags) -> Journal {
    let best_effort = read.optional(
        Setting::flag_only("--journal", flags.journal.as_ref(), "required"),
        parse::journal,
    );
    let full_arguments = read.optional(
        Setting::flag_only("--journal-arguments", flags.journal_arguments.as_ref(), "hash"),
        parse::journal_arguments,
    );
    Journal {
        best_effort: best_effort.unwrap_or(false),
        full_arguments: full_arguments.unwrap_or(false),
    }
}

pub(super) fn max_message_bytes(read: &mut Reader<'_>, flags: &RunFlags) -> usize {
    let given = flags.max_message_bytes.as_ref();
    read.optional(
        Setting::flag_only("--max-message-bytes", given, "67108864"),
        parse::message_bytes,
    )
    .unwrap_or(MAX_MESSAGE_BYTES)
}

/// thoth's own directory. `THOTH_HOME_DIR` names it as it is, as the installers do; otherwise it
/// is `.thoth` in the home directory.
pub(super) fn home(read: &mut Reader<'_>) -> PathBuf {
    let own = Setting::of(&[&name::HOME_DIR]);
    if read.is_given(own) {
        return read.optional(own, parse::absolute_path).unwrap_or_default();
    }
    let of_user = Setting::of(&[&name::HOME]);
    let profile = Setting::of(&[&name::USER_PROFILE]);
    let drive = Setting::of(&[&name::HOME_DRIVE]);
    let path = Setting::of(&[&name::HOME_PATH]);
    let (home, found_in) = if read.is_given(of_user) {
        (read.optional(of_user, parse::absolute_path), of_user)
    } else if read.is_given(profile) {
        (read.optional(profile, parse::absolute_path), profile)
    } else if read.is_given(drive) && read.is_given(path) {
        let letter = read.optional(drive, parse::path).unwrap_or_default();
        let rest = read.optional(path, parse::path).unwrap_or_default();
        let mut both = letter.into_os_string();
        both.push(rest);
        (Some(both.into()), drive)
    } else {
        read.problem(
            Origin::Variable(name::HOME_DIR.name),
            Wrong::new(
                "is not set, and there is no home directory to use instead",
                "set it to a directory for thoth's own files",
            ),
        );
        (None, own)
    };
    let Some(home) = home.map(|home: PathBuf| home.join(".thoth")) else {
        return PathBuf::new(); // the problem is known, so this is not used
    };
    let origin = read.origin(found_in.name);
    read.follows(own, &home.to_string_lossy(), origin);
    home
}

pub(super) fn log(read: &mut Reader<'_>) -> Log {
    let own = read.optional(Setting::of(&[&name::LOG_LEVEL]), parse::log_level);
    let any = read.shared(Setting::of(&[&name::ANY_LOG_LEVEL]), parse::log_level);
    let format = read.optional(Setting::of(&[&name::LOG_FORMAT]), parse::log_format);
    Log { level: own.or(any).unwrap_or_default(), format: format.unwrap_or_default() }
}
