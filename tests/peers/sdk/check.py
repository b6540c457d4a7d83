"""The public SDK, `atensec-thoth`, against `thoth enforcer`: every outcome that an enforcer can come to."""

import json
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import places
from processes import environment

HERE = Path(__file__).resolve().parent
TENANT = "acme"
WITHIN = 120

# What an agent meets, with the SDK in front of our enforcer. The rest of the table never comes from us: an unknown
# decision, a step-up without a token, a modify without arguments, another call's attestation, 402.
OUTCOMES = {
    "allow": 'ran {"limit": 1}',
    "block": "refused nothing is dropped here",
    "default": "refused no rule of policy `sdk-outcomes` matches this call",
    "modify": 'ran {"limit": 100}',
    "defer": "refused not during the day (retry in 7s)",
    "approved": 'ran {"limit": 1}',
    "denied": "refused denied by ",
    "denied once more": "refused denied by ",
    "step_up where nobody may": "refused a person must agree",
    "observe": 'ran {"limit": 1}',
    "another tenant": "refused enforcer rejected request (status=403)",
    "wrong key": "refused enforcer rejected request (status=401)",
    "key without execute": "refused enforcer rejected request (status=403)",
    "dead port": "refused enforcer unavailable",
    "inventory": 'ran "read"',
}


def check(thoth: Path, folder: Path) -> tuple[int, list[str]]:
    """Returns how much held and what did not."""
    folder.mkdir(parents=True, exist_ok=True)
    passed, failures = 0, list[str]()
    with Enforcer(thoth, folder / "enforcer") as enforcer:
        met = enforcer.outcomes()
        for name, expected in OUTCOMES.items():
            if met.get(name, "").startswith(expected):
                passed += 1
            else:
                failures.append(f"sdk: {name}: {met.get(name)}, not {expected}")
        counted = enforcer.metrics()
        for asked in ASKED:
            if asked in counted:
                passed += 1
            else:
                failures.append(f"sdk: never {asked}")
    with Enforcer(thoth, folder / "limited", "--rate-limit", "1") as enforcer:
        for fail_open, expected in ((False, "refused enforcer rejected request (status=429)"), (True, 'ran {"limit": 1}')):
            met = enforcer.outcomes(["allow"] * 8, fail_open=fail_open)
            is_met = all(word.startswith((expected, 'ran {"limit": 1}')) for word in met.values())
            if is_met and any(word.startswith(expected) for word in met.values()):
                passed += 1
            else:
                failures.append(f"sdk: 429, fail_open {fail_open}: {met}")
    return passed, failures


# What the SDK asks for on the way, and what it is answered.
ASKED = (
    'method="POST",route="/v1/enforce",status="200"',
    'method="GET",route="/v1/enforce/hold/{token}",status="200"',
    'method="POST",route="/v1/explain",status="200"',
    'method="POST",route="/v1/events/batch",status="202"',
    'method="POST",route="/{tenant}/thoth/tool-inventory",status="2',
)


class Enforcer:
    """An enforcer of its own, until the end of the block."""

    def __init__(self, thoth: Path, home: Path, *flags: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._folder = home
        command = [thoth, "enforcer", "--json", "--listen", "127.0.0.1:0", "--tenant", TENANT]
        command += ["--policy", HERE / "rules.toml", *flags]
        with (home / "stderr.log").open("ab") as stderr:
            self._child = subprocess.Popen(command, env=environment(home, "sdk"), stdout=subprocess.PIPE, stderr=stderr)

    def __enter__(self) -> "Enforcer":
        assert self._child.stdout is not None
        self._told = json.loads(self._child.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(WITHIN)

    def outcomes(self, cases: list[str] | None = None, *, fail_open: bool = False) -> dict[str, str]:
        """Lets the SDK make its calls: what became of each."""
        given = {"url": self._told["url"], "tenant": TENANT, "cases": cases, "key": self._key("sidecar")}
        given |= {"admin": self._key("admin"), "reader": self._reader()}
        env = environment(self._folder, "sdk") | {"SSL_CERT_FILE": self._told["ca_bundle"]}
        env |= {"THOTH_FAIL_OPEN": "1"} if fail_open else {}
        ended = subprocess.run(
            [places.sdk(), HERE / "outcomes.py"],
            input=json.dumps(given),
            env=env,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        (self._folder / "sdk.log").write_text(ended.stderr)
        return json.loads(ended.stdout) if ended.returncode == 0 else {"": ended.stderr[-500:]}

    def metrics(self) -> str:
        """What the enforcer has counted."""
        return self._open(urllib.request.Request(self._told["url"] + "/metrics")).decode()

    def _key(self, whose: str) -> str:
        text = Path(self._told[f"{whose}_key_file"]).read_text().strip()
        return json.loads(text)["api_key"] if text.startswith("{") else text

    def _reader(self) -> str:
        """A key that may not ask for decisions."""
        body = {"name": "reader", "scope_level": "organization", "permissions": ["read"]}
        return self._post(f"/{TENANT}/thoth/api-keys", body)["api_key"]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self._told["url"] + path, json.dumps(body).encode())
        request.add_header("content-type", "application/json")
        request.add_header("x-api-key", self._key("admin"))
        return json.loads(self._open(request))

    def _open(self, request: urllib.request.Request) -> bytes:
        context = ssl.create_default_context(cafile=self._told["ca_bundle"])
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.read()
