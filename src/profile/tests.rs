//! Who else can change or read what thoth relies on, and what it puts in place.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_fresh_profile_is_for_its_user_alone() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("above").join(".thoth");
    furnish(&home, "key-1").unwrap();
    assert_eq!(mode(&home), 0o700);
    let read = |name: &str| fs::read_to_string(home.join(name)).unwrap();
    assert_eq!(read("intent_map.json"), "{}\n");
    let key: serde_json::Value = serde_json::from_str(&read("proxy_api_key.json")).unwrap();
    assert_eq!(key, serde_json::json!({"api_key": "", "key_id": "key-1"}));
    assert_eq!(mode(&home.join("proxy_api_key.json")), 0o600);
    assert_eq!(fs::read_dir(&home).unwrap().count(), 2, "no drafts stay");
}

#[test]
fn what_is_there_already_stays() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("intent_map.json"), "{\"a\":1}").unwrap();
    furnish(home.path(), "key-1").unwrap();
    furnish(home.path(), "key-2").unwrap();
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    assert_eq!(read("intent_map.json"), "{\"a\":1}");
    assert!(read("proxy_api_key.json").contains("key-1"));
}

#[test]
fn what_others_can_change_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("policy.toml");
    fs::write(&path, "").unwrap();
    // mode, may be relied on, may hold a secret
    let table = [
        (0o600, true, true),
        (0o400, true, true),
        (0o644, true, false),
        (0o640, true, false),
        (0o604, true, false),
        (0o620, false, false),
        (0o602, false, false),
        (0o666, false, false),
    ];
    for (bits, private, secret) in table {
        chmod(&path, bits);
        assert_eq!(check_private(&path).is_ok(), private, "{bits:o}");
        assert_eq!(check_secret(&path).is_ok(), secret, "{bits:o}");
        if nix::unistd::geteuid().is_root() || bits & 0o400 != 0 {
            assert_eq!(read_secret(&path, 9).is_ok(), secret, "{bits:o}");
        }
    }
    chmod(root.path(), 0o777);
    let said = open(root.path()).unwrap_err().to_string();
    assert!(said.ends_with("can be changed by others (mode 777); run chmod go-w"));
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    // Only root can give a file away; elsewhere, what root owns is relied on.
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("key");
    fs::write(&path, "").unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        let refused = check_private(&path).unwrap_err();
        assert!(matches!(refused, Unsafe::Foreign { owner: 12345, .. }));
    } else {
        check_private(Path::new("/")).unwrap();
    }
}

#[test]
fn a_link_inside_the_profile_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (inside, elsewhere) = (root.path().join("journal"), root.path().join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &inside).unwrap();
    let refused = open_inside(&inside).unwrap_err();
    assert!(matches!(refused, Unsafe::NotADirectory { .. }));
    open(&inside).unwrap(); // but the profile itself may live on another disk
    symlink(root.path().join("nowhere"), root.path().join("new")).unwrap();
    let taken = new_file().write(true).open(root.path().join("new"));
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_file_is_replaced_whole_and_nothing_but_a_file_is() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("key");
    replace(home.path(), "key", b"one").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    replace(home.path(), "key", b"two").unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
    fs::create_dir(home.path().join("folder")).unwrap();
    symlink(&path, home.path().join("link")).unwrap();
    symlink("/nowhere/x", home.path().join("broken")).unwrap();
    for name in ["folder", "link", "broken"] {
        let refused = replace(home.path(), name, b"three").unwrap_err();
        assert!(matches!(refused, Unsafe::NotAFile { .. }), "{name}: {refused}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 4, "no drafts stay");
}

#[test]
fn a_managed_file_is_roots_and_so_is_its_directory() {
    let root = tempfile::tempdir().unwrap();
    let (folder, link) = (root.path().join("folder"), root.path().join("link"));
    let path = folder.join("file");
    fs::create_dir(&folder).unwrap();
    assert!(matches!(read_managed(&path, 9), Ok(None)));
    assert!(matches!(check_managed(&path), Err(Unsafe::Unseen { .. })));
    fs::write(&path, "x").unwrap();
    if !nix::unistd::geteuid().is_root() {
        assert!(matches!(read_managed(&path, 9), Err(Unsafe::NotRoots { .. })));
        return;
    }
    symlink(&path, &link).unwrap();
    // of the file, of its directory, whether it may be relied on, also through a link
    for (file, above, is_safe) in [
        (0o644, 0o755, true),
        (0o600, 0o700, true),
        (0o664, 0o755, false),
        (0o646, 0o755, false),
        (0o644, 0o775, false),
        (0o644, 0o757, false),
        (0o644, 0o1777, false),
    ] {
        chmod(&path, file);
        chmod(&folder, above);
        assert_eq!(read_managed(&path, 9).is_ok(), is_safe, "{file:o} {above:o}");
        assert_eq!(check_managed(&path).is_ok(), is_safe, "{file:o} {above:o}");
        assert_eq!(read_managed(&link, 9).is_ok(), is_safe, "{file:o} {above:o}");
    }
    chmod(&folder, 0o755);
    assert!(read_managed(&path, 0).is_err(), "longer than its limit");
    for of in [&path, &folder] {
        std::os::unix::fs::chown(of, Some(12345), None).unwrap();
        let refused = read_managed(&link, 9).unwrap_err();
        assert!(matches!(refused, Unsafe::NotRoots { owner: 12345, .. }), "{refused}");
        std::os::unix::fs::chown(of, Some(0), None).unwrap();
    }
}

#[test]
fn a_file_put_in_place_by_many_is_whole() {
    let home = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for who in 0..8_u8 {
            let home = home.path();
            scope.spawn(move || put(home, "key", &[who; 4096]).unwrap());
        }
    });
    let contents = read_secret(&home.path().join("key"), 4096).unwrap();
    assert_eq!(contents.len(), 4096);
    assert!(contents.iter().all(|byte| *byte == contents[0]));
    assert!(read_secret(&home.path().join("key"), 4095).is_err());
}
