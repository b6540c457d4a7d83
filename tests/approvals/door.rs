//! The socket: whose it is, what is left of it, and what it makes of bytes.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use crate::tree::{Client, approvals, home, text};

/// What a desk answers to these bytes.
fn asked(client: &Client, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(client.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let _ = stream.write_all(bytes); // it need not take all of it
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer); // cut off is as good as nothing
    answer
}

#[test]
fn the_socket_is_for_its_user_alone() {
    let client = Client::holding(&[("delete", "{}")]);
    let socket = fs::symlink_metadata(client.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.mode() & 0o777, 0o600);
    for folder in [client.socket().parent().unwrap(), &home(client.home.path()).join("run")] {
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700, "{}", folder.display());
    }
    let names: Vec<_> = fs::read_dir(client.socket().parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "no draft stays");
}

#[test]
fn what_the_dead_leave_behind_is_removed_and_the_living_stay() {
    let mut client = Client::holding(&[("delete", "{}")]);
    let folder = client.socket().parent().unwrap().to_owned();
    drop(UnixListener::bind(folder.join("dead.sock")).unwrap());
    fs::write(folder.join("file.sock"), "{\"decision\":\"approve\"}").unwrap();
    fs::write(folder.join("note.txt"), "").unwrap();
    drop(UnixListener::bind(folder.join("young.birth")).unwrap());
    let names = || {
        let names = fs::read_dir(&folder).unwrap();
        let mut names: Vec<_> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let output = client.person_runs(&["list"]);
    assert!(text(&output.stdout).contains("delete on npx"), "{output:?}");
    assert_eq!(names(), ["a-session.sock", "note.txt", "young.birth"]);

    client.kill_sidecar();
    assert_eq!(names(), ["a-session.sock", "note.txt", "young.birth"]);
    let output = client.person_runs(&["list"]);
    assert_eq!(text(&output.stdout), "Nothing waits for an answer.\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(names(), ["note.txt", "young.birth"]);
}

#[test]
fn bytes_that_are_no_request_change_nothing() {
    let mut client = Client::holding(&[("delete", "{}")]);
    let (id, _) = client.tokens[0].rsplit_once('-').unwrap();
    let approve = format!(r#"{{"do":"resolve","id":"{id}","decision":"approve"}}"#);
    let long = format!(
        r#"{{"do":"resolve","id":"{id}","decision":"approve","note":"{}"}}"#,
        "x".repeat(1025)
    );
    let huge = format!("{}{approve}\n", " ".repeat(9000));
    let unreadable = "{\"refused\":\"unreadable\"}\n";
    for (bytes, answer) in [
        (&b""[..], unreadable),
        (b"\n", unreadable),
        (b"\xff\xfe\n", unreadable),
        (b"GET / HTTP/1.1\r\n\r\n", unreadable),
        (b"[]\n", unreadable),
        (b"{\"do\":\"list\"", unreadable),
        (b"{\"do\":\"approve\"}\n", unreadable),
        (b"{\"do\":\"resolve\",\"id\":7,\"decision\":\"approve\"}\n", unreadable),
        (approve.as_bytes(), unreadable), // without its newline, something may be missing
        (approve.replace("approve", "APPROVE").as_bytes(), unreadable),
        (format!("{}\n", approve.replace('}', r#","id":"x"}"#)).as_bytes(), unreadable),
        (format!("{}\n", approve.replace('}', r#","by":"root"}"#)).as_bytes(), unreadable),
        (format!("{long}\n").as_bytes(), unreadable),
        (huge.as_bytes(), ""),
        (&vec![b'x'; 1 << 20], ""),
        (
            b"{\"do\":\"resolve\",\"id\":\"3f2a\",\"decision\":\"approve\"}\n",
            "{\"refused\":\"unknown\"}\n",
        ),
        (
            format!("{}\n", approve.replace(id, &id[..8])).as_bytes(),
            "{\"refused\":\"unknown\"}\n", // beginnings are the command's to find out
        ),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
        let said = asked(&client, bytes);
        // What is longer than a request is cut off, which may swallow the answer.
        assert!(said == answer || answer.is_empty() && said == unreadable, "{shown}: {said}");
    }
    // Those who say nothing keep nobody out.
    let silent: Vec<_> = (0..3).map(|_| UnixStream::connect(client.socket()).unwrap()).collect();
    assert!(asked(&client, b"{\"do\":\"list\"}\n").contains(id));
    assert_eq!(asked(&client, format!("{approve}\nmore").as_bytes()), "\"resolved\"\n");
    drop(silent);
    assert!(client.hears("answered delete ").starts_with("approved "));
}

#[test]
fn a_desk_is_found_by_a_long_path_too() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("d".repeat(60)).join("e".repeat(60));
    let thoth = home(&deep);
    let folder = thoth.join("run/approvals");
    fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = crate::tree::desk(thoth.clone());
        crate::tree::hold_one(&desk).await;
        if cfg!(target_os = "linux") {
            assert!(folder.join("a-session.sock").exists());
            let output = tokio::task::spawn_blocking(move || approvals(&deep, &["list"]));
            // It was started by this process, which is the sidecar, too.
            let output = output.await.unwrap();
            assert!(text(&output.stderr).contains("was started by the MCP client"), "{output:?}");
        }
        desk.end().await;
    });
}
