//! Writes a model down, each time differently.

use super::model::{Dice, Model};
use crate::clients::document::quote::quote;

/// As JSON, with comments and trailing commas.
pub(super) fn json(model: &Model, dice: &mut Dice<'_>) -> String {
    let mut text = json_space(dice);
    json_value(model, dice, &mut text);
    text + &json_space(dice)
}

fn json_space(dice: &mut Dice<'_>) -> String {
    const SPACES: [&str; 9] =
        ["", " ", "\n", "", "\t", "\r\n  ", "/* a, ] } \"*/", "// b, ] \" é\n", " \n "];
    dice.pick(&SPACES).to_owned()
}

fn json_string(plain: &str, dice: &mut Dice<'_>) -> String {
    let style = dice.roll(3);
    let mut text = String::from('"');
    for letter in plain.chars() {
        match letter {
            '/' if style == 1 => text.push_str("\\/"),
            letter if style == 2 && dice.roll(2) == 0 => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04X}"));
                }
            }
            letter if letter < ' ' || "\"\\".contains(letter) => {
                text.push_str(&escaped(&letter.to_string()));
            }
            letter => text.push(letter),
        }
    }
    text + "\""
}

/// A string as it stands between double quotes.
fn escaped(plain: &str) -> String {
    let quoted = quote(plain);
    quoted[1..quoted.len() - 1].to_owned()
}

fn json_value(model: &Model, dice: &mut Dice<'_>, text: &mut String) {
    let (open, close, count) = match model {
        Model::Null => return text.push_str("null"),
        Model::Flag(flag) => return text.push_str(&flag.to_string()),
        Model::Number(number) => return text.push_str(&number.to_string()),
        Model::Text(plain) => return text.push_str(&json_string(plain, dice)),
        Model::List(items) => ('[', ']', items.len()),
        Model::Map(members) => ('{', '}', members.len()),
    };
    text.push(open);
    text.push_str(&json_space(dice));
    for at in 0..count {
        match model {
            Model::Map(members) => {
                text.push_str(&json_string(&members[at].0, dice));
                text.push_str(&json_space(dice));
                text.push(':');
                text.push_str(&json_space(dice));
                json_value(&members[at].1, dice, text);
            }
            Model::List(items) => json_value(&items[at], dice, text),
            _ => {}
        }
        text.push_str(&json_space(dice));
        if at + 1 < count || dice.roll(3) == 1 {
            text.push(',');
            text.push_str(&json_space(dice));
        }
    }
    text.push(close);
}

/// As TOML. The model is a map and has no null.
pub(super) fn toml(model: &Model, dice: &mut Dice<'_>) -> String {
    let Model::Map(members) = model else { unreachable!("a file is a map") };
    let (mut text, mut tables) = (String::new(), String::new());
    toml_lines(members, "", "", dice, &mut text, &mut tables);
    text + &tables
}

fn toml_lines(
    members: &[(String, Model)],
    header: &str,
    dots: &str,
    dice: &mut Dice<'_>,
    lines: &mut String,
    tables: &mut String,
) {
    for (name, value) in members {
        let key = toml_key(name, dice);
        match (value, dice.roll(4)) {
            (Model::Map(inner), 0 | 1) if dots.is_empty() => {
                let path = if header.is_empty() { key } else { format!("{header}.{key}") };
                let (mut own, mut below) = (String::new(), String::new());
                toml_lines(inner, &path, "", dice, &mut own, &mut below);
                let space = dice.pick(&["", "\n", "# t\n"]);
                let head = format!("{space}{}[{path}]{}", dice.pick(&["", "  "]), toml_end(dice));
                // The tables in a table may stand before it.
                let parts = if dice.roll(4) == 1 { [below, head, own] } else { [head, own, below] };
                tables.push_str(&parts.concat());
            }
            (Model::Map(inner), 2) if !inner.is_empty() => {
                let dots = format!("{dots}{key}{}", dice.pick(&[".", " . "]));
                toml_lines(inner, header, &dots, dice, lines, tables);
            }
            (value, _) => {
                let space = dice.pick(&[" ", "", "\t"]);
                lines.push_str(dice.pick(&["", "", "\n", "# c = [\n", "\r\n"]));
                let indent = dice.pick(&["", "", "  "]);
                lines.push_str(&format!("{indent}{dots}{key}{space}={space}"));
                toml_value(value, dice, lines);
                lines.push_str(&toml_end(dice));
            }
        }
    }
}

fn toml_end(dice: &mut Dice<'_>) -> String {
    dice.pick(&["\n", " \n", " # é, ] \"\n", "#x\n", "\r\n", " # y\r\n"]).to_owned()
}

fn toml_key(name: &str, dice: &mut Dice<'_>) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    match dice.roll(3) {
        0 if !name.is_empty() && name.bytes().all(bare) => name.to_owned(),
        1 if toml_literal(name) => format!("'{name}'"),
        _ => quote(name),
    }
}

fn toml_literal(text: &str) -> bool {
    !text.chars().any(|letter| letter == '\'' || (letter.is_control() && letter != '\t'))
}

fn toml_value(model: &Model, dice: &mut Dice<'_>, text: &mut String) {
    match model {
        Model::Null => unreachable!("TOML has no null"),
        Model::Flag(flag) => text.push_str(&flag.to_string()),
        Model::Number(number) => text.push_str(&number.to_string()),
        Model::Text(plain) => text.push_str(&match dice.roll(5) {
            1 if toml_literal(plain) => format!("'{plain}'"),
            2 if toml_literal(plain) => format!("'''{plain}'''"),
            3 => format!("\"\"\"\n{}\"\"\"", escaped(plain)),
            _ => quote(plain),
        }),
        Model::List(items) => {
            const SPACES: [&str; 6] = ["", " ", "\n", "# a, ]\n", "\r\n\t", " # b\n "];
            text.push('[');
            text.push_str(dice.pick(&SPACES));
            for (at, item) in items.iter().enumerate() {
                toml_value(item, dice, text);
                text.push_str(dice.pick(&SPACES));
                if at + 1 < items.len() || dice.roll(3) == 1 {
                    text.push(',');
                    text.push_str(dice.pick(&SPACES));
                }
            }
            text.push(']');
        }
        Model::Map(members) => {
            let space = dice.pick(&["", " "]);
            let member = |(name, value): &(String, Model)| {
                let mut text = format!("{}{space}={space}", toml_key(name, dice));
                toml_value(value, dice, &mut text);
                text
            };
            let members: Vec<_> = members.iter().map(member).collect();
            let all = members.join(dice.pick(&[",", ", ", " , "]));
            text.push_str(&format!("{{{space}{all}{space}}}"));
        }
    }
}

/// As YAML. The model is a map.
pub(super) fn yaml(model: &Model, dice: &mut Dice<'_>) -> String {
    let end = dice.pick(&["\n", "\r\n"]);
    let mut text = dice.pick(&["", "# x\n", "---\n", "%YAML 1.2\n---\n"]).to_owned();
    match model {
        Model::Map(members) if dice.roll(8) != 7 => yaml_block(members, "", end, dice, &mut text),
        model => text.push_str(&(yaml_flow(model, dice) + end)),
    }
    text
}

fn yaml_block(
    members: &[(String, Model)],
    indent: &str,
    end: &str,
    dice: &mut Dice<'_>,
    text: &mut String,
) {
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 || !text.ends_with("- ") {
            text.push_str(&dice.pick(&["", "", "\n", "  # c: [\n"]).replace('\n', end));
            text.push_str(indent);
        }
        text.push_str(&yaml_scalar(name, false, dice));
        text.push(':');
        let comment = dice.pick(&["", "", "  # d, ]", " "]);
        match value {
            Model::Map(inner) if !inner.is_empty() && dice.roll(4) != 3 => {
                text.push_str(&format!("{comment}{end}"));
                let deeper = format!("{indent}{}", dice.pick(&["  ", "    ", " "]));
                yaml_block(inner, &deeper, end, dice, text);
            }
            Model::List(items) if !items.is_empty() && dice.roll(3) != 2 => {
                text.push_str(&format!("{comment}{end}"));
                let deeper = format!("{indent}{}", dice.pick(&["", "  "]));
                for item in items {
                    text.push_str(&dice.pick(&["", "", "\n", "# e\n"]).replace('\n', end));
                    text.push_str(&format!("{deeper}- "));
                    match item {
                        Model::Map(inner) if !inner.is_empty() && dice.roll(3) != 2 => {
                            yaml_block(inner, &format!("{deeper}  "), end, dice, text);
                        }
                        item => {
                            let comment = dice.pick(&["", "  # f", " "]);
                            let value = yaml_value(item, false, dice);
                            text.push_str(&format!("{value}{comment}{end}"));
                        }
                    }
                }
            }
            Model::Null if dice.roll(2) == 0 => text.push_str(&format!("{comment}{end}")),
            value => {
                let space = dice.pick(&[" ", "  "]);
                let value = yaml_value(value, false, dice);
                text.push_str(&format!("{space}{value}{comment}{end}"));
            }
        }
    }
}

fn yaml_flow(model: &Model, dice: &mut Dice<'_>) -> String {
    yaml_value(model, true, dice)
}

fn yaml_value(model: &Model, in_flow: bool, dice: &mut Dice<'_>) -> String {
    let (space, comma) = (dice.pick(&["", " "]), dice.pick(&[", ", ",", " , "]));
    match model {
        Model::Null => dice.pick(&["null", "~", "Null"]).to_owned(),
        Model::Flag(flag) => flag.to_string(),
        Model::Number(number) => number.to_string(),
        Model::Text(plain) => yaml_scalar(plain, in_flow, dice),
        Model::List(items) => {
            let items: Vec<_> = items.iter().map(|item| yaml_flow(item, dice)).collect();
            let trail = if !items.is_empty() && dice.roll(4) == 1 { "," } else { "" };
            format!("[{space}{}{trail}{space}]", items.join(comma))
        }
        Model::Map(members) => {
            let member = |(name, value): &(String, Model)| {
                format!("{}: {}", yaml_scalar(name, true, dice), yaml_flow(value, dice))
            };
            let members: Vec<_> = members.iter().map(member).collect();
            let trail = if !members.is_empty() && dice.roll(4) == 1 { "," } else { "" };
            format!("{{{space}{}{trail}{space}}}", members.join(comma))
        }
    }
}

fn yaml_scalar(plain: &str, in_flow: bool, dice: &mut Dice<'_>) -> String {
    let hidden = |letter: char| letter.is_control() || "\u{feff}\u{2028}".contains(letter);
    match dice.roll(3) {
        0 if is_plain(plain, in_flow) => plain.to_owned(),
        1 if !plain.contains(hidden) => format!("'{}'", plain.replace('\'', "''")),
        _ => quote(plain),
    }
}

fn is_plain(text: &str, in_flow: bool) -> bool {
    let first = text.starts_with(|first: char| first.is_alphabetic() || "./$\\".contains(first));
    let rest = |letter: char| letter.is_alphanumeric() || "-_./\\ $(){}[],'\"".contains(letter);
    let word = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    first
        && text.chars().all(rest)
        && !text.ends_with([' ', '-']) // The parser refuses `[a -]`.
        && !word.contains(&text)
        && text.parse::<f64>().is_err()
        && !(in_flow && text.contains(['[', ']', '{', '}', ',']))
}
