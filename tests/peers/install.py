"""Installs and builds the pinned peers into `target/peers`: once, and again when a pin changes.

A peer that cannot be installed ends the run with an error. Nothing is skipped: a suite that passes
because half of it is missing says nothing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import places

NODE_AT_LEAST = 20
PYTHON_AT_LEAST = (3, 11)
SDK_PYTHON_AT_LEAST = (3, 12)


def install() -> None:
    """Brings `target/peers` up to date with the committed pins."""
    check_tools()
    places.INSTALLED.mkdir(parents=True, exist_ok=True)
    install_npm("npm", places.SUITE, places.INSTALLED)
    install_npm("npm-bridges", places.SUITE / "rotation", places.BRIDGES)
    for name in ("python-1", "python-2", "baton-w1", "baton-w2", "baton-w3", "bridges"):
        install_python(name)
    install_python("sdk", sdk_python())
    build_rmcp()
    stage()


def check_tools() -> None:
    """Says at once, and all together, what this machine lacks."""
    missing = [name for name in ("node", "npm", "git", "cargo") if shutil.which(name) is None]
    if missing:
        sys.exit(f"peers: not found: {', '.join(missing)}; see tests/peers/README.md, 'What it needs'")
    version = output(["node", "--version"]).strip().lstrip("v")
    if int(version.split(".")[0]) < NODE_AT_LEAST:
        sys.exit(f"peers: node {version} is too old; {NODE_AT_LEAST} or newer is needed")
    if sys.version_info < PYTHON_AT_LEAST:
        sys.exit(f"peers: python {sys.version.split()[0]} is too old; 3.11 or newer is needed")


def install_npm(name: str, suite: Path, home: Path) -> None:
    """Installs exactly what this folder's `package-lock.json` names; no package runs a script."""
    pins = [suite / "package.json", suite / "package-lock.json"]
    stamp = Stamp(name, pins)
    if stamp.current():
        return
    home.mkdir(parents=True, exist_ok=True)
    for pin in pins:
        shutil.copy(pin, home)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], home)
    stamp.write()


def sdk_python() -> str:
    """The interpreter that the SDK of enforcers needs: a newer one than the rest."""
    if sys.version_info >= SDK_PYTHON_AT_LEAST:
        return sys.executable
    beside = sorted(Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python3"))
    on_path = (shutil.which(f"python3.{minor}") for minor in range(SDK_PYTHON_AT_LEAST[1], 20))
    # What is on PATH may be a shim that leads nowhere.
    found = next(filter(runs, filter(None, (*map(str, beside), *on_path))), None)
    if found is None:
        sys.exit("peers: the SDK of enforcers needs Python 3.12 or newer, and there is none on PATH or in ~/.pyenv")
    return found


def runs(python: str) -> bool:
    """Whether this is an interpreter that can make a virtual environment."""
    return subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0


def install_python(name: str, python: str = sys.executable) -> None:
    """Builds one virtual environment: of a line of the Python SDK, of a generation of Baton's models, or of the SDK
    of enforcers."""
    requirements = places.SUITE / f"requirements-{name.removeprefix('python-')}.txt"
    stamp = Stamp(name, [requirements])
    if stamp.current():
        return
    home = places.INSTALLED / name
    run([python, "-m", "venv", "--clear", str(home)], places.INSTALLED)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--requirement", str(requirements)], places.INSTALLED)
    stamp.write()


def build_rmcp() -> None:
    """Builds the peer on the Rust SDK: a crate of its own, of which thoth's build knows nothing."""
    crate = places.SUITE / "rmcp"
    stamp = Stamp("rmcp", [crate / "Cargo.toml", crate / "Cargo.lock", *sorted((crate / "src").iterdir())])
    if stamp.current() and places.rmcp().is_file():
        return
    with tempfile.TemporaryDirectory(dir=places.INSTALLED) as home:
        command = ["cargo", "build", "--quiet", "--locked", "--target-dir", home]
        run([*command, "--manifest-path", str(crate / "Cargo.toml")], crate)
        shutil.move(Path(home) / "debug" / places.rmcp().name, places.rmcp())
    stamp.write()


def stage() -> None:
    """Copies this suite's JavaScript beside `node_modules`: Node resolves imports by location."""
    for source in sorted(places.SUITE.rglob("*.mjs")):
        target = places.script(str(source.relative_to(places.SUITE)))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


class Stamp:
    """Remembers which pins a folder was installed from."""

    def __init__(self, name: str, pins: list[Path]) -> None:
        self._path = places.INSTALLED / f"{name}.installed"
        digest = hashlib.sha256(sys.version.encode())
        for pin in pins:
            digest.update(pin.read_bytes())
        self._digest = digest.hexdigest()

    def current(self) -> bool:
        """Whether the last complete installation was made from these very pins."""
        return self._path.is_file() and self._path.read_text() == self._digest

    def write(self) -> None:
        """Records a complete installation."""
        self._path.write_text(self._digest)


def run(command: list[str], folder: Path) -> None:
    """Runs one installer; its failure is the suite's."""
    print("peers:", " ".join(command), flush=True)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if subprocess.run(command, cwd=folder, env=environment, check=False).returncode != 0:
        sys.exit(f"peers: could not install: {' '.join(command)}")


def output(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
