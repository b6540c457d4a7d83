//! Token files as they are found in the wild: half written, emptied, too long, behind links.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::client::{Setup, replace};
use crate::server::Server;

/// What a file may hold for a moment, and what becomes of a session that has a good token already.
#[tokio::test]
async fn a_file_that_is_torn_empty_or_too_long_costs_no_call() {
    let server = Server::start().await;
    server.accept_only(&["good"]);
    let setup = Setup::new(&server).token("good");
    let path = setup.token_file();
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    let oversized = "x".repeat(17 * 1024);
    let torn: [&[u8]; 9] = [
        b"",
        b"\n",
        b"   \r\n",
        b"one\ntwo",
        b"one\r\ntwo\r\n",
        b"with\0zero",
        b"not visible \x07",
        b"\xff\xfe",
        oversized.as_bytes(),
    ];
    for (n, bytes) in (2..).zip(torn) {
        fs::write(&path, bytes).unwrap(); // in place, as a careless rotator does it
        client.succeeds(n).await;
    }
    let ended = client.ends().await;
    setup.holds(&server, &ended, 10);
    assert_eq!(server.refusals(), 0, "none of it was ever sent");
    let tokens: Vec<_> = server.seen().iter().map(|seen| seen.token().to_owned()).collect();
    assert!(tokens.iter().all(|token| token == "good"), "{tokens:?}");
}

#[tokio::test]
async fn a_token_may_end_in_a_newline_of_any_kind() {
    for end in ["", "\n", "\r\n", " \n"] {
        let server = Server::start().await;
        server.accept_only(&["good"]);
        let setup = Setup::new(&server).token(&format!("good{end}"));
        let mut client = setup.begin().await;
        client.succeeds(1).await;
        let ended = client.ends().await;
        setup.holds(&server, &ended, 1);
        assert_eq!(server.refusals(), 0, "{end:?}");
    }
}

/// The beginning of a token is refused; then the whole of it is there.
#[tokio::test]
async fn the_beginning_of_a_token_is_not_taken_for_it() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old");
    let path = setup.token_file();
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    server.accept_only(&["new-and-whole"]);
    let writing = async {
        server.until_refused(1).await;
        fs::write(&path, "").unwrap();
        fs::write(&path, "new-and-whole").unwrap();
    };
    tokio::join!(client.succeeds(2), writing);
    let ended = client.ends().await;
    setup.holds(&server, &ended, 2);
}

/// As Kubernetes replaces a mounted secret: the file is a link through `..data`, which is swapped.
#[tokio::test]
async fn a_link_that_is_swapped_leads_to_the_new_token() {
    let server = Server::start().await;
    server.accept_only(&["t0"]);
    let setup = Setup::new(&server);
    let mount = setup.home.path().join("mount");
    let version = |number: u32| {
        let folder = mount.join(format!("..2026_{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&mount, fs::Permissions::from_mode(0o700)).unwrap();
        replace(&folder.join("token"), &format!("t{number}"));
        let next = mount.join("..data_tmp");
        symlink(folder.file_name().unwrap(), &next).unwrap();
        fs::rename(&next, mount.join("..data")).unwrap();
    };
    version(0);
    let path = mount.join("token");
    symlink("..data/token", &path).unwrap();
    let setup = setup.flags(&["--upstream-token-file", path.to_str().unwrap()]);
    let mut client = setup.begin().await;
    for number in 1..=10 {
        client.succeeds(u64::from(number)).await;
        version(number);
        fs::remove_dir_all(mount.join(format!("..2026_{}", number - 1))).unwrap();
        server.accept_only(&[&format!("t{number}")]);
    }
    client.succeeds(11).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 11);
    assert_eq!(server.refusals(), 0);
}

/// A file that others may write is somebody else's token.
#[tokio::test]
async fn a_file_that_others_may_write_is_refused_at_start_and_not_read_later() {
    let server = Server::start().await;
    server.accept_only(&["good"]);
    let setup = Setup::new(&server).token("good");
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(setup.token_file(), open.clone()).unwrap();
    let ended = setup.start().ends().await;
    assert_eq!(ended.code, 77, "{}", ended.stderr);
    assert!(server.seen().is_empty());

    setup.rotate("good");
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    setup.rotate("planted");
    fs::set_permissions(setup.token_file(), open).unwrap();
    client.succeeds(2).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 2);
    assert_eq!(server.refusals(), 0, "what was planted is not sent");
}

#[tokio::test]
async fn a_token_in_json_with_its_end_is_read_as_well() {
    let server = Server::start().await;
    server.accept_only(&["good"]);
    let setup =
        Setup::new(&server).token(r#"{"token":"good","expires_at":"2999-01-01T00:00:00Z"}"#);
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 1);
    assert_eq!(server.refusals(), 0);
}
