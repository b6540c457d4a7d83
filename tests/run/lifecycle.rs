//! How a sidecar and its server end.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sidecar::{Setup, answers, call, said};

#[test]
fn the_servers_exit_code_is_thoths() {
    for code in [0, 3, 42] {
        let setup = Setup::deciding(&[], "allow").server(&["sh", "-c", &format!("exit {code}")]);
        assert_eq!(setup.start().ends(), code);
    }
    let setup = Setup::deciding(&[], "allow").server(&["sh", "-c", "kill -9 $$"]);
    assert_eq!(setup.start().ends(), 128 + 9);
}

#[test]
fn a_server_that_dies_leaves_no_call_unanswered() {
    let setup = Setup::deciding(&[], "allow").server(&["sh", "-c", "read line; exit 5"]);
    let mut sidecar = setup.start();
    sidecar.says(&call(1, "a", "{}"));
    assert_eq!(sidecar.reads()["error"]["data"]["reason_code"], "server_gone");
    assert_eq!(sidecar.ends(), 5);
}

#[test]
fn a_server_that_ignores_the_end_of_its_input_is_ended() {
    let setup = Setup::deciding(&[], "allow").server(&[
        "sh",
        "-c",
        "trap '' TERM; while :; do sleep 1; done",
    ]);
    assert_eq!(setup.start().ends(), 128 + 9);
}

#[test]
fn sigterm_ends_both_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let setup = Setup::deciding(&[], "allow");
        let mut sidecar = setup.start();
        sidecar.says(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        assert!(sidecar.reads()["result"].is_object());
        let pid = i32::try_from(sidecar.process.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
        let status = sidecar.process.wait().unwrap();
        // The server ended by itself when its input closed: its code is thoth's.
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

#[test]
fn sigterm_is_heard_after_the_end_of_input_too() {
    // As clients end a server: close its input, and two seconds later send SIGTERM.
    let setup = Setup::deciding(&[], "allow").server(&["sh", "-c", "read line; exec sleep 300"]);
    let mut sidecar = setup.start();
    sidecar.says(&call(1, "a", "{}"));
    sidecar.closes();
    let pid = i32::try_from(sidecar.process.id()).unwrap();
    while setup.journals().is_empty() {
        assert!(
            sidecar.process.try_wait().unwrap().is_none(),
            "it ended before the call was decided"
        );
        std::thread::yield_now();
    }
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let status = sidecar.process.wait().unwrap();
    assert_eq!(status.code(), Some(128 + 15), "not after the thirty seconds of an unanswered call");
}

#[test]
fn nothing_of_ours_reaches_the_servers_environment() {
    let setup = Setup::deciding(&[], "allow")
        .server(&["sh", "-c", "env >&2"])
        .variable("THOTH_API_KEY", "hunter2-hunter2")
        .variable("BATON_SECRET", "hunter2")
        .variable("KEPT", "yes");
    let output = setup.pipe(b"");
    let told = said(&output);
    assert!(told.contains("KEPT=yes"), "{told}");
    assert!(!told.contains("hunter2") && !told.contains("THOTH_API_KEY="), "{told}");
}

#[test]
fn a_session_without_a_call_leaves_nothing_behind() {
    let setup = Setup::deciding(&[], "allow");
    let output = setup.pipe(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}\n");
    assert_eq!(answers(&output).len(), 1);
    let home = setup.home.path().join("home");
    // A session that took its time was listed among the sidecars meanwhile.
    let listed = std::fs::read_dir(home.join("run/sidecars")).map_or(0, Iterator::count);
    assert_eq!(listed, 0, "some clients start the command twice");
    for kept in ["journal", "run/endpoint.json", "run/heartbeat.lock", "run/departed"] {
        assert!(!home.join(kept).exists(), "{kept}");
    }
}

#[test]
fn a_session_with_a_call_completes_the_profile() {
    let setup = Setup::deciding(&[], "allow");
    setup.pipe(
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\"}}\n",
    );
    for name in ["journal", "intent_map.json", "proxy_api_key.json"] {
        assert!(setup.home.path().join("home").join(name).exists(), "{name}");
    }
}

#[test]
fn standard_output_may_be_a_file() {
    let setup = Setup::deciding(&[("allow", "a")], "block");
    let input = setup.home.path().join("input");
    let output = setup.home.path().join("output");
    std::fs::write(&input, call(1, "a", "{}") + "\n" + &call(2, "b", "{}") + "\n").unwrap();
    let policy = setup.home.path().join("policy.toml");
    let script = r#""$1" run --policy "$2" -- sed -u -n 's/.*"id":\([0-9]*\).*/{"jsonrpc":"2.0","id":\1,"result":{}}/p' <"$3" >"$4""#;
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(script).arg("sh").arg(env!("CARGO_BIN_EXE_thoth"));
    shell.args([&policy, &input, &output]).env("THOTH_HOME_DIR", setup.home.path().join("home"));
    assert!(shell.status().unwrap().success());
    assert_eq!(std::fs::read_to_string(output).unwrap().lines().count(), 2);
}
