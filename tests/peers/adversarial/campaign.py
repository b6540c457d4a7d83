"""The adversarial run: every target bare, then behind a policy that blocks all, then behind one that
allows one tool."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import places
from adversarial.cases import Case
from adversarial.drive import Drive, Outcome, Wrap
from adversarial.judge import judge
from adversarial.targets import Target
from processes import Lost

MEASURED = places.SUITE / "adversarial" / "executed.json"
AT_ONCE = 3
LIMIT = 1024 * 1024
"""The sidecar's `--max-message-bytes`: what the corpus means by oversized."""

BLOCK_ALL = """\
[policy]
id = "block-all"
version = 1
default = "block"
"""
ALLOW_ONE = """\
[policy]
id = "allow-one"
version = 1
default = "block"

[[rule]]
id = "the-allowed-tool"
tools = ["allowed"]
effect = "allow"
"""
POLICIES = {"block-all": BLOCK_ALL, "allow-one": ALLOW_ONE}


@dataclass
class Report:
    """What came of one target."""

    target: str
    bare: dict[str, Outcome] = field(default_factory=dict)
    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, name: str, wrong: list[str]) -> None:
        """Notes one judgement."""
        self.passed += not wrong
        self.failures += [f"{self.target} · {name}: {text}" for text in wrong]


def campaign(cases: list[Case], targets: list[Target], thoth: Path | None, folder: Path) -> list[Report]:
    """Runs all cases against all targets, some targets at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda target: attack(cases, target, thoth, folder / target.name), targets))


def attack(cases: list[Case], target: Target, thoth: Path | None, folder: Path) -> Report:
    """All passes over one target."""
    report = Report(target.name)
    cases = [case for case in cases if target.often or not case.alone]
    bare = Drive(target, lambda command: command, True, folder / "bare")
    bare.run(cases)
    report.bare = bare.outcomes
    if thoth is None:
        return report
    for policy in POLICIES:
        home = folder / policy
        drive = Drive(target, sidecar(thoth, policy, home), policy == "allow-one", home)
        try:
            drive.run(cases)
        except Lost as lost:
            report.check(f"{policy} · starts", [str(lost)])
            continue
        for case in cases:
            wrong = judge(case, target, policy == "block-all", bare.outcomes[case.name], drive.outcomes[case.name])
            report.check(f"{policy} · {case.name}", wrong)
        report.check(f"{policy} · ends", drive.leftovers)
    return report


def sidecar(thoth: Path, policy: str, home: Path) -> Wrap:
    """Puts `thoth run` with this policy before a command."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "policy.toml"
    file.write_text(POLICIES[policy])
    file.chmod(0o600)
    options = ["--agent-id", "peers", "--policy", str(file), "--max-message-bytes", str(LIMIT)]
    return lambda command: [str(thoth), "run", *options, "--", *command]


def measured(reports: list[Report]) -> dict[str, dict[str, list[str]]]:
    """Which targets executed which tool, case by case, without a sidecar."""
    table: dict[str, dict[str, list[str]]] = {}
    for report in reports:
        for name, outcome in report.bare.items():
            tools = table.setdefault(name, {"forbidden": [], "allowed": []})
            for tool, targets in tools.items():
                if outcome.count(tool):
                    targets.append(report.target)
    return table


def compare(reports: list[Report]) -> list[str]:
    """Where the bare targets no longer do what was measured when their versions were pinned."""
    known, now = json.loads(MEASURED.read_text()), measured(reports)
    ran = {report.target for report in reports}
    wrong = []
    for name, tools in now.items():
        for tool, targets in tools.items():
            before = [target for target in known.get(name, {}).get(tool, []) if target in ran]
            if before != targets:
                wrong.append(f"bare · {name}: {tool} is executed by {targets or 'nobody'}, was by {before or 'nobody'}")
    return wrong


def record(reports: list[Report]) -> None:
    """Writes what the bare targets did, for the next run to hold itself against."""
    lines = [f"  {json.dumps(name)}: {json.dumps(tools)}" for name, tools in measured(reports).items()]
    MEASURED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def table(reports: list[Report], cases: list[Case]) -> str:
    """How many cases of each sort each bare target executes."""
    rows = [f"{'bare target':14} {'forbidden executed':>20} {'allowed executed':>18} {'lost the session':>18}"]
    for report in reports:
        refused = [report.bare[case.name] for case in cases if case.expect == "refuse" and case.name in report.bare]
        allowed = [report.bare[case.name] for case in cases if case.expect == "allow" and case.name in report.bare]
        bad = sum(outcome.count("forbidden") > 0 for outcome in refused)
        good = sum(outcome.count("allowed") > 0 for outcome in allowed)
        lost = sum(bool(outcome.lost) for outcome in report.bare.values())
        rows.append(f"{report.target:14} {f'{bad} of {len(refused)}':>20} {f'{good} of {len(allowed)}':>18} {lost:>18}")
    return "\n".join(rows)
