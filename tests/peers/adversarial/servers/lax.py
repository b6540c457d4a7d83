"""The laxest reader that somebody could have written by hand: `lax.py LEDGER [options]`.

It executes whatever can be taken for a call: batches, calls without an id, several documents on a
line, comments, other encodings. The options choose between habits that exclude each other.
"""

import argparse
import json
import os
import sys
import threading
from typing import Any

from ledger import execute
from leniency import decode, documents, fold

NO_METHOD = {"code": -32601, "message": "no such method"}


def split_lf(read: bytes) -> tuple[list[bytes], bytes]:
    """Lines end at LF and nowhere else."""
    *lines, rest = read.split(b"\n")
    return lines, rest


def split_universal(read: bytes) -> tuple[list[bytes], bytes]:
    """Lines end at LF, CR and CRLF, as in Python's text mode."""
    return split_lf(read.replace(b"\r", b"\n"))


def split_unicode(read: bytes) -> tuple[list[bytes], bytes]:
    """Lines end wherever `str.splitlines` thinks they do: VT, FF, FS, NEL, U+2028, …"""
    whole, newline, rest = read.rpartition(b"\n")
    text = (whole + newline).decode("utf-8", "surrogateescape")
    return [line.encode("utf-8", "surrogateescape") for line in text.splitlines()], rest


SPLITTERS = {"lf": split_lf, "universal": split_universal, "unicode": split_unicode}


class Server:
    """Executes calls and answers them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    def serve(self) -> None:
        """Reads until the end of input, and takes a last line without its end for a line, too."""
        split, rest = SPLITTERS[self._options.split], b""
        while read := os.read(0, 1 << 20):
            lines, rest = split(rest + read)
            self.lines(lines)
        self.lines([rest])

    def lines(self, lines: list[bytes]) -> None:
        for line in lines:
            for document in documents(decode(line), first=self._options.keys == "first"):
                self.message(document)

    def message(self, document: Any) -> None:
        """A message, or a batch of them, however deep."""
        if isinstance(document, list):
            for element in document:
                self.message(element)
        if not isinstance(document, dict):
            return
        message = self.known(document)
        if not isinstance(method := message.get("method"), str):
            return
        answer = self.answer(self.word(method), message)
        if "id" in message:
            body = {"jsonrpc": "2.0", "id": unmarked(message["id"]), **answer}
            os.write(1, json.dumps(body).encode() + b"\n")

    def answer(self, method: str, message: dict[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            result: dict[str, Any] = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "lax", "version": "1.0.0"},
            }
            return {"result": result}
        if method == "ping":
            return {"result": {}}
        if method != "tools/call":
            return {"error": NO_METHOD}
        name, arguments = self.call(message.get("params"))
        if name not in ("allowed", "forbidden"):
            return {"error": {"code": -32602, "message": "no such tool"}}
        text = execute(self._options.ledger, name, arguments)
        return {"result": {"content": [{"type": "text", "text": text}]}}

    def call(self, params: Any) -> tuple[str, Any]:
        """The tool and its arguments, be they members, positions or JSON inside a string."""
        if isinstance(params, str):
            params = next(iter(documents(params, first=False)), None)
        if isinstance(params, list):
            params = dict(zip(("name", "arguments"), params, strict=False))
        if not isinstance(params, dict):
            return "", {}
        params = self.known(params)
        name, arguments = params.get("name"), params.get("arguments")
        if isinstance(name, list):
            name = next(iter(name), None)
        if isinstance(arguments, str):
            arguments = next(iter(documents(arguments, first=False)), None)
        return self.word(name) if isinstance(name, str) else "", {} if arguments is None else arguments

    def known(self, members: dict[str, Any]) -> dict[str, Any]:
        return {fold(key): value for key, value in members.items()} if self._options.fold else members

    def word(self, text: str) -> str:
        return fold(text) if self._options.fold else text


def unmarked(identity: Any) -> Any:
    """Number literals are kept as text behind a `#`; an answer needs the number."""
    if not isinstance(identity, str) or not identity.startswith("#"):
        return identity
    number = float(identity[1:])
    return int(identity[1:]) if identity[1:].lstrip("-").isdigit() else number


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ledger")
    parser.add_argument("--split", choices=SPLITTERS, default="lf")
    parser.add_argument("--keys", choices=("first", "last"), default="last", help="which of two equal keys wins")
    parser.add_argument("--fold", action="store_true", help="match member, method and tool names loosely")
    Server(parser.parse_args()).serve()


# A document of 50,000 levels is read by recursion, which needs a deep stack of its own.
sys.setrecursionlimit(1_000_000)
threading.stack_size(1 << 29)
thread = threading.Thread(target=main)
thread.start()
thread.join()
