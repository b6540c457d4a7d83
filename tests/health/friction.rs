//! What became of friction events, as seen by the commands.

use std::fs;

use serde_json::Value;

use crate::machine::Machine;

/// A machine with a spool of a collector that nobody configures any more.
fn spooled(losses: &str) -> Machine {
    let machine = Machine::new();
    let spool = machine.profile().join("spool/http-0123456789abcdef");
    fs::create_dir_all(&spool).unwrap();
    fs::write(spool.join("place"), "https://u:hunter2@c.example/base").unwrap();
    fs::write(spool.join("losses.json"), losses).unwrap();
    machine
}

#[test]
fn losses_of_every_spool_are_a_warning_and_never_an_error() {
    for (losses, status, code) in [
        (r#"{"evicted":0,"refused":0,"damaged":0}"#, "healthy", 0),
        (r#"{"evicted":3,"refused":2,"damaged":1}"#, "degraded", 1),
    ] {
        let machine = spooled(losses);
        let output = machine.thoth(&["health", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["status"], output.status.code()), (&status.into(), Some(code)));
        assert_eq!(report["friction"]["mode"], "off");
        let spool = &report["friction"]["spools"][0];
        assert_eq!(spool["lost"], serde_json::from_str::<Value>(losses).unwrap());
        assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
        let told = String::from_utf8(machine.thoth(&["status"]).stdout).unwrap();
        assert!(told.contains("spool of https://c.example/base"), "{told}");
    }
}
