//! Real files, real links, real threads.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

type Edited = Result<(), PlaceError>;

struct Room {
    root: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn home(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(".thoth")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("etc").join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn append(&self, path: &Path, more: &str) -> Edited {
        edit(path, &self.home(), |contents| Ok(([&contents.bytes, more.as_bytes()].concat(), ())))
    }

    /// What is beside the file, itself included.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.root.path().join("etc"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn an_edit_is_in_place_and_nothing_is_left_beside_it() {
    let room = Room::new();
    let path = room.file("a.json", "old");
    room.append(&path, "+new").unwrap();
    assert_eq!(text(&path), "old+new");
    assert_eq!(room.names(), ["a.json"]);
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let room = Room::new();
    let path = room.file("a.json", "old");
    let before = fs::metadata(&path).unwrap();
    room.append(&path, "").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(before.ino(), after.ino());
    }
}

#[cfg(unix)]
#[test]
fn mode_owner_and_links_are_kept() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    let room = Room::new();
    let is_root = nix::unistd::geteuid().is_root();
    for mode in [0o600, 0o640, 0o644, 0o664, 0o755] {
        let path = room.file("real.json", "old");
        let (one, two) = (room.path("one"), room.path("two"));
        symlink("real.json", &one).unwrap();
        symlink(&one, &two).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        if is_root {
            chown(&path, Some(12345), Some(54321)).unwrap();
        }
        let before = fs::metadata(&path).unwrap();
        room.append(&two, "+new").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(text(&path), "old+new");
        assert_eq!(after.mode() & 0o7777, mode);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_eq!(fs::read_link(&two).unwrap(), one);
        assert_eq!(room.names(), ["one", "real.json", "two"]);
        fs::remove_file(one).unwrap();
        fs::remove_file(two).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let room = Room::new();
    room.file("a.json", "");
    let pipe = room.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    for path in [pipe.as_path(), Path::new("/dev/zero"), Path::new("/")] {
        assert!(matches!(read(path).unwrap_err(), PlaceError::NotAFile { .. }), "{path:?}");
        assert!(room.append(path, "x").is_err());
    }
    let missing = read(&room.path("missing")).unwrap_err();
    assert!(matches!(missing, PlaceError::Unreadable { .. }));
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let room = Room::new();
    let path = room.file("a.json", "");
    File::options().write(true).open(&path).unwrap().set_len(LONGEST + 1).unwrap();
    assert!(matches!(read(&path).unwrap_err(), PlaceError::TooLong { .. }));
    File::options().write(true).open(&path).unwrap().set_len(LONGEST).unwrap();
    assert_eq!(read(&path).unwrap().bytes.len() as u64, LONGEST);
}

#[cfg(unix)]
#[test]
fn a_read_only_file_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;

    let room = Room::new();
    let path = room.file("a.json", "old");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let refused = room.append(&path, "+new").unwrap_err();
    assert!(matches!(refused, PlaceError::ReadOnly { .. }), "{refused}");
    assert_eq!(text(&path), "old");
    assert_eq!(room.names(), ["a.json"]);
}

#[test]
fn a_change_while_it_is_edited_is_not_lost() {
    let room = Room::new();
    let path = room.file("a.json", "old");
    let mut asked = 0;
    edit(&path, &room.home(), |contents| -> Result<_, PlaceError> {
        asked += 1;
        if asked < 4 {
            fs::write(&path, format!("theirs {asked}")).unwrap();
        }
        Ok(([&contents.bytes[..], b" and ours"].concat(), ()))
    })
    .unwrap();
    assert_eq!(text(&path), "theirs 3 and ours");
    assert_eq!(asked, 4);
    assert_eq!(room.names(), ["a.json"]);
}

#[test]
fn a_file_that_never_rests_is_given_up() {
    let room = Room::new();
    let path = room.file("a.json", "old");
    let mut asked = 0;
    let refused = edit(&path, &room.home(), |_| -> Result<_, PlaceError> {
        asked += 1;
        fs::write(&path, format!("theirs {asked}")).unwrap();
        Ok((b"ours".to_vec(), ()))
    });
    assert!(matches!(refused, Err(PlaceError::Changed { .. })));
    assert_eq!(text(&path), format!("theirs {TRIES}"));
}

#[test]
fn a_text_that_was_half_written_is_read_again() {
    let room = Room::new();
    let path = room.file("a.json", "{\"half");
    let mut asked = 0;
    edit(&path, &room.home(), |contents| {
        asked += 1;
        if contents.bytes == b"{\"half" {
            fs::write(&path, "{\"whole\":1}").unwrap(); // its writer goes on
            return Err(PlaceError::TooLong { path: path.clone() });
        }
        Ok((contents.bytes.to_ascii_uppercase(), ()))
    })
    .unwrap();
    assert_eq!(text(&path), "{\"WHOLE\":1}");
    assert_eq!(asked, 2);
}

#[test]
fn many_editors_at_once_lose_no_edit() {
    let room = Room::new();
    let path = room.file("a.json", "");
    thread::scope(|scope| {
        for who in 0..6 {
            let (room, path) = (&room, &path);
            scope.spawn(move || {
                for count in 0..10 {
                    room.append(path, &format!("{who}.{count}\n")).unwrap();
                }
            });
        }
    });
    let mut lines: Vec<_> = text(&path).lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 60);
    assert_eq!(room.names(), ["a.json"]);
}

/// Where files can be exchanged, not even a change in the last moment is lost.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_client_that_renames_all_the_time_loses_nothing() {
    let room = Room::new();
    let path = room.file("a.json", "0 ");
    let turn = Turn::take(&path, &room.home()).unwrap();
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for count in 1..=2000 {
                let draft = room.path("client.tmp");
                fs::write(&draft, format!("{count} ")).unwrap();
                fs::rename(&draft, &path).unwrap();
                // What was put back may have been away for a moment.
                let stands = |_| text(&path).split(' ').next() == Some(&count.to_string());
                assert!((0..100_000).any(stands), "{count} was lost");
            }
            done.store(1, Ordering::Release);
        });
        while done.load(Ordering::Acquire) == 0 {
            // Refused where the client was quicker; what counts is that its word stands.
            let Ok(contents) = read_now(&path) else { continue };
            let new = [&contents.bytes[..], b"ours "].concat();
            let _ = contents.replace(&path, &new, &turn);
        }
    });
    assert_eq!(text(&path).split(' ').next(), Some("2000"));
    assert_eq!(room.names(), ["a.json"]);
}

#[test]
fn what_is_in_the_place_by_now_stays_there() {
    let room = Room::new();
    let path = room.file("a.json", "theirs");
    let turn = Turn::take(&path, &room.home()).unwrap();
    let facts = fs::metadata(&path).unwrap();
    let draft = Draft::write(&path, &turn, b"ours", &facts).unwrap();
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        assert!(!draft.put(&path, b"old", b"ours").unwrap());
        assert_eq!(text(&path), "theirs");
    } else {
        drop(draft);
    }
    let draft = Draft::write(&path, &turn, b"ours", &facts).unwrap();
    assert!(draft.put(&path, b"theirs", b"ours").unwrap());
    assert_eq!(text(&path), "ours");
    assert_eq!(room.names(), ["a.json"]);
}

#[test]
fn what_a_killed_one_left_is_taken_away_and_nothing_else() {
    let room = Room::new();
    let path = room.file("a.json", "old");
    let ours = format!(".thoth-{}-{}-dead.tmp", key(&path), key(&room.home()));
    let others = format!(".thoth-{}-{}-live.tmp", key(&path), key(Path::new("/elsewhere")));
    room.file(&ours, "half");
    room.file(&others, "half");
    room.append(&path, "+new").unwrap();
    assert_eq!(room.names(), [others, "a.json".to_owned()]);
}

#[test]
fn a_new_file_is_made_once() {
    let room = Room::new();
    let like = read(&room.file("a.json", "old")).unwrap();
    let path = room.path("b.json");
    create(&path, &room.home(), b"new", &like).unwrap();
    assert_eq!(text(&path), "new");
    assert!(create(&path, &room.home(), b"newer", &like).is_err());
    assert_eq!(text(&path), "new");
    assert_eq!(room.names(), ["a.json", "b.json"]);
    assert!(create(&room.path("no/where"), &room.home(), b"new", &like).is_err());
}

#[cfg(unix)]
#[test]
fn root_does_not_follow_a_users_link_to_somebody_else() {
    use std::os::unix::fs::{lchown, symlink};

    if !nix::unistd::geteuid().is_root() {
        return; // nobody else can give files away
    }
    let room = Room::new();
    let secret = room.file("secret.json", "old");
    let link = room.path("link.json");
    symlink(&secret, &link).unwrap();
    lchown(&link, Some(12345), None).unwrap();
    assert!(matches!(room.append(&link, "x").unwrap_err(), PlaceError::Astray { .. }));
    lchown(&secret, Some(12345), None).unwrap();
    room.append(&link, "+new").unwrap();

    lchown(room.root.path(), Some(12345), None).unwrap();
    let fresh = room.root.path().join("home").join(".thoth");
    let refused = edit(&link, &fresh, |_| -> Result<_, PlaceError> { Ok((vec![], ())) });
    assert!(matches!(refused, Err(PlaceError::Guest { owner: 12345, .. })));
}

mod backups {
    use super::super::backup::{LATEST, directory, keep};
    use super::*;

    fn copies(room: &Room, path: &Path) -> Vec<String> {
        let mut copies: Vec<_> = fs::read_dir(directory(&room.home(), "cursor", path))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name() != Some("path".as_ref()))
            .collect();
        copies.sort();
        copies.iter().map(|path| text(path)).collect()
    }

    #[test]
    fn the_first_copy_stays_and_the_latest() {
        let room = Room::new();
        let mut expected = Vec::new();
        for count in 0..15 {
            let path = room.file("a.json", &count.to_string());
            let now = jiff::Timestamp::from_second(1_800_000_000 + count).unwrap();
            let contents = read(&path).unwrap();
            assert!(keep(&contents, &room.home(), "cursor", now).unwrap().is_some());
            let again = keep(&contents, &room.home(), "cursor", now).unwrap();
            assert!(again.is_none(), "the same text is kept once");
            expected.push(count.to_string());
        }
        expected.drain(1..expected.len() - LATEST);
        assert_eq!(copies(&room, &room.path("a.json")), expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_is_for_its_user_alone_and_says_whose_it_is() {
        use std::os::unix::fs::MetadataExt as _;

        let room = Room::new();
        let path = room.file("a.json", "secret");
        let copy = keep(&read(&path).unwrap(), &room.home(), "cursor", jiff::Timestamp::MIN);
        let copy = copy.unwrap().unwrap();
        assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o7777, 0o600);
        let above = copy.parent().unwrap();
        assert_eq!(fs::metadata(above).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(text(&above.join("path")), path.to_str().unwrap());
    }
}
