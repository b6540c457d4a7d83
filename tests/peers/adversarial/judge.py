"""What must be true of one case, given what came of it bare and through the sidecar."""

import json
from typing import Any

from adversarial.cases import Case
from adversarial.drive import Outcome
from adversarial.targets import Target

UNREADABLE = (-32700, -32600)
BLOCKED = -32001


def judge(case: Case, target: Target, blocked: bool, bare: Outcome, outcome: Outcome) -> list[str]:
    """What is wrong; nothing if all is well. `blocked` says that the policy blocks every call."""
    wrong = executions(case, target, blocked, bare, outcome)
    if outcome.lost and not (bare.lost and set(case.lines) != {"refused"}):
        wrong.append(f"the session did not survive: {outcome.lost}")
    else:
        wrong += replies(case, blocked, outcome)
    return wrong


def executions(case: Case, target: Target, blocked: bool, bare: Outcome, outcome: Outcome) -> list[str]:
    """Whether the target executed what it must and nothing else."""
    wrong, times = [], outcome.count("allowed")
    if outcome.count("forbidden"):
        wrong.append("the forbidden tool was executed")
    if blocked or case.expect == "refuse":
        most = 0 if blocked else case.at_most
        return wrong + ([f"the allowed tool was executed {times} times, not at most {most}"] if times > most else [])
    if times > 1 or (times == 0 and (target.lax or bare.count("allowed"))):
        wrong.append(f"the allowed tool was executed {times} times, not once")
    for _, arguments in outcome.executed[:1]:
        known = [given for tool, given in bare.executed if tool == "allowed"]
        plain = known[0] if known else json.loads(case.arguments)
        wanted = read(case.arguments) if target.lax else plain
        if not equal(arguments, wanted):
            wrong.append(f"the arguments were {excerpt(arguments)}, not {excerpt(wanted)}")
    return wrong


def replies(case: Case, blocked: bool, outcome: Outcome) -> list[str]:
    """Whether every refused line was answered, nothing twice, and with the right kind of answer."""
    wrong = []
    refusing = blocked or case.expect == "refuse"
    unreadable, calls = case.lines.count("refused"), case.lines.count("call") if refusing else 0
    least, most = unreadable + (calls if blocked or not case.at_most else 0), len(case.lines)
    if not least <= len(outcome.answers) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        wrong.append(f"{len(outcome.answers)} answers, not {wanted}")
    if sum(code(answer) in UNREADABLE for answer in outcome.answers) < unreadable:
        wrong.append(f"a line that cannot be read was answered with {[code(answer) for answer in outcome.answers]}")
    if calls and blocked and sum(denial(answer) for answer in outcome.answers) < calls:
        wrong.append(f"a blocked call was answered with {excerpt(outcome.answers)}")
    return wrong


def denial(answer: dict[str, Any]) -> bool:
    """Whether this is how a blocked call is answered, in either era."""
    result = answer.get("result")
    return code(answer) == BLOCKED or (isinstance(result, dict) and result.get("isError") is True)


def code(answer: dict[str, Any]) -> int | None:
    """The code of an error; none of a result."""
    error = answer.get("error")
    return error.get("code") if isinstance(error, dict) else None


def read(arguments: bytes) -> Any:
    """Arguments with their number literals kept, as our lax targets keep them."""
    return json.loads(arguments, parse_int=mark, parse_float=mark)


def mark(number: str) -> str:
    return f"#{number}"


def equal(one: Any, other: Any) -> bool:
    """Equality that tells 1 from true, 1.0 and "1"."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def excerpt(value: Any) -> str:
    """Enough of a value to see what it is."""
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:200]}… ({len(text)} characters)"
