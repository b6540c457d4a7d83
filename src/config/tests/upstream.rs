//! Where a server behind a URL is, how it is reached, and what it is shown.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args as _;
use hyper::header::AUTHORIZATION;

use super::*;
use crate::config::UPSTREAM_TIMEOUT;
use crate::config::flags::UpstreamFlags;
use crate::config::settings::{Transport, Upstream};
use crate::credential::Entry;

const AT: &str = "--url=https://u.example/mcp";

fn upstream(words: &[&str], env: &[(&str, &str)]) -> Upstream {
    config(&[&[AT], words].concat(), env).upstream.unwrap()
}

fn refusal(words: &[&str], env: &[(&str, &str)]) -> String {
    refused(&[&[AT], words].concat(), env)
}

fn notices(words: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    config(&[&[AT, "--env=dev"], words].concat(), env).notices
}

fn private(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn headers(upstream: &Upstream) -> Vec<(String, String, bool)> {
    let headers = upstream.headers.iter().map(|(name, value)| {
        (name.to_string(), value.to_str().unwrap().to_owned(), value.is_sensitive())
    });
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    headers
}

#[test]
fn a_server_is_where_the_command_line_says_and_nowhere_else() {
    assert!(
        config(&[], &[("THOTH_UPSTREAM_URL", "https://u.example"), ("THOTH_URL", "x")])
            .upstream
            .is_none()
    );
    for (written, read) in [
        ("https://u.example", Some("https://u.example/")),
        ("https://u.example:8443/a/b?c=d&e", Some("https://u.example:8443/a/b?c=d&e")),
        ("http://127.0.0.1:1/mcp", Some("http://127.0.0.1:1/mcp")),
        ("http://[::1]:1/", Some("http://[::1]:1/")),
        ("http://u.example/mcp", None),
        ("https://ann:hunter2@u.example/mcp", None),
        ("https://u.example/mcp#hunter2", None),
        ("https://u.example/h%20unter2 x", None),
        ("ftp://hunter2", None),
        ("hunter2", None),
        ("", None),
    ] {
        let reading = reading(&[&format!("--url={written}")], &[]);
        let url = reading.draft().upstream.as_ref().map(|upstream| upstream.url.to_string());
        assert_eq!(url.as_deref(), read, "{written}");
        let told: Vec<_> = reading.problems().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), usize::from(read.is_none()), "{told:?}");
        assert!(!told.concat().contains("hunter2"), "{told:?}");
    }
    // A query may hold a secret.
    let reading = reading(&["--url=https://u.example/mcp?key=hunter2"], &[]);
    let shown = reading.shown().iter().find(|shown| shown.name == "--url").unwrap();
    assert_eq!(shown.value, "https://u.example/mcp?…");
}

#[test]
fn with_nothing_else_said_a_server_is_shown_nothing_and_reached_directly() {
    let upstream = upstream(&[], &[]);
    assert_eq!(upstream.transport, Transport::Auto);
    assert!(upstream.token.is_none() && upstream.login.is_none());
    assert!(upstream.secret_headers.is_none() && upstream.headers.is_empty());
    assert_eq!((upstream.timeout, upstream.proxied), (UPSTREAM_TIMEOUT, false));
    assert_eq!(upstream.auth_error_code, None);
    assert_eq!(upstream.home, Path::new("/home/a/.thoth"));
}

#[test]
fn every_flag_and_every_variable_says_how_and_a_flag_goes_first() {
    let env = [
        ("THOTH_UPSTREAM_TRANSPORT", "SSE"),
        ("THOTH_UPSTREAM_TIMEOUT", "30"),
        ("BATON_UPSTREAM_TIMEOUT", "40"),
        ("THOTH_UPSTREAM_PROXY", "environment"),
        ("THOTH_UPSTREAM_AUTH_ERROR_CODE", "-32042"),
        ("THOTH_UPSTREAM_AUTH_HEADER", "X-Token"),
        ("THOTH_UPSTREAM_AUTH_SCHEME", "None"),
        ("THOTH_UPSTREAM_TOKEN", "t"),
        ("THOTH_UPSTREAM_HEADER", "X-Team: blue\nX-Site: a, b"),
        ("THOTH_UPSTREAM_HEADER_ENV", "X-Key=MY_KEY"),
        ("MY_KEY", " hunter2 "),
    ];
    let said = upstream(&[], &env);
    assert_eq!((said.transport, said.timeout), (Transport::Sse, Duration::from_secs(30)));
    assert_eq!((said.proxied, said.auth_error_code), (true, Some(-32042)));
    let token = said.token.as_ref().unwrap();
    assert_eq!((token.header.as_str(), token.bearer), ("x-token", false));
    let header = |name: &str, value: &str, secret| (name.to_owned(), value.to_owned(), secret);
    assert_eq!(
        headers(&said),
        [
            header("x-key", "hunter2", true),
            header("x-site", "a, b", false),
            header("x-team", "blue", false)
        ]
    );

    let words = [
        "--transport=http",
        "--upstream-timeout=1.5",
        "--upstream-proxy=off",
        "--upstream-auth-error-code",
        "-1",
        "--upstream-auth-header=Authorization",
        "--upstream-auth-scheme=Bearer",
        "--upstream-header=X-Team: red",
        "--upstream-header=X-Other: a:b",
        "--upstream-header-env=X-Key=OTHER",
        "--upstream-header-env=X-More=OTHER",
    ];
    let said = upstream(&words, &[&env[..], &[("OTHER", "o")]].concat());
    assert_eq!((said.transport, said.timeout), (Transport::Http, Duration::from_millis(1500)));
    assert_eq!((said.proxied, said.auth_error_code), (false, Some(-1)));
    let token = said.token.as_ref().unwrap();
    assert_eq!((&token.header, token.bearer), (&AUTHORIZATION, true));
    let expected = [
        header("x-key", "o", true),
        header("x-more", "o", true),
        header("x-other", "a:b", false),
        header("x-team", "red", false),
    ];
    assert_eq!(headers(&said), expected);
    assert_eq!(upstream(&[], &[("BATON_UPSTREAM_TIMEOUT", "40")]).timeout, Duration::from_secs(40));
}

#[test]
fn of_several_sources_of_a_token_the_nearest_counts_and_the_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = private(folder.path(), "token", "of-file\n");
    let path = path.to_str().unwrap();
    let value = ("THOTH_UPSTREAM_TOKEN", "of-variable");
    let named = ("THOTH_UPSTREAM_TOKEN_ENV", "MINE");
    let mine = ("MINE", "of-mine");
    let file = ("THOTH_UPSTREAM_TOKEN_FILE", path);
    let printed = ("THOTH_UPSTREAM_TOKEN_COMMAND", "print-token");
    let login = ("THOTH_UPSTREAM_LOGIN", "linear");
    let baton = ("BATON_UPSTREAM_AUTH_TOKEN", "of-baton");
    let file_flag = format!("--upstream-token-file={path}");

    let of = |text: &str, from: &str| (Some(fingerprint(text)), Some(from.to_owned()), None);
    let nothing = (None, None, None);
    for (words, env, expected, unused) in [
        (&[][..], &[][..], nothing.clone(), &[][..]),
        (&[], &[mine], nothing, &[]),
        (&[], &[value], of("of-variable", "THOTH_UPSTREAM_TOKEN"), &[]),
        (&[], &[named, mine], of("of-mine", "THOTH_UPSTREAM_TOKEN_ENV"), &[]),
        (&[], &[file], of("of-file", "file"), &[]),
        (&[], &[printed], (None, Some("command".to_owned()), None), &[]),
        (&[], &[login], (None, None, Some("linear".to_owned())), &[]),
        (&[], &[baton], of("of-baton", "BATON_UPSTREAM_AUTH_TOKEN"), &[]),
        (
            &[],
            &[value, named, mine, file, printed, login, baton],
            of("of-variable", "THOTH_UPSTREAM_TOKEN"),
            &[named.0, file.0, printed.0, login.0, baton.0],
        ),
        (&[], &[baton, login], (None, None, Some("linear".to_owned())), &[baton.0]),
        (&[], &[baton, printed], (None, Some("command".to_owned()), None), &[baton.0]),
        (&[&*file_flag], &[value, baton], of("of-file", "file"), &[value.0, baton.0]),
        (
            &["--upstream-token-env=MINE"],
            &[mine, value],
            of("of-mine", "--upstream-token-env"),
            &[value.0],
        ),
        (&["--upstream-login=acme"], &[value], (None, None, Some("acme".to_owned())), &[value.0]),
    ] {
        let row = format!("{words:?} {env:?}");
        let upstream = upstream(words, env);
        let standing = upstream.token.map(|token| token.credential.standing());
        let told = standing.map(|it| (it.fingerprint, it.source));
        let (fingerprint, source) = told.map_or((None, None), |(it, source)| (it, Some(source)));
        assert_eq!((fingerprint, source, upstream.login), expected, "{row}");
        let told = notices(words, env);
        assert_eq!(told.len(), unused.len(), "{row}: {told:?}");
        for name in unused {
            let told =
                told.iter().any(|told| told.starts_with(&format!("{name}: is not used, since ")));
            assert!(told, "{row}: {name}");
        }
    }
    assert_eq!(
        upstream(&[&file_flag], &[]).token.unwrap().credential.standing().name,
        "upstream_token"
    );
}

#[test]
fn headers_that_rotate_come_from_a_file_or_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = private(folder.path(), "headers", "X-Key: hunter2\n");
    let path = path.to_str().unwrap();
    let file = ("THOTH_UPSTREAM_HEADER_FILE", path);
    let printed = ("THOTH_UPSTREAM_HEADERS_COMMAND", "print-headers");
    let flag = format!("--upstream-header-file={path}");
    let command = r#"--upstream-headers-command=["sh", "-c", "print | headers"]"#;
    for (words, env, source) in [
        (&[][..], &[file][..], "file"),
        (&[], &[printed], "command"),
        (&[], &[file, printed], "file"),
        (&[&*flag], &[printed], "file"),
        (&[command], &[file], "command"),
    ] {
        let upstream = upstream(words, env);
        let standing = upstream.secret_headers.unwrap().standing();
        assert_eq!((&*standing.name, &*standing.source), ("upstream_headers", source), "{env:?}");
    }
    let config = config(&[AT, &flag], &[]);
    assert_eq!(config.preflight.key_files, [Path::new(path)]);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_is_wrong_is_told_at_once_and_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let torn = private(folder.path(), "torn", r#"{"X-Key": "hunter2"#);
    let told = refusal(
        &[
            "--transport=hunter2",
            "--credential-grace=61",
            "--upstream-auth-header=hunter 2",
            "--upstream-auth-scheme=hunter2",
            "--upstream-header=Authorization: hunter2",
            "--upstream-header-env=X-Key=HUNTER2",
            &format!("--upstream-header-file={}", torn.display()),
            "--upstream-timeout=0",
            "--upstream-proxy=http://hunter2",
            "--upstream-auth-error-code=hunter2",
        ],
        &[("THOTH_UPSTREAM_TOKEN", "hunter2 hunter2")],
    );
    assert_eq!(
        told,
        "the configuration cannot be used\
         \n  --transport: is no transport; write auto, http or sse\
         \n  --credential-grace: is no such number of seconds; write 0 to 60\
         \n  THOTH_UPSTREAM_TOKEN: holds a character that cannot be sent in an HTTP header; \
         write the key alone\
         \n  --upstream-auth-header: has no header's name; write a name of letters, digits and hyphens\
         \n  --upstream-auth-scheme: is no scheme that thoth knows; write Bearer or none\
         \n  --upstream-header: has a header that is made for secrets, and is for everybody to read; \
         use a token, --upstream-header-env or --upstream-header-file\
         \n  --upstream-header-env: names a variable that is not set; set the variable, or leave this out\
         \n  --upstream-header-file: names a file that is neither lines `Name: value` nor a JSON object \
         of texts; write one header on each line, each with a value and none twice\
         \n  --upstream-timeout: is no such number of seconds; write 1 to 86400\
         \n  --upstream-proxy: is no proxy; write off or environment\
         \n  --upstream-auth-error-code: is no code of an error; write a whole number"
    );
    let keychain = reading(&[AT, "--upstream-token-keychain=thoth/ann"], &[]);
    let told: Vec<_> = keychain.problems().iter().map(ToString::to_string).collect();
    if Entry::IS_READ {
        assert_eq!(told, [""; 0]);
        assert!(
            refusal(&["--upstream-token-keychain=thoth"], &[]).contains("write SERVICE/ACCOUNT")
        );
    } else {
        let why = "--upstream-token-keychain: names an entry of the keychain, which this build of \
                   thoth cannot read; build it with `--features keychain`, or use a file or a command";
        assert_eq!(told, [why]);
    }
}

#[test]
fn each_thing_that_is_wrong_is_told_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let reserved = private(folder.path(), "reserved", "Host: hunter2");
    for (words, env, expected) in [
        (
            &["--upstream-token-env=MINE"][..],
            &[][..],
            "--upstream-token-env: names a variable that is not set",
        ),
        (
            &["--upstream-token-env=MINE"],
            &[("MINE", " ")],
            "--upstream-token-env: names a variable that is not set",
        ),
        (
            &["--upstream-token-env=MINE"],
            &[("MINE", "a b")],
            "--upstream-token-env: holds a character",
        ),
        (&["--upstream-token-file=/no/such/file"], &[], "--upstream-token-file: names no file"),
        (&["--upstream-token-command='x"], &[], "--upstream-token-command: opens a quotation"),
        (&["--upstream-login=../x"], &[], "--upstream-login: is no name of a login"),
        (
            &["--upstream-header=X-A: 1", "--upstream-header=x-a: 2"],
            &[],
            "--upstream-header: has a header that is given twice",
        ),
        (
            &["--upstream-header=X-A: 1", "--upstream-header-env=X-A=M"],
            &[("M", "m")],
            "--upstream-header-env: has a header that is given twice",
        ),
        (
            &["--upstream-header-env=Authorization=M"],
            &[("M", "m"), ("THOTH_UPSTREAM_TOKEN", "t")],
            "--upstream-header-env: has the header that the token is sent in",
        ),
        (
            &["--upstream-header=X-A: 1", "--upstream-auth-header=x-a"],
            &[("THOTH_UPSTREAM_TOKEN", "t")],
            "--upstream-header: has the header that the token is sent in",
        ),
        (
            &["--upstream-header-env=X-A=M"],
            &[("M", "a\nb")],
            "--upstream-header-env: has a value that cannot be sent",
        ),
        (
            &["--upstream-auth-header=Content-Length"],
            &[],
            "--upstream-auth-header: names a header that the transport sets",
        ),
        (
            &[&format!("--upstream-header-file={}", reserved.display())],
            &[],
            "--upstream-header-file: names a header that the transport sets",
        ),
        (&["--upstream-token-file="], &[], "--upstream-token-file: is empty"),
    ] {
        let told = refusal(words, env);
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(told.contains(expected), "{told}");
    }
    for (grace, patience) in [("0", 0), ("7", 7)] {
        let grace = format!("--credential-grace={grace}");
        let awaiting = reading(&[AT, "--upstream-token-file=/no/such/file", &grace], &[]);
        assert_eq!(awaiting.patience(), Duration::from_secs(patience));
    }
}

#[test]
fn what_says_nothing_without_a_url_is_told_to() {
    let command = UpstreamFlags::augment_args(clap::Command::new("run"));
    for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
        let told = reading(&[&format!("--{flag}=x")], &[]);
        let told: Vec<_> = told.problems().iter().map(ToString::to_string).collect();
        if flag != "url" {
            let expected =
                format!("--{flag}: has no effect without --url; give --url URL, or leave it out");
            assert_eq!(told, [expected]);
        }
    }
    // Variables may be there for another server; what they name is not looked at.
    for variable in ALL.iter().filter(|variable| {
        variable.name.contains("_UPSTREAM_") && !variable.name.contains("LINEAGE")
    }) {
        let reading = reading(&["--env=dev"], &[(variable.name, "/no/such/file")]);
        assert_eq!(reading.problems(), [], "{}", variable.name);
        let expected = format!("{}: has no effect without --url", variable.name);
        assert_eq!(reading.draft().notices, [expected]);
    }
}

#[test]
fn of_the_sources_of_a_token_the_command_line_has_one() {
    let sources = ["token-file", "token-env", "token-command", "token-keychain", "login"];
    for (at, one) in sources.iter().enumerate() {
        for other in &sources[at + 1..] {
            let words =
                ["thoth".into(), format!("--upstream-{one}=a"), format!("--upstream-{other}=b")];
            assert!(Line::try_parse_from(words).is_err(), "{one} {other}");
        }
    }
    let both = ["thoth", "--upstream-header-file=a", "--upstream-headers-command=b"];
    assert!(Line::try_parse_from(both).is_err());
}

#[test]
fn nothing_secret_is_shown_or_printed() {
    let env = [
        ("THOTH_UPSTREAM_TOKEN", "hunter2-value"),
        ("BATON_UPSTREAM_AUTH_TOKEN", "hunter2-baton"),
        ("KEY", "hunter2-key"),
    ];
    let words = [AT, "--upstream-header-env=X-Key=KEY", "--upstream-header=X-Team: blue"];
    let reading = reading(&words, &env);
    assert_eq!(reading.problems(), []);
    let told = format!("{:?} {:?}", reading.draft(), reading.shown());
    assert!(!told.contains("hunter2"), "{told}");
    let shown = |name: &str| {
        let shown = reading.shown().iter().find(|shown| shown.name == name);
        shown.map(|shown| shown.value.clone())
    };
    assert_eq!(shown("THOTH_UPSTREAM_TOKEN"), Some(fingerprint("hunter2-value")));
    assert_eq!(shown("THOTH_UPSTREAM_HEADER_ENV").as_deref(), Some("x-key"));
    assert_eq!(shown("THOTH_UPSTREAM_HEADER").as_deref(), Some("x-team"));
}

#[tokio::test]
async fn no_program_sees_a_variable_that_holds_a_secret() {
    // The test's own environment stands for thoth's: cargo sets this one.
    let variable = "CARGO_MANIFEST_DIR";
    let print = format!(r#"["sh", "-c", "echo t${{{variable}:+-seen}}"]"#);
    let env = [(variable, "hunter2")];
    for (words, expected) in
        [(&[][..], "t-seen"), (&["--upstream-header-env=X-Key=CARGO_MANIFEST_DIR"], "t")]
    {
        let command = format!("--upstream-token-command={print}");
        let upstream = upstream(&[words, &[&command]].concat(), &env);
        let token = upstream.token.unwrap().credential.current().await.unwrap();
        assert_eq!(token.secret.api_key(), expected, "{words:?}");
    }
    let named = [
        "--upstream-token-env=CARGO_MANIFEST_DIR",
        &format!("--upstream-headers-command={}", print.replace("echo t", "echo X-Key: t")),
    ];
    let set = upstream(&named, &env).secret_headers.unwrap().current().await.unwrap();
    assert_eq!(set.secret.headers()["x-key"], "t");
}
