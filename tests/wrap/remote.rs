//! Servers behind an address: their secrets move to files and come back, those without a credential
//! are asked, and what has to wait for a person says so.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use crate::room::{Room, below, text};

const SECRET: &str = "hunter2.literal.token";

fn entry(url: &str, more: &Value) -> String {
    let mut entry = json!({"url": url});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"mcpServers": {"Far Away": entry}}).to_string()
}

fn literal() -> String {
    let headers = json!({"Authorization": format!("Bearer {SECRET}"), "X-Key": "hunter2-key", "X-Region": "eu"});
    entry("https://far.example/mcp", &json!({"headers": headers}))
}

fn secrets(room: &Room) -> Vec<PathBuf> {
    below(&room.path(".thoth/secrets"))
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;

    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The arguments of the one server of a file.
fn args(path: &Path) -> Vec<String> {
    let read: Value = serde_json::from_str(&text(path)).unwrap();
    let args = read["mcpServers"]["Far Away"]["args"].as_array().unwrap().clone();
    args.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_secret_stays_where_it_is_without_being_told_to_move_and_its_server_ungoverned() {
    let room = Room::new();
    let path = room.file("mcp.json", literal());
    let said = room.wrap(&["mcp.json"]);
    assert_eq!((said.code, text(&path)), (10, literal()));
    assert!(said.err.contains("1 server is UNGOVERNED: Far Away"), "{}", said.err);
    assert!(said.out.contains("--migrate-secrets"), "{}", said.out);
    for args in [&["--check"][..], &["--check", "--drift", "--migrate-secrets"]] {
        assert_eq!(room.wrap(&[args, &["mcp.json"]].concat()).code, 10, "{args:?}");
    }
    assert_eq!(room.wrap(&["--check", "--drift", "mcp.json"]).code, 0);
    let said = room.wrap(&["--dry-run", "--migrate-secrets", "mcp.json"]);
    assert_eq!((said.code, text(&path), secrets(&room).len()), (0, literal(), 0));
    assert!(!said.out.contains("hunter2"), "{}", said.out);
    assert_eq!(room.wrap(&["--migrate-secrets", "--output", "-", "mcp.json"]).code, 64);
}

#[test]
fn a_secret_moves_to_a_file_of_this_users_alone_and_comes_back() {
    let room = Room::new();
    let path = room.file("mcp.json", literal());
    let said = room.wrap(&["--migrate-secrets", "mcp.json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let once = text(&path);
    assert!(!once.contains("hunter2") && !said.out.contains("hunter2"), "{once}");
    assert!(said.out.contains("it holds the secrets still"), "{}", said.out);
    let kept = secrets(&room);
    let held: Vec<_> = kept.iter().map(|path| text(path)).collect();
    assert_eq!(held, [format!("{SECRET}\n"), "X-Key: hunter2-key\n".to_owned()]);
    let line = args(&path);
    for (flag, value) in [
        ("--upstream-token-file", kept[0].to_str().unwrap()),
        ("--upstream-header-file", kept[1].to_str().unwrap()),
        ("--upstream-header", "X-Region: eu"),
        ("--url", "https://far.example/mcp"),
    ] {
        let at = line.iter().position(|word| word == flag).unwrap();
        assert_eq!(line[at + 1], value);
    }
    #[cfg(unix)]
    {
        assert_eq!(mode(&room.path(".thoth/secrets")), 0o700);
        let copies = below(&room.path(".thoth/backups"));
        assert!(kept.iter().chain(&copies).all(|file| mode(file) == 0o600));
    }
    // What it remembers holds no secret either.
    let undo = &line[line.iter().position(|word| word == "--undo").unwrap() + 1];
    let word = undo.split("remote=").nth(1).unwrap();
    let remembered =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, word.as_bytes());
    assert!(!String::from_utf8(remembered.unwrap()).unwrap().contains("hunter2"));

    room.wrap(&["--migrate-secrets", "mcp.json"]);
    assert_eq!((text(&path), secrets(&room)), (once, kept), "twice is once");
    assert_eq!(room.wrap(&["--check", "mcp.json"]).code, 0);
    let said = room.unwrap(&["--dry-run", "mcp.json"]);
    assert!(!said.out.contains("hunter2"), "{}", said.out);
    assert_eq!(secrets(&room).len(), 2);
    assert_eq!(room.unwrap(&["mcp.json"]).code, 0);
    assert_eq!((text(&path), secrets(&room).len()), (literal(), 0));
}

#[test]
fn every_file_comes_back_with_its_secrets() {
    let wild = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrap/wild");
    let clients = crate::wild::CLIENTS;
    for name in crate::room::names(&wild).iter().filter(|name| name.contains("-remote")) {
        let room = Room::new();
        let original = fs::read(wild.join(name)).unwrap();
        let path = room.file(name, &original);
        let client = clients.iter().find(|client| name.starts_with(**client)).unwrap();
        let said = room.wrap(&["--client", client, "--migrate-secrets", name]);
        assert!(matches!(said.code, 0 | 10), "{name}: {}", said.err);
        let moved = String::from_utf8_lossy(&original).contains("hunter2-of");
        assert!(!secrets(&room).is_empty() || !moved, "{name}: {}", said.out);
        assert!(!text(&path).contains("hunter2-of"), "{name}: {}", text(&path));
        let said = room.unwrap(&["--client", client, name]);
        assert_eq!(said.code, 0, "{name}: {}", said.out);
        assert_eq!(fs::read(&path).unwrap(), original, "{name}");
        assert_eq!(secrets(&room).len(), 0, "{name}");
    }
}

#[test]
fn a_secret_comes_back_as_it_is_now_and_an_entry_whose_secret_is_gone_stays() {
    let room = Room::new();
    let path = room.file("mcp.json", literal());
    room.wrap(&["--migrate-secrets", "mcp.json"]);
    let [token, _] = &secrets(&room)[..] else { panic!("two files") };
    fs::remove_file(token).unwrap();
    let wrapped = text(&path);
    let said = room.unwrap(&["mcp.json"]);
    assert_eq!((said.code, text(&path)), (1, wrapped));
    assert!(said.out.contains("STILL WRAPPED"), "{}", said.out);
    for (held, code) in [("\" , \"x\": \"", 1), ("rotated\n", 0)] {
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(token).unwrap().write_all(held.as_bytes()).unwrap();
        assert_eq!(room.unwrap(&["mcp.json"]).code, code, "{held}");
    }
    assert_eq!(text(&path), literal().replace(SECRET, "rotated"));
}

#[test]
fn only_thoths_own_files_are_read_and_removed() {
    let room = Room::new();
    let path = room.file("mcp.json", literal());
    room.wrap(&["--migrate-secrets", "mcp.json"]);
    let foreign = room.file(".thoth/elsewhere", "hunter2-elsewhere");
    let token = secrets(&room)[0].to_str().unwrap().to_owned();
    for other in [foreign.to_str().unwrap().to_owned(), token.replace("secrets/", "secrets/../")] {
        fs::write(&path, text(&path).replace(&token, &other)).unwrap();
        assert_eq!(room.unwrap(&["mcp.json"]).code, 1);
        assert!(!text(&path).contains("hunter2") && foreign.exists());
        fs::write(&path, text(&path).replace(&other, &token)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn no_secret_is_left_behind_where_the_file_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt as _;

    let room = Room::new();
    let path = room.file("mcp.json", literal());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let said = room.wrap(&["--migrate-secrets", "mcp.json"]);
    assert_eq!((said.code, text(&path)), (1, literal()));
    assert_eq!(secrets(&room), [] as [PathBuf; 0]);
}

#[test]
fn a_login_of_thoths_own_takes_the_place_of_the_clients() {
    let room = Room::new();
    let original = entry("https://far.example/mcp", &json!({"oauth": {"clientId": "x"}}));
    let path = room.file("mcp.json", &original);
    let said = room.wrap(&["mcp.json"]);
    assert_eq!((said.code, text(&path)), (10, original.clone()));
    assert!(said.out.contains("thoth auth login far-away"), "{}", said.out);
    room.file(".thoth/logins/far-away.json", "{}");
    assert_eq!(room.wrap(&["--check", "--drift", "mcp.json"]).code, 10);
    assert_eq!(room.wrap(&["mcp.json"]).code, 0);
    let line = args(&path).join(" ");
    assert!(line.contains("--upstream-login far-away"), "{line}");
    room.unwrap(&["mcp.json"]);
    assert_eq!(text(&path), original);
}

#[test]
fn a_login_that_was_made_later_is_used() {
    let room = Room::new();
    let original = entry("https://far.example/mcp", &json!({}));
    let path = room.file("mcp.json", &original);
    let said = room.wrap(&["mcp.json"]);
    assert!(said.out.contains("not asked whether it wants a login"), "{}", said.out);
    room.file(".thoth/logins/far-away.json", "{}");
    room.wrap(&["mcp.json"]);
    let once = text(&path);
    assert!(once.contains("--upstream-login"), "{once}");
    room.wrap(&["mcp.json"]);
    assert_eq!(text(&path), once);
    room.unwrap(&["mcp.json"]);
    assert_eq!(text(&path), original);
}

/// A server that answers every request the same way, and what it was asked.
fn server(answer: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp?x=1", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (mut asked, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
            asked.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        asked + &String::from_utf8(body).unwrap()
    });
    (url, asked)
}

#[test]
fn a_server_without_a_credential_is_asked_once_and_wrapped_where_it_wants_none() {
    const OPEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    const LOGIN: &str = "HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const AWAY: &str = "HTTP/1.1 302 Away\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    for (answer, code, told) in [
        (OPEN, 0, "wrapped"),
        (LOGIN, 10, "it wants a login: run `thoth auth login far-away"),
        (AWAY, 10, "it was asked, and answered 302"),
    ] {
        let room = Room::new();
        let (url, asked) = server(answer);
        let original = entry(&url, &json!({}));
        let path = room.file("mcp.json", &original);
        let said = room.wrap(&["--probe", "mcp.json"]);
        assert_eq!(said.code, code, "{}", said.out);
        assert!(said.out.contains(told), "{}", said.out);
        assert_eq!(text(&path) == original, code != 0);
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /mcp?x=1 "), "{asked}");
        assert!(asked.contains("\"initialize\"") && !asked.contains("tools/"), "{asked}");
        assert!(!asked.to_ascii_lowercase().contains("authorization"), "{asked}");
    }
    let room = Room::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    room.file("mcp.json", entry(&format!("http://{nobody}/mcp"), &json!({})));
    let said = room.wrap(&["--probe", "mcp.json"]);
    assert_eq!(said.code, 10, "{}", said.out);
    assert!(said.out.contains("cannot be reached"), "{}", said.out);
}
