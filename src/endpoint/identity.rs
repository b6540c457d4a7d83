//! What this machine is called in the GovAPI.
//!
//! The order is the one of the product that thoth replaces (`thoth-wire` §4): who manages the machine names
//! it, then `THOTH_ENDPOINT_ID`, then the system's own identity, then the host's name. A name is
//! lower-case letters, digits and hyphens, so that it fits into a path and a label everywhere.
//!
//! # Invariants
//!
//! - The machine id of a Linux system leaves it hashed only, as `machine-id(5)` asks.
//! - A machine whose identity could not be looked up this time keeps the name it had.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::config::settings;
use crate::seal::Mac;

/// The longest name, in bytes. A longer one is cut, and told apart by a hash.
const LONGEST: usize = 64;

/// How long the system's tools are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says what thoth's hash of a machine id is made for, so that nobody else's equals it.
const PURPOSE: &[u8] = b"thoth endpoint id 1";

/// Everything a name can be made of. What is not known is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// Its name in the device management.
    pub managed: Option<&'a str>,
    /// `THOTH_ENDPOINT_ID`.
    pub own: Option<&'a str>,
    /// The system's own identity.
    pub machine: Option<&'a str>,
    /// What it was called before.
    pub remembered: Option<&'a str>,
    /// The machine's name in the network.
    pub hostname: Option<&'a str>,
}

/// What this machine is called: the first of the facts that makes a name; `unnamed` where none does.
pub fn name(facts: Facts<'_>) -> String {
    let Facts { managed, own, machine, remembered, hostname } = facts;
    [managed, own, machine, remembered, hostname]
        .into_iter()
        .flatten()
        .find_map(normalised)
        .unwrap_or_else(|| "unnamed".to_owned())
}

/// What this machine is called, looked up. Asks the system for its identity where nobody named the
/// machine: a file on Linux, a program of the system's own on macOS and Windows, for at most 5 s.
///
/// Cancel safe: dropping the future ends the program.
pub async fn look_up(
    settings: &settings::Endpoint,
    hostname: Option<&str>,
    remembered: Option<&str>,
) -> String {
    let (managed, own) = (settings.managed_id.as_deref(), settings.own_id.as_deref());
    let is_named = [managed, own].into_iter().flatten().any(|id| normalised(id).is_some());
    let machine = if is_named { None } else { machine().await };
    name(Facts { managed, own, machine: machine.as_deref(), remembered, hostname })
}

/// What this machine is called, as far as that can be told without running a program: `None` on macOS
/// and Windows where nobody named the machine. Blocks for one small file.
pub fn at_hand(settings: &settings::Endpoint, hostname: Option<&str>) -> Option<String> {
    let (managed, own) = (settings.managed_id.as_deref(), settings.own_id.as_deref());
    let machine = if cfg!(target_os = "linux") { machine_id() } else { None };
    let machine = machine.as_deref();
    managed.or(own).or(machine)?;
    Some(name(Facts { managed, own, machine, remembered: None, hostname }))
}

/// Lower-case letters, digits, and single hyphens between them; `None` where nothing is left.
fn normalised(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(name.trim_end_matches('-').len());
    if name.len() > LONGEST {
        let digest = Mac::new(PURPOSE).of(name.as_bytes()).to_string();
        name.truncate(LONGEST - 17);
        name = format!("{}-{}", name.trim_end_matches('-'), &digest[..16]);
    }
    (!name.is_empty()).then_some(name)
}

/// The system's own identity.
async fn machine() -> Option<String> {
    match std::env::consts::OS {
        "linux" => tokio::task::spawn_blocking(machine_id).await.ok().flatten(),
        "macos" => {
            let words = ["-rd1", "-c", "IOPlatformExpertDevice"];
            platform_uuid(&said("/usr/sbin/ioreg", &words).await?)
        }
        "windows" => {
            let key = r"HKLM\SOFTWARE\Microsoft\Cryptography";
            let words = ["query", key, "/v", "MachineGuid", "/reg:64"];
            machine_guid(&said(r"C:\Windows\System32\reg.exe", &words).await?)
        }
        _ => None,
    }
}

async fn said(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn machine_id() -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|text| hashed(&text))
}

/// A machine id as it may leave the machine. An image that was not started yet has none.
fn hashed(machine_id: &str) -> Option<String> {
    let machine_id = machine_id.trim();
    let is_one = machine_id.len() == 32 && machine_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| Mac::new(machine_id.as_bytes()).of(PURPOSE).to_string()[..32].to_owned())
}

/// `"IOPlatformUUID" = "…"` of `ioreg`.
fn platform_uuid(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("\"IOPlatformUUID\"")?;
    Some(rest.split('"').nth(1)?.to_owned())
}

/// `MachineGuid    REG_SZ    …` of `reg query`.
fn machine_guid(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("REG_SZ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_fact_that_makes_a_name_counts() {
        let all = Facts {
            managed: Some("B2C3-Intune"),
            own: Some("own"),
            machine: Some("machine"),
            remembered: Some("before"),
            hostname: Some("host.example"),
        };
        for (facts, expected) in [
            (all, "b2c3-intune"),
            (Facts { managed: Some(" - "), ..all }, "own"),
            (Facts { managed: None, ..all }, "own"),
            (Facts { managed: None, own: None, ..all }, "machine"),
            (Facts { managed: None, own: None, machine: None, ..all }, "before"),
            (Facts { hostname: all.hostname, ..Facts::default() }, "host-example"),
            (Facts { hostname: Some("…"), ..Facts::default() }, "unnamed"),
            (Facts::default(), "unnamed"),
        ] {
            assert_eq!(name(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_name_is_letters_digits_and_hyphens() {
        for (text, expected) in [
            ("MacBook-Pro", Some("macbook-pro")),
            ("{6F9619FF-8B86-D011}", Some("6f9619ff-8b86-d011")),
            ("Ada's  Laptop_2", Some("ada-s-laptop-2")),
            ("../../etc", Some("etc")),
            ("Köln", Some("k-ln")),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(normalised(text).as_deref(), expected, "{text}");
        }
        let (one, other) = ("a".repeat(200), "a".repeat(201));
        assert_eq!(normalised(&one).unwrap().len(), LONGEST);
        assert_ne!(normalised(&one), normalised(&other));
    }

    proptest! {
        #[test]
        fn whatever_a_machine_is_called_its_name_is_one(text in "\\PC{0,200}") {
            if let Some(name) = normalised(&text) {
                prop_assert!((1..=LONGEST).contains(&name.len()));
                prop_assert!(!name.starts_with('-') && !name.ends_with('-'));
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()
                    || byte.is_ascii_digit() || byte == b'-'));
                prop_assert_eq!(normalised(&name), Some(name));
            }
        }
    }

    #[test]
    fn a_machine_id_leaves_the_machine_hashed() {
        let id = "8e4bb1b8f4c14e5fa6b7d3c4a1b2c3d4";
        let hash = hashed(&format!("{id}\n")).unwrap();
        assert_eq!(hash.len(), 32);
        assert_ne!(hash, id);
        assert_eq!(hashed(id), Some(hash));
        for none in ["", "uninitialized\n", "8e4b"] {
            assert_eq!(hashed(none), None, "{none}");
        }
    }

    #[test]
    fn what_the_systems_tools_say_is_read() {
        let mac = "+-o J314  <class IOPlatformExpertDevice>\n    {\n      \"IOPlatformUUID\" = \
                   \"5A1C0000-0000-5000-8000-0000000000AB\"\n      \"x\" = 1\n    }\n";
        assert_eq!(platform_uuid(mac).unwrap(), "5A1C0000-0000-5000-8000-0000000000AB");
        assert_eq!(platform_uuid("{}"), None);
        let windows = "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Cryptography\r\n    \
                       MachineGuid    REG_SZ    0c1d2e3f-aaaa\r\n\r\n";
        assert_eq!(machine_guid(windows).unwrap(), "0c1d2e3f-aaaa");
        assert_eq!(machine_guid("ERROR"), None);
    }
}
