//! Tells pictures and files in base64 from text: they are long, nothing in them can be read, and any
//! digits in them are nobody's.

/// Shorter texts are looked through whatever they are.
const SHORTEST: usize = 512;

/// How much must hold capitals, small letters and digits.
const SAMPLE: usize = 256;

/// Whether the whole text is base64 data, or a `data:` URL of it.
pub(super) fn is_blob(text: &str) -> bool {
    /// The longest that such URLs' first part is.
    const HEAD: usize = 128;

    let mut data = text.as_bytes();
    if data.len() < SHORTEST {
        return false;
    }
    if data.starts_with(b"data:") {
        let head = &data[..HEAD];
        let Some(comma) = memchr::memchr(b',', head) else { return false };
        if !head[..comma].ends_with(b";base64") {
            return false;
        }
        data = &data[comma + 1..];
    }
    let (sample, rest) = data.split_at(SAMPLE.min(data.len()));
    let has = |kind: fn(&u8) -> bool| sample.iter().any(kind);
    if !has(u8::is_ascii_uppercase) || !has(u8::is_ascii_lowercase) || !has(u8::is_ascii_digit) {
        return false;
    }
    let letters = rest.strip_suffix(b"=").unwrap_or(rest);
    let letters = letters.strip_suffix(b"=").unwrap_or(letters);
    is_base64(sample) && is_base64(letters)
}

fn is_base64(text: &[u8]) -> bool {
    // By blocks, without a branch for each byte: pictures are large.
    text.chunks(64).all(|block| {
        let mut all = true;
        for byte in block {
            all &= byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_texts_of_nothing_but_base64_are_blobs() {
        let data = "iVBORw0KGgoAAAANSUhEUgAA".repeat(40);
        let table = [
            (data.clone(), true),
            (format!("{data}=="), true),
            (format!("data:image/png;base64,{data}="), true),
            (data[..SHORTEST - 1].to_owned(), false),
            (format!("{data}==="), false),
            (format!("data:image/svg+xml,{data}"), false),
            (format!("{data}\n4155551234"), false),
            (format!("{data}a@b.cc"), false),
            ("4155551234".repeat(60), false),
            ("abcdefghij0".repeat(60), false),
        ];
        for (text, blob) in table {
            assert_eq!(is_blob(&text), blob, "{text:.60}");
        }
    }
}
