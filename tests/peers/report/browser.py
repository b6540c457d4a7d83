"""A headless Chromium, spoken to over a pipe in its own protocol (CDP).

No driver and no library stand between: the suite sees every request, message and dialog itself.
"""

import json
import os
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60  # seconds for one answer


def find() -> str | None:
    """The browser of this machine; `THOTH_CHROMIUM` names another one."""
    return os.environ.get("THOTH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser process, with a profile of its own."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]

        def wire() -> None:
            # The browser reads from 3 and writes to 4.
            read, write = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self._process = subprocess.Popen(
            [program, *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=wire, close_fds=False, start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._out = os.fdopen(ours_out, "wb", buffering=0)
        self._in = os.fdopen(ours_in, "rb")
        self._next = 0
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Asks for something, and waits for the answer."""
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        answer = self._answers[self._next] = queue.Queue()
        self._out.write(json.dumps(message).encode() + b"\0")
        told = answer.get(timeout=PATIENCE)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        return told["result"]

    def close(self) -> None:
        """Ends the browser, however it feels about it."""
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, RuntimeError, queue.Empty, subprocess.TimeoutExpired):
            self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        rest = b""
        while chunk := self._in.read1(65536):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if waiting := self._answers.pop(message.get("id"), None):
                    waiting.put(message)
                else:
                    self.events.append(message)


class Page:
    """One page, of which everything is written down: requests, messages, exceptions, dialogs."""

    def __init__(self, browser: Browser, address: str, width: int, scheme: str) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._target = target
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        # Every request is stopped; only the page itself goes on.
        self.call("Fetch.enable", patterns=[{"urlPattern": "*"}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._asked = self._since = len(browser.events)
        self._address = address
        self._load()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks this page for something."""
        return self._browser.call(method, self._session, **params)

    def run(self, expression: str) -> Any:
        """The value of an expression in the page (the debugger may run what the page may not)."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"]))
        return told["result"].get("value")

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """What the browser has told of this page."""
        events = self._browser.events[self._since :]
        return [one["params"] for one in events if one.get("sessionId") == self._session and one["method"] in methods]

    def close(self) -> None:
        """Closes it."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _load(self) -> None:
        """Loads the page; whatever else it asks for stays stopped, and is told."""
        done = threading.Event()

        def let() -> None:
            allowed = False
            while not done.wait(0.01):
                for request in self.told("Fetch.requestPaused"):
                    if not allowed and request["request"]["url"] == self._address:
                        allowed = True
                        self.call("Fetch.continueRequest", requestId=request["requestId"])

        helper = threading.Thread(target=let)
        helper.start()
        try:
            self.call("Page.navigate", url=self._address)
            self.run("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")
        finally:
            done.set()
            helper.join()
