//! Reads Rust source just well enough to say which paths it names, and on which line.
//!
//! Comments, string and character literals, and items under `#[cfg(test)]` are left out; grouped
//! imports are spelled out, so `use std::{env, fs}` names `std::env` and `std::fs`. Not a parser:
//! what a macro generates, or a renamed import hides, is not seen.

/// A path as it is written, with its line, counted from 1. A macro's path ends in `!`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// It stands in a `use`, so that even a single segment is a path.
    pub(crate) imported: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Token<'a> {
    kind: Kind<'a>,
    line: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind<'a> {
    Word(&'a str),
    PathSeparator,
    Mark(char),
}

/// All paths that the non-test code of a file names.
pub(crate) fn paths(text: &str) -> Vec<Named> {
    let tokens = without_tests(&tokens(text));
    let mut named = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Kind::Word(word) = tokens[at].kind else {
            at += 1;
            continue;
        };
        let imported = word == "use";
        if imported {
            at += 1;
        }
        at = path_at(&tokens, at, &[], imported, &mut named);
    }
    named
}

/// The lines of attributes that switch a lint off for good: `#[allow(…)]`.
pub(crate) fn allowances(text: &str) -> Vec<usize> {
    tokens(text)
        .windows(3)
        .filter(|window| {
            matches!(
                [window[0].kind, window[1].kind, window[2].kind],
                [Kind::Mark('['), Kind::Word("allow"), Kind::Mark('(')]
            )
        })
        .map(|window| window[0].line)
        .collect()
}

/// Reads the path, or group of paths, that begins at `at`; says where it ends.
fn path_at(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &[String],
    imported: bool,
    named: &mut Vec<Named>,
) -> usize {
    let kind = |at: usize| tokens.get(at).map(|token: &Token<'_>| token.kind);
    let mut path = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    if kind(at) == Some(Kind::PathSeparator) {
        at += 1;
    }
    loop {
        match kind(at) {
            Some(Kind::Word(word)) => path.push(word.to_owned()),
            Some(Kind::Mark('{')) if imported => {
                return group_at(tokens, at + 1, &path, named);
            }
            Some(Kind::Mark('*')) if imported => path.push("*".to_owned()),
            Some(Kind::PathSeparator | Kind::Mark(_)) | None => break,
        }
        at += 1;
        if kind(at) != Some(Kind::PathSeparator) {
            break;
        }
        at += 1;
    }
    if kind(at) == Some(Kind::Mark('!')) {
        if let Some(last) = path.last_mut() {
            last.push('!');
        }
        at += 1;
    }
    if path.len() > prefix.len() {
        named.push(Named { path, line, imported });
        at
    } else {
        at + 1
    }
}

/// Reads the members of an import group, up to its closing brace.
fn group_at(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &[String],
    named: &mut Vec<Named>,
) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.kind {
            Kind::Mark('}') => return at + 1,
            Kind::Mark(',') => at + 1,
            Kind::Word("as") => at + 2,
            Kind::Word(_) | Kind::PathSeparator | Kind::Mark(_) => {
                path_at(tokens, at, prefix, true, named)
            }
        };
    }
    at
}

/// Takes out each item under an attribute such as `#[cfg(test)]` or `#[cfg(all(test, unix))]`.
fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = attribute_end(tokens, at);
        match end {
            Some(end) if is_test(&tokens[at..end]) => at = item_end(tokens, end),
            _ => {
                kept.push(tokens[at]);
                at += 1;
            }
        }
    }
    kept
}

fn attribute_end(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let opens = |at: usize, mark| tokens.get(at).is_some_and(|t| t.kind == Kind::Mark(mark));
    (opens(at, '#') && opens(at + 1, '[')).then(|| closing(tokens, at + 1) + 1)
}

fn is_test(attribute: &[Token<'_>]) -> bool {
    let has = |word| attribute.iter().any(|token| token.kind == Kind::Word(word));
    has("cfg") && has("test") && !has("not")
}

/// Where the item that begins at `at` ends: behind its `;` or its block.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        if let Some(end) = attribute_end(tokens, at) {
            at = end;
            continue;
        }
        match token.kind {
            Kind::Mark(';') => return at + 1,
            Kind::Mark('{') => return closing(tokens, at) + 1,
            Kind::Mark('(' | '[') => at = closing(tokens, at) + 1,
            Kind::Word(_) | Kind::PathSeparator | Kind::Mark(_) => at += 1,
        }
    }
    at
}

/// Where the bracket that opens at `at` closes.
fn closing(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, token) in tokens[at..].iter().enumerate() {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Kind::Word(_) | Kind::PathSeparator | Kind::Mark(_) => {}
        }
        if depth == 0 {
            return at + offset;
        }
    }
    tokens.len()
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(rest.len());
        let length = if let Some(length) = comment(rest).or_else(|| literal(rest)) {
            length
        } else if word > 0 {
            tokens.push(Token { kind: Kind::Word(&rest[..word]), line });
            word
        } else if rest.starts_with("::") {
            tokens.push(Token { kind: Kind::PathSeparator, line });
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(Token { kind: Kind::Mark(first), line });
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of the comment that the text begins with. Block comments nest.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(at)
}

/// The length of the string, character or lifetime that the text begins with.
fn literal(text: &str) -> Option<usize> {
    let mark = text.find(|c: char| !c.is_ascii_alphabetic())?;
    if !matches!(&text[..mark], "" | "b" | "c" | "r" | "br" | "cr") {
        return None;
    }
    let body = &text[mark..];
    if text[..mark].ends_with('r') {
        let hashes = body.find(|c| c != '#')?;
        body[hashes..].starts_with('"').then_some(())?;
        let end = format!("\"{}", "#".repeat(hashes));
        let inner = &body[hashes + 1..];
        return Some(mark + hashes + 1 + inner.find(&end)? + end.len());
    }
    if body.starts_with('"') {
        return Some(mark + quoted(body, '"'));
    }
    let inner = body.strip_prefix('\'')?;
    let mut chars = inner.chars();
    let first = chars.next()?;
    if first == '\\' || chars.next() == Some('\'') {
        return Some(mark + quoted(body, '\''));
    }
    let lifetime = inner.find(|c: char| !(c == '_' || c.is_alphanumeric()));
    Some(mark + 1 + lifetime.unwrap_or(inner.len()))
}

/// The length of a quoted literal with escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}
