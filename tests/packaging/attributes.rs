//! Jamf's extension attributes: one `<result>`, whatever the Mac and thoth are like.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::mac::{Mac, scripts};

const ALL: &str = "jamf/extension-attributes/";

/// What `thoth health --intune` prints, and beside it what each attribute makes of it.
const FLAT: &str = r#"{"ThothApiKeyState":"valid","ThothConfigDrifted":true,"ThothEnforcerPinOk":true,"ThothEnvironment":"prod","ThothGovernedServers":12,"ThothInstalled":true,"ThothProblems":"\"ThothGovernedServers\":99, a < b & c","ThothRegistered":false,"ThothStatus":"degraded","ThothUngovernedServers":3,"ThothVersion":"1.2.3"}"#;

fn attributes() -> Vec<String> {
    scripts().into_iter().filter(|script| script.starts_with(ALL)).collect()
}

/// Runs an attribute: it must end well and print one result, which is returned.
fn result(mac: &Mac, script: &str) -> String {
    let ended = mac.run(script, &[]);
    assert_eq!(ended.code, 0, "{script}: {ended:?}");
    let line = ended.out.strip_suffix('\n').unwrap_or_else(|| panic!("{script}: {ended:?}"));
    assert!(!line.contains('\n'), "{script}: {ended:?}");
    let inner = line.strip_prefix("<result>").and_then(|line| line.strip_suffix("</result>"));
    inner.unwrap_or_else(|| panic!("{script}: {ended:?}")).to_owned()
}

#[test]
fn without_thoth_every_attribute_says_so() {
    let mac = Mac::new();
    for script in attributes() {
        assert_eq!(result(&mac, &script), "not installed", "{script}");
    }
}

#[test]
fn whatever_thoth_does_an_attribute_is_one_result() {
    for body in ["exit 101", "echo nonsense; exit 2", "printf '%s' '<result>'", "echo '{}'"] {
        let mac = Mac::with_thoth(body);
        for script in attributes() {
            result(&mac, &script);
        }
    }
}

#[test]
fn a_field_is_what_thoth_says_of_it_also_where_all_is_not_well() {
    let mac = Mac::with_thoth(&format!("cat <<'TEXT'\n{FLAT}\nTEXT\nexit 1"));
    for (name, value) in [
        ("api-key", "valid"),
        ("config-drifted", "true"),
        ("environment", "prod"),
        // Not the 99 that a text claims.
        ("governed-servers", "12"),
        ("registered", "false"),
        ("ungoverned-servers", "3"),
    ] {
        assert_eq!(result(&mac, &format!("{ALL}{name}.sh")), value, "{name}");
    }
}

#[test]
fn a_field_may_be_the_only_one() {
    let mac = Mac::with_thoth(r#"echo '{"ThothUngovernedServers":0}'"#);
    assert_eq!(result(&mac, &format!("{ALL}ungoverned-servers.sh")), "0");
}

#[test]
fn the_status_is_thoths_own_and_its_exit_code_is_no_trouble() {
    let mac = Mac::with_thoth("echo '<result>unhealthy: pin_mismatch</result>'; exit 2");
    assert_eq!(result(&mac, &format!("{ALL}status.sh")), "unhealthy: pin_mismatch");
    assert_eq!(mac.calls().len(), 1);
    assert!(mac.calls()[0].ends_with("health --jamf"), "{:?}", mac.calls());
    let mac = Mac::with_thoth("exit 64");
    assert_eq!(result(&mac, &format!("{ALL}status.sh")), "no answer");
}

#[test]
fn what_xml_would_read_otherwise_is_escaped() {
    let mac = Mac::with_thoth("echo 'thoth <1> & 2'");
    assert_eq!(result(&mac, &format!("{ALL}version.sh")), "&lt;1> &amp; 2");
}

#[test]
fn a_version_is_the_number_alone() {
    let mac = Mac::with_real_thoth();
    assert_eq!(result(&mac, &format!("{ALL}version.sh")), env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_check_in_is_written_as_jamf_reads_dates() {
    let script = format!("{ALL}last-check-in.sh");
    for (json, date) in [
        (r#"{"last_check_in":"2026-11-21T06:07:08.123456Z","x":1}"#, "2026-11-21 06:07:08"),
        ("{\n  \"last_check_in\": \"2026-11-21T06:07:08Z\",\n}", "2026-11-21 06:07:08"),
        (r#"{"last_check_in":null}"#, ""),
    ] {
        let mac = Mac::with_thoth(&format!("cat <<'TEXT'\n{json}\nTEXT"));
        assert_eq!(result(&mac, &script), date, "{json}");
    }
}

#[test]
fn thoth_runs_as_the_person_at_the_screen_with_nothing_of_roots() {
    let mac = Mac::with_thoth("echo thoth 1.2.3");
    let script = format!("{ALL}version.sh");
    result(&mac, &script);
    mac.at_the_screen("bob");
    result(&mac, &script);
    // HOME, USER, LOGNAME, PATH, and what the shell of the script adds.
    let shells = mac.calls()[0].split(' ').nth(2).unwrap().to_owned();
    assert_eq!(
        mac.calls(),
        [
            format!("alice alice {shells} --version"),
            format!("bob bob the second {shells} --version")
        ]
    );
    assert!(shells.parse::<u32>().unwrap() <= 7, "{shells} variables");
}

#[test]
fn at_the_login_window_it_is_the_last_person_and_on_a_new_mac_nobody() {
    let mac = Mac::with_thoth("echo thoth 1.2.3");
    let script = format!("{ALL}version.sh");
    for nobody in ["root", "loginwindow", "_mbsetupuser"] {
        mac.at_the_screen(nobody);
        assert_eq!(result(&mac, &script), "nobody", "{nobody}");
    }
    assert!(mac.calls().is_empty());
    fs::write(mac.path("last"), "bob").unwrap();
    assert_eq!(result(&mac, &script), "1.2.3");
    assert!(mac.calls()[0].starts_with("bob "));
}

#[test]
fn a_program_that_others_can_replace_is_not_ok() {
    let mac = Mac::with_thoth("exit 0");
    let script = format!("{ALL}integrity.sh");
    let program = mac.path("usr/local/bin/thoth");
    let told = || result(&mac, &script);
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(mac.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(told(), "ok");
    for path in ["usr/local/bin/thoth", "usr/local/bin", "usr/local"] {
        for (bits, ok) in [(0o775, false), (0o757, false), (0o700, true), (0o755, true)] {
            mode(path, bits);
            assert_eq!(told() == "ok", ok, "{path} {bits:o}: {}", told());
        }
    }
    fs::write(mac.path("owner"), "501").unwrap();
    assert!(told().ends_with("is not owned by root"), "{}", told());
    fs::remove_file(mac.path("owner")).unwrap();
    fs::rename(&program, mac.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(mac.path("elsewhere"), &program).unwrap();
    assert_eq!(told(), "the program is a link");
}
