//! From paths to a book.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Book;
use crate::policy::pack::BASELINE;
use crate::policy::{Local, Pack, Policy, PolicySet, Problems, Proof, Scope, Who, prove};

/// The longest policy file that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Where policies come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Directories, files and names of built-in packs; the baseline where there are none.
    paths: Vec<PathBuf>,
}

/// One policy's text, and what it is called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Text {
    name: String,
    text: String,
}

/// Why there is no book.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file or directory cannot be read.
    #[error("cannot read the policy {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is too long.
    #[error("the policy {} is longer than {LONGEST} bytes", .0.display())]
    TooLong(PathBuf),
    /// A directory holds no policy.
    #[error("the directory {} holds no *.toml file", .0.display())]
    Empty(PathBuf),
    /// The texts are no policies.
    #[error("the policies cannot be used:\n{}", in_words(.0))]
    Problems(Vec<Problems>),
    /// A policy lets through what it says it denies.
    #[error("the policies do not deny what they say they deny: {what}; this is a bug in thoth")]
    Broken {
        /// Which call.
        what: String,
    },
}

// === impl Sources ===

impl Sources {
    /// Directories (every `*.toml` in them, by name), files, and names of built-in packs.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }

    /// Reads, parses and proves everything.
    ///
    /// # Errors
    ///
    /// [`Unusable`]; of files that do not parse, all problems at once.
    pub fn book(&self) -> Result<Book, Unusable> {
        parse(&self.texts()?)
    }

    /// The texts as they are now.
    pub(super) fn texts(&self) -> Result<Vec<Text>, Unusable> {
        if self.paths.is_empty() {
            return Ok(vec![Text::of_pack(BASELINE)]);
        }
        let mut texts = Vec::new();
        for path in &self.paths {
            match fs::metadata(path) {
                Ok(facts) if facts.is_dir() => {
                    for file in policies_in(path)? {
                        texts.push(Text::read(&file)?);
                    }
                }
                Ok(_) => texts.push(Text::read(path)?),
                Err(source) => match path.to_str().and_then(Pack::named) {
                    Some(pack) => texts.push(Text::of_pack(pack)),
                    None => return Err(Unusable::Read { path: path.clone(), source }),
                },
            }
        }
        Ok(texts)
    }
}

/// The `*.toml` files of a directory, by name; hidden ones are none: editors make them.
fn policies_in(directory: &Path) -> Result<Vec<PathBuf>, Unusable> {
    let unreadable = |source| Unusable::Read { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Unusable::Empty(directory.to_owned()));
    }
    files.sort();
    Ok(files)
}

/// Makes a book of texts.
pub(super) fn parse(texts: &[Text]) -> Result<Book, Unusable> {
    let (mut policies, mut problems) = (Vec::new(), Vec::new());
    for Text { name, text } in texts {
        match Policy::parse(name, text) {
            Ok(policy) => policies.push(policy),
            Err(of_this) => problems.push(of_this),
        }
    }
    let Some(set) = PolicySet::new(policies).filter(|_| problems.is_empty()) else {
        return Err(Unusable::Problems(problems));
    };
    let bound = Some(set.bind(Who::default()));
    let local = Local::new(Scope::new(&[], "", &[], None), bound);
    match prove(&local, &local) {
        Proof::Proven { what } => tracing::debug!(what, "the policies deny what they say"),
        Proof::NothingToDeny => tracing::warn!("the policies in force deny nothing"),
        Proof::Untested => {
            tracing::info!("no call is known that the policies deny; a [[case]] would prove it");
        }
        Proof::Broken { what } => return Err(Unusable::Broken { what }),
    }
    Ok(Book::new(set))
}

/// A digest of texts: whether anything has changed.
pub(super) fn digest(texts: &[Text]) -> [u8; 32] {
    let mut all = Sha256::new();
    for Text { name, text } in texts {
        for part in [name, text] {
            all.update(part.len().to_be_bytes());
            all.update(part);
        }
    }
    all.finalize().into()
}

fn in_words(problems: &[Problems]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

// === impl Text ===

impl Text {
    fn of_pack(pack: Pack) -> Self {
        Self { name: format!("pack {}", pack.name), text: pack.text.to_owned() }
    }

    fn read(path: &Path) -> Result<Self, Unusable> {
        let unreadable = |source| Unusable::Read { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > LONGEST {
            return Err(Unusable::TooLong(path.to_owned()));
        }
        Ok(Self { name: path.to_string_lossy().into_owned(), text })
    }
}
