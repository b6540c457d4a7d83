//! References to variables, replaced as the client would: for a server that thoth starts itself.

use super::govern::Flaw;

/// How the name of a variable is written: what stands before it, and behind.
const FORMS: [(&str, char); 3] = [("${env:", '}'), ("{env:", '}'), ("${", '}')];

/// A text with every reference replaced by what `variable` says.
///
/// # Errors
///
/// [`Flaw::Odd`]: a variable is not set, or the reference is to something that only the client
/// knows.
pub fn expand(
    text: &str,
    mut variable: impl FnMut(&str) -> Option<String>,
) -> Result<String, Flaw> {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['$', '{']) {
        done.push_str(&rest[..at]);
        rest = &rest[at..];
        let form = FORMS.iter().find_map(|(before, behind)| {
            let inside = rest.strip_prefix(before)?;
            inside.split_once(*behind)
        });
        if let Some((inside, after)) = form {
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            let is_name = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                return Err(Flaw::Odd(format!(
                    "it refers to {name}, which only the client knows; leave out --serve"
                )));
            }
            let value = variable(name).or_else(|| default.map(str::to_owned));
            done.push_str(&value.ok_or_else(|| {
                Flaw::Odd(format!("it refers to the variable {name}, which is not set"))
            })?);
            rest = after;
        } else {
            done.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    done.push_str(rest);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_once() {
        let of = |name: &str| (name == "A").then(|| "${A}$B".to_owned());
        for (text, told) in [
            ("", Some("")),
            ("a$b{c}", Some("a$b{c}")),
            ("x${A}y", Some("x${A}$By")),
            ("${env:A}{env:A}", Some("${A}$B${A}$B")),
            ("${B:-d}", Some("d")),
            ("${B}", None),
            ("${input:a}", None),
            ("${workspaceFolder}", None),
            ("é${A", Some("é${A")),
        ] {
            assert_eq!(expand(text, of).ok().as_deref(), told, "{text}");
        }
    }
}
