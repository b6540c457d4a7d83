"""The battery: every client plays its session with every server, bare and through `thoth run` with a
policy that allows everything. What the client saw must be the same."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import places
from battery.pairs import ALL_CLIENTS, ALL_SERVERS, GIT, Client, Server, prepare
from battery.transcripts import difference, normal, steps
from processes import environment, marked, reap

SESSIONS = places.SUITE / "battery" / "sessions.json"
AT_ONCE = 3
ENDS_WITHIN = 120.0
GONE_WITHIN = 3.0
ALLOW_ALL = """\
[policy]
id = "allow-all"
version = 1
default = "allow"
"""

Wrap = Callable[[Path, list[str]], list[str]]


@dataclass
class Run:
    """One session: what the client printed, how it ended, and which processes outlived it."""

    printed: str
    status: int | None
    orphans: list[str]
    seconds: float


@dataclass
class Meeting:
    """One client with one server, twice."""

    client: str
    server: str
    runs: list[Run]
    wrong: list[str] = field(default_factory=list)


def battery(thoth: Path | None, folder: Path) -> list[Meeting]:
    """All meetings. Without a sidecar both runs are bare, which shows that sessions repeat exactly."""
    pairs = [(client, server) for server in ALL_SERVERS for client in ALL_CLIENTS]
    wrap = through(thoth) if thoth else bare
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda pair: meet(pair[0], pair[1], wrap, folder), pairs))


def meet(client: Client, server: Server, wrap: Wrap, folder: Path) -> Meeting:
    """Plays one session twice in the same fresh world and compares."""
    home = folder / f"{client.name}-{server.name}"
    runs = [play(client, server, home, way) for way in (bare, wrap)]
    meeting = Meeting(client.name, server.name, runs)
    for name, run in zip(("bare", "governed"), runs, strict=True):
        (folder / f"{home.name}.{name}.json").write_text(run.printed)
        if run.status != 0:
            meeting.wrong.append(f"{name}: the client ended with {run.status}; see {home.name}/stderr.log")
    meeting.wrong += [f"left behind: {orphan}" for orphan in runs[1].orphans]
    if not meeting.wrong and (diff := difference(*(normal(run.printed) for run in runs))):
        meeting.wrong.append(f"the client saw something else\n{diff}")
    return meeting


def play(client: Client, server: Server, home: Path, wrap: Wrap, sessions: Path | None = None) -> Run:
    """One session of this file, from a fresh home to the last process."""
    work, mark, started = prepare(home), uuid.uuid4().hex, time.monotonic()
    session = home / "session.json"
    session.write_text(json.dumps(json.loads((sessions or SESSIONS).read_text())[server.name]).replace("{work}", str(work)))
    command = [*client.command, str(session), *wrap(home, server.command(work))]
    with (home / "stderr.log").open("wb") as stderr:
        try:
            ended = subprocess.run(
                command,
                cwd=home,
                env={**environment(home, mark), **GIT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                timeout=ENDS_WITHIN,
                check=False,
            )
            status, printed = ended.returncode, ended.stdout.decode()
        except subprocess.TimeoutExpired as expired:
            status, printed = None, (expired.stdout or b"").decode()
    orphans = wait_until_gone(mark)
    return Run(printed.replace(mark, "<mark>"), status, orphans, time.monotonic() - started)


def wait_until_gone(mark: str) -> list[str]:
    """Gives processes that are already ending a moment, then ends and names the rest."""
    end = time.monotonic() + GONE_WITHIN
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.05)
    return reap(mark)


def bare(_home: Path, command: list[str]) -> list[str]:
    """No sidecar."""
    return command


def through(thoth: Path, *flags: str) -> Wrap:
    """The sidecar, with a policy that allows everything, and more flags."""

    def wrap(home: Path, command: list[str]) -> list[str]:
        policy = home / "allow-all.toml"
        policy.touch(0o600)
        policy.write_text(ALLOW_ALL)
        return [str(thoth), "run", "--agent-id", "peers", "--policy", str(policy), *flags, "--", *command]

    return wrap


def table(meetings: list[Meeting], governed: bool) -> str:
    """One row for each meeting."""
    second = "thoth" if governed else "again"
    rows = [f"{'server':12} {'client':14} {'steps':>6} {'errors':>7} {'bare':>8} {second:>8}  result"]
    for meeting in meetings:
        count, errors = steps(meeting.runs[0].printed) if meeting.runs[0].status == 0 else (0, 0)
        first, other = (f"{run.seconds:.1f} s" for run in meeting.runs)
        result = "FAILED" if meeting.wrong else "identical"
        rows.append(f"{meeting.server:12} {meeting.client:14} {count:>6} {errors:>7} {first:>8} {other:>8}  {result}")
    return "\n".join(rows)
