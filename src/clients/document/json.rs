//! JSON with comments and trailing commas, as a tree.

use std::borrow::Cow;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, ParseStringErrorKind};

use super::Malformed;
use super::tree::{Layout, List, Map, Member, Node, Value};

/// What is read beyond JSON: comments and trailing commas, as the clients do.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a text; `None` is one without a value. The parser bounds the nesting.
pub(super) fn read(text: &str) -> Result<Option<Node>, Malformed> {
    let whole = without_lone_surrogates(text);
    let read = jsonc_parser::parse_to_ast(&whole, &CollectOptions::default(), &OPTIONS)
        .map_err(|error| Malformed::at(text, error.range().start, told(&error)))?;
    read.value.map(|value| node(text, value)).transpose()
}

/// The text with each surrogate escape that has no partner replaced by one as long.
///
/// JavaScript writes them where it cut a text in the middle of a character, as clients that keep
/// a history in their configuration do; the parser would refuse the file for it.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut tamed, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                tamed.push_str(&text[kept..at]);
                tamed.push_str("\\ufffd");
                at += 6;
                kept = at;
            }
            Some(_) => at += 6,
            None => {
                let escaped = text[at + 1..].chars().next();
                at += 1 + escaped.map_or(0, char::len_utf8);
            }
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    tamed.push_str(&text[kept..]);
    Cow::Owned(tamed)
}

/// What is wrong, without anything from the file.
fn told(error: &ParseError) -> String {
    if let ParseErrorKind::String(kind) = error.kind() {
        return match kind {
            ParseStringErrorKind::UnterminatedStringLiteral => "a string that does not end",
            ParseStringErrorKind::InvalidEscapeInSingleQuoteString
            | ParseStringErrorKind::InvalidEscapeInDoubleQuoteString
            | ParseStringErrorKind::ExpectedFourHexDigits
            | ParseStringErrorKind::ExpectedTwoHexDigits
            | ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)
            | ParseStringErrorKind::InvalidEscape => "an escape that JSON does not have",
        }
        .to_owned();
    }
    let text = error.kind().to_string();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn node(text: &str, value: ast::Value<'_>) -> Result<Node, Malformed> {
    let range = value.range();
    let span = range.start..range.end;
    let value = match value {
        ast::Value::StringLit(literal) => Value::Text(string(text, literal)?),
        ast::Value::BooleanLit(literal) => Value::Flag(literal.value),
        ast::Value::NullKeyword(_) => Value::Nothing,
        ast::Value::NumberLit(_) => Value::Else,
        ast::Value::Array(array) => Value::List(List {
            span: span.clone(),
            layout: Layout::Flow,
            items: array
                .elements
                .into_iter()
                .map(|element| node(text, element))
                .collect::<Result<_, _>>()?,
        }),
        ast::Value::Object(object) => Value::Map(Map {
            span: span.clone(),
            layout: Layout::Flow,
            members: object
                .properties
                .into_iter()
                .map(|property| member(text, property))
                .collect::<Result<_, _>>()?,
        }),
    };
    Ok(Node::new(span, value))
}

fn member(text: &str, property: ast::ObjectProp<'_>) -> Result<Member, Malformed> {
    let range = property.name.range();
    let name = match property.name {
        ast::ObjectPropName::String(literal) => string(text, literal)?,
        ast::ObjectPropName::Word(word) => word.value.to_owned(),
    };
    Ok(Member { name, key: range.start..range.end, value: node(text, property.value)? })
}

/// A string. The parser lets line ends inside of one pass: a quote that was forgotten.
fn string(text: &str, literal: ast::StringLit<'_>) -> Result<String, Malformed> {
    let written = &text[literal.range.start..literal.range.end];
    match written.bytes().position(|byte| byte < b' ' && byte != b'\t') {
        Some(at) => {
            let at = literal.range.start + at;
            Err(Malformed::at(text, at, "a line end or control character in a string"))
        }
        None => Ok(literal.value.into_owned()),
    }
}
