//! Reads where a credential comes from: a value, a file, or a command, whichever stands nearest.
//!
//! A file is read here once, so that thoth does not start with one that cannot be used; after that
//! [`crate::credential`] reads it at every use. A command is not run here: it may take its time,
//! and ask a person.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::parse::{self, Wrong};
use super::reader::Reader;
use super::sources::{Found, Origin, Setting, Unusable};
use super::variables as name;
use super::variables::Env;
use crate::credential::{
    Credential, Flaw, Invocation, MAX_FILE, NotWords, Revocations, Source, State,
};
use crate::machine::clock;
use crate::secret::ApiKey;

/// How one credential can be written.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    /// What it is called in reports, such as `api_key`.
    pub(super) called: &'static str,
    /// The secret itself.
    pub(super) value: Setting<'a>,
    /// A file with it.
    pub(super) file: Setting<'a>,
    /// A command that prints it.
    pub(super) command: Option<Setting<'a>>,
    /// Its name at the issuer.
    pub(super) key_id: Option<Setting<'a>>,
}

/// A credential as it was given.
#[derive(Default)]
pub(super) struct Given {
    pub(super) credential: Option<Credential>,
    /// The file it comes from, which others must be kept from.
    pub(super) file: Option<PathBuf>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Way {
    Value,
    File,
    Command,
}

/// Reads one credential. A flag goes before a variable, and so on through all sources; of several
/// at the same place, the secret itself goes before a file, and a file before a command.
pub(super) fn read(
    read: &mut Reader<'_>,
    env: &Env,
    ways: &Ways<'_>,
    revocations: &Revocations,
) -> Given {
    let key_id = ways.key_id.and_then(|setting| read.optional(setting, parse::text));
    let chosen = nearest(read, ways);
    if !matches!(chosen, Some((Way::File, _))) {
        read.show_default(ways.file);
    }
    if let Some(setting) = ways.command.filter(|_| !matches!(chosen, Some((Way::Command, _)))) {
        read.show_default(setting);
    }
    let Some((way, found)) = chosen else {
        read.show_default(ways.value);
        return Given::default();
    };
    let mut given = Given::default();
    let source = match way {
        Way::Value => value(read, ways, &found),
        Way::File => {
            given.file = Some(PathBuf::from(&found.text));
            file(read, ways, &found)
        }
        Way::Command => command(read, env, ways, &found),
    };
    if let Some(source) = source {
        let credential = Credential::new(ways.called, source, clock::now)
            .called(key_id)
            .unless(revocations.clone());
        given.credential = Some(loaded(read, ways, way, &found, credential));
    }
    given
}

/// The list of revoked keys. Who configures one relies on it: without it, thoth does not start.
pub(super) fn revocations(read: &mut Reader<'_>) -> Revocations {
    let setting = Setting::of(&[&name::REVOKED_API_KEY_IDS]);
    let list = read.optional(setting, |path| {
        Revocations::of_file(PathBuf::from(path)).map_err(|flaw| {
            if flaw == Flaw::Missing {
                Wrong::new("names no file", "write the path of the list")
            } else if flaw == Flaw::TooLong {
                Wrong::new("names a list over 256 KiB", "take out what has expired")
            } else {
                wrong(flaw)
            }
        })
    });
    list.unwrap_or_default()
}

fn nearest(read: &mut Reader<'_>, ways: &Ways<'_>) -> Option<(Way, Found)> {
    let settings = [
        (Way::Value, Some(ways.value)),
        (Way::File, Some(ways.file)),
        (Way::Command, ways.command),
    ];
    let mut found: Vec<_> = settings
        .into_iter()
        .filter_map(|(way, setting)| Some((way, read.find(setting?)?)))
        .collect();
    if let Some((Way::Value, Found { origin: origin @ Origin::Flag(_), .. })) = found.first() {
        read.notice(
            *origin,
            "everybody on this machine can see it in the list of processes; use --api-key-file",
        );
    }
    found.sort_by_key(|(_, found)| std::cmp::Reverse(found.origin.strength()));
    let mut found = found.into_iter();
    let nearest = found.next()?;
    // Nobody wrote down that the profile's own file is one.
    for (_, other) in found.filter(|(_, other)| !matches!(other.origin, Origin::Profile(_))) {
        read.notice(other.origin, format!("is not used, since {} is given", nearest.1.origin));
    }
    Some(nearest)
}

fn value(read: &mut Reader<'_>, ways: &Ways<'_>, found: &Found) -> Option<Source> {
    let origin = found.origin;
    let Ok(secret) = ApiKey::parse(&found.text) else {
        read.unusable(ways.value, Unusable { origin, wrong: wrong(Flaw::Unsendable) });
        return None;
    };
    Some(Source::Value { secret, from: origin.layer().unwrap_or("default"), key_id: None })
}

fn file(read: &mut Reader<'_>, ways: &Ways<'_>, found: &Found) -> Option<Source> {
    let (path, origin) = (Path::new(&found.text), found.origin);
    if !is_descriptor(path) {
        return Some(Source::File(path.to_owned()));
    }
    match once(path, origin.layer().unwrap_or("default")) {
        Ok(source) => Some(source),
        Err(flaw) => {
            read.unusable(ways.file, Unusable { origin, wrong: wrong(flaw) });
            None
        }
    }
}

/// Whether a path is that of an open descriptor, which a shell makes of `<(command)`. Any other
/// pipe is refused: nobody may ever write into it.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// What can be read only once.
fn once(path: &Path, from: &'static str) -> Result<Source, Flaw> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|_| Flaw::Unreadable)?;
    Source::given(&bytes, from)
}

fn command(read: &mut Reader<'_>, env: &Env, ways: &Ways<'_>, found: &Found) -> Option<Source> {
    match Invocation::parse(&found.text, env.ours()) {
        Ok(invocation) => Some(Source::Command(invocation)),
        Err(why) => {
            let what = match why {
                NotWords::Empty => "names no program",
                NotWords::Unclosed => "opens a quotation that does not end",
                NotWords::NotAnArray => "begins like a JSON array, and is not one of texts",
                NotWords::Nul => "holds a NUL character",
            };
            let fix = "write a program and its arguments, or a JSON array of them";
            let unusable = Unusable { origin: found.origin, wrong: Wrong::new(what, fix) };
            read.unusable(ways.command.unwrap_or(ways.value), unusable);
            None
        }
    }
}

/// Loads what can be loaded, and shows what there is.
fn loaded(
    read: &mut Reader<'_>,
    ways: &Ways<'_>,
    way: Way,
    found: &Found,
    credential: Credential,
) -> Credential {
    let origin = found.origin;
    match credential.load_now() {
        // Who else can get at a file is for the preflight to say: it knows what to do about it.
        Ok(()) | Err(Flaw::Readable | Flaw::Writable) => {}
        Err(flaw) => {
            read.is_awaiting |= flaw.is_passing();
            read.unusable(ways.file, Unusable { origin, wrong: wrong(flaw) });
            read.show_default(ways.value);
            return credential;
        }
    }
    let standing = credential.standing();
    let fingerprint = standing.fingerprint.unwrap_or_else(|| "not read yet".to_owned());
    match way {
        Way::Value => {}
        Way::File => read.follows(ways.file, &found.text, origin),
        Way::Command => {
            let program = found.text.split_whitespace().next().unwrap_or_default();
            read.follows(ways.command.unwrap_or(ways.file), &format!("{program} …"), origin);
        }
    }
    read.follows(ways.value, &fingerprint, origin);
    if standing.state == State::Revoked {
        read.notice(origin, "the key is on the list of revoked ones: calls will be blocked");
    }
    credential
}

/// What to say of a setting whose value, or file, cannot be used.
fn wrong(flaw: Flaw) -> Wrong {
    let alone = "write the key alone into it";
    let (what, fix) = match flaw {
        Flaw::Missing => ("names no file", "write the path of the file with the key"),
        Flaw::Denied => ("names a file that this user may not read", "make this user its owner"),
        Flaw::NotAFile | Flaw::Unreadable | Flaw::Slow => {
            ("names a file that cannot be read", "write the path of the file with the key")
        }
        Flaw::Writable => ("names a file that others can write", "chmod go-w the file"),
        Flaw::Readable => ("names a file that others can read", "chmod go-r the file"),
        Flaw::TooLong => ("names a file over 16 KiB", "write a file that holds the key alone"),
        Flaw::NotUtf8 => ("names a file that is not UTF-8", alone),
        Flaw::Empty => ("names a file without a key", "write the key into it"),
        Flaw::NotJson => {
            ("names a file that is not JSON with a text `api_key` or `token`", "mend the file")
        }
        Flaw::NotAList => {
            ("names a file that is no list", "write one id on each line, or a JSON array of texts")
        }
        Flaw::Unsendable => {
            ("holds a character that cannot be sent in an HTTP header", "write the key alone")
        }
        Flaw::NotHeaders => (
            "names a file that is neither lines `Name: value` nor a JSON object of texts",
            "write one header on each line, each with a value and none twice",
        ),
        Flaw::Reserved => {
            ("names a header that the transport sets itself", "leave that header out")
        }
        Flaw::NoEntry | Flaw::Locked => {
            ("names an entry of the keychain that cannot be read", "look for it in the keychain")
        }
        Flaw::NoKeychain => (
            "names an entry of the keychain, which this build of thoth cannot read",
            "build it with `--features keychain`, or use a file or a command",
        ),
        Flaw::NotStarted | Flaw::TimedOut | Flaw::Failed => {
            ("names a command that fails", "run it by hand to see why")
        }
    };
    Wrong::new(what, fix)
}
