//! What is sent, and to whom.

use serde_json::json;

use crate::fake::govapi::{CHECK_IN, FakeGovApi, REGISTER};
use crate::fake::{KEY, Script};
use crate::sidecar::Setup;
use crate::{refused, remembered, reporting, until};

fn allowing(fake: &FakeGovApi) -> Setup {
    let setup = reporting(fake);
    let policy = setup.home.path().join("policy.toml");
    std::fs::write(&policy, "[policy]\nid = \"test\"\nversion = 7\ndefault = \"allow\"\n").unwrap();
    let policy = policy.to_str().unwrap().to_owned();
    setup.flags(&["--policy", &policy])
}

#[test]
fn a_machine_registers_and_checks_in_again_and_again() {
    let fake = FakeGovApi::start();
    let setup = allowing(&fake)
        .variable("THOTH_ENROLLMENT_SOURCE", "manual")
        .variable("THOTH_FLEET_ID", "laptops");
    let mut sidecar = setup.start();
    let registered = fake.until(REGISTER, 1);
    assert_eq!(refused(&mut sidecar, 1), None);
    let first = fake.until(CHECK_IN, 1).len();
    let check_ins = fake.until(CHECK_IN, first + 2);

    let registration = &registered[0];
    assert_eq!(registration.path, "/acme/thoth/endpoints");
    assert_eq!(registration.method, "POST");
    assert_eq!(registration.headers["x-api-key"], KEY);
    assert!(!registration.headers.contains_key("authorization"));
    let body = &registration.body;
    for (member, value) in [
        ("endpoint_id", json!("mac-7")),
        ("employee_email", json!("ada@example.com")),
        ("os", json!(std::env::consts::OS)),
        ("enrollment", json!("manual")),
        ("status", json!("online")),
        ("enforcement_mode", json!("enforce")),
        ("environment", json!("dev")),
        ("proxy_version", json!(env!("CARGO_PKG_VERSION"))),
        ("fleet_id", json!("laptops")),
        ("agent_ids", json!(["test"])),
    ] {
        assert_eq!(body[member], value, "{member}: {body}");
    }
    assert!(body["hostname"].is_string());

    let last = check_ins.last().unwrap();
    assert_eq!(last.path, "/acme/thoth/endpoints/mac-7/checkin");
    let body = &last.body;
    assert_eq!(body["endpoint_id"], "mac-7");
    assert_eq!(body["decisions"]["allow"], 1, "{body}");
    assert_eq!(body["sidecars"], 1);
    assert_eq!(body["quarantined"], false);
    assert_eq!(body["policies"][0]["id"], "test");
    assert_eq!(body["policies"][0]["sha256"].as_str().unwrap().len(), 64);
    let journal = &body["journals"][0];
    let records: Vec<_> =
        setup.journals().iter().flat_map(|path| crate::sidecar::lines(path)).collect();
    let seal = &records[usize::try_from(journal["records"].as_u64().unwrap()).unwrap() - 1]["seal"];
    assert_eq!(&journal["head"], seal, "the head is in the journal");
    assert!(body["servers"]["governed"].is_array() && body["servers"]["ungoverned"].is_array());
    assert_eq!(fake.seen(REGISTER).len(), 1, "it registers once");

    let state = remembered(setup.home.path());
    assert_eq!(state["registration_ok"], true);
    assert_eq!(state["endpoint_id"], "mac-7");
    assert!(state["last_check_in"].is_string() && state["last_error"].is_null(), "{state}");
    assert_eq!(sidecar.ends(), 0);
}

#[test]
fn the_last_sidecar_says_farewell() {
    let fake = FakeGovApi::start();
    let setup = reporting(&fake);
    let sidecars: Vec<_> = (0..3).map(|_| setup.start()).collect();
    let body =
        |seen: &crate::fake::Seen| (seen.body["status"].clone(), seen.body["sidecars"].clone());
    until("three are listed", || {
        fake.seen(CHECK_IN).last().is_some_and(|seen| body(seen) == (json!("online"), json!(3)))
    });
    for mut sidecar in sidecars {
        sidecar.closes(); // all at once, as a client that quits
        std::thread::spawn(move || sidecar.ends());
    }
    let stopping = |fake: &FakeGovApi| {
        fake.seen(CHECK_IN).iter().filter(|seen| seen.body["status"] == "stopping").count()
    };
    until("one says farewell", || stopping(&fake) > 0);
    let listed = setup.home.path().join("home/run/sidecars");
    until("all are gone", || std::fs::read_dir(&listed).unwrap().count() == 0);
    assert_eq!(stopping(&fake), 1);
}

#[test]
fn no_body_holds_a_secret() {
    let fake = FakeGovApi::start();
    let setup = allowing(&fake)
        .variable("THOTH_GOVAPI_BEARER_TOKEN", "eyJ0b2tlbi5z")
        .variable("THOTH_API_KEY", "thoth_live_enforcer")
        .variable("THOTH_ENFORCER_URL", "http://127.0.0.1:9");
    let mut sidecar = setup.start();
    let first = fake.until(CHECK_IN, 1);
    assert_eq!(first[0].headers["authorization"], "Bearer eyJ0b2tlbi5z");
    sidecar.says(&crate::call(1, "read", r#"{"path":"/home/ada/hunter2"}"#));
    sidecar.reads();
    let seen = fake.until(CHECK_IN, fake.seen(CHECK_IN).len() + 2);
    let credentials = &seen.last().unwrap().body["credentials"];
    let names: Vec<_> = credentials.as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["api_key", "govapi_bearer_token", "govapi_api_key"]);
    assert!(credentials[0]["fingerprint"].as_str().unwrap().starts_with("sha256:"));
    for seen in fake.seen("") {
        for secret in [KEY, "eyJ0b2tlbi5z", "thoth_live_enforcer", "hunter2", "/home/ada"] {
            assert!(!seen.text.contains(secret), "{secret}: {}", seen.text);
        }
    }
    assert_eq!(sidecar.ends(), 0);
}

#[test]
fn a_rejected_token_is_read_again_and_tried_once_more() {
    let fake = FakeGovApi::start();
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    let write = |text: &str| {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::File::options();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&token).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    write("first");
    fake.treats(CHECK_IN, [Script::Answer(401, String::new()), Script::Answer(200, "{}".into())]);
    let setup = reporting(&fake)
        .variable("THOTH_GOVAPI_API_KEY", "")
        .variable("THOTH_GOVAPI_BEARER_TOKEN_FILE", token.to_str().unwrap());
    let sidecar = setup.start();
    fake.until(CHECK_IN, 1);
    write("second"); // the rotator revokes first, and writes then
    let seen = fake.until(CHECK_IN, 2);
    assert_eq!(seen[0].headers["authorization"], "Bearer first");
    assert_eq!(seen[1].headers["authorization"], "Bearer second");
    assert_eq!(fake.seen(REGISTER).len(), 1);
    assert_eq!(sidecar.ends(), 0);
}

#[test]
fn the_enforcers_key_is_sent_where_there_is_no_other() {
    let fake = FakeGovApi::start();
    let setup =
        reporting(&fake).variable("THOTH_GOVAPI_API_KEY", "").variable("THOTH_API_KEY", "k-1");
    let sidecar = setup.start();
    let seen = fake.until(REGISTER, 1);
    assert_eq!(seen[0].headers["authorization"], "Bearer k-1");
    assert_eq!(seen[0].headers["x-api-key"], "k-1");
    assert_eq!(sidecar.ends(), 0);
}

#[test]
fn without_a_govapi_a_sidecar_only_lists_itself() {
    let setup = Setup::deciding(&[], "allow");
    let mut sidecar = setup.start();
    assert_eq!(refused(&mut sidecar, 1), None);
    let run = setup.home.path().join("home/run");
    let entries = |folder: &std::path::Path| std::fs::read_dir(folder).map_or(0, Iterator::count);
    until("it is listed", || entries(&run.join("sidecars")) == 2);
    assert_eq!(entries(&run), 1);
    assert_eq!(sidecar.ends(), 0);
    assert_eq!((entries(&run), entries(&run.join("sidecars"))), (1, 0));
}

#[test]
fn the_end_of_each_journal_is_reported_once() {
    let fake = FakeGovApi::start();
    let setup = allowing(&fake);
    let staying = setup.start();
    fake.until(CHECK_IN, 1);
    let mut short = setup.start();
    assert_eq!(refused(&mut short, 1), None);
    assert_eq!(short.ends(), 0);
    let journals = |seen: &crate::fake::Seen| {
        let journals = seen.body["journals"].as_array().unwrap().clone();
        journals.into_iter().filter(|journal| journal["is_over"] == true).collect::<Vec<_>>()
    };
    until("its end is reported", || {
        fake.seen(CHECK_IN).iter().any(|seen| !journals(seen).is_empty())
    });
    fake.until(CHECK_IN, fake.seen(CHECK_IN).len() + 2);
    let ends: Vec<_> = fake.seen(CHECK_IN).iter().flat_map(journals).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    let records = crate::sidecar::lines(&setup.journals()[0]);
    assert_eq!(records.last().unwrap()["kind"], "end");
    assert_eq!(ends[0]["records"], records.len());
    assert_eq!(ends[0]["head"], records.last().unwrap()["seal"]);
    assert_eq!(staying.ends(), 0);
}

#[test]
fn servers_that_bypass_thoth_are_reported_by_name() {
    let fake = FakeGovApi::start();
    let setup = reporting(&fake);
    let home = setup.home.path().to_owned();
    std::fs::create_dir(home.join(".cursor")).unwrap();
    let servers =
        json!({"mcpServers": {"web": {"command": "npx", "args": ["--token", "hunter2"]}}});
    std::fs::write(home.join(".cursor/mcp.json"), servers.to_string()).unwrap();
    let setup = setup.variable("HOME", home.to_str().unwrap());
    let sidecar = setup.start();
    let body = &fake.until(CHECK_IN, 1)[0];
    let web = json!({"client": "cursor", "name": "web", "standing": "bypassing"});
    assert_eq!(body.body["servers"]["ungoverned"], json!([web]), "{}", body.text);
    assert_eq!(body.body["config_drifted"], true);
    assert_ne!(body.body["health"], "healthy");
    assert!(!body.text.contains("hunter2"));
    assert_eq!(sidecar.ends(), 0);
}
