//! Opens a person's browser.
//!
//! The system's own opener is started with the address as its one argument: no shell reads it, since a
//! server made a part of it. What the opener says is not shown, and whether it found a browser is not known:
//! the address is printed in any case.

use std::process::{Command, Stdio};

/// The openers of this system, the first that is there is used.
#[cfg(target_os = "macos")]
const OPENERS: &[&[&str]] = &[&["/usr/bin/open"]];
// `cmd /c start` would put values of variables in place of `%NAME%` in the address.
#[cfg(windows)]
const OPENERS: &[&[&str]] =
    &[&[r"C:\Windows\System32\rundll32.exe", "url.dll,FileProtocolHandler"]];
#[cfg(not(any(target_os = "macos", windows)))]
const OPENERS: &[&[&str]] = &[&["xdg-open"], &["wslview"], &["gio", "open"]];

/// Opens an address, if anything can. The opener is left alone: it may be the browser itself.
pub(super) fn open(address: &str) {
    for opener in OPENERS {
        let [program, words @ ..] = opener else { continue };
        let started = Command::new(program)
            .args(words)
            .arg(address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if started.is_ok() {
            return;
        }
    }
}
