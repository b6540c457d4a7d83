//! Numbers that are cards, phones, social security or bank account numbers, by the lengths of their
//! groups.
//!
//! A number here is one group of digits or several with a separator between each two. Which groups
//! make what is a table of lengths; a group is looked at as the first of a few, so time is linear.
//!
//! Ten digits in a row are a phone, as they are for baton-proxy, but for those that can only be the
//! seconds since 1970: no number in North America starts with a 1.

use super::Category;

const CARD: &str = "cc";
const IBAN: &str = "iban";
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
        let length = digits(&text[start..], LONGEST + 1);
        let plausible = if count == 0 { begins(length, text[at]) } else { goes_on(length) };
        if !plausible {
            break;
        }
        let end = start + length;
        groups[count] = Group { start, end };
        lengths[count] = length;
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
    /// The fewest digits: eight are a date, at the start of a line in a patch.
    const FEWEST: usize = 9;
    /// The most that there are, by E.164.
    const LARGEST: usize = 15;

    let mut digits_so_far = 0;
    let mut end = None;
    let mut next = text.get(at + 1).filter(|byte| matches!(byte, b'1'..=b'9')).map(|_| at + 1);
    while let Some(start) = next {
        let length = digits(&text[start..], LARGEST + 1);
        digits_so_far += length;
        if digits_so_far > LARGEST {
            break;
        }
        let here = start + length;
        if digits_so_far >= FEWEST && !is_word(text.get(here)) {
            end = Some(here);
        }
        next = second(text, here);
    }
    end.map(|end| (end, Category::Pattern(PHONE)))
}

/// Looks for an international bank account number whose check digits stand at `at`, behind the two
/// letters of its country. Where there is one, its start and end.
pub(super) fn account(text: &[u8], at: usize) -> Option<(usize, usize, Category<'static>)> {
    let start = at.checked_sub(2)?;
    let country = &text[start..at];
    let is_start = start == 0 || !is_word(text.get(start - 1));
    if !is_start || !country.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let length = account_length(country)?;
    let mut signs = [0; 34];
    let mut count = 0;
    let mut end = start;
    while count < length {
        let byte = *text.get(end)?;
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() {
            signs[count] = byte;
            count += 1;
        } else if byte != b' ' || count % 4 != 0 {
            return None;
        }
        end += 1;
    }
    // The country and its check digits count last.
    let (head, tail) = signs[..length].split_at(4);
    let sum = tail.iter().chain(head).fold(0, |sum: u64, sign| {
        let sum = if sum < 1 << 50 { sum } else { sum % 97 };
        match sign {
            b'0'..=b'9' => sum * 10 + u64::from(sign - b'0'),
            _ => sum * 100 + u64::from(sign - b'A') + 10,
        }
    });
    (sum % 97 == 1 && !is_word(text.get(end))).then_some((start, end, Category::Pattern(IBAN)))
}

/// How long account numbers of a country are.
fn account_length(country: &[u8]) -> Option<usize> {
    Some(match country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FO" | b"GL" | b"NL" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"EG" | b"GT" | b"HU" | b"LB" | b"PL" | b"SV" => 28,
        b"BR" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        _ => return None,
    })
}

/// Whether a number literal is a card's: by its issuer, its length and its check digit. Ids are
/// numbers, too, and one in ten has the check digit right.
pub(super) fn card(number: &[u8]) -> Option<Category<'static>> {
    if !(13..=19).contains(&number.len()) || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let first =
        |count| number[..count].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let issued = matches!(
        (number.len(), first(2), first(4)),
        (13 | 16 | 19, 40..=49, _)
            | (16, 51..=55, _)
            | (16, _, 2221..=2720)
            | (15, 34 | 37, _)
            | (14, 36 | 38 | 39, _)
            | (14, _, 3000..=3059)
            | (16..=19, 35 | 62 | 64 | 65, _)
            | (16..=19, _, 6011 | 5018 | 5020 | 5038 | 6304 | 6759 | 6761..=6763)
    );
    (issued && luhn(number.iter().copied())).then_some(Category::Pattern(CARD))
}

/// Whether a number may start with a group of this length and first digit.
fn begins(length: usize, first: u8) -> bool {
    match length {
        1 | 11 => first == b'1',
        3 | 4 | 6 | 7 | 10 | 13..=LONGEST => true,
        _ => false,
    }
}

/// Whether a number may go on with a group of this length.
fn goes_on(length: usize) -> bool {
    matches!(length, 2..=7 | 10)
}

/// What these groups make.
fn name(text: &[u8], groups: &[Group], lengths: &[usize]) -> Option<&'static str> {
    let country = text[groups[0].start] == b'1';
    let between = |nth: usize| &text[groups[nth].end..groups[nth + 1].start];
    match lengths {
        [13..=19] | [4, 4, 4, 4] | [4, 4, 4, 4, 3] | [4, 6, 4 | 5] => {
            let digits = groups.iter().flat_map(|group| &text[group.start..group.end]);
            luhn(digits.copied()).then_some(CARD)
        }
        [3, 2, 4] => (between(0) == between(1) && matches!(between(0), b"-" | b" ")).then_some(SSN),
        [10] => (!matches!(&text[groups[0].start..][..2], b"15" | b"16" | b"17" | b"18" | b"19"))
            .then_some(PHONE),
        [3, 7] | [6, 4] | [3, 3, 4] => Some(PHONE),
        [11] | [1, 10] | [1, 3, 7] | [1, 6, 4] | [1, 3, 3, 4] | [4, 7] | [7, 4] | [4, 3, 4]
            if country =>
        {
            Some(PHONE)
        }
        _ => None,
    }
}

/// Where the next group starts, if only a separator lies between. A parenthesis may have another one
/// beside it.
fn second(text: &[u8], end: usize) -> Option<usize> {
    let byte = |at: usize| text.get(at).copied().unwrap_or(b'x');
    let plain = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | 0x09..=0x0d | 0x1c..=0x1f);
    let digit = |at: usize| byte(at).is_ascii_digit();
    match (byte(end), byte(end + 1)) {
        (first, b'(') if plain(first) && digit(end + 2) => Some(end + 2),
        (b')', second) if plain(second) && digit(end + 2) => Some(end + 2),
        (first, _) if (plain(first) || matches!(first, b'(' | b')')) && digit(end + 1) => {
            Some(end + 1)
        }
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_known_by_their_groups() {
        let table = [
            ("4155551234", Some(PHONE)),
            ("1234567890", Some(PHONE)),
            ("1763685178", None),
            ("415555123", None),
            ("14155551234", Some(PHONE)),
            ("24155551234", None),
            ("1415-555-1234", Some(PHONE)),
            ("2415-555-1234", None),
            ("1 (415) 555-1234", Some(PHONE)),
            ("415--555-1234", None),
            ("123-45-6789", Some(SSN)),
            ("123-45 6789", None),
            ("1234-45-6789", None),
            ("4111-1111-1111-1111", Some(CARD)),
            ("4111-1111-1111-1112", None),
            ("5500 0000 0000 0004", Some(CARD)),
            ("1763685178430", None),
            ("2026-11-21", None),
            ("10.0.0.1", None),
            ("41111111111111111111", None),
        ];
        for (text, expected) in table {
            let found = at(text.as_bytes(), 0).filter(|(end, _)| *end == text.len());
            assert_eq!(found.map(|(_, found)| found), expected.map(Category::Pattern), "{text}");
        }
    }

    #[test]
    fn a_literal_is_a_card_only_with_an_issuer() {
        for (number, is_card) in [
            ("4111111111111111", true),
            ("4222222222222", true),
            ("378282246310005", true),
            ("6011111111111117", true),
            ("2223003122003222", true),
            ("4111111111111112", false),
            ("1763685178437", false),
            ("79927398713", false),
            ("-4111111111111111", false),
            // The check digit is right, but nobody issues such cards.
            ("9999999999999995", false),
        ] {
            assert_eq!(card(number.as_bytes()).is_some(), is_card, "{number}");
        }
    }

    #[test]
    fn an_account_is_known_by_its_country_and_its_check_digits() {
        for (text, found) in [
            ("GB82WEST12345698765432", true),
            ("GB82 WEST 1234 5698 7654 32", true),
            ("DE89370400440532013000", true),
            ("NO9386011117947", true),
            ("GB82WEST12345698765433", false),
            ("GB82WEST123456987654321", false),
            ("XX82WEST12345698765432", false),
            ("GB82 WEST", false),
        ] {
            let end = account(text.as_bytes(), 2).map(|(start, end, _)| (start, end));
            assert_eq!(end, found.then_some((0, text.len())), "{text}");
        }
    }
}
