//! One spelling for all texts that mean the same.

use super::{Fault, Reader, Strict, unescape};

/// The text in one spelling: members by their names' order, no blanks, one way to write a string.
/// Number literals stay as they are: `1` and `1.0` are two values to some readers.
///
/// # Errors
///
/// [`Fault`] for what is not read strictly.
pub fn canonical(text: &[u8]) -> Result<Vec<u8>, Fault> {
    // Checks the depth, on which the walk below relies.
    Reader::<Strict>::new(text).value(0)?;
    let mut reader = Reader::<Strict>::new(text);
    let mut spelled = Vec::with_capacity(text.len());
    value(&mut reader, text, &mut spelled)?;
    reader.end()?;
    Ok(spelled)
}

fn value(reader: &mut Reader<'_, Strict>, text: &[u8], spelled: &mut Vec<u8>) -> Result<(), Fault> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n');
    let first = text[reader.position()..].iter().find(|byte| !blank(byte));
    match first {
        Some(b'{') => {
            let mut members: Vec<(String, Vec<u8>)> = Vec::new();
            reader.object(|reader, name| {
                let mut member = Vec::new();
                value(reader, text, &mut member)?;
                members.push((name.to_owned(), member));
                Ok(())
            })?;
            members.sort_unstable();
            spelled.push(b'{');
            for (at, (name, member)) in members.iter().enumerate() {
                if at > 0 {
                    spelled.push(b',');
                }
                string(name, spelled);
                spelled.push(b':');
                spelled.extend_from_slice(member);
            }
            spelled.push(b'}');
        }
        Some(b'[') => {
            spelled.push(b'[');
            let mut is_first = true;
            reader.array(|reader| {
                if !is_first {
                    spelled.push(b',');
                }
                is_first = false;
                value(reader, text, spelled)
            })?;
            spelled.push(b']');
        }
        Some(b'"') => {
            let range = reader.value(0)?.range;
            string(&unescape(&text[range]), spelled);
        }
        Some(_) | None => {
            let range = reader.value(0)?.range;
            spelled.extend_from_slice(&text[range]);
        }
    }
    Ok(())
}

fn string(text: &str, spelled: &mut Vec<u8>) {
    let quoted =
        serde_json::to_string(text).unwrap_or_else(|_| unreachable!("a string always serializes"));
    spelled.extend_from_slice(quoted.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> String {
        String::from_utf8(canonical(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_means_the_same_is_spelled_alike() {
        for (text, expected) in [
            ("{}", "{}"),
            (" { } ", "{}"),
            (
                r#"{"b":1, "a":[ 1 , {"z":null,"y":true} ]}"#,
                r#"{"a":[1,{"y":true,"z":null}],"b":1}"#,
            ),
            (r#"{"\u0061":"\u00e9\/\n"}"#, "{\"a\":\"é/\\n\"}"),
            (r#"{"n":1.50,"m":1e2}"#, r#"{"m":1e2,"n":1.50}"#),
            ("[]", "[]"),
        ] {
            assert_eq!(spelled(text), expected);
            assert_eq!(spelled(expected), expected, "once is enough");
        }
    }

    #[test]
    fn what_does_not_mean_the_same_to_everybody_is_spelled_apart() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":{"b":1},"c":2}"#, r#"{"a":{"b":1,"c":2}}"#),
            (r#"{"a":"\u0000"}"#, r#"{"a":"\\u0000"}"#),
            (r#"{"a":null}"#, "{}"),
        ] {
            assert_ne!(spelled(one), spelled(other));
        }
    }

    #[test]
    fn what_is_not_read_strictly_is_not_spelled() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in ["", "{", r#"{"a":1,"a":2}"#, "{}{}", &deep] {
            assert!(canonical(text.as_bytes()).is_err(), "{text}");
        }
    }
}
