"""The HTML report in a real browser: what it draws, and that it does nothing else."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import places
from report.browser import Browser, Page, find

SESSIONS = places.SUITE.parent / "report"
WIDTHS = (320, 1200)
SCHEMES = ("light", "dark")

GEOMETRY = """(() => {
  const bars = [...document.querySelectorAll('.timeline rect:not(.pause)')];
  const box = bar => { const r = bar.getBoundingClientRect(), s = bar.ownerSVGElement.getBoundingClientRect();
    return { x: r.x - s.x, width: r.width, height: r.height, lane: s.width, href: bar.parentNode.getAttribute('href'),
      kind: bar.getAttribute('class'), colour: getComputedStyle(bar).fill, title: bar.querySelector('title').textContent }; };
  return { bars: bars.map(box), said: document.querySelectorAll('.timeline circle').length,
    scroll: document.documentElement.scrollWidth, ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color, findings: document.querySelectorAll('.finding').length,
    scripts: document.scripts.length, styles: document.querySelectorAll('style, link[rel=stylesheet]').length,
    handlers: [...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on')).length,
    foreign: document.querySelectorAll('img, iframe, object, embed, form, base, svg image, svg script').length,
    unnamed: [...document.querySelectorAll('svg[role=img]')].filter(e => !e.getAttribute('aria-label')).length,
    headings: [...document.querySelectorAll('section')].every(e => document.getElementById(e.getAttribute('aria-labelledby'))),
    targets: bars.every(bar => document.querySelector(bar.parentNode.getAttribute('href'))) };
})()"""


def check(thoth: Path, folder: Path) -> tuple[int, list[str]]:
    """Returns how much held and what did not."""
    program = find()
    if program is None:
        sys.exit("peers: no Chromium found; see tests/peers/README.md, 'The report in a browser'")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    browser = Browser(program, folder / "profile")
    tally = Tally()
    try:
        for name in ("stuck", "hostile"):
            facts = report(thoth, name, folder, "json")
            page = report(thoth, name, folder, "html")
            story = json.loads(facts.read_text())
            for width in WIDTHS:
                for scheme in SCHEMES:
                    tally.at = f"{name}, {width} px, {scheme}"
                    look(tally, browser, page, story, width, scheme)
    finally:
        browser.close()
    return tally.passed, tally.failures


class Tally:
    """What held and what did not."""

    def __init__(self) -> None:
        self.at = ""
        self.passed = 0
        self.failures = list[str]()

    def hold(self, what: str, is_so: bool, seen: object = None) -> None:
        """Counts one fact."""
        if is_so:
            self.passed += 1
        else:
            self.failures.append(f"report ({self.at}): {what}{'' if seen is None else f': {seen}'}")


def report(thoth: Path, name: str, folder: Path, form: str) -> Path:
    """Makes a report of a recorded session."""
    path = folder / f"{name}.{form}"
    command = [thoth, "report", "--file", SESSIONS / f"{name}.jsonl", "--output", path]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return path


def look(tally: Tally, browser: Browser, path: Path, story: dict, width: int, scheme: str) -> None:
    """Opens the page and holds it against the same report as JSON."""
    page = Page(browser, path.as_uri(), width, scheme)
    seen = page.run(GEOMETRY)
    bars, calls = seen["bars"], story["calls"]
    tally.hold("a bar for each call", len(bars) == len(calls), (len(bars), len(calls)))
    by_event = {bar["href"]: bar for bar in bars}
    drawn = [(by_event.get(f"#call-{call['event']}"), call) for call in calls]
    classes = {"ok": "ok", "error": "error", "refused": "refused"}
    same = all(bar and bar["kind"] == classes.get(call["outcome"], "unanswered") for bar, call in drawn)
    tally.hold("each bar says how its call ended", same)
    visible = all(bar["width"] >= 0.9 and bar["height"] >= 5 for bar in bars)
    tally.hold("each bar can be seen", visible, [bar for bar in bars if bar["width"] < 0.9])
    inside = all(-0.5 <= bar["x"] and bar["x"] + bar["width"] <= bar["lane"] + 0.5 for bar in bars)
    tally.hold("each bar is in its lane", inside)
    ordered = sorted((bar for bar, _ in drawn), key=lambda bar: bar["x"])
    starts = [bar["x"] for bar, _ in sorted(drawn, key=lambda pair: pair[1]["offset_ms"])]
    tally.hold("bars stand in the order of time", starts == [bar["x"] for bar in ordered] or is_nearly(starts))
    # A call that says it lasted longer than its session is drawn up to the session's end.
    lasted = story["session"]["lasted_ms"]
    true = [pair for pair in drawn if pair[1]["offset_ms"] + (pair[1]["duration_ms"] or 0) <= lasted]
    (widest, _), (_, longest) = (
        max(true, key=lambda pair: pair[0]["width"]),
        max(true, key=lambda pair: pair[1]["duration_ms"] or 0),
    )
    same = widest["width"] <= by_event[f"#call-{longest['event']}"]["width"] + 0.5
    tally.hold("the longest call has the widest bar", same)
    tally.hold("a mark for each annotation", seen["said"] == len(story["annotations"]), seen["said"])
    tally.hold("a card for each finding", seen["findings"] == len(story["findings"]), seen["findings"])
    tally.hold("every bar leads to its row", seen["targets"])
    tally.hold("no scrolling sideways", seen["scroll"] <= width, seen["scroll"])
    tally.hold("the colours are those asked for", (luminance(seen["ground"]) < 0.2) == (scheme == "dark"), seen["ground"])
    tally.hold("text can be read", contrast(seen["ground"], seen["ink"]) >= 7, (seen["ground"], seen["ink"]))
    kinds = {bar["kind"]: bar["colour"] for bar in bars}
    tally.hold("each kind of end has a colour", len(set(kinds.values())) == len(kinds), kinds)
    tally.hold("pictures and sections have names", seen["unnamed"] == 0 and seen["headings"])
    foreign = [seen["scripts"], seen["handlers"], seen["foreign"], seen["styles"] - 1]
    tally.hold("no script, handler, picture or second style", foreign == [0, 0, 0, 0], foreign)
    asked = [one["request"]["url"] for one in page.told("Network.requestWillBeSent", "Fetch.requestPaused")]
    other = [url for url in asked if url != path.as_uri() and url != "data:,"]
    tally.hold("the page asks for nothing", not other, other)
    said = page.told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    tally.hold("nothing on the console", not said, said)
    tally.hold("no dialog", not page.told("Page.javascriptDialogOpening"))
    keep(page, path, width, scheme)
    pdf = base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    tally.hold("it prints", pdf.startswith(b"%PDF-") and len(pdf) > 5_000, len(pdf))
    page.close()


def keep(page: Page, path: Path, width: int, scheme: str) -> None:
    """Leaves a picture for people."""
    picture = page.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
    path.with_name(f"{path.stem}-{width}-{scheme}.png").write_bytes(base64.b64decode(picture))


def is_nearly(places_: list[float]) -> bool:
    """Whether places rise, but for the last bars, which are moved to stay inside."""
    return all(later >= earlier - 2 for earlier, later in zip(places_, places_[1:]))


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = map(linear, parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
