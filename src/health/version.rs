//! Which of two versions is older.

/// Whether `version` is older than `minimum`: by its numbers, and a pre-release (`1.2.0-rc1`) is
/// older than its release. `None` where one of them is no version.
pub(super) fn is_older(version: &str, minimum: &str) -> Option<bool> {
    Some(numbers(version)? < numbers(minimum)?)
}

/// Major, minor, patch, and whether it is a release. What stands behind `+` is no part of the order.
fn numbers(text: &str) -> Option<([u64; 3], bool)> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let text = text.split('+').next()?;
    let (release, suffix) = match text.split_once('-') {
        Some((release, suffix)) => (release, Some(suffix)),
        None => (text, None),
    };
    let mut numbers = [0; 3];
    let mut parts = release.split('.');
    for number in &mut numbers {
        match parts.next() {
            Some(part) => *number = part.parse().ok()?,
            None => break,
        }
    }
    parts.next().is_none().then_some((numbers, suffix.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_versions() {
        for (version, minimum, expected) in [
            ("0.1.0", "0.1.0", Some(false)),
            ("0.1.0", "0.1.1", Some(true)),
            ("0.1.10", "0.1.9", Some(false)),
            ("0.9.9", "1", Some(true)),
            ("1.0.0", "1", Some(false)),
            ("1.0.0-rc1", "1.0.0", Some(true)),
            ("1.0.0", "v1.0.0+build5", Some(false)),
            ("1.0.0", "soon", None),
            ("1.0.0", "1.0.0.0", None),
            ("1.0.0", "", None),
        ] {
            assert_eq!(is_older(version, minimum), expected, "{version} < {minimum}");
        }
    }
}
