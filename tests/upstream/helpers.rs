//! Programs that print the token, and those that ought to.

use std::fs;

use crate::client::Setup;
use crate::server::Server;

/// A sidecar whose token is printed by this shell script; `$0` is the file with the token.
fn printing(server: &Server, script: &str) -> Setup {
    let setup = Setup::new(server);
    setup.rotate("old");
    let path = setup.token_file();
    let command = serde_json::to_string(&["sh", "-c", script, path.to_str().unwrap()]).unwrap();
    setup.flags(&["--upstream-token-command", &command])
}

#[tokio::test]
async fn a_command_is_run_again_where_its_token_is_refused() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = printing(&server, "echo run >> \"$0.runs\"; cat \"$0\"");
    let mut client = setup.begin().await;
    client.all_succeed(1..=20).await;
    setup.rotate("new");
    server.accept_only(&["new"]);
    client.all_succeed(21..=30).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 30);
    assert_eq!(server.refusals(), 1);
    let runs = fs::read_to_string(setup.token_file().with_extension("runs")).unwrap();
    assert_eq!(runs.lines().count(), 2, "once at the beginning, once for the refusal");
}

/// What stands on standard input is the client's, and is for thoth alone.
#[tokio::test]
async fn a_command_that_reads_its_input_gets_nothing_of_the_clients() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = printing(&server, "cat > \"$0.input\"; cat \"$0\"");
    let mut client = setup.begin().await;
    client.all_succeed(1..=20).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 20);
    let input = fs::read(setup.token_file().with_extension("input")).unwrap();
    assert!(input.is_empty(), "{}", String::from_utf8_lossy(&input));
}

/// Each of these never gives a token. A request is answered all the same, and the next one does
/// not start another storm; nothing of what they print gets out.
#[tokio::test]
async fn a_command_that_fails_or_floods_is_told_and_ends() {
    for script in [
        "exit 3",
        "echo s3cret-beside >&2; echo s3cret-half; exit 1",
        "yes s3cret | head -c 200000",
        "true",
        "echo one; echo two",
    ] {
        let server = Server::start().await;
        server.accept_only(&["old"]);
        let setup = printing(&server, &format!("echo run >> \"$0.runs\"; {script}"))
            .variable("THOTH_LOG_LEVEL", "trace");
        let mut client = setup.start();
        for n in 1..=3 {
            let answer = client.call(n).await;
            assert!(answer["error"].is_object(), "{script}: {answer}");
            assert!(!answer.to_string().contains("s3cret"), "{script}: {answer}");
        }
        let ended = client.ends().await;
        assert!(!ended.stderr.contains("s3cret"), "{script}: {}", ended.stderr);
        assert!(server.executed().is_empty());
        setup.audit().has(3);
        let runs = fs::read_to_string(setup.token_file().with_extension("runs")).unwrap();
        assert!((1..=16).contains(&runs.lines().count()), "{script}: {runs}");
    }
}

/// It hangs where a token is good already: who waits for it is the next refusal, not the calls.
#[tokio::test]
async fn a_command_that_hangs_once_it_has_printed_holds_up_nobody() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = printing(
        &server,
        "if [ -e \"$0.hangs\" ]; then echo $$ > \"$0.pid\"; exec sleep 300; fi; cat \"$0\"",
    );
    let mut client = setup.begin().await;
    client.all_succeed(1..=5).await;
    fs::write(setup.token_file().with_extension("hangs"), "").unwrap();
    client.all_succeed(6..=10).await;

    // It is refused, and the command is asked in vain: ended after its time, and answered.
    server.accept_only(&["new"]);
    let answer = client.call(11).await;
    assert!(answer["error"].is_object(), "{answer}");
    let pid = fs::read_to_string(setup.token_file().with_extension("pid")).unwrap();
    server.accept_only(&["old"]);
    client.succeeds(11).await;
    let ended = client.ends().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let left = std::path::Path::new("/proc").join(pid.trim()).join("comm");
    let left = fs::read_to_string(left).unwrap_or_default();
    assert_ne!(left.trim(), "sleep", "the command that hung is gone");
    assert_eq!(server.executed(), (1..=11).collect::<Vec<_>>());
    setup.audit().has(12);
}

#[tokio::test]
async fn a_command_may_print_headers_as_clients_helpers_do() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server);
    setup.rotate("old");
    let path = setup.token_file();
    let script = r#"printf '{"Authorization":"Bearer %s","X-Team":"red"}' "$(cat "$0")""#;
    let command = serde_json::to_string(&["sh", "-c", script, path.to_str().unwrap()]).unwrap();
    let setup = setup.flags(&["--upstream-headers-command", &command]);
    let mut client = setup.begin().await;
    client.all_succeed(1..=5).await;
    setup.rotate("new");
    server.accept_only(&["new"]);
    client.all_succeed(6..=10).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 10);
    assert_eq!(server.refusals(), 1);
    assert!(server.seen().iter().all(|seen| seen.header("x-team") == "red"));
}

/// What cannot rotate says so, and still works.
#[tokio::test]
async fn a_token_from_a_variable_is_sent_and_reaches_no_helper() {
    let server = Server::start().await;
    server.accept_only(&["from-a-variable"]);
    let setup = Setup::new(&server)
        .flags(&["--upstream-token-env", "MY_TOKEN"])
        .variable("MY_TOKEN", "from-a-variable");
    let mut client = setup.begin().await;
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
    assert_eq!(server.refusals(), 0);
}
