"""A tab of the headless Chromium that is used like a person uses one: clicks, keys, and looking."""

import base64
import time
from pathlib import Path
from typing import Any

from report.browser import Browser

PATIENCE = 30.0
# Before any script of a page: what a breach of the page's policy would be.
WATCH = "window.__breaches = []; addEventListener('securitypolicyviolation', e => __breaches.push(e.violatedDirective + ' ' + e.blockedURI));"
KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Space": (" ", 32, " "), "Escape": ("Escape", 27, "")}


class Tab:
    """One tab with cookies of its own, of which everything is written down."""

    def __init__(self, browser: Browser, width: int = 1200, height: int = 900, *, scheme: str = "light", script: bool = True) -> None:
        self.browser = browser
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        self._target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        self._since = len(browser.events)
        for domain in ("Page", "Runtime", "Log", "Network", "Security"):
            self.call(f"{domain}.enable")
        # The enforcer's certificate is its own; that it is pinned by sidecars is tested elsewhere.
        self.call("Security.setIgnoreCertificateErrors", ignore=True)
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        if not script:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks this tab for something."""
        return self.browser.call(method, self._session, **params)

    def run(self, expression: str) -> Any:
        """The value of an expression in the page (the debugger may run what the page may not)."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"]))
        return told["result"].get("value")

    def until(self, expression: str, patience: float = PATIENCE) -> Any:
        """Waits until an expression is true in whatever page there is then."""
        end = time.monotonic() + patience
        while True:
            try:
                if seen := self.run(expression):
                    return seen
            except RuntimeError:
                pass  # between two pages
            if time.monotonic() > end:
                raise TimeoutError(f"{expression}\nat {self.run('location.href')}:\n{self.run('document.body.innerText')}")
            time.sleep(0.05)

    def go(self, address: str) -> None:
        """Opens an address, as by its name in the address bar."""
        self.run("window.__old = 1")
        self.call("Page.navigate", url=address)
        self.until("!window.__old && document.readyState === 'complete'")

    def click(self, query: str) -> None:
        """Clicks with the mouse in the middle of what is there to be seen."""
        box = self.until(
            f"(() => {{ const e = document.querySelector({query!r}); if (!e) return null; e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return r.width && {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box["x"], y=box["y"], button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Types into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Presses one key."""
        name, code, text = KEYS[key]
        common = {"key": name, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def tab_to(self, query: str, most: int = 60) -> bool:
        """Presses the tab key until this has the focus, and shows it."""
        for _ in range(most):
            self.press("Tab")
            if self.run(f"document.activeElement.matches({query!r})"):
                return self.run("getComputedStyle(document.activeElement).outlineStyle !== 'none'")
        return False

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """What the browser has told of this tab."""
        events = self.browser.events[self._since :]
        return [one["params"] for one in events if one.get("sessionId") == self._session and one["method"] in methods]

    def breaches(self) -> list[str]:
        """Breaches of the page's policy, exceptions, errors on the console, dialogs."""
        said = [f"exception: {one['exceptionDetails']['text']}" for one in self.told("Runtime.exceptionThrown")]
        said += [f"log: {one['entry']['text']}" for one in self.told("Log.entryAdded") if one["entry"]["level"] == "error"]
        said += ["dialog" for _ in self.told("Page.javascriptDialogOpening")]
        return said + (self.run("window.__breaches || []") or [])

    def foreign(self, origin: str) -> list[str]:
        """Requests that left the origin."""
        asked = [one["request"]["url"] for one in self.told("Network.requestWillBeSent")]
        return [url for url in asked if not url.startswith(origin + "/") and url not in ("about:blank", origin)]

    def picture(self, path: Path) -> None:
        """Leaves a picture for people."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(shot))

    def close(self) -> None:
        """Closes it."""
        self.browser.call("Target.closeTarget", targetId=self._target)
