"""Reading that forgives: any bytes to text, any text to JSON documents, any name to a known one."""

import ast
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

IGNORED = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def decode(line: bytes) -> str:
    """Text in whatever encoding makes sense of the bytes; overlong forms and surrogates included."""
    for mark, encoding in ((b"\xff\xfe\x00\x00", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if line.startswith(mark):
            return line.decode(encoding, "replace")
    line = line.replace(b"\x00", b"")  # UTF-16 and UTF-32 without a mark, and strays
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = decode_overlong(line)
    return text.replace("\ufeff", "") if text.lstrip().startswith("\ufeff") else text


def decode_overlong(line: bytes) -> str:
    """UTF-8 as a decoder without checks reads it."""
    text, at = [], 0
    while at < len(line):
        lead = line[at]
        length = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        tail = line[at + 1 : at + length]
        if lead < 0x80:
            text.append(chr(lead))
        elif length > 1 and len(tail) == length - 1 and all(byte & 0xC0 == 0x80 for byte in tail):
            code = lead & (0xFF >> (length + 1))
            for byte in tail:
                code = code << 6 | byte & 0x3F
            text.append(chr(code) if code < 0x110000 else "\ufffd")
        else:
            text.append("\ufffd")
            length = 1
        at += length
    return "".join(text)


def documents(text: str, first: bool) -> Iterator[Any]:
    """Every JSON document that the text can be taken for or that can be found in it."""
    if not text.strip():
        return
    decoder = json.JSONDecoder(
        object_pairs_hook=first_wins if first else None,
        parse_float=mark,
        parse_int=mark,
        parse_constant=mark,
        strict=False,
    )
    for candidate in (text, relaxed(text)):
        try:
            document = decoder.decode(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, str) and document != text:
            yield from documents(document, first)
        else:
            yield document
        return
    yield from scavenged(text, decoder)


def scavenged(text: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    """The documents that stand anywhere in a line that is not one."""
    at = 0
    while (start := text.find("{", at)) >= 0 and text.count("{", start) < 1000:
        at = start + 1
        for reading in (decoder.raw_decode, literal):
            try:
                document, at = reading(text, start)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            yield document
            break


def literal(text: str, start: int) -> tuple[Any, int]:
    """A document as Python would print it, with single quotes."""
    end = text.rindex("}") + 1
    return ast.literal_eval(text[start:end]), end


def relaxed(text: str) -> str:
    """JSON5 habits: comments, trailing commas, bare keys, other spellings of numbers."""
    text = re.sub(r"/\*.*?\*/|(?<=[}\],\s])(//|#).*$", "", text)
    text = re.sub(r",(\s*[}\]])", r"\1", text)
    text = re.sub(r"([{,]\s*)([A-Za-z_]\w*)(\s*:)", r'\1"\2"\3', text)
    text = re.sub(r"([:\[,]\s*)\+(?=[\d.])", r"\1", text)
    text = re.sub(r"([:\[,]\s*)0x[0-9a-fA-F]+", r"\g<1>16", text)
    text = re.sub(r"([:\[,]\s*-?)0+(?=\d)", r"\1", text)
    text = re.sub(r"([:\[,]\s*)\.(?=\d)", r"\g<1>0.", text)
    text = re.sub(r"(\d)\.(?=[,}\]])", r"\1.0", text)
    text = re.sub(r"(\d)_(?=\d)", r"\1", text)
    for word, value in (("True", "true"), ("False", "false"), ("None", "null"), ("undefined", "null")):
        text = re.sub(rf"([:\[,]\s*){word}\b", rf"\g<1>{value}", text)
    return text


def fold(name: str) -> str:
    """A name without case, width, accents of compatibility, blanks and invisible characters."""
    plain = unicodedata.normalize("NFKC", name)
    seen = "".join(letter for letter in plain if unicodedata.category(letter) not in IGNORED)
    return re.sub("/+", "/", seen.replace("\\", "/")).strip("/").casefold()


def first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The first of several equal keys wins."""
    return dict(reversed(pairs))


def mark(number: str) -> str:
    """A number's literal, marked as one: what was written can then be compared."""
    return f"#{number}"
