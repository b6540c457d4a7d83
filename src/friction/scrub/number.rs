//! Numbers that are cards, phones or social security numbers, by the lengths of their groups.
//!
//! A number here is one group of digits or several with a separator between each two. Which groups
//! make what is a table of lengths; a group is looked at as the first of a few, so time is linear.

use super::Category;

/// What a card counts as.
pub(super) const CARD: &str = "cc";
const PHONE: &str = "phone";
const SSN: &str = "ssn";

/// The most groups that belong together.
const MOST: usize = 5;
/// The longest group that means anything.
const LONGEST: usize = 19;

/// A group of digits.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    start: usize,
    end: usize,
}

/// Looks for a number whose first digit stands at `at`, which no letter, digit or `_` precedes.
/// Where there is one, its end.
pub(super) fn at(text: &[u8], at: usize) -> Option<(usize, Category<'static>)> {
    let mut groups = [Group::default(); MOST];
    let mut lengths = [0; MOST];
    let mut count = 0;
    let mut next = Some(at);
    while let Some(start) = next.filter(|_| count < MOST) {
        let end = start + digits(&text[start..], LONGEST + 1);
        if end - start > LONGEST {
            break;
        }
        groups[count] = Group { start, end };
        lengths[count] = end - start;
        count += 1;
        next = second(text, end);
    }
    (1..=count).rev().find_map(|count| {
        let groups = &groups[..count];
        let end = groups[count - 1].end;
        let name = name(text, groups, &lengths[..count])?;
        (!is_word(text.get(end))).then_some((end, Category::Pattern(name)))
    })
}

/// Looks for a phone number with its country, whose `+` stands at `at`. Where there is one, its end.
pub(super) fn international(text: &[u8], at: usize) -> Option<(usize, Category<'static>)> {
    let mut digits_so_far = 0;
    let mut end = None;
    let mut next = text.get(at + 1).filter(|byte| byte.is_ascii_digit()).map(|_| at + 1);
    while let Some(start) = next {
        let length = digits(&text[start..], 16);
        digits_so_far += length;
        if digits_so_far > 15 {
            break;
        }
        let here = start + length;
        if digits_so_far >= 8 && !is_word(text.get(here)) {
            end = Some(here);
        }
        next = second(text, here);
    }
    end.map(|end| (end, Category::Pattern(PHONE)))
}

/// Whether a number literal is a card's: by its length, its first digit, and its check digit.
pub(super) fn is_card(number: &[u8]) -> bool {
    (13..=19).contains(&number.len())
        && matches!(number[0], b'2'..=b'6')
        && number.iter().all(u8::is_ascii_digit)
        && luhn(number.iter().copied())
}

/// What these groups make.
fn name(text: &[u8], groups: &[Group], lengths: &[usize]) -> Option<&'static str> {
    let country = text[groups[0].start] == b'1';
    match lengths {
        [13..=19] | [4, 4, 4, 4] | [4, 4, 4, 4, 3] | [4, 6, 4 | 5] => {
            let digits = groups.iter().flat_map(|group| &text[group.start..group.end]);
            luhn(digits.copied()).then_some(CARD)
        }
        [3, 2, 4] => {
            let between = |nth: usize| &text[groups[nth].end..groups[nth + 1].start];
            (between(0) == between(1) && matches!(between(0), b"-" | b" ")).then_some(SSN)
        }
        [10] | [3, 7] | [6, 4] | [3, 3, 4] => Some(PHONE),
        [11] | [1, 10] | [1, 3, 7] | [1, 6, 4] | [1, 3, 3, 4] if country => Some(PHONE),
        _ => None,
    }
}

/// Where the next group starts, if only a separator lies between.
fn second(text: &[u8], end: usize) -> Option<usize> {
    let separator = |at: usize| {
        text.get(at).is_some_and(|byte| matches!(byte, b' ' | b'-' | b'.' | b'(' | b')'))
    };
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    if !separator(end) {
        None
    } else if digit(end + 1) {
        Some(end + 1)
    } else {
        (separator(end + 1) && digit(end + 2)).then_some(end + 2)
    }
}

/// How many digits the text starts with, at most `most`.
fn digits(text: &[u8], most: usize) -> usize {
    text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count()
}

/// Whether the last digit is the check digit of those before it.
fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .map(|digit| u32::from(digit - b'0'))
        .enumerate()
        .map(|(nth, digit)| match nth % 2 {
            0 => digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether it is a letter, a digit or `_`.
pub(super) fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
