//! Which files are meant: those of clients, all there are, or those that are named.

use std::io;
use std::path::{Path, PathBuf};

use super::work::Trouble;
use crate::clients::place;
use crate::clients::table::{self, ALL, Client, File, Kind, Places};
use crate::config::variables::Env;

/// Which files are meant.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Selection {
    /// A client, all of whose files are meant; may be repeated. With a PATH: whose format it has
    #[arg(long, value_name = "CLIENT", value_parser = client)]
    client: Vec<&'static Client>,

    /// Every file of every client of this user
    #[arg(long, conflicts_with_all = ["client", "paths"])]
    all: bool,

    /// A project whose own files are meant, too; may be repeated
    #[arg(long, value_name = "DIR")]
    project: Vec<PathBuf>,

    /// A client's configuration file; whose it is, its place and contents tell
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// A file that was named and cannot be read.
#[derive(Debug)]
pub(in crate::cli) struct Lost {
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) trouble: Trouble,
}

/// The files that are meant cannot be told.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Unclear {
    #[error("say which files: a PATH, --client CLIENT, or --all\n\nclients:\n{}", clients())]
    Nothing,
    #[error(
        "there is no home directory to look for clients' files in; \
         set HOME (Windows: USERPROFILE), or name the files"
    )]
    Homeless,
    #[error("with a PATH, give --client once: the file has the format of one client")]
    Clients,
    #[error("{0} has no configuration file of this kind")]
    NoFormat(&'static str),
    #[error("cannot tell where {} is", path.display())]
    Nowhere { path: PathBuf, source: io::Error },
}

/// The client of this name, for clap.
fn client(id: &str) -> Result<&'static Client, String> {
    table::client(id).ok_or_else(|| format!("no such client; there are\n{}", clients()))
}

/// One line for each client.
fn clients() -> String {
    let width = ALL.iter().map(|client| client.id.len()).max().unwrap_or(0);
    let lines: Vec<_> =
        ALL.iter().map(|client| format!("  {:width$}  {}", client.id, client.name)).collect();
    lines.join("\n")
}

// === impl Selection ===

impl Selection {
    /// The single path that is named, if one is.
    pub(in crate::cli) fn single_path(&self) -> Option<&Path> {
        match &self.paths[..] {
            [path] => Some(path),
            _ => None,
        }
    }

    /// The places of this user, with the projects that are named.
    ///
    /// # Errors
    ///
    /// [`Unclear`], where the current directory is not known.
    pub(in crate::cli) fn places(&self, env: &Env) -> Result<Places, Unclear> {
        let mut places = Places::of(env);
        for project in &self.project {
            let root = std::path::absolute(project)
                .map_err(|source| Unclear::Nowhere { path: project.clone(), source })?;
            places = places.with_project(root);
        }
        Ok(places)
    }

    /// Every file that is meant and is there; a named one that cannot be read is told of.
    ///
    /// # Errors
    ///
    /// [`Unclear`]: a mistake in the command line, or there is no home directory.
    pub(in crate::cli) fn files(
        &self,
        places: &Places,
    ) -> Result<Vec<Result<File, Lost>>, Unclear> {
        if !self.paths.is_empty() {
            if self.client.len() > 1 {
                return Err(Unclear::Clients);
            }
            return self.paths.iter().map(|path| self.named(places, path)).collect();
        }
        if !self.all && self.client.is_empty() && self.project.is_empty() {
            return Err(Unclear::Nothing);
        }
        // To find nothing there would read as if nothing were left to govern.
        if places.home.as_os_str().is_empty() && (self.all || !self.client.is_empty()) {
            return Err(Unclear::Homeless);
        }
        let mut files = table::files(places);
        files.retain(|file| {
            let of_project = self.project.iter().any(|project| {
                std::path::absolute(project).is_ok_and(|root| file.path.starts_with(root))
            });
            let of_client = self.client.iter().any(|client| client.id == file.client.id);
            self.all || of_client || self.client.is_empty() && of_project
        });
        Ok(files.into_iter().map(Ok).collect())
    }

    fn named(&self, places: &Places, path: &Path) -> Result<Result<File, Lost>, Unclear> {
        let contents = match place::read(path) {
            Ok(contents) => contents,
            Err(error) => {
                return Ok(Err(Lost { path: path.to_owned(), trouble: error.into() }));
            }
        };
        let guess = table::recognise(places, path, &contents.bytes);
        let file = match self.client.first() {
            Some(client) if client.id != guess.client.id => of_client(client, &guess)?,
            _ => guess,
        };
        // Whoever names an administrator's file means to write it.
        let kind = if file.kind == Kind::Managed { Kind::User } else { file.kind };
        Ok(Ok(File { kind, ..file }))
    }
}

/// The file as one of this client's: in the format of its file of this name, or else in the first
/// one of the same syntax.
fn of_client(client: &'static Client, guess: &File) -> Result<File, Unclear> {
    let name = guess.path.file_name().unwrap_or_default();
    let alike = |spot: &&table::Spot| {
        spot.kind != Kind::Extension && spot.shape.syntax == guess.shape.syntax
    };
    let spot = client
        .spots
        .iter()
        .filter(alike)
        .find(|spot| Path::new(spot.path).file_name() == Some(name))
        .or_else(|| client.spots.iter().find(alike))
        .ok_or(Unclear::NoFormat(client.name))?;
    Ok(File { client, path: guess.path.clone(), kind: spot.kind, shape: spot.shape })
}
