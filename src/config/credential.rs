//! Reads where a credential comes from: a value, a file, a command, a keychain, whichever stands
//! nearest.
//!
//! A file is read here once, so that thoth does not start with one that cannot be used; after that
//! [`crate::credential`] reads it at every use. A command is not run here, and no keychain asked:
//! either may take its time, and ask a person.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::parse::{self, Wrong};
use super::reader::Reader;
use super::sources::{Found, Origin, Setting, Unusable};
use super::upstream::UNSET;
use super::variables as name;
use super::variables::Env;
use crate::credential::{
    Credential, Entry, Flaw, Invocation, MAX_FILE, NotAnEntry, NotWords, Revocations, Secret,
    Source, State,
};
use crate::machine::clock;
use crate::secret::ApiKey;

/// How one credential can be written.
pub(super) struct Ways<'a> {
    /// What it is called in reports, such as `api_key`.
    pub(super) called: &'static str,
    /// Each way, with its setting. Of several at one place, one goes before those behind it.
    pub(super) each: &'a [(Way, Setting<'a>)],
    /// Its name at the issuer.
    pub(super) key_id: Option<Setting<'a>>,
    /// How long whoever replaces it is waited for.
    pub(super) grace: Duration,
}

/// What a setting says of a credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// The secret itself.
    Value,
    /// The name of a variable with it.
    Named,
    /// A file with it.
    File,
    /// A command that prints it.
    Command,
    /// Its entry in the system's keychain.
    Keychain,
    /// The name of a login, in its place.
    Login,
}

/// What is the same for all credentials.
pub(super) struct Around<'a> {
    pub(super) env: &'a Env,
    /// The variables that no program is to see.
    pub(super) withheld: Vec<String>,
    /// The keys that are not to be used.
    pub(super) revocations: &'a Revocations,
}

/// A credential as it was given.
pub(super) struct Given<S: Secret = ApiKey> {
    pub(super) credential: Option<Credential<S>>,
    /// The file it comes from, which others must be kept from.
    pub(super) file: Option<PathBuf>,
    /// The login that was given in its place.
    pub(super) login: Option<String>,
}

/// The way that counts, and what stood there.
struct Chosen<'a> {
    way: Way,
    setting: Setting<'a>,
    found: Found,
}

/// Reads one credential. A flag goes before a variable, and so on through all sources.
pub(super) fn read<S: Secret>(
    read: &mut Reader<'_>,
    around: &Around<'_>,
    ways: &Ways<'_>,
) -> Given<S> {
    let key_id = ways.key_id.and_then(|setting| read.optional(setting, parse::text));
    let chosen = nearest(read, ways.each);
    for (_, setting) in ways.each {
        if chosen.as_ref().is_none_or(|chosen| chosen.setting.name != setting.name) {
            read.show_default(*setting);
        }
    }
    let mut given = Given { credential: None, file: None, login: None };
    let Some(chosen) = chosen else { return given };
    let Chosen { way, setting, ref found } = chosen;
    let source = match way {
        Way::Value => value(&found.text, found.origin),
        Way::Named => {
            around.env.named(&found.text).ok_or(UNSET).and_then(|text| value(&text, found.origin))
        }
        Way::File => {
            given.file = Some(PathBuf::from(&found.text));
            file(found)
        }
        Way::Command => command(&found.text, around.withheld.clone()),
        Way::Keychain => keychain(&found.text),
        Way::Login => {
            match parse::login(&found.text) {
                Ok(login) => {
                    read.show(setting, found);
                    given.login = Some(login);
                }
                Err(wrong) => read.unusable(setting, Unusable { origin: found.origin, wrong }),
            }
            return given;
        }
    };
    match source {
        Ok(source) => {
            let credential = Credential::new(ways.called, source, clock::now)
                .called(key_id)
                .unless(around.revocations.clone())
                .within(ways.grace);
            loaded(read, ways, &chosen, &credential);
            given.credential = Some(credential);
        }
        Err(wrong) => read.unusable(setting, Unusable { origin: found.origin, wrong }),
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

fn nearest<'a>(read: &mut Reader<'_>, ways: &[(Way, Setting<'a>)]) -> Option<Chosen<'a>> {
    let found = ways.iter().filter_map(|(way, setting)| {
        Some(Chosen { way: *way, setting: *setting, found: read.find(*setting)? })
    });
    let mut found: Vec<_> = found.collect();
    if let Some(Chosen { way: Way::Value, found, .. }) = found.first()
        && let Origin::Flag(_) = found.origin
    {
        read.notice(
            found.origin,
            "everybody on this machine can see it in the list of processes; use --api-key-file",
        );
    }
    found.sort_by_key(|chosen| std::cmp::Reverse(chosen.found.origin.strength()));
    let mut found = found.into_iter();
    let nearest = found.next()?;
    // Nobody wrote down that the profile's own file is one.
    for other in found.filter(|other| !matches!(other.found.origin, Origin::Profile(_))) {
        let notice = format!("is not used, since {} is given", nearest.found.origin);
        read.notice(other.found.origin, notice);
    }
    Some(nearest)
}

fn value<S: Secret>(text: &str, origin: Origin) -> Result<Source<S>, Wrong> {
    let from = origin.layer().unwrap_or("default");
    Source::given(text.as_bytes(), from).map_err(|_| wrong(Flaw::Unsendable))
}

fn file<S: Secret>(found: &Found) -> Result<Source<S>, Wrong> {
    let path = Path::new(&found.text);
    if is_descriptor(path) {
        once(path, found.origin.layer().unwrap_or("default")).map_err(wrong)
    } else {
        Ok(Source::File(path.to_owned()))
    }
}

/// Whether a path is that of an open descriptor, which a shell makes of `<(command)`. Any other
/// pipe is refused: nobody may ever write into it.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// What can be read only once.
fn once<S: Secret>(path: &Path, from: &'static str) -> Result<Source<S>, Flaw> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|_| Flaw::Unreadable)?;
    Source::given(&bytes, from)
}

fn command<S: Secret>(text: &str, withheld: Vec<String>) -> Result<Source<S>, Wrong> {
    Invocation::parse(text, withheld).map(Source::Command).map_err(|why| {
        let what = match why {
            NotWords::Empty => "names no program",
            NotWords::Unclosed => "opens a quotation that does not end",
            NotWords::NotAnArray => "begins like a JSON array, and is not one of texts",
            NotWords::Nul => "holds a NUL character",
        };
        Wrong::new(what, "write a program and its arguments, or a JSON array of them")
    })
}

fn keychain<S: Secret>(text: &str) -> Result<Source<S>, Wrong> {
    if !Entry::IS_READ {
        return Err(wrong(Flaw::NoKeychain));
    }
    let entry = Entry::parse(text);
    entry
        .map(Source::Keychain)
        .map_err(|NotAnEntry| Wrong::new("names no entry of the keychain", "write SERVICE/ACCOUNT"))
}

/// Loads what can be loaded, and shows what there is.
fn loaded<S: Secret>(
    read: &mut Reader<'_>,
    ways: &Ways<'_>,
    chosen: &Chosen<'_>,
    credential: &Credential<S>,
) {
    let Chosen { way, setting, found } = chosen;
    let origin = found.origin;
    match credential.load_now() {
        // Who else can get at a file is for the preflight to say: it knows what to do about it.
        Ok(()) | Err(Flaw::Readable | Flaw::Writable) => {}
        Err(flaw) => {
            if flaw.is_passing() {
                read.patience = read.patience.max(ways.grace);
            }
            read.unusable(*setting, Unusable { origin, wrong: wrong(flaw) });
            return;
        }
    }
    let standing = credential.standing();
    match way {
        Way::Value => {}
        Way::Command => {
            let program = found.text.split_whitespace().next().unwrap_or_default();
            read.follows(*setting, &format!("{program} …"), origin);
        }
        Way::Named | Way::File | Way::Keychain | Way::Login => {
            read.follows(*setting, &found.text, origin);
        }
    }
    let of_value = ways.each.iter().find(|(way, _)| *way == Way::Value);
    let shown = if *way == Way::Value { Some(*setting) } else { of_value.map(|(_, it)| *it) };
    if let Some(shown) = shown {
        let fingerprint = standing.fingerprint.unwrap_or_else(|| "not read yet".to_owned());
        read.follows(shown, &fingerprint, origin);
    }
    if standing.state == State::Revoked {
        read.notice(origin, "the key is on the list of revoked ones: calls will be blocked");
    }
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
